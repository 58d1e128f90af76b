"""Tools that a chat declares, requests for them, and the calls that are right.

Everyday families give natural sentences. Invented tools, of any verb, noun and parameter names, teach to read the declaration
instead of knowing the tool.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import results
import tool_words
import values

CALL_START, CALL_END = "<tool_call>", "</tool_call>"


@dataclass(frozen=True)
class Parameter:
    """One parameter: its name, its JSON type, whether a call must give it, and the mark that stands for it in sentences."""

    name: str
    type: str
    required: bool = True
    mark: str = ""


@dataclass(frozen=True)
class Tool:
    """One declared tool and the sentences that ask for it, with marks for the values.

    Those that tell something of something (`_getter`) are neither `invented` nor `everyday`: their words are drawn, and their requests
    are sentences.
    """

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    requests: tuple[str, ...]
    kinds: dict[str, str]
    invented: bool = False  # of a verb, a noun and any parameters
    everyday: bool = False

    def declaration(self) -> str:
        """Write it as the chat template does."""
        types = (
            f"{json.dumps(parameter.name)}: {parameter.type}{'' if parameter.required else '?'}"
            for parameter in self.parameters
        )
        description = f"{self.description} " if self.description else ""
        return f'{description}{{"name": {json.dumps(self.name)}, "arguments": {{{", ".join(types)}}}}}'


@dataclass(frozen=True)
class Task:
    """What the user asks of a tool, and the call that is right."""

    user: str
    tool: Tool
    arguments: dict[str, Any]

    def call(self) -> str:
        """Write the call as the model does."""
        inner = json.dumps({"name": self.tool.name, "arguments": self.arguments}, ensure_ascii=False)
        return f"{CALL_START}{inner}{CALL_END}"


_PREFIXES = (
    "",
    "",
    "",
    "",
    "",
    "Please ",
    "Can you ",
    "Could you ",
    "I want you to ",
    "Now ",
    "Hi, ",
    "OK, ",
)


_VALUE_KINDS = {
    "string": "any",
    "any": "any",
    "array": "list",
    "integer": "number",
    "number": "decimal",
    "boolean": "flag",
}


def _word(rng: random.Random, words: list[str], held_out: bool, wide: bool = False) -> str:
    """Draw a word, or an invented one, of those for training or for the evaluation; a wide choice has all common words."""
    if wide and rng.random() < 0.35:
        return values.draw(lambda r: r.choice(tool_words.COMMON), rng, held_out)
    real = 0.75 if held_out else 0.5
    return values.draw(
        lambda r: r.choice(words) if r.random() < real else values.spoken_name(r).lower(), rng, held_out
    )


def _file(rng: random.Random) -> str:
    return f"{values.any_word(rng)}{rng.choice(('.txt', '.csv', '.py', '.md', '.json'))}"


def _code(rng: random.Random) -> str:
    return rng.choice(
        (
            f"print({results.number(rng)})",
            f"x = {results.number(rng)}",
            f"{results.number(rng)} + {results.number(rng)}",
            f"len({values.any_word(rng)})",
        )
    )


_DRAWS: dict[str, Callable[[random.Random], str]] = {
    "place": values.any_place,
    "number": results.number,
    "small": lambda rng: str(rng.randint(1, 60)),
    "decimal": results.decimal,
    "text": results.phrase,
    "word": values.any_word,
    "noun": lambda rng: rng.choice(tool_words.NOUNS) if rng.random() < 0.7 else values.invented_word(rng),
    "room": lambda rng: rng.choice(tool_words.ROOMS) if rng.random() < 0.7 else values.invented_word(rng),
    "language": values.any_language,
    "money": lambda rng: rng.choice(tool_words.MONEY) if rng.random() < 0.7 else values.invented_word(rng),
    "file": _file,
    "code": _code,
    "colour": values.any_colour,
}


def _value(kind: str, rng: random.Random, held_out: bool) -> str:
    if kind == "name":
        return values.any_name(rng, held_out)
    if kind == "onoff":
        return rng.choice(("on", "off"))
    if kind == "list":
        one = rng.choice(("word", "number", "name"))
        items = [_value(one, rng, held_out) for _ in range(rng.randint(2, 4))]
        return ", ".join(items[:-1]) + rng.choice((" and ", " and ", ", ")) + items[-1]
    if kind == "any":
        kind = rng.choice(("place", "word", "colour", "name", "language", "text"))
        return _value(kind, rng, held_out)
    if kind in ("small", "number", "decimal", "file", "code"):
        return _DRAWS[kind](rng)
    return values.draw(_DRAWS[kind], rng, held_out)


def _as_json(text: str, kind: str) -> Any:
    if kind == "boolean":
        return text in ("on", "yes", "true")
    if kind == "array":
        return [int(item) if item.isdigit() else item for item in re.split(", | and ", text)]
    if kind in ("integer", "number"):
        return float(text) if "." in text else int(text)
    return text


def family_tool(rng: random.Random, line: str | None = None) -> Tool:
    """Draw an everyday tool."""
    names, descriptions, parameters, requests = (line or rng.choice(tool_words.FAMILIES)).split(";")
    made, kinds, number = [], {}, rng.random() < 0.25
    for text in parameters.split():
        mark, spec = text.split("=")
        choices, kind, value_kind, *optional = spec.split(":")
        if kind == "integer" and number:
            kind = "number"
        made.append(Parameter(rng.choice(choices.split(",")), kind, not optional, mark))
        kinds[mark] = value_kind
    if len({parameter.name for parameter in made}) < len(made):
        return family_tool(rng, line)
    return Tool(
        rng.choice(names.split(",")),
        _described(rng.choice(descriptions.split(",")), rng),
        tuple(made),
        tuple(requests.split("|")),
        kinds,
        everyday=True,
    )


def _described(text: str, rng: random.Random) -> str:
    return text.rstrip(".") if text and rng.random() < 0.15 else text


def invented_tool(rng: random.Random, held_out: bool = False, wide: bool = False) -> Tool:
    """Make a tool of a verb, a noun and up to three parameters; its words are held out or not, of a wide choice or not."""
    if rng.random() < 0.2:
        return _getter(rng, held_out, wide)
    verb, noun = (
        _word(rng, tool_words.VERBS, held_out, wide),
        _word(rng, tool_words.NOUNS, held_out and rng.random() < 0.8, wide),
    )
    parameters = _parameters(rng, held_out, wide)
    description = rng.choice(
        (
            f"{verb.capitalize()} the {noun}.",
            f"{verb.capitalize()} a {noun}.",
            f"Use it to {verb} the {noun}.",
            f"{verb.capitalize()}s a {noun}.",
        )
    )
    name = _named(rng, verb, noun)
    if rng.random() < 0.2:
        description = ""
    elif rng.random() < 0.15:
        name = rng.choice(
            (
                values.spoken_name(rng).lower(),
                f"tool_{rng.randint(1, 99)}",
                f"{values.spoken_name(rng).lower()}_{rng.choice(tool_words.NOUNS)}",
            )
        )
    objects = rng.choice(("the {n}", "the {n}", "a {n}", "my {n}", "this {n}")).replace("{n}", noun)
    kinds = {parameter.mark: _VALUE_KINDS[parameter.type] for parameter in parameters}
    return Tool(name, _described(description, rng), parameters, (f"{verb} {objects}",), kinds, invented=True)


def _named(rng: random.Random, verb: str, noun: str) -> str:
    return rng.choice(
        (
            f"{verb}_{noun}",
            f"{verb}_{noun}",
            f"{verb}_{noun}",
            f"{verb}{noun.capitalize()}",
            f"{verb}_the_{noun}",
            f"{noun}_{verb}",
            f"{verb.capitalize()}{noun.capitalize()}",
            f"{verb}-{noun}",
            f"{verb}{noun}",
        )
    )


def _other_name(tool: Tool, rng: random.Random) -> str:
    """Draw a name that is not the verb and the noun of the request, or is written in another way: only the declaration tells it."""
    verb, noun = tool.requests[0].split()[0], tool.requests[0].split()[-1]
    another = _word(rng, tool_words.VERBS, held_out=False, wide=True)
    spoken = values.spoken_name(rng)
    return rng.choice(
        (
            spoken.lower(),
            f"tool_{rng.randint(1, 99)}",
            f"{spoken.lower()}_{rng.choice(tool_words.NOUNS)}",
            f"{verb.capitalize()}{noun.capitalize()}",
            f"{another}_{noun}",
            f"{another}_{_word(rng, tool_words.NOUNS, held_out=False, wide=True)}",
            f"{another.capitalize()}{noun.capitalize()}",
            f"{spoken}{noun.capitalize()}",
        )
    )


def _getter(rng: random.Random, held_out: bool, wide: bool) -> Tool:
    """Make a tool that tells something of something."""
    noun = _word(rng, tool_words.NOUNS, held_out, wide)
    of = rng.choice(tool_words.STRING_NAMES)
    name = rng.choice(
        (
            f"get_{noun}",
            f"get_{noun}_of",
            f"{noun}",
            f"{noun}_of_{of}",
            f"find_{noun}",
            f"get{noun.capitalize()}",
        )
    )
    description = rng.choice(
        (f"Get the {noun} of a {of}.", f"The {noun} of a {of}.", f"Tell the {noun}.", "")
    )
    requests = f"What is the {noun} of {{s}}?|Tell me the {noun} of {{s}}.|Get the {noun} of {{s}}.|What's the {noun} of {{s}}?|{noun.capitalize()} of {{s}}?"
    return Tool(
        name, description, (Parameter(of, "string", mark="s"),), tuple(requests.split("|")), {"s": "any"}
    )


def _parameters(rng: random.Random, held_out: bool, wide: bool) -> tuple[Parameter, ...]:
    made: list[Parameter] = []
    for index in range(rng.choice((0, 1, 1, 1, 2, 2, 3))):
        kind = rng.choice(("string", "string", "integer", "integer", "number", "boolean"))
        if rng.random() < 0.06:
            kind = rng.choice(("array", "array", "any"))
        words = {"string": tool_words.STRING_NAMES, "boolean": tool_words.BOOLEAN_NAMES}.get(
            kind, tool_words.NUMBER_NAMES
        )
        name = _word(rng, words, held_out and rng.random() >= 0.5, wide)
        if rng.random() < 0.15:
            name = f"{rng.choice(('max', 'min', 'new', 'old', 'first', 'start', 'end'))}_{name}"
        if name not in {parameter.name for parameter in made}:
            made.append(Parameter(name, kind, rng.random() < 0.75, f"{index}"))
    return tuple(made)


def _spoken_parameter(parameter: Parameter, text: str, alone: bool, rng: random.Random) -> str:
    """Say a parameter's value."""
    name = parameter.name.replace("_", " ") if rng.random() < 0.8 else parameter.name
    if parameter.type == "boolean":
        yes = text == "yes"
        return rng.choice(
            (
                f"{'with' if yes else 'without'} {name}",
                f"{name} {'on' if yes else 'off'}",
                f"{name} {'true' if yes else 'false'}",
                f"{name}: {text}",
            )
        )
    ways = [
        f"with {name} {text}",
        f"with {name} {text}",
        f"with the {name} {text}",
        f"{name} {text}",
        f"{name}: {text}",
        f"{name} = {text}",
        f"{name} is {text}",
    ]
    if parameter.type == "string" and rng.random() < 0.2:
        ways = [f'with {name} "{text}"', f'{name}: "{text}"', f'{name} "{text}"']
    elif alone and parameter.type == "string":
        ways += [f"in {text}", f"for {text}", f"to {text}", f"at {text}", f"from {text}", f'"{text}"', text]
    elif alone:
        ways += [f"to {text}", f"for {text}", f"{text} {name}", f"by {text}", text, f"at {text}"]
    return rng.choice(ways)


def task(tool: Tool, rng: random.Random, held_out: bool = False) -> Task:
    """Write a request for a tool."""
    return (_invented_task if tool.invented else _family_task)(tool, rng, held_out)


def _family_task(tool: Tool, rng: random.Random, held_out: bool) -> Task:
    text, arguments = rng.choice(tool.requests), {}
    if rng.random() < 0.2:
        text = _lowered(text)
    if rng.random() < 0.15:
        text = text.rstrip(".?!")
    for parameter in tool.parameters:
        mark = "{" + parameter.mark + "}"
        if mark not in text:
            continue
        value = _value(tool.kinds[parameter.mark], rng, held_out)
        text = text.replace(mark, value)
        arguments[parameter.name] = _as_json(value, parameter.type)
    if rng.random() < 0.12:
        text = rng.choice(("Please tell me: ", "Hi, ", "Hello, ", "OK, ", "And ", "So, ", "Now ")) + text
    return Task(text, tool, arguments)


def _lowered(text: str) -> str:
    return "".join(part if part.startswith("{") else part.lower() for part in re.split(r"(\{[^}]*\})", text))


def _invented_task(tool: Tool, rng: random.Random, held_out: bool) -> Task:
    said = []
    chosen = [p for p in tool.parameters if p.required or rng.random() < 0.6]
    for parameter in chosen:
        kind = tool.kinds[parameter.mark]
        value = rng.choice(("yes", "no")) if kind == "flag" else _value(kind, rng, held_out)
        said.append((parameter, value))
    told = [
        (
            parameter,
            value,
            _spoken_parameter(
                parameter,
                value,
                len([p for p in said if p[0].type == parameter.type]) == 1 and len(said) == 1,
                rng,
            ),
        )
        for parameter, value in said
    ]
    if rng.random() < 0.3:
        rng.shuffle(told)
    # In the order in which they are told: to go through the request is easier than to look up each parameter in it.
    arguments = {parameter.name: _as_json(value, parameter.type) for parameter, value, _ in told}
    spoken = [words for _, _, words in told]
    joint = rng.choice((" and ", ", ", " "))
    text = tool.requests[0] + (" " + joint.join(spoken) if spoken else "")
    prefix = rng.choice(_PREFIXES)
    text = prefix + (
        text
        if prefix and not prefix.endswith(", ")
        else text[0].upper() + text[1:]
        if rng.random() < 0.8
        else text
    )
    text += "?" if prefix.startswith(("Can", "Could")) else rng.choice((".", ".", ".", "", "!"))
    return Task(text, tool, arguments)


def toolbox(
    rng: random.Random,
    held_out: bool = False,
    sisters: float = 0.12,
    renamed: float = 0.0,
    fewest: int = 1,
) -> list[Tool]:
    """Draw the tools of one chat; none has the name of another, and a share of them is much like another.

    Of the invented ones that are described the share `renamed` has a name that the request does not tell. `fewest` are drawn at
    least; there may be fewer, since those that are alike are left out.
    """
    made: list[Tool] = []
    for _ in range(rng.choice([size for size in (1, 1, 2, 2, 3, 3, 4, 5) if size >= fewest])):
        tool = (
            family_tool(rng)
            if rng.random() < (0.3 if held_out else 0.35)
            else invented_tool(rng, held_out, wide=not held_out)
        )
        if made and rng.random() < sisters:
            tool = _sister(rng.choice(made), rng, wide=not held_out)
        if renamed and tool.invented and tool.description and rng.random() < renamed:
            tool = replace(tool, name=_other_name(tool, rng))
        if not any(alike(tool, other) for other in made):
            made.append(tool)
    return made


def _sister(tool: Tool, rng: random.Random, wide: bool) -> Tool:
    """Make a tool that shares its noun with another."""
    if not tool.invented:
        return invented_tool(rng, wide=wide)
    verb, noun = _word(rng, tool_words.VERBS, held_out=False, wide=wide), tool.requests[0].split()[-1]
    description = rng.choice((f"{verb.capitalize()} the {noun}.", f"{verb.capitalize()} a {noun}.", ""))
    return Tool(f"{verb}_{noun}", description, (), (f"{verb} the {noun}",), {}, invented=True)


def alike(tool: Tool, other: Tool) -> bool:
    """Tell whether two tools could not be told apart by what the user says."""
    return (
        tool.name == other.name
        or bool(set(tool.requests) & set(other.requests))
        or _first(tool) == _first(other)
    )


def _first(tool: Tool) -> str:
    text = tool.requests[0].lower()
    if tool.invented:
        return " ".join((text.split()[0], text.split()[-1]))
    return text


def is_sum(tool: Tool) -> bool:
    """Tell whether the model can do without this tool."""
    return "{a} + {b}" in tool.requests


def calls_of(reply: str) -> list[dict[str, Any]]:
    """Read the calls in a reply."""
    return [json.loads(part.partition(CALL_END)[0]) for part in reply.split(CALL_START)[1:]]


def openai_json(tool: Tool) -> dict[str, Any]:
    """Declare a tool as the engine wants it."""
    properties = {parameter.name: {"type": parameter.type} for parameter in tool.parameters}
    required = [parameter.name for parameter in tool.parameters if parameter.required]
    parameters = {"type": "object", "properties": properties, "required": required}
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": parameters},
    }
