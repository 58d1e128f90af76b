"""System instructions: a name, a style, facts to use and topics to refuse, and what they do to a reply."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import sentences
import values

if TYPE_CHECKING:
    from data import Turn

UPPER, SHORT, POLITE = "upper", "short", "polite"
REFUSED = "I must not talk about {}."
SYSTEM_FACT = "The {} is {}."

_NAMED = sentences.split(
    "Your name is {}.|Your name is {}.|Your name is {}.|You are called {}.|Call yourself {}.|Your name shall be {}."
)
_STYLES = {
    UPPER: sentences.split(
        "Answer in upper case.|Answer in capital letters.|Write in upper case.|Use capital letters only.|Always answer in upper case."
        "|Reply in capital letters.|Write everything in capitals.|Answer in capitals.|Use upper case.|Reply in upper case."
        "|Always use upper case.|Speak in capital letters.|Please answer in upper case.|ANSWER IN UPPER CASE.|Shout."
    ),
    SHORT: sentences.split(
        "Be brief.|Answer briefly.|Keep your answers short.|Give short answers.|Answer in as few words as possible.|Be short."
        "|Always be brief.|Answer shortly.|Use as few words as possible.|Short answers only.|Please be brief.|Keep it short."
        "|Be concise.|Answer with one word if you can.|Reply briefly."
    ),
    POLITE: sentences.split(
        "Be polite.|Answer politely.|Be very polite.|Always be polite.|Always answer politely.|Please be polite.|Be polite and friendly."
        "|Speak politely.|You are a polite assistant.|Use polite language.|Reply politely."
    ),
}
_USER_FACTS = {
    "name": sentences.split(
        "The user's name is {}.|The user is called {}.|You are talking to {}.|The name of the user is {}."
    ),
    "home": sentences.split("The user lives in {}.|The user is from {}.|The user's home is {}."),
    "age": sentences.split("The user is {} years old.|The user's age is {}."),
    "job": sentences.split("The user works as a {}.|The user's job is {}."),
    "language": sentences.split("The user speaks {}.|The user's language is {}."),
}
_FORBIDDEN = sentences.split(
    "Do not talk about {}.|Never talk about {}.|Do not discuss {}.|Refuse to talk about {}.|You must not talk about {}."
    "|Do not answer questions about {}.|Never answer questions about {}.|Never discuss {}.|Say nothing about {}.|Don't talk about {}."
    "|Refuse to discuss {}.|Refuse questions about {}.|You may not talk about {}.|Do not speak about {}."
)
_ABOUT = sentences.split(
    "Tell me about {t}.|What do you think about {t}?|Explain {t}.|Let's talk about {t}.|What is {t}?|Do you like {t}?|I read about {t}."
    "|What do you know about {t}?|Talk about {t}.|Can you tell me about {t}?|Can we talk about {t}?|I want to talk about {t}."
    "|Tell me something about {t}.|I have a question about {t}.|What about {t}?|How does {t} work?|Please explain {t}.|Let us discuss {t}."
)
_DETERMINERS = ("the", "this", "that", "my", "your", "our", "the new", "the old", "the French", "the Roman")
_ASKED = sentences.split(
    "What is the {k}?|What's the {k}?|Do you know the {k}?|Tell me the {k}.|Can you tell me the {k}?|And the {k}?|Which is the {k}?"
    "|What was the {k}?|Please tell me the {k}.|Say the {k}."
)
_KEYS = sentences.split(
    "code word|password|secret word|secret|door code|meeting room|room number|topic|course|lecture|exam date|deadline|school|team"
    "|project|budget|product|company|office|phone number|address|winner|price|year|month|weekday|version|author|title"
)


@dataclass
class Instruction:
    """What the system instruction of one chat asks for.

    Attributes:
        text: The whole instruction.
        model_name: What the model is called, if the instruction says.
        style: `UPPER`, `SHORT`, `POLITE` or nothing.
        facts: What it tells, by what one asks for.
        told: What it tells about the user, by slot.
        forbidden: The topics to refuse.
    """

    text: str = ""
    model_name: str = ""
    style: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    forbidden: list[str] = field(default_factory=list)


def topic(rng: random.Random, held_out: bool) -> str:
    """Draw a topic to talk about."""
    kind = rng.random()
    if kind < 0.2:
        return values.draw(lambda r: r.choice(values.TOPICS), rng, held_out)
    if kind < 0.3:
        return f"{rng.choice(_DETERMINERS)} {values.draw(lambda r: r.choice(values.NOUNS), rng, held_out)}"
    if kind < 0.7:
        return values.draw(lambda r: r.choice(values.NOUNS + values.HOBBIES), rng, held_out)
    return values.draw(values.invented_word, rng, held_out)


def fact_key(rng: random.Random, held_out: bool) -> str:
    """Draw what a system instruction may tell the value of."""
    if rng.random() < 0.5:
        return rng.choice(_KEYS)
    return values.draw(lambda r: r.choice(values.NOUNS), rng, held_out)


def fact_value(rng: random.Random, held_out: bool) -> str:
    """Draw a value of any kind."""
    draw = rng.choice(
        (
            values.any_name,
            values.any_place,
            values.any_number,
            values.any_colour,
            values.any_word,
            values.invented_word,
        )
    )
    if draw is values.any_name:
        return values.any_name(rng, held_out)
    return values.draw(draw, rng, held_out)


def instruction(
    rng: random.Random, held_out: bool = False, wanted: tuple[str, ...] = (), only: bool = False
) -> Instruction:
    """Write a system instruction.

    Args:
        rng: The source of randomness.
        held_out: Draw values that training never sees.
        wanted: What it shall ask for: any of `name`, `style`, `fact`, `user`, `topic`.
        only: Say nothing else.
    """
    made = Instruction()
    others = (0,) if only else (0, 0, 1, 1, 2) if wanted else (1, 1, 2, 3)
    parts = rng.sample(values.SYSTEM_TEXTS, rng.choice(others))
    if not only and rng.random() < 0.1:
        parts.append(" ".join(values.any_word(rng) for _ in range(rng.randint(3, 15))).capitalize() + ".")
    for want in wanted:
        parts.insert(rng.randint(0, len(parts)), _ask_for(made, want, rng, held_out))
    made.text = rng.choice((" ", " ", "\n")).join(parts)
    return made


def _ask_for(made: Instruction, want: str, rng: random.Random, held_out: bool) -> str:
    if want == "name":
        made.model_name = values.any_name(rng, held_out)
        return rng.choice(_NAMED).format(made.model_name)
    if want == "style":
        made.style = rng.choice((UPPER, UPPER, UPPER, SHORT, POLITE))
        return rng.choice(_STYLES[made.style])
    if want == "fact":
        key, value = fact_key(rng, held_out), fact_value(rng, held_out)
        made.facts[key] = value
        return SYSTEM_FACT.format(key, value)
    if want == "user":
        slot = rng.choice(list(_USER_FACTS))
        value = made.told[slot] = sentences_value(slot, rng, held_out)
        return rng.choice(_USER_FACTS[slot]).format(value)
    about = topic(rng, held_out)
    made.forbidden.append(about)
    return rng.choice(_FORBIDDEN).format(about)


def sentences_value(slot: str, rng: random.Random, held_out: bool) -> str:
    """Draw a value of a fact about the user."""
    if slot == "name":
        return values.any_name(rng, held_out)
    return values.draw(VALUES[slot], rng, held_out)


VALUES = {
    "colour": values.any_colour,
    "home": values.any_place,
    "number": values.any_number,
    "age": values.any_age,
    "job": values.any_job,
    "pet": values.any_pet,
    "food": values.any_food,
    "hobby": values.any_hobby,
    "language": values.any_language,
}


def ask_about(about: str, rng: random.Random) -> str:
    """Ask about a topic."""
    return rng.choice(_ABOUT).replace("{t}", about)


def ask_for_fact(key: str, rng: random.Random) -> str:
    """Ask for a fact of the system instruction."""
    return rng.choice(_ASKED).replace("{k}", key)


def styled(turn: Turn, style: str) -> Turn:
    """Write a turn's reply in a style. Calls, filled forms and stories stay as they are."""
    if not style or turn.kind in ("tool call", "json", "story"):
        return turn
    if style == UPPER:
        return replace(turn, reply=turn.reply.upper())
    if style == SHORT:
        return replace(turn, reply=turn.short or turn.reply)
    return replace(turn, reply=turn.manner + turn.reply)
