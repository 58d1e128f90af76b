"""A panel's chat as the text of a file, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from gemma_notebook.messages import Message, ModelInfo, Timing, Usage
from gemma_notebook.panel.approval import STATES
from gemma_notebook.prompts import ENCODERS
from gemma_notebook.transcript import Transcript
from gemma_notebook.transcript.record import KEPT_OPTIONS, Entry, Format, ToolUse, use_of

__all__ = ["File", "read", "write"]

_FILES: dict[Format, tuple[str, str]] = {
    "markdown": ("md", "text/markdown"),
    "html": ("html", "text/html"),
    "json": ("json", "application/json"),
}


@dataclass(frozen=True, slots=True)
class File:
    """A text for the user to save."""

    name: str
    media_type: str
    text: str


def write(
    kind: Format,
    messages: Sequence[Mapping[str, Any]],
    model: str,
    options: Mapping[str, Any],
    said: Mapping[int, Sequence[Message]] | None = None,
    parts: Mapping[int, Sequence[dict[str, Any]]] | None = None,
) -> File:
    """The messages, as a snapshot tells them, as a file.

    What the panel shows and not what the chat remembers: it has the turns that made room for later ones, too.

    Args:
        kind: As what.
        messages: The messages.
        model: The model's name.
        options: The chat's, and its system instruction; others are left out.
        said: The messages that each reply with calls is made of, by its number, for the JSON, which has them apart.
        parts: The images and sounds that went with each prompt, by its number.

    Raises:
        KeyError, TypeError: They are no such messages.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    apart = said if said is not None and kind == "json" else {}
    transcript = Transcript(
        entries=tuple(
            replace(entry, parts=tuple((parts or {}).get(message.get("turn", 0), ())))
            for message in messages
            for entry in _entries(message, apart)
        ),
        model=model,
        system_instruction=options.get("system_instruction"),
        options={name: options[name] for name in KEPT_OPTIONS if name in options},
        date=now,
    )
    writers = {
        "markdown": transcript.to_markdown,
        "html": transcript.to_html,
        "json": transcript.to_json,
    }
    ending, media_type = _FILES[kind]
    return File(f"chat-{now:%Y-%m-%d-%H%M%S}.{ending}", media_type, writers[kind]())


def read(text: str, model: ModelInfo) -> tuple[tuple[Message, ...], dict[str, Any]]:
    """What an exported JSON says, as ``Chat.restore`` takes it: prompts with their replies, calls and results; and the options
    that its chat had.

    Images and sounds come with them where the model takes them, and thinking is an option where it has that.

    Raises:
        TranscriptError: It is not such a JSON.
    """
    transcript = Transcript.from_json(text)
    whole = replace(transcript, entries=tuple(one for entry in transcript.entries for one in _in_turn(entry)))
    said = [message for exchange in _exchanges(whole.messages) for message in exchange]
    taken = {kind for kind, encoder in ENCODERS.items() if encoder in model.modalities}
    messages = tuple(
        replace(message, parts=tuple(part for part in message.parts if part["type"] in taken))
        for message in said
    )
    options = {name: value for name, value in transcript.options.items() if name in KEPT_OPTIONS}
    if options or transcript.system_instruction:  # else it was no chat's
        options["system_instruction"] = transcript.system_instruction
    if not model.supports_thinking:
        options.pop("enable_thinking", None)
    return messages, options


def _in_turn(entry: Entry) -> Iterator[Entry]:
    """The calls and then the answer, where a file has both in one piece, as a snapshot does."""
    known = all(use.outcome is not None for use in entry.tool_calls)
    if entry.tool_calls and known and entry.text and entry.finish_reason == "stop":
        yield replace(entry, text="", finish_reason="tool_calls")
        yield replace(entry, tool_calls=(), thinking="")
    else:
        yield entry


def _exchanges(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """Each prompt that has a reply, with all that came of it; without what could not follow it in a chat."""
    exchange: list[Message] = []
    for message in (*messages, Message("user", "")):
        if message.role == "user":
            if len(exchange) > 1:
                yield exchange
            exchange = [message]
        elif exchange and _follows(message, exchange[-1]):
            exchange.append(message)


def _follows(message: Message, before: Message) -> bool:
    if message.role == "tool":
        return before.tool_calls == tuple(result.call for result in message.tool_results)
    return before.role != "assistant"


def _entries(message: Mapping[str, Any], said: Mapping[int, Sequence[Message]]) -> Sequence[Entry]:
    """One for the message; for a reply with calls one for each thing that the model said."""
    whole = _entry(message)
    entries: list[Entry] = []
    for one in said.get(message.get("turn", 0), ()):
        if one.role == "tool":
            entries[-1] = replace(
                entries[-1], tool_calls=tuple(use_of(result) for result in one.tool_results)
            )
        else:
            calls = tuple(ToolUse(call.name, call.arguments) for call in one.tool_calls)
            entries.append(Entry("assistant", one.text, one.thinking, calls, one.finish_reason))
    if not entries:
        return [whole]
    entries[-1] = replace(
        entries[-1],
        error=whole.error,
        trimmed_turns=whole.trimmed_turns,
        usage=whole.usage,
        timing=whole.timing,
    )
    return entries


def _entry(message: Mapping[str, Any]) -> Entry:
    calls = message.get("tool_calls") or ()
    error = message.get("error")
    was_cut = message["role"] == "assistant" and message.get("state") in ("streaming", "cancelled")
    return Entry(
        role=message["role"],
        text=message["text"],
        thinking=message.get("thinking") or "",
        tool_calls=tuple(_use(call) for call in calls),
        finish_reason=message.get("finish_reason") or ("cancelled" if was_cut else None),
        error=error["message"] if error else None,
        trimmed_turns=message.get("trimmed_turns") or 0,
        usage=Usage(**message["usage"]) if message.get("usage") else None,
        timing=Timing(**message["timing"]) if message.get("timing") else None,
    )


def _use(call: Mapping[str, Any]) -> ToolUse:
    outcome = next((outcome for outcome, state in STATES.items() if state == call.get("state")), None)
    result = call.get("result")
    if outcome not in (None, "done"):
        result = {"error": result}  # as the model was told
    return ToolUse(call["name"], call.get("arguments"), result, outcome)
