"""What a reply shall be: a JSON schema, a pydantic model or a regular expression, held by constrained decoding."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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

    @classmethod
    def of(cls, wanted: object) -> ResponseFormat | None:
        """What a caller gave as ``response_format``; None for none.

        Raises:
            OptionTypeError: It is something else.
            OptionValueError: It is no schema, or no expression.
        """
        if wanted is None:
            return None
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
        except re.error as error:
            raise OptionValueError(f"response_format={pattern!r} is no regular expression: {error}") from None
        if not pattern or "\0" in pattern:
            raise OptionValueError(
                f"response_format={pattern!r} matches nothing that can be read; give {_HINT}"
            )
        return cls("regex", pattern, str)

    @classmethod
    def _of_type(cls, wanted: Any) -> ResponseFormat:
        import pydantic

        if inspect.isroutine(wanted):  # pydantic would take it, and check calls of it
            raise OptionTypeError(f"response_format must be {_HINT}, not the function {wanted.__name__!r}")
        try:
            adapter: Any = pydantic.TypeAdapter(wanted)
            schema = adapter.json_schema()
        except (pydantic.PydanticUserError, TypeError, NameError) as error:
            reason = str(error).partition("\n")[0]
            raise OptionTypeError(f"response_format must be {_HINT}, not {wanted!r} ({reason})") from None
        return cls("json_schema", _schema_json(schema), adapter.validate_json)

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


# The engine's grammar lets white space stand anywhere, and a model may fill its whole budget with line ends (measured).
_LAYOUT = {"whitespace_flexible": False, "key_separator": ": ", "item_separator": ", "}


# Of 18 digits: the least integers of 64 bits end the engine's grammar compiler (measured with 0.18.1).
_MOST = 10**18 - 1
_SIZES = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "enum", "const"}


def _closed(schema: Any) -> Any:
    """With no properties but those that are named, and integers of 18 digits, where the schema leaves that open: a model
    would go on and on.
    """
    if isinstance(schema, list | tuple):
        return [_closed(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    closed = {
        key: {name: _closed(one) for name, one in value.items()}
        if key in {"properties", "$defs", "definitions"} and isinstance(value, Mapping)
        else value
        if key in {"const", "enum", "default", "examples"}
        else _closed(value)
        for key, value in schema.items()
    }
    if closed.get("type") == "integer" and not _SIZES & closed.keys():
        return {"minimum": -_MOST, "maximum": _MOST, **closed}
    return {"additionalProperties": False, **closed} if "properties" in closed else closed


def _schema_json(schema: Mapping[str, Any]) -> str:
    try:
        written = json.dumps({"x-guidance": _LAYOUT, **_closed(dict(schema))})
        written.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionValueError(f"response_format is no JSON schema: {error}; give {_HINT}") from None
    if "\\u0000" in written:
        raise OptionValueError("response_format contains a NUL character; remove it")
    return written
