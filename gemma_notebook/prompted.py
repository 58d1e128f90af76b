"""Tools for models that do not declare function calling: declared in the prompt, read from the reply.

The wording is that of Gemma 3's guide to function calling
(https://ai.google.dev/gemma/docs/capabilities/function-calling), which such models were tuned with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
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
# A fence with whatever word for the language, or Qwen's mark.
_FENCE = "```"
_FENCES = re.compile(rf"^[ \t]*{_FENCE}", re.MULTILINE)
_OPENING = re.compile(rf"(?:{_FENCE}[\w+#.-]{{0,20}}|<tool_call>)\s*", re.IGNORECASE)
# In whatever order a model writes them.
_KEYS = (
    '"name"',
    '"parameters"',
    '"arguments"',
    '"type":"function"',
    '"function":{',
    '"tool_calls":[',
    '"id"',
)
# Between two calls.
_BETWEEN = re.compile(
    rf"[\s,;]*(?:(?:{_FENCE}(?=\s|$)|</tool_call>)\s*(?:{_OPENING.pattern})?)?", re.IGNORECASE
)
_HEADS = tuple(f"{begin}{key}" for begin in ("{", "[{") for key in _KEYS)
_OPENINGS = (_FENCE, "<tool_call>")
_MARKS = re.compile(r"[{}\[\]`<]")  # where values begin and end
_BEGINNINGS = re.compile(r"(?<!\s)\s*(?:[{\[`<]|\Z)")

_DEFINITIONS = "#/$defs/"
_DECODER = json.JSONDecoder()


def instruction(system_instruction: str | None, tools: Mapping[str, Tool]) -> str:
    """The system instruction with the tools declared in it."""
    declarations = "\n".join(_json(tool.declaration["function"]) for tool in tools.values())
    return "\n\n".join(part for part in (system_instruction, _RULE + declarations) if part)


def calls_format(tools: Mapping[str, Tool], *, spells_ascii: bool = False) -> ResponseFormat:
    """The format of one call of any of the tools, as :class:`CallReader` reads it.

    With ``spells_ascii`` texts that are not ASCII are not spelled out: any text may stand there, which the tool's own check reads.
    """
    shared: dict[str, Any] = {}
    forms = []
    for place, tool in enumerate(tools.values()):
        # Two tools may have different things of the same name.
        declared = _without_texts_beyond_ascii(tool.parameters) if spells_ascii else tool.parameters
        parameters = _with_definitions_named(declared, f"{place}.")
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
    schema = {"anyOf": forms, "$defs": shared} if shared else {"anyOf": forms}
    return ResponseFormat.checked_by(schema, json.loads)


def _without_texts_beyond_ascii(schema: Any) -> Any:
    """A copy of a JSON schema in which whatever is a choice of texts, or an expression, that are not ASCII is any text."""
    if isinstance(schema, list):
        return [_without_texts_beyond_ascii(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    copy: dict[str, Any] = {}
    for key, value in schema.items():
        if key in {"properties", "$defs"} and isinstance(value, Mapping):  # here the keys are names
            copy[key] = {name: _without_texts_beyond_ascii(one) for name, one in value.items()}
        elif key not in {"enum", "const", "pattern"} or _json(value).isascii():
            copy[key] = _without_texts_beyond_ascii(value)
        else:
            copy.setdefault("type", "string")
    return copy


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
    return _json([{"name": one.name, "parameters": one.arguments} for one in calls]) if calls else ""


def results_text(results: Sequence[ToolResult]) -> str:
    """What came of calls, as the user's next message."""
    return "\n".join(_json({"name": one.call.name, "response": one.value}) for one in results)


def _json(value: object) -> str:
    """With letters as they are, which a model reads in fewer tokens and repeats; halves of surrogate pairs are replaced."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()


class CallReader:
    """Tells calls from the text of a reply, while it streams. Not thread-safe.

    Text is held back only for as long as it may become a call. What follows a call is dropped: the model goes on as if
    it had an answer.
    """

    def __init__(self) -> None:
        self._held = ""
        self._shown = ""
        self._is_inside = False  # of a value that is a call, if anything
        self._outer = ""  # an object that is no call, as far as it was shown: nothing in it is one

    def feed(self, text: str) -> str:
        """Take more of the reply; what of it is to be shown."""
        self._held += text
        if self._is_inside and "}" not in text and "]" not in text:
            return ""
        start = self._end_of_outer()
        for begin in self._beginnings(self._held, start):
            rest = self._held[begin:]
            if _may_become_call(rest):
                self._is_inside = _without_opening(rest).startswith(_HEADS)
                return self._show(begin)
            if _is_open_object(rest):
                self._outer = rest
                break
        self._is_inside = False
        return self._show(len(self._held))

    def _end_of_outer(self) -> int:
        """Where in what is held the object ends that was begun before it; 0 when there is none, or it turns out to be none."""
        if not self._outer:
            return 0
        shown, outer = len(self._outer), self._outer + self._held
        if not _MARKS.search(self._held) or _is_open_object(outer):
            self._outer = outer
            return len(self._held)
        self._outer = ""
        return max(0, _length_of_other_json(outer) - shown)

    def end(self) -> tuple[list[ToolCall], str]:
        """The calls that the reply was, and what is left to be shown when it was none."""
        held, self._held = self._held, ""
        for begin in self._beginnings(held, self._end_of_outer()):
            rest = held[begin:]
            calls = _calls(rest)
            if calls or _is_broken_call(rest):
                return calls or [ToolCall("", rest.strip())], held[:begin]
        return [], held

    def _beginnings(self, held: str, end: int) -> Iterator[int]:
        """Where in what is held, from ``end``, a call may begin: not at the end of a block of something else, nor inside a value
        of JSON that is none.
        """
        for begin in _BEGINNINGS.finditer(held):
            before = self._shown + held[: begin.start()] if begin[0].endswith("`") else ""
            if begin.start() < end or len(_FENCES.findall(before)) % 2 == 1:
                continue
            end = begin.start() + _length_of_other_json(held[begin.start() :])
            if end == begin.start():
                yield begin.start()

    def _show(self, end: int) -> str:
        shown, self._held = self._held[:end], self._held[end:]
        self._shown += shown
        return shown


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
    begun = _without_opening(text)
    if any(opening.startswith(begun) for opening in (*_HEADS, *_OPENINGS)):
        return True
    return begun.startswith(_HEADS)


def _is_broken_call(text: str) -> bool:
    begun = _without_opening(text)
    return begun.startswith(_HEADS) and ('"parameters"' in begun or '"arguments"' in begun)


def _length_of_other_json(text: str) -> int:
    """The length of the whole value that the text begins with, if that is no call; 0 for all else."""
    start = len(text) - len(text.lstrip())
    opening = _OPENING.match(text, start)
    start = opening.end() if opening else start
    if text[start : start + 1] not in {"{", "["}:
        return 0
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return 0
    return end if all(_call(one) is None for one in _listed(value)) else 0


def _is_open_object(text: str) -> bool:
    """Whether the text is the beginning of an object of JSON, or of a list of objects, and has not its end."""
    start = text.lstrip()
    opening = _OPENING.match(start)
    start = start[opening.end() :] if opening else start
    if not "".join(start[:40].split()).startswith(('{"', '[{"')):
        return False
    try:
        _DECODER.raw_decode(start)
    except json.JSONDecodeError as error:
        rest = start[error.pos :].strip()
        is_cut = any(word.startswith(rest) for word in ("true", "false", "null", "-", "NaN", "Infinity"))
        in_escape = error.msg.startswith("Invalid \\") and len(start) - error.pos < len("\\u0000")
        return is_cut or in_escape or error.msg.startswith("Unterminated")
    except RecursionError:
        return False
    return False


def _listed(value: Any) -> list[Any]:
    """What may be calls in one value: it, its items, or those of the list that OpenAI's form has them in."""
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    return value if isinstance(value, list) else [value]


def _without_opening(text: str) -> str:
    """The beginning of what stands in a fence, without its white space."""
    text = text[:400].lstrip().lower()  # longer than any head with its white space
    opening = _OPENING.match(text)
    return "".join(text[opening.end() if opening else 0 :].split())


def _calls(text: str) -> list[ToolCall]:
    """The calls that the text begins with: a list, or objects one after the other, in one fence or each in its own."""
    text = text.lstrip()
    opening = _OPENING.match(text)
    place, values, ended = opening.end() if opening else 0, [], False
    while place < len(text) and text[place] in "{[":
        try:
            value, place = _DECODER.raw_decode(text, place)
            # Python reads more than JSON has.
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError):
            return []
        if ended and None in map(
            _call, _listed(value)
        ):  # in a fence of its own: what the model thinks came of them
            break
        values += _listed(value)
        between = _BETWEEN.match(text, place)
        assert between is not None
        place, ended = between.end(), "`" in between[0] or "<" in between[0]
    found = [_call(one) for one in values]
    calls = [one for one in found if one is not None]
    return calls if len(calls) == len(found) else []


def _call(value: Any) -> ToolCall | None:
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = value["function"]
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    for key in ("parameters", "arguments"):
        if key in value:
            return ToolCall(value["name"], value[key])
    return None
