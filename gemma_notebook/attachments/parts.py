"""One image or sound, ready for the engine."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from gemma_notebook.attachments.kinds import Kind

__all__ = ["ContentPart"]


@dataclass(frozen=True, slots=True)
class ContentPart:
    """One image or sound, ready for the engine.

    Attributes:
        kind: ``"image"`` or ``"audio"``.
        media_type: ``"image/png"``, ``"image/jpeg"`` or ``"audio/wav"``.
        name: The file's name without its folder; empty for what came from memory.
        data: The file's content.
    """

    kind: Kind
    media_type: str
    name: str
    data: bytes = field(repr=False)

    def as_json(self) -> dict[str, str]:
        """It in a message's ``content``, as the official binding writes it."""
        return {"type": self.kind, "blob": base64.b64encode(self.data).decode("ascii")}
