"""Paths as users write them."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["expanded"]


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with its ``~`` replaced; one that names no user is left as it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
