"""What :func:`gemma_notebook.testing.deterministic` fixes, while it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Fixed", "clock_is_fixed", "fix", "with_fixed_options"]


@dataclass(frozen=True, slots=True)
class Fixed:
    """What is the same each time.

    Attributes:
        options: Options of sessions that take the place of what a caller asks for.
        clock: Timings are zero.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    clock: bool = False


_fixed = Fixed()


def fix(fixed: Fixed) -> Fixed:
    """Let it hold for this process from now on; returns what held before."""
    global _fixed
    before, _fixed = _fixed, fixed
    return before


def with_fixed_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """A session's options, as far as they may be chosen just now."""
    return {**options, **_fixed.options}


def clock_is_fixed() -> bool:
    """No time may be told just now."""
    return _fixed.clock
