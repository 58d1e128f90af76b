"""What a reply shall be: a JSON schema, a pydantic model or a regular expression, held by constrained decoding."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from gemma_notebook.errors import OptionTypeError, OptionValueError, ResponseFormatError

__all__ = ["ResponseFormat"]

_HINT = "a JSON schema (a dictionary), a pydantic model, a type such as list[int], or a regular expression"


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """A constraint for the engine, and how to read what comes of it.

    Attributes:
        kind: ``"json_schema"`` or ``"regex"``.
        constraint: The schema as JSON, or the expression.
        read: The reply's text as the value that it is.
    """

    kind: Literal["regex", "json_schema"]
    constraint: str
    read: Callable[[str], Any]

    @property
    def is_ascii(self) -> bool:
        """Whether all that the constraint spells out is ASCII, tabs apart: others may be several pieces of a tokenizer."""
        if self.kind == "regex":
            return _is_ascii(self.constraint)
        schema = json.loads(self.constraint)
        written = json.dumps(schema, ensure_ascii=False)
        return written.isascii() and all(map(_is_ascii, _expressions(schema)))

    @classmethod
    def of(cls, wanted: object) -> ResponseFormat | None:
        """What a caller gave as ``response_format``; None for none.

        Raises:
            OptionTypeError: It is something else.
            OptionValueError: It is no schema, or no expression.
        """
        if wanted is None or isinstance(wanted, cls):
            return wanted
        if isinstance(wanted, Mapping):
            return cls("json_schema", _schema_json(wanted), json.loads)
        if isinstance(wanted, re.Pattern):
            return cls._of_expression(wanted.pattern, wanted.flags & ~re.UNICODE)
        if isinstance(wanted, str):
            return cls._of_expression(wanted, 0)
        return cls._of_type(wanted)

    @classmethod
    def _of_expression(cls, pattern: object, flags: int) -> ResponseFormat:
        if not isinstance(pattern, str):
            raise OptionTypeError("response_format is an expression for bytes; give one for text")
        if flags:
            raise OptionValueError(
                "response_format has flags, which the engine does not know; write it without"
            )
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise OptionValueError(f"response_format={pattern!r} is no regular expression: {error}") from None
        if not pattern or "\0" in pattern:
            raise OptionValueError(
                f"response_format={pattern!r} matches nothing that can be read; give {_HINT}"
            )
        return cls("regex", pattern, partial(_matching, pattern))

    @classmethod
    def _of_type(cls, wanted: Any) -> ResponseFormat:
        import pydantic
        import pydantic_core

        if inspect.isroutine(wanted):  # pydantic would take it, and check calls of it
            name = getattr(wanted, "__name__", repr(wanted))
            raise OptionTypeError(f"response_format must be {_HINT}, not the function {name!r}")
        try:
            adapter: Any = pydantic.TypeAdapter(wanted)
            schema = adapter.json_schema(schema_generator=_schemas())
        except (
            pydantic.PydanticUserError,
            pydantic_core.SchemaError,
            TypeError,
            ValueError,
            NameError,
            AttributeError,
        ) as error:
            reason = str(error).partition("\n")[0]
            raise OptionTypeError(f"response_format must be {_HINT}, not {wanted!r} ({reason})") from None
        return cls.checked_by(schema, adapter.validate_json)

    @classmethod
    def checked_by(cls, schema: Mapping[str, Any], read: Callable[[str], Any]) -> ResponseFormat:
        """A schema that ``read`` checks, too: what the engine's grammar has not is left to that."""
        return cls("json_schema", _schema_json(schema, checked=True), read)

    def parsed(self, text: str) -> Any:
        """The value that a whole reply is.

        Raises:
            ResponseFormatError: It is none: a pydantic model may ask for more than a schema can say.
        """
        try:
            return self.read(text)
        except ValueError as error:  # pydantic's and json's are
            raise ResponseFormatError(
                f"the reply {text[:200]!r} does not fit the response_format: {error}"
            ) from error
        except Exception as error:  # pydantic lets through whatever else a validator raises
            raise ResponseFormatError(
                f"a validator of the response_format raised {type(error).__name__} at the reply {text[:200]!r}: {error}; "
                "let it raise ValueError where a value does not fit"
            ) from error


def _schemas() -> Any:
    """Makes pydantic's schemas, with a number for what a ``Decimal`` is read from: it may also be any text, which then is none."""
    from pydantic.json_schema import GenerateJsonSchema

    class Schemas(GenerateJsonSchema):
        def decimal_schema(self, schema: Any) -> Any:
            made = super().decimal_schema(schema)
            return next((one for one in made.get("anyOf", ()) if one.get("type") == "number"), made)

    return Schemas


# The engine's grammar lets white space stand anywhere, and a model may fill its whole budget with line ends (measured).
_LAYOUT = {"whitespace_flexible": False, "key_separator": ": ", "item_separator": ", "}
# It does not know "oneOf": as "anyOf" where the reply is checked.
_CHECKED_LAYOUT = {**_LAYOUT, "coerce_one_of": True}


# Escapes of what is not ASCII, and tabs and line ends of old, which are bytes to a tokenizer that has no piece for them.
_BEYOND_ASCII = re.compile(r"\\(?:[uUNtr]|x(?:[89a-fA-F]|0[9dD]))|[\t\r]")

# Of 18 digits: the least integers of 64 bits end the engine's grammar compiler (measured with 0.18.1).
_MOST = 10**18 - 1
_LEAST, _GREATEST = {"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}
_CHOSEN = {"enum", "const"}
# Of these keys the values are schemas by name, data, words for people, and schemas of the same value as this one.
_NAMED = {"properties", "patternProperties", "$defs", "definitions"}
_DATA = {"const", "enum"}
_WORDS = {"title", "description", "default", "$comment", "deprecated", "readOnly", "writeOnly"}
_WORDS |= {"example", "examples"}
_TOGETHER = {"allOf", "anyOf", "oneOf", "not", "if", "then", "else"}
# What the engine's grammar knows how to write (measured with 0.18.1); others it refuses.
_FORMATS = {"date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
# Formats that have numbers of any length in the engine's grammar, of which a model may write digits without end (measured), with an
# end: of RFC 3339 with microseconds at the finest, and durations that Python has. Python's times may be without a zone.
_DAY = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
_ZONE = "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
_SECONDS = r"[0-9]{1,6}(\.[0-9]{1,6})?S"
_OF_A_DAY = f"T([0-9]{{1,6}}H([0-9]{{1,6}}M)?({_SECONDS})?|[0-9]{{1,6}}M({_SECONDS})?|{_SECONDS})"
_ENDING = {
    "date-time": f"{_DAY}T{_CLOCK}{_ZONE}",
    "time": f"{_CLOCK}{_ZONE}",
    "duration": f"P([0-9]{{1,8}}D({_OF_A_DAY})?|{_OF_A_DAY})",
}
_ENDING_CHECKED = {"date-time": f"{_DAY}T{_CLOCK}{_ZONE}?", "time": f"{_CLOCK}{_ZONE}?"}
# What a schema is known by.
_KEYWORDS = {
    *re.findall(
        r"\S+",
        "type properties required additionalProperties patternProperties propertyNames minProperties maxProperties items "
        "prefixItems minItems maxItems uniqueItems contains enum const format pattern minLength maxLength minimum maximum "
        "exclusiveMinimum exclusiveMaximum multipleOf $ref $defs definitions $schema x-guidance",
    ),
    *_TOGETHER,
}


def _closed(schema: Any, *, checked: bool = False) -> Any:
    """With no properties but those that are named, and integers of 18 digits, where the schema leaves that open: a model
    would go on and on.

    An object that has several schemas stays open: each would forbid what the others name. Where somebody else checks the
    reply, what the engine's grammar has not is left out: that items differ, what keys are like, and what addresses and paths are.
    """
    return _Closing(schema, checked=checked).closed(schema)


class _Closing:
    def __init__(self, root: Any, *, checked: bool) -> None:
        self._checked = checked
        self._root = root
        self._open: set[str] = set()  # the definitions that others are added to
        known = -1
        while known < len(self._open):
            known = len(self._open)
            self.closed(root)

    def closed(self, schema: Any, *, is_open: bool = False) -> Any:
        if isinstance(schema, list | tuple):
            return [self.closed(one, is_open=is_open) for one in schema]
        if not isinstance(schema, Mapping):
            return schema
        schema = self._with_named_keys(schema)
        together = _TOGETHER & schema.keys()
        refers = "$ref" in schema and "properties" in schema
        is_open |= refers or (bool(together) and ("properties" in schema or "allOf" in together))
        if is_open and isinstance(schema.get("$ref"), str):
            self._open.add(schema["$ref"])
        closed = {
            key: self._value(key, value, is_open)
            for key, value in schema.items()
            if not self._is_left_out(key, value)
        }
        kind = closed.get("type")
        kinds = kind if isinstance(kind, list) else [kind]
        if "integer" in kinds and "number" not in kinds and not (together or "$ref" in closed):
            closed = _bounded(_within(closed) if self._checked else closed)
        closed = self._ending(closed)
        return {"additionalProperties": False, **closed} if "properties" in closed and not is_open else closed

    def _ending(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The schema of a text whose format has no end, by an expression that has one."""
        patterns = {**_ENDING, **(_ENDING_CHECKED if self._checked else {})}
        pattern = patterns.get(str(schema.get("format")))
        if pattern is None or schema.get("type") != "string" or "pattern" in schema:
            return schema
        return {"pattern": f"^{pattern}$", **{key: value for key, value in schema.items() if key != "format"}}

    def _is_left_out(self, key: str, value: Any) -> bool:
        unknown = key in {"uniqueItems", "propertyNames"} or (key == "format" and value not in _FORMATS)
        return key in _WORDS or (self._checked and unknown)

    def _with_named_keys(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """An object whose keys are some of a few, as of ``dict[Literal["a", "b"], int]``, with these as its properties."""
        keys = schema.get("propertyNames")
        if isinstance(keys, Mapping) and isinstance(reference := keys.get("$ref"), str):
            known = self._root.get("$defs", {}) if isinstance(self._root, Mapping) else {}
            keys = known.get(reference.removeprefix("#/$defs/"))
        names = keys.get("enum", [keys.get("const")]) if isinstance(keys, Mapping) else [None]
        if (
            not all(isinstance(name, str) for name in names)
            or {"properties", "patternProperties"} & schema.keys()
        ):
            return schema
        rest = {
            key: value
            for key, value in schema.items()
            if key not in {"propertyNames", "additionalProperties"}
        }
        return {**rest, "properties": dict.fromkeys(names, schema.get("additionalProperties", {}))}

    def _value(self, key: str, value: Any, is_open: bool) -> Any:
        if key in _NAMED and isinstance(value, Mapping):
            return {
                name: self.closed(one, is_open=f"#/{key}/{name}" in self._open) for name, one in value.items()
            }
        if key in _DATA:
            return value
        return self.closed(value, is_open=is_open and key in _TOGETHER)


def _within(integer: dict[str, Any]) -> dict[str, Any]:
    """The schema of an integer without the bounds that are so wide that :func:`_bounded` has narrower ones."""
    return {
        key: value
        for key, value in integer.items()
        if not isinstance(value, int | float)
        or not ((key in _LEAST and value <= -_MOST) or (key in _GREATEST and value >= _MOST))
    }


def _bounded(integer: dict[str, Any]) -> dict[str, Any]:
    """The schema of an integer with both bounds, where it says nothing else of which there are, and has room for them."""
    given = [integer[key] for key in (*_LEAST, *_GREATEST) if key in integer]
    has_room = all(isinstance(bound, int | float) and -_MOST < bound < _MOST for bound in given)
    if _CHOSEN & integer.keys() or not has_room:
        return integer
    least = {} if _LEAST & integer.keys() else {"minimum": -_MOST}
    greatest = {} if _GREATEST & integer.keys() else {"maximum": _MOST}
    return {**least, **greatest, **integer}


def _is_ascii(expression: str) -> bool:
    """Whether all that a regular expression spells out is ASCII, and no tab or the like."""
    escapes = expression.replace("\\\\", "")  # but for a backslash and a letter
    return escapes.isascii() and not _BEYOND_ASCII.search(escapes)


def _expressions(schema: Any) -> Iterator[str]:
    """The regular expressions in a JSON schema, and all else that stands where one may."""
    if isinstance(schema, list):
        for one in schema:
            yield from _expressions(one)
    elif isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        if isinstance(schema.get("patternProperties"), dict):
            yield from schema["patternProperties"]
        for one in schema.values():
            yield from _expressions(one)


def _matching(pattern: str, text: str) -> str:
    """The text, which is all of what the expression asks for.

    Raises:
        ValueError: It is not. The engine ends a reply early where its tokenizer cannot write on (measured).
    """
    if re.fullmatch(pattern, text) is None:
        raise ValueError(f"{pattern!r} does not match it")
    return text


def _schema_json(schema: Mapping[str, Any], *, checked: bool = False) -> str:
    if schema and not checked and not _KEYWORDS & schema.keys():
        raise OptionValueError(
            f"response_format={str(dict(schema))[:200]} has no word of a JSON schema; for an object with these fields give "
            '{"type": "object", "properties": {…}, "required": […]}, or a pydantic model'
        )
    try:
        layout = _CHECKED_LAYOUT if checked else _LAYOUT
        written = json.dumps({"x-guidance": layout, **_closed(dict(schema), checked=checked)})
        written.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionValueError(f"response_format is no JSON schema: {error}; give {_HINT}") from None
    if "\\u0000" in written.replace("\\\\", ""):  # but for a backslash and the five characters
        raise OptionValueError("response_format contains a NUL character; remove it")
    return written
