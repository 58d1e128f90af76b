"""What a model is told of a function, and what of the model's arguments the function gets."""

from __future__ import annotations

import datetime as dt
import enum
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import numpy as np
import pandas as pd
import pydantic
import pytest

import gemma_notebook as gn
from gemma_notebook.errors import ToolError
from gemma_notebook.prompted import calls_format
from gemma_notebook.tools import jsonable


class Unit(enum.Enum):
    METRES = "m"
    FEET = "ft"


@dataclass
class Place:
    name: str
    height: float = 0.0


@dataclass
class Range:
    low: float = float("-inf")
    high: float = float("inf")


def test_types_and_defaults_become_a_schema_without_titles():
    def look(
        where: Place,
        unit: Unit = Unit.METRES,
        how: Literal["near", "far"] = "near",
        tags: list[str] | None = None,
        title: Annotated[int, pydantic.Field(ge=1, description="How many.")] = 1,
    ) -> None:
        """Look at a place.

        It takes a while.

        Parameters
        ----------
        where
            The place.
        """

    declared = gn.Tool(look)
    assert declared.description == "Look at a place."
    properties = declared.parameters["properties"]
    assert list(properties) == ["where", "unit", "how", "tags", "title"]
    assert properties["where"]["description"] == "The place."
    assert properties["how"] == {"enum": ["near", "far"], "type": "string"}
    assert properties["title"] == {"description": "How many.", "minimum": 1, "type": "integer"}
    assert declared.parameters["required"] == ["where"]
    assert "Place" in declared.parameters["$defs"]
    assert '"title": "' not in str(declared.parameters).replace("'", '"')
    checked = declared.checked({"where": {"name": "Etna"}, "unit": "ft"})
    assert checked == {"where": Place("Etna"), "unit": Unit.FEET}


def test_names_that_a_model_class_could_not_have_are_fine():
    def odd(json: str, schema: int, _hidden: bool, class_: str) -> None:
        """Odd names."""

    assert gn.Tool(odd).checked({"json": "a", "schema": 1, "_hidden": True, "class_": "b"})


def test_what_a_model_cannot_name_is_left_out():
    def takes(a: int, *rest: int, **more: int) -> None:
        """Take."""

    assert list(gn.Tool(takes).parameters["properties"]) == ["a"]


def test_a_function_without_annotations_takes_anything():
    def takes(a, b=1):
        return a, b

    declared = gn.Tool(takes)
    assert declared.parameters["required"] == ["a"]
    assert declared.checked({"a": [1]}) == {"a": [1]}


def test_methods_partials_and_callable_objects_are_tools_too():
    class Shelf:
        def put(self, book: str) -> None:
            """Put a book."""

        def __call__(self, place: int) -> int:
            """Take."""
            return place

    def power(base: int, exponent: int) -> int:
        return base**exponent

    assert list(gn.Tool(Shelf().put).parameters["properties"]) == ["book"]
    take = gn.Tool(Shelf(), name="take")
    assert (take.description, take.checked({"place": "3"})) == ("Take.", {"place": 3})
    square = gn.tool(name="square", description="Square a number.")(functools.partial(power, exponent=2))
    assert square.parameters["required"] == ["base"]


def test_the_decorator_keeps_the_function_callable():
    @gn.tool(needs_approval=True, timeout_s=1)
    def double(number: int) -> int:
        """Double it."""
        return 2 * number

    assert double(4) == 8
    assert (double.name, double.needs_approval, double.timeout_s) == ("double", True, 1)
    assert repr(double) == "Tool('double')"


def test_a_nul_in_a_declaration_is_refused_as_it_would_cut_the_prompt():
    with pytest.raises(ToolError, match="NUL character.*remove it"):
        gn.tool(name="x", description="One.\0Two.")(lambda: None)
    assert gn.tool(name="x", description=r"Matches [^\u0000].")(lambda: None).name == "x"


def test_a_number_in_a_declaration_that_the_engine_cannot_read_is_refused():
    def guess(number: Annotated[int, pydantic.Field(le=10**400)]) -> None:
        """Guess."""

    with pytest.raises(ToolError, match="'guess' cannot be told to the engine"):
        gn.tool(guess)


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), None, "5", True])
def test_a_tool_needs_time(timeout_s):
    with pytest.raises(ToolError, match="more than 0 seconds"):
        gn.tool(name="x", timeout_s=timeout_s)(lambda: None)


def test_an_annotation_that_is_not_defined_is_named():
    def takes(a: Missing) -> None:  # noqa: F821
        """Take."""

    with pytest.raises(ToolError, match="Missing"):
        gn.Tool(takes)


def test_a_type_without_a_schema_says_which_to_use():
    def takes(a: threading_like) -> None:
        """Take."""

    class Odd:
        pass

    takes.__annotations__["a"] = Odd
    with pytest.raises(ToolError, match="has no JSON schema"):
        gn.Tool(takes)


threading_like = int


def test_tools_with_different_classes_of_one_name_keep_each_their_own_in_the_format_of_a_call():
    def place_of(of: type) -> gn.Tool:
        def go(place):
            """Go there."""

        go.__annotations__ = {"place": of}
        return gn.tool(go, name=f"go_{of.__doc__}")

    first, second = (
        pydantic.create_model("Place", __doc__=name, **{name: (int, ...)}) for name in ("street", "planet")
    )
    tools = {tool.name: tool for tool in (place_of(first), place_of(second))}
    schema = json.loads(calls_format(tools).constraint)
    forms = [form["properties"]["arguments"]["properties"]["place"]["$ref"] for form in schema["anyOf"]]
    defined = [schema["$defs"][ref.removeprefix("#/$defs/")] for ref in forms]
    assert [list(one["properties"]) for one in defined] == [["street"], ["planet"]]


def test_a_default_that_json_has_not_costs_no_tool_its_declaration():
    def within(bounds: Range, default: int = 1) -> None: ...

    declared = gn.Tool(within)
    assert "Infinity" not in json.dumps(declared.declaration)
    assert "default" in declared.parameters["properties"]

    def below(x: Annotated[float, pydantic.Field(json_schema_extra={"maximum": float("inf")})]) -> None: ...

    with pytest.raises(ToolError, match="'below' cannot be told to the engine"):
        gn.Tool(below)


def test_a_method_made_a_tool_in_its_class_is_one_of_the_object():
    class Account:
        def __init__(self, money: int) -> None:
            self.money = money

        @gn.tool(name="pay", needs_approval=True, timeout_s=5)
        def spend(self, amount: int) -> int:
            """Spend."""
            return self.money - amount

    tool = Account(5).spend
    assert list(tool.parameters["properties"]) == ["amount"]
    assert (tool.name, tool.needs_approval, tool.timeout_s) == ("pay", True, 5)
    assert tool(amount=2) == 3
    assert isinstance(Account.spend, gn.Tool)


def test_a_partial_has_the_words_and_types_of_its_function():
    def scale(value: float, factor: int) -> float:
        """Scale a value.

        Args:
            value: What to scale.
        """
        return value * factor

    declared = gn.Tool(functools.partial(scale, factor=2), name="double")
    assert declared.description == "Scale a value."
    assert declared.parameters["properties"]["value"] == {"description": "What to scale.", "type": "number"}


@pytest.mark.parametrize(
    "none", [None, pydantic.Field(None), pydantic.Field(default=None, description="How many.")]
)
def test_a_default_of_none_makes_null_an_argument(none):
    def find(name: str, limit: int = none) -> None: ...

    declared = gn.Tool(find)
    assert declared.checked({"name": "Ada", "limit": None}) == {"name": "Ada", "limit": None}
    assert {"type": "null"} in declared.parameters["properties"]["limit"]["anyOf"]


@pytest.mark.parametrize("annotation", ["math.no_such", "a b", "NoSuch"])
def test_an_annotation_that_cannot_be_read_is_named(annotation):
    def odd(x): ...

    odd.__annotations__["x"] = annotation
    with pytest.raises(ToolError, match="the tool 'odd' has an annotation that is not defined"):
        gn.Tool(odd)


def test_an_argument_that_has_no_schema_says_which_to_use():
    def run(what: Callable[[int], int]) -> None: ...

    with pytest.raises(ToolError, match="the tool 'run' has an argument of a type that has no JSON schema"):
        gn.Tool(run)


def test_fields_of_pydantic_as_defaults_are_read_as_what_they_say():
    def forecast(
        city: str = pydantic.Field(description="The city."),
        days: int = pydantic.Field(3, ge=1, le=7),
        notes: list[str] = pydantic.Field(default_factory=list),  # noqa: B008
    ) -> str:
        return f"{days} days of {city}, {notes}"

    tool = gn.tool(forecast)
    properties = tool.parameters["properties"]
    assert tool.parameters["required"] == ["city"]
    assert properties["city"] == {"type": "string", "description": "The city."}
    assert (properties["days"]["minimum"], properties["days"]["maximum"]) == (1, 7)
    assert tool.function(**tool.checked({"city": "Rome"})) == "3 days of Rome, []"
    assert tool.function(**tool.checked({"city": "Rome", "days": 2})) == "2 days of Rome, []"
    with pytest.raises(ToolError, match="days"):
        tool.checked({"city": "Rome", "days": 9})


def test_a_tool_made_of_a_tool_has_what_is_not_said_anew_from_that_one():
    @gn.tool(needs_approval=True, timeout_s=5, description="Pays.")
    def pay(euros: int) -> int:
        return euros

    other = gn.tool(name="pay_again")(pay)
    assert (other.name, other.description, other.timeout_s) == ("pay_again", "Pays.", 5)
    assert other.needs_approval, "what has to be asked for once has to be asked for under any name"
    assert other(3) == 3
    assert gn.tool(pay, timeout_s=9).timeout_s == 9


class Plan(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    day: dt.date
    unit: Unit
    size: tuple[int, int]


def test_strict_types_take_what_json_has_for_them():
    def book(plan: Plan) -> None: ...

    checked = gn.Tool(book).checked({"plan": {"day": "2024-01-02", "unit": "m", "size": [1, 2]}})
    assert checked == {"plan": Plan(day=dt.date(2024, 1, 2), unit=Unit.METRES, size=(1, 2))}


class Connection: ...


def test_what_a_partial_gives_by_name_is_not_for_the_model_to_choose():
    def look_up(city: str, *, db: Connection, admin: bool) -> str:
        return f"{city} {db} {admin}"

    tool = gn.Tool(
        functools.partial(functools.partial(look_up, db=Connection()), admin=False), name="look_up"
    )
    assert list(tool.parameters["properties"]) == ["city"]
    with pytest.raises(ToolError, match="admin"):
        tool.checked({"city": "Paris", "admin": True})


def test_what_a_function_returns_need_not_be_defined():
    def load(rows: int): ...

    load.__annotations__["return"] = "pandas.DataFrame"  # as it is imported for type checkers alone
    assert gn.Tool(load).checked({"rows": "3"}) == {"rows": 3}


class Marks(enum.Enum):
    NONE = object()


@pytest.mark.parametrize(
    ("annotation", "default"),
    [(any, None), (Marks, Marks.NONE), (Final[int], ...), (np.array, None)],
    ids=["a function", "an enum of objects", "Final", "NumPy's function"],
)
def test_an_annotation_that_is_no_type_of_json_is_no_bare_exception(annotation, default):
    def odd(x): ...

    odd.__annotations__["x"] = annotation
    odd.__defaults__ = None if default is ... else (default,)
    with pytest.raises(ToolError, match="the tool 'odd' has an argument of a type that has no JSON schema"):
        gn.Tool(odd)


def test_a_docstring_that_no_parser_reads_is_a_description():
    def odd() -> None:
        """: :"""

    assert gn.Tool(odd).description == ": :"


def test_several_parameters_in_one_line_of_a_docstring_have_each_its_words():
    def move(x: int, y: int) -> None:
        """Move.

        Parameters
        ----------
        x, y : int
            How far.
        """

    properties = gn.Tool(move).parameters["properties"]
    assert [properties[name]["description"] for name in "xy"] == ["How far."] * 2


def test_a_default_may_be_made_of_the_other_arguments():
    def book(
        first: int, last: int = pydantic.Field(default_factory=lambda given: given["first"] + 1)
    ) -> None: ...

    assert gn.Tool(book).checked({"first": 3}) == {"first": 3, "last": 4}


def test_the_usual_time_can_be_given_to_a_tool_made_of_a_tool_that_has_less():
    def look() -> None: ...

    quick = gn.Tool(look, timeout_s=5)
    assert gn.Tool(quick).timeout_s == 5
    assert gn.Tool(quick, timeout_s=60).timeout_s == 60


def test_a_table_of_pandas_keeps_its_labels():
    cities = pd.DataFrame({"city": ["Rome", "Rome", "Oslo"], "t": [21.5, 20.0, None]})
    assert jsonable(cities["city"].value_counts()) == {"Rome": 2, "Oslo": 1}
    assert jsonable({"mean": cities.groupby("city")["t"].mean()}) == {"mean": {"Oslo": None, "Rome": 20.75}}
    assert jsonable(cities["t"]) == [21.5, 20.0, None]
    assert jsonable(cities)[2] == {"city": "Oslo", "t": None}
    assert jsonable(cities.groupby("city").max()) == [
        {"city": "Oslo", "t": None},
        {"city": "Rome", "t": 21.5},
    ]


def test_times_of_numpy_are_told_as_dates_whatever_their_unit():
    for unit in ("D", "s", "ns"):
        assert jsonable(np.array(["2024-01-02"], f"datetime64[{unit}]"))[0].startswith("2024-01-02")
        assert jsonable({"at": np.datetime64("2024-01-02", unit)})["at"].startswith("2024-01-02")
