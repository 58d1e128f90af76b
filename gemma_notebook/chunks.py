"""The engine's chunks, each one JSON message, as deltas."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from gemma_notebook.messages import Delta, ToolCall

__all__ = ["deltas_in", "deltas_of"]

_decode = json.JSONDecoder().raw_decode
_ONLY_TEXT = {"role", "content"}


def deltas_in(chunks: Sequence[bytes]) -> list[Delta]:
    """The deltas in several chunks, those of each in its turn.

    Nearly all chunks are a piece of text each, and these are read at once: a model of a thousand tokens a second shares
    its two cores with whoever reads it.
    """
    try:
        source = b"[" + b",".join(chunks) + b"]"
        texts = [] if b"\\u" in source else [_only_text(message) for message in json.loads(source.decode())]
    except (ValueError, LookupError, TypeError, RecursionError):
        texts = []
    if len(texts) == len(chunks):
        return [Delta(text) for text in texts if text]
    return [delta for chunk in chunks for delta in deltas_of(chunk)]


def _only_text(message: Any) -> str:
    """The text of a message that is one piece of text; another error for any other."""
    (part,) = message["content"]
    if message.keys() != _ONLY_TEXT or part["type"] != "text" or type(part["text"]) is not str:
        raise ValueError
    return part["text"]


def deltas_of(chunk: bytes) -> list[Delta]:
    """The deltas in one chunk of the engine, which is one JSON message."""
    try:
        source = chunk.decode()
        message, end = _decode(source)
        if end != len(source):
            message = json.loads(chunk)  # white space, or an error
        content = message.get("content") or []
        if isinstance(content, str):
            text = content
        else:
            text = "".join([part.get("text", "") for part in content if part.get("type") == "text"])
        channels, tool_calls = message.get("channels"), message.get("tool_calls")
        thinking = "".join(channels.values()) if channels else ""
        calls = [_tool_call(call) for call in tool_calls] if tool_calls else []
    except (ValueError, AttributeError, TypeError, RecursionError):  # not the engine's: show it all the same
        return [Delta(text=chunk.decode("utf-8", "replace"))]
    if "\\u" in source:  # JSON may name half of a surrogate pair, which no file and no front end can take
        text, thinking = (part.encode("utf-8", "replace").decode() for part in (text, thinking))
    deltas = [Delta(text, thinking)] if text or thinking else []
    return deltas + [Delta(tool_call=call) for call in calls] if calls else deltas


def _tool_call(call: dict[str, Any]) -> ToolCall:
    function = call.get("function") or {}
    return ToolCall(str(function.get("name", "")), function.get("arguments"))
