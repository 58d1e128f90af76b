"""Structured output: the constraint reaches the engine, the value comes back, and what cannot work is refused first. On the stub."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import enum
import ipaddress
import json
import re
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import pytest
from support import load_test_model

import gemma_notebook as gn
from gemma_notebook.errors import OptionTypeError, OptionValueError, ResponseFormatError, UnsupportedError
from gemma_notebook.formats import ResponseFormat
from gemma_notebook.messages import Asked, Message

PERSON = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
PASSES_THE_PROBE = '{"a b": 1}'


class Person(pydantic.BaseModel):
    name: str
    age: int = pydantic.Field(gt=0)


@pytest.fixture
def manager(fake, make_fake_manager):
    return make_fake_manager()


@pytest.fixture
def chat(fake, manager):
    chat = manager.create_chat()
    fake.set(reply=PASSES_THE_PROBE)
    assert manager._engine.can_constrain
    return chat


def sent(fake, manager):
    return fake.options("conversation", int(fake.log[-1].split()[1]))


def test_a_json_schema_reaches_the_engine_and_the_reply_is_parsed(fake, manager, chat):
    fake.set(reply='{"name": "Ada"}')
    reply = chat.send("Who?", response_format=PERSON)
    assert reply.parsed == {"name": "Ada"}
    assert reply.text == '{"name": "Ada"}'
    options = sent(fake, manager)
    assert options["constraint_provider"] == "1"
    assert options["send_constraint_type"] == "2"
    constraint = json.loads(options["send_constraint"])
    assert {key: constraint[key] for key in PERSON} == PERSON


def test_white_space_is_held_to_one_layout_so_that_it_cannot_fill_the_reply(fake, manager, chat):
    fake.set(reply='{"name": "Ada"}')
    chat.send("Who?", response_format=PERSON)
    guidance = json.loads(sent(fake, manager)["send_constraint"])["x-guidance"]
    assert guidance["whitespace_flexible"] is False


def test_an_object_has_no_properties_but_those_that_are_named_unless_the_schema_says_so(fake, manager, chat):
    inner = {"type": "object", "properties": {"properties": {"type": "string"}}}
    schema = {"type": "object", "properties": {"a": inner, "b": {**inner, "additionalProperties": True}}}
    fake.set(reply="{}")
    chat.send("Go.", response_format=schema)
    constraint = json.loads(sent(fake, manager)["send_constraint"])
    assert constraint["additionalProperties"] is False
    assert constraint["properties"]["a"]["additionalProperties"] is False
    assert constraint["properties"]["b"]["additionalProperties"] is True


def test_an_integer_has_an_end_unless_the_schema_says_so(fake, manager, chat):
    least, most = {"minimum": 1 - 10**18}, {"maximum": 10**18 - 1}
    given = {
        "free": ({"type": "integer"}, {**least, **most}),
        "from": ({"type": "integer", "minimum": 0}, most),
        "above": ({"type": ["integer", "null"], "exclusiveMinimum": 0}, most),
        "to": ({"type": "integer", "maximum": 9}, least),
        "between": ({"type": "integer", "minimum": 0, "exclusiveMaximum": 9}, {}),
        "chosen": ({"type": "integer", "enum": [1, 2]}, {}),
        "number": ({"type": "number"}, {}),
        "huge": ({"type": "integer", "minimum": 3 * 10**18}, {}),
        "or a number": ({"type": ["integer", "number"]}, {}),
        "with others": ({"type": "integer", "allOf": [{"minimum": 10**18}]}, {}),
        "at the end": ({"type": "integer", "exclusiveMinimum": 10**18 - 1}, {}),
    }
    schema = {"type": "object", "properties": {name: written for name, (written, _) in given.items()}}
    fake.set(reply="{}")
    chat.send("Go.", response_format=schema)
    properties = json.loads(sent(fake, manager)["send_constraint"])["properties"]
    assert properties == {name: {**written, **added} for name, (written, added) in given.items()}


def test_what_the_engine_thinks_of_letters_beyond_ascii_is_not_printed(capfd):
    with load_test_model() as manager:  # it is tried once for each
        with contextlib.suppress(UnsupportedError):
            manager.create_chat().send("Hello", response_format="é", max_output_tokens=10)
        assert manager.handles.live == 1
    assert capfd.readouterr().err == ""


def test_an_integer_with_one_bound_ends(real_manager):
    reply = real_manager.create_chat().send(
        "My age is 31.", response_format=pydantic.PositiveInt, max_output_tokens=60
    )
    assert reply.finish_reason == "stop"
    assert reply.parsed > 0


def test_an_object_that_refers_to_another_may_have_the_properties_of_both(real_manager):
    schema = {
        "$ref": "#/$defs/a",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "$defs": {"a": {"type": "object", "properties": {"age": {"type": "integer"}}}},
    }
    reply = real_manager.create_chat().send("My name is Ada.", response_format=schema, max_output_tokens=60)
    assert reply.finish_reason == "length" or "name" in reply.parsed


def test_a_pydantic_model_gives_its_schema_and_the_reply_is_one(fake, chat):
    fake.set(reply='{"name": "Ada", "age": 36}')
    assert chat.send("Who?", response_format=Person).parsed == Person(name="Ada", age=36)


def test_a_type_is_a_schema_too(fake, chat):
    fake.set(reply="[1, 2]")
    assert chat.send("Two numbers.", response_format=list[int]).parsed == [1, 2]


@pytest.mark.parametrize("expression", ["yes|no", re.compile("yes|no")])
def test_a_regular_expression_reaches_the_engine_and_parsed_is_the_text(fake, manager, chat, expression):
    fake.set(reply="yes")
    assert chat.send("Is it?", response_format=expression).parsed == "yes"
    options = sent(fake, manager)
    assert (options["send_constraint_type"], options["send_constraint"]) == ("1", "yes|no")


def test_a_reply_that_was_cut_off_is_not_parsed(fake, chat):
    fake.set(reply='{"name": "Ada Lovelace"}')
    reply = chat.send("Who?", response_format=PERSON, max_output_tokens=1)
    assert reply.finish_reason == "length"
    assert reply.parsed is None


def test_a_reply_that_does_not_fit_after_all_is_an_error_and_no_half_answer(fake, chat):
    fake.set(reply='{"name": "Ada", "age": -1}')
    with pytest.raises(ResponseFormatError, match="does not fit"):
        chat.send("Who?", response_format=Person)


class Careless(pydantic.BaseModel):
    age: int

    @pydantic.field_validator("age", mode="before")
    @classmethod
    def clean(cls, value: Any) -> Any:
        return value.strip()


def test_whatever_a_validator_raises_is_an_error_of_this_reply_and_of_no_other_chat(fake, manager, chat):
    fake.set(reply='{"age": 1}')
    other = manager.open_chat()
    for _ in range(2):
        with pytest.raises(ResponseFormatError, match="a validator .* raised AttributeError"):
            chat.send("How old?", response_format=Careless)
        with pytest.raises(ResponseFormatError, match="a validator .* raised AttributeError"):
            asyncio.run(chat.asend("How old?", response_format=Careless))
        assert other.send("Hi").text == '{"age": 1}'
    assert "a validator" in str(chat.transcript().entries[-1].error)
    chat.reset()
    manager.close()
    assert manager.closed


def test_a_validator_may_ask_the_model(fake, manager, chat):
    fake.set(reply='{"age": 1}')
    judge = manager.open_chat()
    asked = []

    class Judged(pydantic.BaseModel):
        age: int

        @pydantic.field_validator("age")
        @classmethod
        def is_right(cls, age: int) -> int:
            asked.append(judge.send(f"Is {age} right?"))
            asked.append(chat.send(f"Are you sure of {age}?"))
            return age

    assert chat.send("How old?", response_format=Judged).parsed == Judged.model_construct(age=1)
    assert asyncio.run(chat.asend("How old?", response_format=Judged)).parsed.age == 1
    assert len(asked) == 4


def test_a_validator_runs_once_for_each_reply(fake, chat):
    fake.set(reply='{"age": 1}')
    seen = []

    class Seen(pydantic.BaseModel):
        age: int

        @pydantic.field_validator("age")
        @classmethod
        def note(cls, age: int) -> int:
            seen.append(age)
            return age

    stream = chat.stream("How old?", response_format=Seen)
    assert "".join(delta.text for delta in stream) == '{"age": 1}'
    assert stream.reply.parsed == stream.reply.parsed == Seen.model_construct(age=1)
    assert seen == [1]


def test_a_backslash_before_a_u_is_ascii():
    assert ResponseFormat.of(Literal["C:\\users", "D:\\tmp"]).is_ascii
    assert ResponseFormat.of(r"C:\\users").is_ascii
    assert not ResponseFormat.of(Literal["Zürich"]).is_ascii
    assert not ResponseFormat.of(r"\u00e9+").is_ascii
    assert not ResponseFormat.of(r"caf\xe9").is_ascii
    assert not ResponseFormat.of(r"caf\U000000e9").is_ascii
    assert not ResponseFormat.of({"type": "string", "pattern": r"^caf\xe9$"}).is_ascii
    assert not ResponseFormat.of(r"a\tb").is_ascii
    assert ResponseFormat.of(r"a\x41\nb\d").is_ascii
    assert ResponseFormat.of(Literal["a\tb"]).is_ascii  # JSON escapes it
    assert not ResponseFormat.of("é+").is_ascii


def test_an_engine_that_breaks_off_says_that_the_format_is_why(fake, chat):
    fake.set(end_error="INTERNAL: Parser Error: token doesn't satisfy the grammar")
    with pytest.raises(ResponseFormatError, match="Parser Error"):
        chat.send("Who?", response_format=PERSON)
    fake.set(end_error=None, reply="Hello.")
    assert chat.send("Hi").text == "Hello."


def test_the_chat_goes_on_without_the_constraint(fake, manager, chat):
    fake.set(reply='{"name": "Ada"}')
    chat.send("My name is Ada.", response_format=PERSON)
    fake.set(reply=None)
    assert chat.send("What is my name?").text == "Your name is Ada."
    assert manager.handles.live == 1


def test_several_constrained_sends_run_on_one_handle(fake, manager, chat):
    fake.set(reply='{"name": "Ada"}')
    before = manager.handles.created
    for _ in range(3):
        chat.send("Who?", response_format=PERSON)
    assert manager.handles.created == before + 1


def test_a_tokenizer_that_lets_no_constraint_through_is_told_before_the_send(fake, manager):
    fake.set(end_error="INTERNAL: Parser Error")
    chat = manager.create_chat()
    for _ in range(2):
        with pytest.raises(UnsupportedError, match="does not go with constrained decoding"):
            chat.send("Who?", response_format=PERSON)
    assert fake.count("conversation_send_message_stream") == 0
    assert fake.count("conversation_send_message") == 1  # tried once
    assert manager.handles.created == 1
    assert chat.messages == ()


def test_a_thinking_chat_does_not_think_in_a_constrained_reply(fake, make_fake_manager):
    fake.set(info_supports_thinking=1, reply=PASSES_THE_PROBE)
    manager = make_fake_manager()
    chat = manager.create_chat(enable_thinking=True, thinking_token_budget=10)
    chat.send("Who?", response_format=PERSON)
    options = sent(fake, manager)
    assert options.get("enable_thinking") != "1"
    chat.send("Hi")
    assert sent(fake, manager)["enable_thinking"] == "1"


@pytest.mark.parametrize(
    ("wanted", "error", "why"),
    [
        (3, OptionTypeError, "must be a JSON schema"),
        (len, OptionTypeError, "not the function 'len'"),
        (gn.tool(name="add")(lambda a: a), OptionTypeError, "not the function"),
        ({"city": "string", "year": "integer"}, OptionValueError, "no word of a JSON schema"),
        ("", OptionValueError, "matches nothing"),
        ("(", OptionValueError, "no regular expression"),
        (re.compile("a", re.IGNORECASE), OptionValueError, "flags"),
        (re.compile(b"a"), OptionTypeError, "bytes"),
        ({"type": object()}, OptionValueError, "no JSON schema"),
        ({"type": "a\0"}, OptionValueError, "NUL"),
    ],
)
def test_what_is_no_format_is_refused_before_the_send(fake, chat, wanted, error, why):
    with pytest.raises(error, match=why):
        chat.send("Go.", response_format=wanted)
    assert fake.count("conversation_send_message_stream") == 0


def test_schemas_that_are_met_together_do_not_forbid_what_the_others_name(real_manager):
    named = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    counted = {"type": "object", "properties": {"n": {"type": ["integer", "null"]}}, "required": ["n"]}
    chat = real_manager.create_chat()
    for schema in (
        {"allOf": [{"$ref": "#/$defs/Named"}, counted], "$defs": {"Named": named}},
        {**named, "anyOf": [counted]},
    ):
        parsed = chat.send(
            "My name is Ada. The n is 3.", response_format=schema, max_output_tokens=300
        ).parsed
        assert {"name", "n"} <= parsed.keys()


@pytest.mark.parametrize("wanted", [set[bool], Path, bytes, pydantic.HttpUrl, pydantic.SecretStr])
def test_what_a_grammar_has_no_words_for_is_left_to_pydantic(fake, manager, chat, wanted):
    fake.set(reply='"x"')
    with contextlib.suppress(ResponseFormatError):  # of what the stub says, not of the format
        chat.send("Who?", response_format=wanted)
    constraint = sent(fake, manager)["send_constraint"]
    assert "uniqueItems" not in constraint
    assert '"format"' not in constraint


@pytest.mark.parametrize(
    "wanted", [dt.datetime, dt.time, dt.timedelta, Annotated[int, pydantic.Field(multiple_of=5)]]
)
def test_what_has_digits_ends(real_manager, wanted):
    reply = real_manager.create_chat().send("It is 36.6666666666666666666666.", response_format=wanted)
    assert reply.finish_reason == "stop"
    assert reply.usage.output_tokens < 100


def test_a_decimal_is_a_number(real_manager):
    class Item(pydantic.BaseModel):
        price: Decimal

    reply = real_manager.create_chat().send(
        "The price of the book is 12.", response_format=Item, max_output_tokens=30
    )
    assert isinstance(reply.parsed.price, Decimal)


def test_one_of_several_models_is_told_by_whoever_checks_the_reply(real_manager):
    class Cat(pydantic.BaseModel):
        lives: int

    class Dog(pydantic.BaseModel):
        barks: bool

    def which(value: Any) -> str:
        return "cat" if "lives" in (value if isinstance(value, dict) else value.__dict__) else "dog"

    either = Annotated[
        Annotated[Cat, pydantic.Tag("cat")] | Annotated[Dog, pydantic.Tag("dog")],
        pydantic.Discriminator(which),
    ]
    parsed = real_manager.create_chat().send("The lives are 9.", response_format=either).parsed
    assert isinstance(parsed, Cat | Dog)


@pytest.mark.parametrize(
    "kind", [dt.date, dt.datetime, dt.time, dt.timedelta, uuid.UUID, ipaddress.IPv4Address]
)
def test_formats_that_the_engine_knows_are_kept(real_manager, kind):
    try:
        reply = real_manager.create_chat().send("Who?", response_format=kind, max_output_tokens=60)
    except ResponseFormatError as error:  # a second of 60, which RFC 3339 has and Python has not
        assert "does not fit" in str(error)
    else:
        assert reply.finish_reason == "length" or isinstance(reply.parsed, kind)


def test_a_schema_that_the_engine_has_no_words_for_is_named_and_the_chat_goes_on(real_manager):
    chat = real_manager.create_chat()
    with pytest.raises(
        ResponseFormatError, match="cannot hold a reply to this response_format: .*uniqueItems"
    ):
        chat.send("Who?", response_format={"type": "array", "uniqueItems": True})
    assert chat.messages == ()
    assert chat.send("My name is Ada.").text == "Nice to meet you, Ada."


def test_a_reply_that_ends_before_the_expression_does_is_an_error(fake, chat):
    fake.set(reply="ye")
    with pytest.raises(ResponseFormatError, match="'yes|no' does not match it"):
        chat.send("Well?", response_format="yes|no")


@pytest.mark.parametrize("wanted", ["é|日本", Literal["Zürich", "Oslo"], {"const": "日本"}])
def test_letters_that_the_tokenizer_writes_byte_by_byte_are_told_before_the_send(real_manager, wanted):
    chat = real_manager.create_chat()
    with pytest.raises(UnsupportedError, match="spell out nothing but printable ASCII"):
        chat.send("Where?", response_format=wanted)
    assert chat.messages == ()


def test_words_about_a_schema_are_for_people_and_may_be_any(real_manager):
    class City(pydantic.BaseModel):
        """Eine Stadt, schön."""

        name: str = pydantic.Field(description="größer")

    reply = real_manager.create_chat().send("I live in Oslo.", response_format=City, max_output_tokens=100)
    assert reply.text.startswith('{"name": "')


@pytest.mark.parametrize("verb", ["regenerate", "edit", "undo and send", "fork"])
def test_going_back_after_two_formatted_replies_gives_them_again(real_manager, verb):
    """A clone of a handle with a constraint would break off its next reply."""
    names = "Ada|Bo"
    chat = real_manager.open_chat()
    chat.send("My name is Ada.", response_format=names)
    if verb == "fork":
        with chat.fork() as fork:
            assert fork.send("What is my name?", response_format=names).parsed == "Ada"
        assert chat.send("What is my name?", response_format=names).parsed == "Ada"
        return
    chat.send("What is my name?", response_format=names)
    for _ in range(2):
        if verb == "regenerate":
            again = chat.regenerate()
        elif verb == "edit":
            again = chat.edit(2, "What is my name?")
        else:
            chat.undo()
            again = chat.send("What is my name?", response_format=names)
        assert again.parsed == "Ada"
    assert len(chat.messages) == 4


@pytest.mark.parametrize("brought", ["as it is", "restored"])
def test_a_reply_that_is_given_again_is_held_to_the_same_format_and_limit(fake, chat, brought):
    fake.set(reply='{"name": "Ada"}')
    chat.send("Who?", response_format=Person.model_json_schema(), max_output_tokens=40)
    if brought == "restored":
        chat.restore(chat.messages)
    fake.set(reply='{"name": "Bo", "age": 3}')
    assert chat.regenerate().parsed == {"name": "Bo", "age": 3}
    assert chat.edit(0, "Who else?", max_output_tokens=41).parsed == {"name": "Bo", "age": 3}
    assert [message.asked.max_output_tokens for message in chat.messages[::2]] == [41]


def test_what_was_asked_in_a_restored_message_is_checked_before_anything_is_forgotten(fake, chat):
    fake.set(reply="Hello.")
    chat.send("Hi")
    for asked in ("Ada|Bo", Asked(max_output_tokens=0), Asked(response_format="[")):
        with pytest.raises((OptionTypeError, OptionValueError)):
            chat.restore([Message("user", "Who?", asked=asked)])
    assert len(chat.messages) == 2
    fake.set(reply="Ada")
    chat.restore([Message("user", "Who?", asked=Asked(response_format="Ada|Bo")), Message("assistant", "Bo")])
    assert chat.regenerate().parsed == "Ada"


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize("keys", [Literal["red", "blue"], Colour], ids=["literals", "an enum"])
def test_an_object_whose_keys_are_some_of_a_few_has_no_others(real_manager, keys):
    reply = real_manager.create_chat().send("red is 3", response_format=dict[keys, int], max_output_tokens=60)
    assert reply.finish_reason == "stop"
    assert json.loads(reply.text).keys() <= {"red", "blue"}


def test_the_bounds_of_64_bits_are_left_to_pydantic(real_manager):
    wide = Annotated[int, pydantic.Field(ge=-(2**63), le=2**63 - 1)]
    reply = real_manager.create_chat().send("My age is 31.", response_format=wide, max_output_tokens=60)
    assert isinstance(reply.parsed, int)


def test_why_the_engine_cannot_hold_a_reply_to_a_format_is_one_advice_and_no_backtrace(real_manager):
    wide = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
    with pytest.raises(ResponseFormatError) as refused:
        real_manager.create_chat().send("My age is 31.", response_format=wide)
    said = str(refused.value)
    assert said.endswith("; write it without that")
    assert "backtrace" not in said and "try again" not in said
    assert len(said) < 300
