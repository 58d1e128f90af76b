"""Tools for models that do not declare function calling: declared in the prompt, read from the reply.

The wording is that of Gemma 3's guide to function calling
(https://ai.google.dev/gemma/docs/capabilities/function-calling), which such models were tuned with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gemma_notebook.formats import ResponseFormat
from gemma_notebook.messages import ToolCall, ToolResult
from gemma_notebook.tools import Tool

__all__ = ["CallReader", "CutCallReader", "calls_format", "calls_text", "instruction", "results_text"]

_RULE = (
    "You have access to functions. If you decide to invoke any of the function(s), you MUST put it in the format of\n"
    '{"name": function name, "parameters": dictionary of argument name and its value}\n'
    "or in a list of such objects to invoke several.\n"
    "You SHOULD NOT include any other text in the response if you call a function.\n"
)
_FENCE = re.compile(r"```(?:json|tool_code|tool_call)?\s*(.*?)\s*(?:```)?", re.DOTALL)
_KEYS = ("name", "parameters", "arguments")  # in whatever order a model writes them
_HEADS = tuple(f'{begin}"{key}"' for begin in ("{", "[{") for key in _KEYS)
_FENCED_HEADS = tuple(
    f"```{label}{head}" for label in ("", "json", "tool_code", "tool_call") for head in _HEADS
)

_DEFINITIONS = "#/$defs/"


def instruction(system_instruction: str | None, tools: Mapping[str, Tool]) -> str:
    """The system instruction with the tools declared in it."""
    declarations = "\n".join(json.dumps(tool.declaration["function"]) for tool in tools.values())
    return "\n\n".join(part for part in (system_instruction, _RULE + declarations) if part)


def calls_format(tools: Mapping[str, Tool]) -> ResponseFormat:
    """The format of one call of any of the tools, as :class:`CallReader` reads it."""
    shared: dict[str, Any] = {}
    forms = []
    for place, tool in enumerate(tools.values()):
        # Two tools may have different things of the same name.
        parameters = _with_definitions_named(tool.parameters, f"{place}.")
        shared |= parameters.pop("$defs", {})
        forms.append(
            {
                "type": "object",
                "properties": {
                    "name": {"const": tool.name},
                    "arguments": {**parameters, "additionalProperties": False},
                },
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    wanted = ResponseFormat.of({"anyOf": forms, "$defs": shared} if shared else {"anyOf": forms})
    assert wanted is not None
    return wanted


def _with_definitions_named(schema: Any, prefix: str) -> Any:
    """A copy of a JSON schema, with a prefix to the names of its definitions."""
    if isinstance(schema, list):
        return [_with_definitions_named(one, prefix) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    copy = {key: _with_definitions_named(value, prefix) for key, value in schema.items()}
    if isinstance(copy.get("$defs"), dict):
        copy["$defs"] = {prefix + name: value for name, value in copy["$defs"].items()}
    if str(copy.get("$ref", "")).startswith(_DEFINITIONS):
        copy["$ref"] = _DEFINITIONS + prefix + copy["$ref"].removeprefix(_DEFINITIONS)
    return copy


def calls_text(calls: Sequence[ToolCall]) -> str:
    """Calls as the model writes them in a reply."""
    return json.dumps([{"name": one.name, "parameters": one.arguments} for one in calls]) if calls else ""


def results_text(results: Sequence[ToolResult]) -> str:
    """What came of calls, as the user's next message."""
    return "\n".join(json.dumps({"name": one.call.name, "response": one.value}) for one in results)


class CallReader:
    """Tells a reply that is a call from one that is text, while it streams. Not thread-safe.

    Text is held back only for as long as it may become a call.
    """

    def __init__(self) -> None:
        self._held: str | None = ""

    def feed(self, text: str) -> str:
        """Take more of the reply; what of it is to be shown."""
        if self._held is None:
            return text
        self._held += text
        if _may_become_call(self._held):
            return ""
        shown, self._held = self._held, None
        return shown

    def end(self) -> tuple[list[ToolCall], str]:
        """The calls that the reply was, and what is left to be shown when it was none."""
        held, self._held = self._held or "", None
        calls = _calls(held)
        if calls or _is_broken_call(held):
            return calls or [ToolCall("", held.strip())], ""
        return [], held


class CutCallReader:
    """Keeps a call that was begun and never ended out of the text of a reply. Not thread-safe.

    The engine reads the calls of models that declare function calling. One whose end is missing, as the model ended
    its reply there or was cut off, it gives as text (measured).

    Args:
        start: What the model writes before a call.
    """

    def __init__(self, start: str) -> None:
        self._start = start
        self._held = ""

    def feed(self, text: str) -> str:
        """Take more of the reply; what of it is to be shown."""
        if self._held:
            self._held += text
            return ""
        shown, start, rest = text.partition(self._start)
        self._held = start + rest
        return shown

    def end(self) -> tuple[list[ToolCall], str]:
        """The call, which has no name as nobody can read it, and nothing more to be shown."""
        held, self._held = self._held, ""
        return [ToolCall("", held)] if held else [], ""


def _may_become_call(text: str) -> bool:
    begun = _without_space(text)
    return any(head.startswith(begun) or begun.startswith(head) for head in (*_HEADS, *_FENCED_HEADS))


def _is_broken_call(text: str) -> bool:
    begun = _without_space(text)
    return any(begun.startswith(head) for head in (*_HEADS, *_FENCED_HEADS)) and (
        '"parameters"' in begun or '"arguments"' in begun
    )


def _without_space(text: str) -> str:
    return "".join(text[:400].split())  # longer than any head with its white space


def _calls(text: str) -> list[ToolCall]:
    fenced = _FENCE.fullmatch(text.strip())
    try:
        value = json.loads(fenced[1] if fenced else text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # Python reads more than JSON has
    except (ValueError, RecursionError):
        return []
    found = [_call(one) for one in (value if isinstance(value, list) else [value])]
    calls = [one for one in found if one is not None]
    return calls if len(calls) == len(found) else []


def _call(value: Any) -> ToolCall | None:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    for key in ("parameters", "arguments"):
        if key in value:
            return ToolCall(value["name"], value[key])
    return None
