"""What a look of the doctor gives."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Finding", "Status"]

Status = Literal["ok", "note", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: What it was, in a word or two.
        status: ``"ok"``, ``"note"`` (works, and could be better) or ``"bad"`` (is broken).
        words: What was found.
        advice: What to do about it, or ``""``.
        facts: The same as values, for scripts.
    """

    topic: str
    status: Status
    words: str
    advice: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return dataclasses.asdict(self)
