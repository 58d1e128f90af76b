"""What the model thinks before it replies, when it is asked to: short, and right or wrong by itself."""

from __future__ import annotations

import sentences

UNKNOWN = "I do not know about that."
TALK = "This is small talk."
ECHO = "The user wants these words back."
SORT = "I look for the smallest number first."
FORM = "I fill in the form."


def telling(told: dict[str, str]) -> str:
    """The user tells facts."""
    return " ".join(
        f"The user tells me the {sentences.LABELS[slot]}: {value}." for slot, value in told.items()
    )


def asking(slot: str, value: str | None) -> str:
    """The user asks for a fact."""
    label = sentences.LABELS[slot]
    return f"The user asks for the {label}. " + (f"It was told: {value}." if value else "It was not told.")


def asking_all(slots: list[str]) -> str:
    """The user asks for everything."""
    return "The user asks for everything. " + (
        f"I was told: {', '.join(sentences.LABELS[slot] for slot in slots)}."
        if slots
        else "I was told nothing."
    )


def counting(first: int, last: int) -> str:
    """The user wants a count."""
    return f"I count from {first} to {last}."


def too_far(last: int) -> str:
    """The user wants too long a count."""
    return f"{last} is more than {sentences.MAX_COUNT}."


def adding(a: int, b: int) -> str:
    """Add step by step: ones, tens, and both."""
    ones, tens = a % 10 + b % 10, a // 10 * 10 + b // 10 * 10
    return f"{a % 10} plus {b % 10} is {ones}. {a // 10 * 10} plus {b // 10 * 10} is {tens}. {tens} plus {ones} is {a + b}."


def story(hero: str) -> str:
    """The user wants a story."""
    return f"The user wants a story. The child is called {hero}."


def identity(name: str) -> str:
    """The user asks who the model is."""
    return f"The user asks who I am. I am {name}."


def system_fact(key: str, value: str) -> str:
    """The user asks for what the system instruction tells."""
    return f"The instruction says that the {key} is {value}."


def forbidden(about: str) -> str:
    """The user talks about a forbidden topic."""
    return f"The instruction forbids {about}."


def calling(names: list[str]) -> str:
    """A tool can help, or two calls."""
    return f"The tool {names[0]} can help." if len(names) == 1 else f"I call {names[0]} and {names[1]}."


def answered(calls: int) -> str:
    """The tools have answered."""
    return "The tool has answered." if calls == 1 else "The tools have answered."
