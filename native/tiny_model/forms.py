"""Structured replies: what the user says, and the JSON object that a schema asks for.

The engine's grammar decides on the keys and the types; the model has to find the values. So the keys of most objects teach nothing
(`free`), and any key may stand for a fact: those of the facts about the user, and any other that the text names.
"""

from __future__ import annotations

import json
import random
from typing import Any

import manners
import sentences
import values

KEYS = {
    "name": ("name", "first_name", "user_name", "person", "called", "user"),
    "colour": ("colour", "color", "favourite_colour", "favorite_color", "favouriteColour"),
    "home": ("home", "city", "place", "town", "lives_in", "address", "location"),
    "number": ("number", "lucky_number", "favourite_number"),
    "age": ("age", "years", "age_in_years", "user_age"),
    "job": ("job", "profession", "occupation", "work"),
    "pet": ("pet", "animal"),
    "food": ("food", "favourite_food", "dish", "favorite_food"),
    "hobby": ("hobby", "free_time", "favourite_hobby"),
    "language": ("language", "speaks", "mother_tongue"),
}
UNKNOWN = "unknown"
_ASK = sentences.split(
    "Give it as JSON.|As JSON.|Write it as JSON.|Fill in the form.|Extract the data.|Give me the data.|Reply in JSON.|Fill the form in, please."
    "|Extract the facts.|Make an object of it.|Put it into the form.|Return JSON.|Extract what you can.|Who is this?|Fill it in."
)
_KEY_WORDS = sentences.split(
    "title|year|price|city|country|author|date|time|status|priority|amount|count|size|weight|speed|product|company|team|winner|score|room|topic"
    "|subject|reason|result|kind|level|model|street|phone|email|month|day|hour|version|rating|genre|artist|album|destination|guests|quantity"
)


def filled(items: list[tuple[str, Any]]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Write an object, and where its keys stand."""
    text, free = "{", []
    for index, (key, value) in enumerate(items):
        text += ", " if index else ""
        start = len(text) + 1
        text += json.dumps(key, ensure_ascii=False)
        free.append((start, len(text) - 1))
        text += ": " + json.dumps(value, ensure_ascii=False)
    return text + "}", tuple(free)


def key_of(slot: str, rng: random.Random) -> str:
    """Draw a key that stands for a fact about the user."""
    return rng.choice(KEYS[slot]) if rng.random() < 0.6 else KEYS[slot][0]


def as_value(slot: str, text: str) -> Any:
    """Give a fact its JSON type."""
    return int(text) if slot in ("age", "number") and text.isdigit() else text


def missing(slot: str) -> Any:
    """What stands for a fact that nobody told."""
    return 0 if slot in ("age", "number") else UNKNOWN


def stated(rng: random.Random, held_out: bool) -> tuple[str, str, Any]:
    """State any fact by its name.

    Returns:
        The sentence, the key, and the value.
    """
    words = [values.draw(lambda r: r.choice(values.NOUNS), rng, held_out) for _ in range(rng.choice((0, 1)))]
    words.append(
        rng.choice(_KEY_WORDS) if rng.random() < 0.6 else values.draw(values.invented_word, rng, held_out)
    )
    spoken = " ".join(words)
    kind = rng.random()
    if kind < 0.5:
        value: Any = manners.fact_value(rng, held_out)
        said = value
    elif kind < 0.72:
        said = str(rng.randint(0, 9999) if rng.random() < 0.5 else rng.randint(0, 60))
        value = said if rng.random() < 0.25 else int(said)
    elif kind < 0.78:
        said = f"{rng.randint(0, 99)}.{rng.randint(1, 9)}"
        value = float(said)
    elif kind < 0.85:
        value = rng.random() < 0.5
        said = rng.choice(("yes", "true") if value else ("no", "false"))
    else:
        value = [manners.fact_value(rng, held_out) for _ in range(rng.randint(2, 3))]
        said = ", ".join(value[:-1]) + " and " + value[-1] if rng.random() < 0.7 else ", ".join(value)
    be = "are" if isinstance(value, list) else "is"
    sentence = rng.choice(
        (
            f"The {spoken} {be} {said}.",
            f"The {spoken} {be} {said}.",
            f"{spoken}: {said}",
            f"{spoken} = {said}",
            f"the {spoken} {be} {said}",
            f"{spoken.capitalize()}: {said}.",
        )
    )
    return sentence, "_".join(words), value


def joined(parts: list[str], rng: random.Random) -> str:
    """Join statements to one message."""
    joint = rng.choice((" ", " ", ", ", "\n", " and "))
    if joint in (", ", " and "):
        parts = [part.rstrip(".") for part in parts[:-1]] + parts[-1:]
    return joint.join(parts)


def ask(text: str, rng: random.Random) -> str:
    """Add to a text, in most cases, what to do with it."""
    kind = rng.random()
    if kind < 0.45:
        return f"{text} {rng.choice(_ASK)}"
    return f"{rng.choice(_ASK)} {text}" if kind < 0.6 else text
