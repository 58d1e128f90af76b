"""Short chats of what is slow to learn: topics, facts told twice, all facts, styles, names, calls, counts, numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import manners
import tools
from sentences import SLOTS

if TYPE_CHECKING:
    from data import Turn, Writer

_LONGEST_COUNT = 8


def drill(writer: Writer) -> list[Turn]:
    """Write a short chat of one of the kinds below, each with its weight."""
    kinds = (
        (_told_again, 3),
        (_all_facts, 14),
        (_one_style, 8),
        (_in_capitals, 8),
        (_named, 6),
        (_calls, 10),
        (_counts, 5),
        (_numbers_and_words, 8),
    )
    if writer.mix.untold and writer.rng.random() < writer.mix.untold:
        return _styled(writer, _untold(writer))
    write = writer.rng.choices(*zip(*kinds, strict=True))[0]
    return _styled(writer, write(writer))


def topics(writer: Writer) -> list[Turn]:
    """Write a short chat of topics that the system instruction forbids, and of others."""
    rng = writer.rng
    if rng.random() < writer.mix.bare_topics:
        writer.instruct("topic", only=True)
        return [writer.topic() for _ in range(rng.choice((1, 2, 2, 3)))]
    forbidden = rng.choice((1, 1, 1, 2, 3))
    writer.instruct(*["topic"] * forbidden, *rng.choice(((), (), (), ("style",), ("name",))))
    before = _others(writer) if rng.random() < 0.4 else []
    turns = [writer.topic() for _ in range(rng.randint(2, 2 * forbidden + 2))]
    if rng.random() < 0.3:  # what was talked of before is not for that a topic to refuse
        turns.append(rng.choice(turns))
    return _styled(writer, before + turns)


def calls(writer: Writer) -> list[Turn]:
    """Write a short chat of calls to tools, in most cases, or of forms to fill."""
    rng = writer.rng
    if rng.random() < 0.25:
        return [*_others(writer), *(writer.form() for _ in range(rng.choice((1, 2, 2, 3))))]
    return [*(_others(writer) if rng.random() < 0.3 else ()), *_calls(writer)]


def _styled(writer: Writer, turns: list[Turn]) -> list[Turn]:
    return [manners.styled(turn, writer.instruction.style) for turn in turns]


def _others(writer: Writer) -> list[Turn]:
    return [writer.turn(_LONGEST_COUNT) for _ in range(writer.rng.choice((0, 0, 1, 2)))]


def _told_again(writer: Writer) -> list[Turn]:
    rng = writer.rng
    slot = rng.choice(SLOTS)
    turns = []
    for _ in range(rng.choice((2, 2, 2, 3))):
        turns += [writer.tell(slot), *_others(writer)]
        if rng.random() < 0.4:
            turns.append(writer.ask(slot))
    return [*turns, writer.ask(slot)]


def _untold(writer: Writer) -> list[Turn]:
    """A fact that was not told, after others that were: which it is, the first word of the reply decides ("You", "Your")."""
    rng = writer.rng
    asked, *told = rng.sample(SLOTS, rng.choice((2, 2, 3, 4)))
    turns = [writer.tell(*told)] if rng.random() < 0.5 else [writer.tell(slot) for slot in told]
    turns += [*_others(writer), writer.ask(asked)]
    return [*turns, writer.ask(rng.choice(told))] if rng.random() < 0.5 else turns


def _all_facts(writer: Writer) -> list[Turn]:
    rng = writer.rng
    if rng.random() < 0.7:
        while writer.instruction.style != manners.SHORT:  # which has to find the values alone
            writer.instruct("style", *rng.choice(((), (), ("name",))))
    turns = _others(writer) if rng.random() < 0.5 else []
    for slot in rng.sample(SLOTS, rng.choice((0, 1, 1, 2, 2, 3, 4, 5))):
        turns += [writer.tell(slot), *(_others(writer) if rng.random() < 0.2 else ())]
        if rng.random() < 0.2:
            turns.append(writer.ask_all())
    return [*turns, writer.ask_all()]


def _one_style(writer: Writer) -> list[Turn]:
    rng = writer.rng
    while writer.instruction.style != rng.choice((manners.SHORT, manners.POLITE, manners.UPPER)):
        writer.instruct("style", *rng.choice(((), (), ("name",), ("user",))))
    writes = (
        lambda: writer.tell(rng.choice(SLOTS)),
        lambda: writer.ask(rng.choice([*writer.told] or SLOTS)),
        lambda: writer.ask(rng.choice(SLOTS)),
        writer.unknown,
        writer.add,
        writer.small_talk,
        writer.ask_all,
        lambda: writer.turn(_LONGEST_COUNT),
    )
    return [rng.choice(writes)() for _ in range(rng.randint(3, 6))]


def _named(writer: Writer) -> list[Turn]:
    """A name of the model's own and no style: else it takes a name for a wish to be short."""
    rng = writer.rng
    writer.instruct("name", *rng.choice(((), (), ("fact",), ("user",))))
    writes = (writer.identity, writer.identity, writer.small_talk, lambda: writer.turn(_LONGEST_COUNT))
    return [rng.choice(writes)() for _ in range(rng.randint(2, 5))]


def _in_capitals(writer: Writer) -> list[Turn]:
    """To write capitals is to know how each piece is spelt, which facts of all kinds teach."""
    rng = writer.rng
    while writer.instruction.style != manners.UPPER:
        writer.instruct("style", *rng.choice(((), (), ("name",))))
    turns = []
    for _ in range(rng.randint(2, 4)):
        slot = "name" if rng.random() < 0.5 else rng.choice(SLOTS)
        turns += [writer.tell(slot), *((writer.ask(slot),) if rng.random() < 0.7 else ())]
        if rng.random() < 0.3:
            turns.append(rng.choice((writer.ask_all, writer.add, writer.small_talk))())
    return turns


def _calls(writer: Writer) -> list[Turn]:
    rng = writer.rng
    writer.toolbox = tools.toolbox(
        rng,
        writer.held_out,
        sisters=0.3,
        renamed=writer.mix.renamed,
        fewest=writer.mix.fewest_tools,
    )
    turns = []
    for _ in range(rng.randint(3, 6)):
        if writer.mix.direct and rng.random() < writer.mix.direct:
            turns.append(_direct(writer))
        call, *answer = writer.use_tools(two=0.3)
        turns += [call, *(answer if rng.random() < 0.3 else ())]
    return _thought_about(turns) if rng.random() < 0.2 else turns


def _direct(writer: Writer) -> Turn:
    """What no tool is for."""
    writes = (
        writer.small_talk,
        writer.unknown,
        lambda: writer.ask(writer.rng.choice(SLOTS)),
        lambda: writer.tell("name"),
    )
    return writer.rng.choice(writes)()


def _counts(writer: Writer) -> list[Turn]:
    rng = writer.rng
    turns: list[Turn] = []
    for _ in range(rng.randint(2, 4)):
        turns += _others(writer) if rng.random() < 0.2 else ()
        turns.append(writer.count(20) if rng.random() < 0.6 else writer.begin_to_count())
    return turns


def _numbers_and_words(writer: Writer) -> list[Turn]:
    """Sums, numbers in order, echoes: three times as many of the first two, which are harder; some of them thought about first."""
    rng = writer.rng
    if rng.random() < 0.4:
        writer.instruct("style")
    writes = (writer.add, writer.add, writer.add, writer.sort, writer.sort, writer.sort, writer.echo)
    turns = [rng.choice(writes)() for _ in range(rng.randint(2, 6))]
    return _thought_about(turns) if rng.random() < 0.25 else turns


def _thought_about(turns: list[Turn]) -> list[Turn]:
    return [replace(turn, thinks=True) for turn in turns]
