"""The dialogues that the evaluation plays: for each class how to write one.

Of names, of values that users tell, and of the words that tools are named with, those are drawn that training does not draw there; but stock
sentences, results of tools, familiar values, counts and numbers to put in order are those of training too.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import data
import manners
import sentences
import tools
import values

Write = Callable[[data.Writer], list[data.Turn]]


@dataclass(frozen=True)
class Class:
    """One row of the table.

    Attributes:
        name: What is asked for.
        dialogues: How many dialogues are played.
        required: The least share of right ones, in percent.
        write: Writes the turns; the last one is judged.
        judge: How: the exact `text`, the exact `calls`, the `thought`'s form, a form's `values` or its `schema`.
        common: Draw common names, which training has seen in other dialogues.
        instructed: The share of dialogues with a neutral system instruction.
    """

    name: str
    dialogues: int
    required: float | None
    write: Write
    judge: str = "text"
    common: bool = False
    instructed: float = 0.25


class CommonNameWriter(data.Writer):
    """Draws names from the list of common ones; the dialogues around them are new."""

    def value(self, slot: str) -> str:
        return self.rng.choice(values.COMMON_NAMES) if slot == "name" else super().value(slot)


def _chatter(writer: data.Writer, most: int, without: str = "") -> list[data.Turn]:
    """Write other turns, none of which tells the fact `without`. Few of them rename the model, where nothing else does."""
    turns = []
    for _ in range(writer.rng.randint(0, most)):
        slot = writer.rng.choice([slot for slot in sentences.SLOTS if slot != without])
        write = writer.rng.choice(
            (writer.small_talk, writer.unknown, lambda s=slot: writer.tell(s), lambda s=slot: writer.ask(s))
        )
        turns.append(_styled(writer, write()))
    return turns


def _styled(writer: data.Writer, turn: data.Turn) -> data.Turn:
    return manners.styled(turn, writer.instruction.style)


def _recall(writer: data.Writer, slot: str) -> list[data.Turn]:
    before = _chatter(writer, 2, slot)
    return [*before, writer.tell(slot), *_chatter(writer, 3, slot), writer.ask(slot)]


def _rare_name(writer: data.Writer) -> list[data.Turn]:
    writer.mix = data.Mix(rare_names=1.0)
    return _recall(writer, "name")


# What most people type: whole sentences with their full stops.
PLAIN_TOLD = ("My name is {}.", "I am {}.", "Call me {}.", "Hi, my name is {}!", "Hello, I am {}.")
PLAIN_BETWEEN = (
    "Hello",
    "Thanks!",
    "My favourite colour is blue.",
    "I live in Paris.",
    "My lucky number is 7.",
    "How are you?",
    "What can you do?",
    "What is the capital of France?",
    "Count to 5.",
)
PLAIN_ASKED = ("What is my name?", "Who am I?", "Do you know my name?", "what is my name", "What's my name?")


def _plain_recall(writer: data.Writer) -> list[data.Turn]:
    rng, name = writer.rng, writer.value("name")
    between = rng.sample(PLAIN_BETWEEN, rng.randint(0, 3))
    return [
        data.Turn(rng.choice(PLAIN_TOLD).format(name), "", "tell"),
        *(data.Turn(user, "", "small talk") for user in between),
        data.Turn(rng.choice(PLAIN_ASKED), f"Your name is {name}.", "recall"),
    ]


def _recall_other(writer: data.Writer) -> list[data.Turn]:
    return _recall(writer, writer.rng.choice(sentences.SLOTS[1:]))


def _fresh(writer: data.Writer) -> list[data.Turn]:
    return [writer.ask(writer.rng.choice(("name", *sentences.SLOTS)))]


def _not_this_one(writer: data.Writer) -> list[data.Turn]:
    slot = writer.rng.choice(sentences.SLOTS)
    others = writer.rng.sample(
        [other for other in sentences.SLOTS if other != slot], writer.rng.randint(1, 3)
    )
    return [writer.tell(*others), *_chatter(writer, 3, slot), writer.ask(slot)]


def _several(writer: data.Writer) -> list[data.Turn]:
    slots = writer.rng.sample(sentences.SLOTS, writer.rng.randint(2, 4))
    told = [writer.tell(*slots)] if writer.rng.random() < 0.4 else [writer.tell(slot) for slot in slots]
    return [*told, *_chatter(writer, 2, slots[0]), writer.ask(slots[0])]


def _changed(writer: data.Writer) -> list[data.Turn]:
    slot = writer.rng.choice(sentences.SLOTS)
    first = writer.tell(slot)
    between = _chatter(writer, 2, slot)
    return [first, *between, writer.tell(slot), *_chatter(writer, 2, slot), writer.ask(slot)]


def _after_stop(writer: data.Writer) -> list[data.Turn]:
    turns = _recall(writer, "name")
    return [replace(turn, keep=writer.rng.random()) for turn in turns[:-1]] + turns[-1:]


def _after_long(writer: data.Writer) -> list[data.Turn]:
    told = writer.tell("name")
    last = writer.rng.randint(100, 200)
    long = (
        writer.story()
        if writer.rng.random() < 0.4
        else data.Turn(f"Count to {last}.", data.counted(1, last), "count")
    )
    return [told, long, writer.ask("name")]


def _story(writer: data.Writer) -> list[data.Turn]:
    return [*([writer.tell("name")] if writer.rng.random() < 0.7 else []), writer.story()]


# System instructions


def _named(writer: data.Writer) -> list[data.Turn]:
    writer.instruct("name")
    before = _chatter(writer, 2)
    writer.instruction.model_name = writer.instruction.model_name or sentences.MODEL_NAME
    return [*before, writer.identity()]


def _style(writer: data.Writer, style: str) -> list[data.Turn]:
    while writer.instruction.style != style:
        writer.instruct("style")
    writes = (
        lambda: writer.tell(writer.rng.choice(sentences.SLOTS)),
        lambda: writer.ask(writer.rng.choice(list(writer.told) or sentences.SLOTS)),
        writer.unknown,
        writer.add,
        writer.small_talk,
        writer.ask_all,
    )
    return [*_chatter(writer, 3), _styled(writer, writer.rng.choice(writes)())]


def _system_fact(writer: data.Writer) -> list[data.Turn]:
    writer.instruct("fact")
    before = _chatter(writer, 2)
    turn = writer.system_fact()
    while turn.kind != "system fact":
        turn = writer.system_fact()
    return [*before, turn]


def _about_user(writer: data.Writer) -> list[data.Turn]:
    writer.instruct("user")
    slot = next(iter(writer.instruction.told))
    return [*_chatter(writer, 2, slot), writer.ask(slot)]


def _refusal(writer: data.Writer) -> list[data.Turn]:
    writer.instruct("topic")
    before = _chatter(writer, 2)
    turn = writer.topic()
    while turn.kind != "refusal":
        turn = writer.topic()
    return [*before, turn]


def _other_topic(writer: data.Writer) -> list[data.Turn]:
    writer.instruct("topic")
    turn = writer.topic()
    while turn.kind == "refusal":
        turn = writer.topic()
    return [turn]


# Tools


def _call(writer: data.Writer, invented: bool, calls: int = 1) -> list[data.Turn]:
    """One request, to one of several tools."""
    while True:
        writer.toolbox = tools.toolbox(writer.rng, held_out=True)
        wanted = [tool for tool in writer.toolbox if tool.everyday != invented]
        if wanted:
            break
    before = _chatter(writer, 1)
    while True:
        turn = writer.use_tools()[0]
        named = {call["name"] for call in tools.calls_of(turn.reply)}
        if turn.reply.count(tools.CALL_START) == calls and named <= {tool.name for tool in wanted}:
            return [*before, turn]


def _answer(writer: data.Writer) -> list[data.Turn]:
    turns = _call(writer, writer.rng.random() < 0.5)
    return [*turns, writer.tool_answer(1)]


def _no_tool_fits(writer: data.Writer) -> list[data.Turn]:
    writer.toolbox = tools.toolbox(writer.rng, held_out=True)
    before = _chatter(writer, 2)
    write = writer.rng.choice(
        (
            writer.small_talk,
            writer.unknown,
            lambda: writer.ask(writer.rng.choice(sentences.SLOTS)),
            lambda: writer.tell("name"),
        )
    )
    return [*before, write()]


# Thinking and forms


def _thinking(writer: data.Writer) -> list[data.Turn]:
    if writer.rng.random() < 0.25:
        turns = _call(writer, invented=True)
    else:
        write = writer.rng.choice((writer.tell, writer.ask))
        slot = writer.rng.choice(sentences.SLOTS)
        last = writer.rng.choice(
            (writer.unknown, writer.small_talk, lambda: writer.add(99), writer.sort, lambda: write(slot))
        )
        turns = [*_chatter(writer, 3), last()]
    return _thought_at_last(turns)


def _thought_call(writer: data.Writer) -> list[data.Turn]:
    return _thought_at_last(_call(writer, invented=False))


def _two_facts_with_thought(writer: data.Writer) -> list[data.Turn]:
    return _thought_at_last([writer.tell(*writer.rng.sample(sentences.SLOTS, 2))])


def _thought_at_last(turns: list[data.Turn]) -> list[data.Turn]:
    return [*turns[:-1], replace(turns[-1], thinks=True)]


def _sum_with_steps(writer: data.Writer) -> list[data.Turn]:
    return _thought_at_last([writer.add(99)])


def _form(writer: data.Writer) -> list[data.Turn]:
    turn = writer.form()
    while not turn.free:
        turn = writer.form()
    return [turn]


CLASSES = [
    Class("name told, common names", 500, 99.0, lambda w: _recall(w, "name"), common=True),
    Class("name told, unseen names", 500, 97.0, lambda w: _recall(w, "name")),
    Class("another of ten kinds of facts told", 500, 97.0, _recall_other),
    Class("not told, fresh chat", 500, 99.5, _fresh),
    Class("not told, other facts told", 500, 99.5, _not_this_one),
    Class("several facts told, one asked", 300, 97.0, _several),
    Class("told twice, the latest wins", 300, 97.0, _changed),
    Class("history replayed with stopped replies", 300, None, _after_stop),
    Class("name after a long reply", 100, None, _after_long),
    Class("everything told, asked at once", 500, None, lambda w: [*_chatter(w, 4), w.ask_all()]),
    Class("count, up to 300", 100, None, lambda w: [w.count(sentences.MAX_COUNT)]),
    Class("story with the name", 100, None, _story),
    Class("small talk", 300, None, lambda w: [*_chatter(w, 2), w.small_talk()]),
    Class("out of scope", 300, None, lambda w: [*_chatter(w, 2), w.unknown()]),
    Class("plain sentences, common names", 500, 99.0, _plain_recall, common=True),
    Class("plain sentences, unseen names", 500, 97.0, _plain_recall),
    Class("sum of numbers up to 20", 200, None, lambda w: [w.add()]),
    Class("echo", 200, None, lambda w: [w.echo()]),
    Class("numbers put in order", 200, None, lambda w: [w.sort()]),
    Class("system: a name for the model", 300, 95.0, _named, instructed=0.0),
    Class("system: upper case", 300, 95.0, lambda w: _style(w, manners.UPPER), instructed=0.0),
    Class("system: short", 300, 95.0, lambda w: _style(w, manners.SHORT), instructed=0.0),
    Class("system: polite", 300, 95.0, lambda w: _style(w, manners.POLITE), instructed=0.0),
    Class("system: a fact to use", 300, 95.0, _system_fact, instructed=0.0),
    Class("system: a fact about the user", 300, 95.0, _about_user, instructed=0.0),
    Class("system: a topic to refuse", 300, 95.0, _refusal, instructed=0.0),
    Class("system: another topic", 300, 95.0, _other_topic, instructed=0.0),
    Class("tool call, invented tools", 500, 95.0, lambda w: _call(w, invented=True), "calls"),
    Class("tool call, everyday tools", 500, 95.0, lambda w: _call(w, invented=False), "calls"),
    Class("two tool calls in one reply", 200, None, lambda w: _call(w, w.rng.random() < 0.5, 2), "calls"),
    Class("answer from a tool's result", 300, None, _answer),
    Class("no tool fits, answered directly", 300, None, _no_tool_fits),
    Class("thinking: a thought, then an answer", 300, 100.0, _thinking, "thought"),
    Class("thinking: sum of numbers up to 99", 200, None, _sum_with_steps),
    Class("JSON: valid, and of the schema", 300, 100.0, _form, "schema"),
    Class("JSON: the values told", 300, None, _form, "values"),
    Class("name told, with letters beyond ASCII", 300, None, _rare_name),
    Class("thinking first: a call, everyday tools", 200, None, _thought_call, "calls"),
    Class("thinking first: two facts told at once", 200, None, _two_facts_with_thought),
]


def case(kind: Class, rng: random.Random) -> tuple[data.Dialogue, list[tools.Tool]]:
    """Write one dialogue of a class, and its tools."""
    writer = (CommonNameWriter if kind.common else data.Writer)(rng, held_out=True)
    if rng.random() < kind.instructed:
        writer.instruct(*(("name",) if rng.random() < 0.35 else ()))
    turns = kind.write(writer)
    return writer.dialogue(turns), writer.toolbox
