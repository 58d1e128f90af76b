"""A panel's chat as the text of a file, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gemma_notebook.errors import OptionValueError
from gemma_notebook.messages import Message
from gemma_notebook.panel.interfaces import PanelChat
from gemma_notebook.panel.requests import ExportFormat

__all__ = ["File", "read", "write"]


@dataclass(frozen=True, slots=True)
class File:
    """A text for the user to save."""

    name: str
    media_type: str
    text: str


def write(_kind: ExportFormat, messages: Sequence[Mapping[str, Any]], _chat: PanelChat) -> File:
    """The messages, as a snapshot tells them, as a file."""
    said = [{"role": m["role"], "text": m["text"]} for m in messages]
    return File("chat.json", "application/json", json.dumps(said))


def read(text: str) -> tuple[Message, ...]:
    """What an exported JSON says.

    Raises:
        OptionValueError: It is not such a JSON.
    """
    try:
        return tuple(
            Message(m["role"], m["text"], None if m["role"] == "user" else "stop") for m in json.loads(text)
        )
    except (ValueError, TypeError, KeyError) as error:
        raise OptionValueError("this is not an exported chat") from error
