"""Python functions that a model may call: what it is told of them, and how its arguments are checked.

The schema comes from the function's signature, by pydantic; the descriptions from its docstring.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, overload

from gemma_notebook.errors import ToolError

if TYPE_CHECKING:
    from docstring_parser import Docstring

    from gemma_notebook.options import SessionOptions

__all__ = [
    "DEEPEST_READ",
    "Tool",
    "arguments_of",
    "is_nested_deeper",
    "jsonable",
    "tool",
    "toolbox",
    "tools_of",
]

# As long as a person waits for something that says nothing.
TIMEOUT_S = 60.0

# Levels of what a tool returns: of a file of a chat 50 are read. The engine reads 128 of a message (measured with 0.18.1).
DEEPEST, DEEPEST_READ = 40, 100

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_Decorator = Callable[[Callable[..., Any]], "Tool"]
_LONGEST_TIMEOUT_S = 1e9  # what is longer has no end


class Tool:
    """A function that a model may call. Immutable, safe to use from any thread; calling it calls the function.

    Plain functions are made tools of as they are; use :func:`tool` to set more than a signature says.

    Attributes:
        name: What the model calls it.
        description: What the model is told that it does.
        parameters: The JSON schema of its arguments, an object.
        function: The function, sync or async.
        needs_approval: The user is asked before each call.
        timeout_s: Seconds that a call may take.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        needs_approval: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        if isinstance(function, Tool):  # another name for it, say
            name = function.name if name is None else name
            description = function.description if description is None else description
            needs_approval = needs_approval or function.needs_approval
            timeout_s = function.timeout_s if timeout_s is TIMEOUT_S else timeout_s  # the very default
            function = function.function
        self.function: Callable[..., Any] = function
        self.name: str = _checked_name(
            name if name is not None else getattr(function, "__name__", ""), function
        )
        if not isinstance(needs_approval, bool):
            raise ToolError(
                f"the tool {self.name!r} has needs_approval={needs_approval!r}; use True or False"
            )
        self.needs_approval: bool = needs_approval
        if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not timeout_s > 0:
            raise ToolError(
                f"the tool {self.name!r} has timeout_s={timeout_s!r}; give it more than 0 seconds, as a number"
            )
        self.timeout_s: float = min(timeout_s, _LONGEST_TIMEOUT_S)
        if not isinstance(description, str | None):
            raise ToolError(f"the tool {self.name!r} has description={description!r}; give it a text")
        said = _docstring(function)
        self.description: str = description if description is not None else _summary(said)
        self._arguments, schema, self._defaults = _arguments_adapter(self.name, function, said)
        self.parameters = _tidy(schema)
        try:
            json.dumps(self.declaration, ensure_ascii=False, allow_nan=False).encode()
            _check_values(self.declaration)
        except (ValueError, OverflowError) as error:  # the engine would drop the declarations of all tools
            raise ToolError(
                f"the declaration of the tool {self.name!r} cannot be told to the engine: {error}"
            ) from None

    def __repr__(self) -> str:
        return f"Tool({self.name!r})"

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.function(*arguments, **named)

    def __get__(self, instance: object, owner: type | None = None) -> Tool:
        """The tool of an object whose class has it as a method."""
        bind = getattr(self.function, "__get__", None)
        if instance is None or bind is None:
            return self
        return Tool(
            bind(instance, owner),
            name=self.name,
            description=self.description,
            needs_approval=self.needs_approval,
            timeout_s=self.timeout_s,
        )

    @property
    def declaration(self) -> dict[str, Any]:
        """What the model is told, in the form that chat templates take."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}

    def checked(self, arguments: object) -> dict[str, Any]:
        """The model's arguments as the function takes them.

        Raises:
            ToolError: They do not fit; it says which and why, in words for the model.
        """
        import pydantic

        arguments = arguments_of(arguments)
        own = {} if arguments is None else arguments
        try:  # as JSON, which strict types take dates and the like of; and what the tool changes is its own
            checked: dict[str, Any] = self._arguments.validate_json(json.dumps(own))
        except pydantic.ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, one['loc'])) or 'the arguments'}: {one['msg']}" for one in error.errors()
            )
            raise ToolError(f"wrong arguments for {self.name}: {wrong}") from None
        defaults = {name: given for name, given in self._defaults.items() if name not in checked}
        return checked | {
            name: given.get_default(call_default_factory=True, validated_data=checked)
            for name, given in defaults.items()
        }


@overload
def tool(function: Callable[..., Any]) -> Tool: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    needs_approval: bool = False,
    timeout_s: float = TIMEOUT_S,
) -> _Decorator: ...


def tool(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    needs_approval: bool = False,
    timeout_s: float = TIMEOUT_S,
) -> Tool | _Decorator:
    """Make a tool of a function, with more than its signature and docstring say.

    A plain function is a tool as it is: its name, the first paragraph of its docstring, and its parameters with
    their types are what the model is told, and the types are what a call is checked against. It returns whatever
    can be written as JSON; an exception is told to the model as an error. Arguments that a ``functools.partial`` gives
    by name are not declared: the model cannot choose them. Each call has a thread of its own: a
    connection of sqlite3, say, is to be opened in the function, or with ``check_same_thread=False``.

    Args:
        function: The function, when used without parentheses.
        name: What the model calls it; None for the function's name.
        description: What it does; None for the first paragraph of its docstring.
        needs_approval: Ask the user before each call, in the panel that the message came from. Where nobody can be
            asked, as in a cell, the call is denied, unless the chat has an ``approve_tool``.
        timeout_s: Seconds that a call may take before the model is told that it took too long. A function that
            is not async cannot be interrupted: it runs on, and what it returns is dropped.

    Returns:
        The tool, which calls the function when it is called; or a decorator that makes one.

    Raises:
        ToolError: The function cannot be declared; it says why.

    Example:
        >>> @gn.tool(needs_approval=True, timeout_s=10)
        ... def send_mail(to: str, text: str) -> str:
        ...     "Send a mail."
        ...     return "sent"
        >>> chat = manager.create_chat(tools=[send_mail])
    """

    def decorate(decorated: Callable[..., Any]) -> Tool:
        return Tool(
            decorated,
            name=name,
            description=description,
            needs_approval=needs_approval,
            timeout_s=timeout_s,
        )

    return decorate if function is None else decorate(function)


def toolbox(functions: Iterable[Callable[..., Any]]) -> dict[str, Tool]:
    """Tools by name.

    Raises:
        ToolError: One cannot be declared, or two have one name.
    """
    tools: dict[str, Tool] = {}
    for function in functions:
        one = function if isinstance(function, Tool) else Tool(function)
        if one.name in tools:
            raise ToolError(f"two tools are called {one.name!r}; give one another name with gn.tool(name=…)")
        tools[one.name] = one
    return tools


def tools_of(options: SessionOptions) -> dict[str, Tool]:
    """The tools of a session, by name.

    Raises:
        ToolError: One cannot be declared, or two have one name.
    """
    return toolbox(options.tools)


def jsonable(value: object) -> Any:
    """``value`` in JSON types: pydantic models, dataclasses, dates, sets, numbers of NumPy and tables of pandas are converted.

    Raises:
        ToolError: It cannot be written as JSON, or is nested more than 40 levels deep.
    """
    from pydantic_core import PydanticSerializationError, to_json

    try:
        if hasattr(value, "tolist") and not isinstance(value, type):  # NumPy
            value = _of_library(value)
        written = json.loads(to_json(value, fallback=_of_library, inf_nan_mode="strings"))
    except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
        raise ToolError(f"a {type(value).__name__} cannot be written as JSON ({error})") from None
    if is_nested_deeper(written, DEEPEST):
        raise ToolError(
            f"a {type(value).__name__} is nested more than {DEEPEST} levels deep; return less of it"
        )
    return written


def is_nested_deeper(value: object, levels: int) -> bool:
    """Whether lists and objects stand more than ``levels`` deep in each other in a value of JSON."""
    if not isinstance(value, dict | list | tuple):
        return False
    inside = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(is_nested_deeper(one, levels - 1) for one in inside)


def _check_values(value: object) -> None:
    """Raise for what the engine cuts a prompt at, and for numbers that it cannot read.

    Raises:
        OverflowError: A number is too large.
        ValueError: A text contains a NUL.
    """
    if isinstance(value, str) and "\0" in value:
        raise ValueError("a text in it contains a NUL character; remove it")
    if isinstance(value, int):
        float(value)
    elif isinstance(value, dict | list):
        for one in (*value, *value.values()) if isinstance(value, dict) else value:
            _check_values(one)


def _of_library(value: Any) -> Any:
    """What NumPy and pandas have, in Python's types."""
    if type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "to_json"):
        return _of_table(value)
    # Of NumPy's times: nanoseconds would be bare numbers. Those of pandas have a time zone.
    if type(value).__module__ == "numpy" and value.dtype.kind in "mM":
        value = value.astype(f"{value.dtype.kind}8[us]")
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} is among its values")


def _of_table(table: Any) -> Any:
    """A series of pandas by its labels, or a table as its rows: what each number is of must not be lost."""
    counted = type(table.index).__name__ == "RangeIndex"  # the rows have no labels
    if not hasattr(table, "columns"):
        kind = "values" if counted else "index"
    else:
        kind = "records"
        table = table if counted else table.reset_index()
    return json.loads(table.to_json(orient=kind, date_format="iso", double_precision=15))


def _checked_name(name: object, function: object) -> str:
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    raise ToolError(
        f"a {type(function).__name__} cannot be a tool under the name {name!r}: give it one of letters, digits and '_', "
        "by a def or with gn.tool(name=…)"
    )


def _docstring(function: Callable[..., Any]) -> Docstring:
    import docstring_parser

    text = _documentation(_behind_partials(function))
    try:
        return docstring_parser.parse(text)
    except (docstring_parser.ParseError, IndexError):  # the latter of a line such as ": :"
        said = docstring_parser.Docstring()
        said.short_description = text.partition("\n\n")[0]
        return said


def _documentation(function: Callable[..., Any]) -> str:
    """What is written about it: of an object that is called, about the class, or else about the calling."""
    if inspect.isroutine(function):
        return inspect.getdoc(function) or ""
    home = function if isinstance(function, type) else type(function)
    said = home.__dict__.get("__doc__") or (None if home is function else home.__call__.__doc__)
    return inspect.cleandoc(said or "")


def _behind_partials(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function whose documentation and types a partial has."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _bound_by_partials(function: Callable[..., Any]) -> set[str]:
    """The names of the arguments that a partial gives by name: the model is not to choose them."""
    bound: set[str] = set()
    while isinstance(function, functools.partial):
        bound |= function.keywords.keys()
        function = function.func
    return bound


def _summary(said: Docstring) -> str:
    """The first paragraph, of which the parser takes the first line for the whole."""
    text = said.short_description or ""
    if not said.blank_after_short_description and said.long_description:
        text += "\n" + said.long_description.partition("\n\n")[0]
    return " ".join(text.split())


def _arguments_adapter(
    name: str, function: Callable[..., Any], said: Docstring
) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """What checks the arguments, their schema, and the defaults that pydantic's ``Field`` has."""
    import pydantic
    import pydantic_core

    try:
        arguments, defaults = _arguments_type(name, function, said)
        adapter: Any = pydantic.TypeAdapter(arguments)
        return adapter, adapter.json_schema(), defaults
    except (pydantic.PydanticUserError, pydantic_core.SchemaError, TypeError, NameError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ToolError(
            f"the tool {name!r} has an argument of a type that has no JSON schema ({reason}); "
            "annotate it with int, float, str, bool, list, dict, a Literal, an Enum, a dataclass or a pydantic model"
        ) from None


def _arguments_type(name: str, function: Callable[..., Any], said: Docstring) -> tuple[type, dict[str, Any]]:
    """The type of all arguments together, and the defaults of ``Field``. A TypedDict: a model's fields may not be called ``json``
    or ``_x``.
    """
    import pydantic
    import typing_extensions
    from pydantic.fields import FieldInfo

    descriptions = {
        named.strip(): one.description for one in said.params for named in one.arg_name.split(",")
    }  # NumPy's style has several of one type in a line
    fields: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    for parameter, hint in _parameters(name, function):
        info: dict[str, Any] = {}
        optional = parameter.default is not inspect.Parameter.empty
        if descriptions.get(parameter.name):
            info["description"] = " ".join(str(descriptions[parameter.name]).split())
        if isinstance(given := parameter.default, FieldInfo):  # `n: int = Field(3, ge=1)`
            optional = not given.is_required()
            info |= {"description": given.description} if given.description else {}
            for constraint in given.metadata:
                hint = typing.Annotated[hint, constraint]  # noqa: PLW2901
            if optional:
                defaults[parameter.name] = given
        described = typing.Annotated[hint, pydantic.Field(**info)] if info else hint
        fields[parameter.name] = typing_extensions.NotRequired[described] if optional else described
    arguments = typing_extensions.TypedDict("Arguments", fields)  # type: ignore[misc]
    # As pydantic reads it of a TypedDict.
    arguments.__pydantic_config__ = pydantic.ConfigDict(extra="forbid")  # type: ignore[attr-defined]
    return arguments, defaults


def _parameters(name: str, function: Callable[..., Any]) -> Iterable[tuple[inspect.Parameter, Any]]:
    """The parameters that a model can name, with their types."""
    from pydantic.fields import FieldInfo

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise ToolError(f"the tool {name!r} has no signature that can be read; wrap it in a def") from None
    try:
        hints = _hints(function)
    except (NameError, AttributeError, SyntaxError) as error:
        raise ToolError(
            f"the tool {name!r} has an annotation that is not defined ({error}); import what it names"
        ) from None
    bound = _bound_by_partials(function)
    for parameter in signature.parameters.values():
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD} or parameter.name in bound:
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise ToolError(
                f"the tool {name!r} takes {parameter.name!r} by position only, and a model gives names; "
                "remove the '/' from its signature"
            )
        hint = hints.get(parameter.name, parameter.annotation)
        # Of `x: int = None`, and of `x: int = Field(None)`, for which models send the null.
        given = parameter.default
        default = given.default if isinstance(given, FieldInfo) else given
        if hint is inspect.Parameter.empty or isinstance(hint, str):
            hint = Any
        elif default is None:
            hint = typing.Optional[hint]  # noqa: UP045  # which takes more than `|` does
        yield parameter, hint


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The types of the parameters; what it returns need not be defined, as where it is imported for type checkers alone."""
    home = _behind_partials(function)
    home = inspect.unwrap(home if inspect.isroutine(home) else type(home).__call__)
    annotations = getattr(home, "__annotations__", {})
    stand_in = types.SimpleNamespace(
        __annotations__={name: one for name, one in annotations.items() if name != "return"},
        __globals__=getattr(home, "__globals__", {}),
        __type_params__=getattr(home, "__type_params__", ()),
    )
    return typing.get_type_hints(stand_in, include_extras=True)


def _tidy(schema: Any) -> Any:
    """Without pydantic's titles and defaults, which only cost tokens: a default is what the function does without."""
    if isinstance(schema, list):
        return [_tidy(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    tidied = {}
    for key, value in schema.items():
        if (key == "title" and isinstance(value, str)) or key == "default":
            continue
        if key in {"const", "enum", "examples"}:
            tidied[key] = value
        elif key in {"properties", "$defs"}:  # here the keys are names, and "title" may be one
            tidied[key] = {name: _tidy(one) for name, one in value.items()}
        else:
            tidied[key] = _tidy(value)
    tidied.pop("additionalProperties", None) if "properties" in tidied else None
    return tidied


def arguments_of(written: object) -> object:
    """What a call is made with: some models write the object as a string."""
    if not isinstance(written, str):
        return written
    try:
        value: object = json.loads(written)
    except (ValueError, RecursionError):
        return written
    return value
