"""The engine's chunks, each one JSON message, as deltas."""

from __future__ import annotations

import json
from typing import Any

from gemma_notebook.messages import Delta, ToolCall

__all__ = ["deltas_of"]


def deltas_of(chunk: bytes) -> list[Delta]:
    """The deltas in one chunk of the engine, which is one JSON message."""
    try:
        message = json.loads(chunk)
        content = message.get("content") or []
        if isinstance(content, str):
            text = content
        else:
            text = "".join(part.get("text", "") for part in content if part.get("type") == "text")
        thinking = "".join((message.get("channels") or {}).values())
        calls = [_tool_call(call) for call in message.get("tool_calls") or ()]
    except (ValueError, AttributeError, TypeError, RecursionError):  # not the engine's: show it all the same
        return [Delta(text=chunk.decode("utf-8", "replace"))]
    # JSON may name half of a surrogate pair, which no file and no front end can take.
    text, thinking = (part.encode("utf-8", "replace").decode() for part in (text, thinking))
    deltas = [Delta(text=text, thinking=thinking)] if text or thinking else []
    return deltas + [Delta(tool_call=call) for call in calls]


def _tool_call(call: dict[str, Any]) -> ToolCall:
    function = call.get("function") or {}
    return ToolCall(str(function.get("name", "")), function.get("arguments"))
