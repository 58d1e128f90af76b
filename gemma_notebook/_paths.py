"""Paths as users write them."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

__all__ = ["expanded", "user_cache"]


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with its ``~`` replaced; one that names no user is left as it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def user_cache() -> Path | None:
    """The user's directory for what can be made again; None without a home, as in a container whose user has no name."""
    try:
        return platformdirs.user_cache_path("gemma_notebook")
    except RuntimeError:
        return None
