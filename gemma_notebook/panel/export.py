"""A panel's chat as the text of a file, and back."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gemma_notebook.messages import Message, Timing, Usage
from gemma_notebook.panel.interfaces import PanelChat
from gemma_notebook.panel.requests import ExportFormat
from gemma_notebook.transcript import Transcript
from gemma_notebook.transcript.record import Entry, ToolUse

__all__ = ["File", "read", "write"]

_FILES: dict[ExportFormat, tuple[str, str]] = {
    "markdown": ("md", "text/markdown"),
    "html": ("html", "text/html"),
    "json": ("json", "application/json"),
}
_OPTIONS = ("temperature", "random_seed", "top_k", "top_p", "enable_thinking", "max_output_tokens")


@dataclass(frozen=True, slots=True)
class File:
    """A text for the user to save."""

    name: str
    media_type: str
    text: str


def write(kind: ExportFormat, messages: Sequence[Mapping[str, Any]], chat: PanelChat) -> File:
    """The messages, as a snapshot tells them, as a file.

    What the panel shows and not what the chat remembers: it has the turns that made room for later ones, too.

    Raises:
        KeyError, TypeError: They are no such messages.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    options = chat.options
    transcript = Transcript(
        entries=tuple(_entry(message) for message in messages),
        model=chat.manager.model.name,
        system_instruction=options.system_instruction,
        options={name: getattr(options, name) for name in _OPTIONS},
        date=now,
    )
    writers = {
        "markdown": transcript.to_markdown,
        "html": transcript.to_html,
        "json": transcript.to_json,
    }
    ending, media_type = _FILES[kind]
    return File(f"chat-{now:%Y-%m-%d-%H%M%S}.{ending}", media_type, writers[kind]())


def read(text: str) -> tuple[Message, ...]:
    """What an exported JSON says, as ``Chat.restore`` takes it: prompts with their replies.

    Raises:
        TranscriptError: It is not such a JSON.
    """
    messages = Transcript.from_json(text).messages
    answered = [
        pair for pair in itertools.pairwise(messages) if (pair[0].role, pair[1].role) == ("user", "assistant")
    ]
    return tuple(message for pair in answered for message in pair)


def _entry(message: Mapping[str, Any]) -> Entry:
    calls = message.get("tool_calls") or ()
    error = message.get("error")
    return Entry(
        role=message["role"],
        text=message["text"],
        thinking=message.get("thinking") or "",
        tool_calls=tuple(ToolUse(call["name"], call.get("arguments"), call.get("result")) for call in calls),
        finish_reason=message.get("finish_reason"),
        error=error["message"] if error else None,
        trimmed_turns=message.get("trimmed_turns") or 0,
        usage=Usage(**message["usage"]) if message.get("usage") else None,
        timing=Timing(**message["timing"]) if message.get("timing") else None,
    )
