"""A transcript as JSON, and back: what comes in is checked field by field, as anybody may have written it."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn, cast, get_args

from gemma_notebook.errors import TranscriptError
from gemma_notebook.messages import FinishReason, Role, Timing, ToolOutcome, Usage
from gemma_notebook.transcript.record import Entry, ToolUse, Transcript

__all__ = ["fields", "read"]

FORMAT = "gemma_notebook.chat"
VERSION = 1
# Some hundred photos. A file that is no chat should not fill the memory.
MAX_BYTES = 256_000_000
_MAX_DEPTH = 50


def fields(transcript: Transcript) -> dict[str, Any]:
    """The JSON object of a transcript. Version 1; new fields may be added, and readers ignore unknown ones."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "model": transcript.model,
        "date": None if transcript.date is None else transcript.date.isoformat(),
        "system_instruction": transcript.system_instruction,
        "options": transcript.options,
        "messages": [_message(entry) for entry in transcript.entries],
    }


def _message(entry: Entry) -> dict[str, Any]:
    optional: dict[str, Any] = {
        "thinking": entry.thinking,
        "tool_calls": [
            {"name": call.name, "arguments": call.arguments}
            | ({} if call.result is None and call.outcome is None else {"result": call.result})
            | ({} if call.outcome is None else {"outcome": call.outcome})
            for call in entry.tool_calls
        ],
        "finish_reason": entry.finish_reason,
        "error": entry.error,
        "trimmed_turns": entry.trimmed_turns,
        "usage": entry.usage and _numbers(entry.usage),
        "timing": entry.timing and _numbers(entry.timing),
        "parts": list(entry.parts),
    }
    return {"role": entry.role, "text": entry.text} | {key: value for key, value in optional.items() if value}


def _numbers(value: Usage | Timing) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def read(text: str | bytes) -> Transcript:
    """Read a transcript's JSON; see :meth:`Transcript.from_json`."""
    top = _Fields("the file", _parsed(text))
    if top.raw.get("format") != FORMAT:
        raise TranscriptError(
            f'this is no chat of gemma_notebook: "format" is {_shown(top.raw.get("format"))}, not {FORMAT!r}; '
            "choose a file that chat.export('….json') wrote"
        )
    version = top.raw.get("version")
    if version != VERSION or isinstance(version, bool):
        raise TranscriptError(
            f"this chat has version {_shown(version)} of the format, and this gemma_notebook reads version {VERSION}; "
            "update gemma_notebook, or export the chat with this version"
        )
    return Transcript(
        entries=tuple(_entry(item) for item in top.objects("messages")),
        model=top.text("model"),
        system_instruction=top.optional_text("system_instruction"),
        options=dict(top.mapping("options")),
        date=_date(top),
    )


def _parsed(text: str | bytes) -> Mapping[str, Any]:
    if not isinstance(text, str | bytes | bytearray):
        raise TranscriptError(
            f"a chat is read from JSON text, not from {type(text).__name__}; read the file first"
        )
    if len(text) > MAX_BYTES:
        raise TranscriptError(
            f"this has more than {MAX_BYTES // 1_000_000} MB, and no more of a chat can be read"
        )
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise TranscriptError(
            f"this is no JSON ({reason}); give what is in a file that chat.export('….json') wrote"
        ) from None
    if not isinstance(value, dict):
        raise TranscriptError(
            "this is no chat: the JSON is no object; choose a file that chat.export('….json') wrote"
        )
    return {key: _checked(item, 1) for key, item in value.items()}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _checked(value: Any, depth: int) -> Any:
    """The same with text that UTF-8 can write; no deep nests, which would end the stack where they are shown, and no numbers
    that JSON cannot write.
    """
    if depth > _MAX_DEPTH:
        raise TranscriptError("this is no chat: it is nested too deeply")
    if isinstance(value, dict):
        return {_well_formed(key): _checked(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_checked(item, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise TranscriptError("this is no chat: a number in it is too large")
    return _well_formed(value) if isinstance(value, str) else value


def _entry(item: _Fields) -> Entry:
    return Entry(
        role=cast("Role", item.one_of("role", ("user", "assistant"))),
        text=item.text("text"),
        thinking=item.optional_text("thinking") or "",
        tool_calls=tuple(
            ToolUse(
                call.text("name"),
                call.raw.get("arguments"),
                call.raw.get("result"),
                _outcome(call),
            )
            for call in item.objects("tool_calls", optional=True)
        ),
        finish_reason=cast(
            "FinishReason | None", item.one_of("finish_reason", (None, *get_args(FinishReason)))
        ),
        error=item.optional_text("error") or None,
        trimmed_turns=item.whole("trimmed_turns") or 0,
        usage=_usage(item),
        timing=_timing(item),
        parts=tuple(_part(part) for part in item.objects("parts", optional=True)),
    )


def _part(part: _Fields) -> dict[str, Any]:
    try:
        base64.b64decode(part.text("blob"), validate=True)
    except ValueError:
        part.refuse("blob", "Base64 text")
    return {"type": part.one_of("type", ("image", "audio")), "blob": part.raw["blob"]}


def _outcome(call: _Fields) -> ToolOutcome | None:
    return cast("ToolOutcome | None", call.one_of("outcome", (None, *get_args(ToolOutcome))))


def _usage(item: _Fields) -> Usage | None:
    part = item.part("usage")
    return None if part is None else Usage(*(part.whole(name) or 0 for name in Usage.__slots__))


def _timing(item: _Fields) -> Timing | None:
    part = item.part("timing")
    if part is None:
        return None
    first, prefill, decode, total = (part.number(name) for name in Timing.__slots__)
    return Timing(first, prefill, decode, total or 0.0)


def _date(top: _Fields) -> datetime | None:
    text = top.optional_text("date")
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        top.refuse("date", "a date such as 2026-01-31T12:00:00+00:00")


class _Fields:
    """The fields of one object, and where it stands, for the errors."""

    def __init__(self, where: str, raw: Mapping[str, Any]) -> None:
        self.where = where
        self.raw = raw

    def refuse(self, name: str, wanted: str) -> NoReturn:
        raise TranscriptError(f"{self.where}: {name!r} must be {wanted}, not {_shown(self.raw.get(name))}")

    def text(self, name: str) -> str:
        value = self.raw.get(name)
        if not isinstance(value, str):
            self.refuse(name, "text")
        return value

    def optional_text(self, name: str) -> str | None:
        return None if self.raw.get(name) is None else self.text(name)

    def one_of(self, name: str, values: tuple[object, ...]) -> object:
        value = self.raw.get(name)
        if value not in values or isinstance(value, bool):
            self.refuse(name, "one of " + ", ".join(repr(v) for v in values if v is not None))
        return value

    def whole(self, name: str) -> int | None:
        value = self.raw.get(name)
        if value is not None and (
            not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53
        ):
            self.refuse(name, "a whole number")
        return value

    def number(self, name: str) -> float | None:
        value = self.raw.get(name)
        if value is not None and (not isinstance(value, int | float) or isinstance(value, bool) or value < 0):
            self.refuse(name, "a number")
        try:
            return None if value is None else float(value)
        except OverflowError:
            self.refuse(name, "a number that is not as large")

    def mapping(self, name: str) -> Mapping[str, Any]:
        value = self.raw.get(name)
        if value is not None and not isinstance(value, dict):
            self.refuse(name, "an object")
        return value or {}

    def part(self, name: str) -> _Fields | None:
        return _Fields(f"{self.where}.{name}", self.mapping(name)) if self.raw.get(name) is not None else None

    def objects(self, name: str, *, optional: bool = False) -> list[_Fields]:
        value = self.raw.get(name)
        if optional and value is None:
            return []
        if not isinstance(value, list):
            self.refuse(name, "a list")
        inside = name if self.where == "the file" else f"{self.where}.{name}"
        for place, item in enumerate(value):
            if not isinstance(item, dict):
                raise TranscriptError(f"{inside}[{place}] must be an object, not {_shown(item)}")
        return [_Fields(f"{inside}[{place}]", item) for place, item in enumerate(value)]


def _well_formed(text: str) -> str:
    """Halves of surrogate pairs, which JSON can write and UTF-8 cannot, are replaced."""
    return (
        text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
