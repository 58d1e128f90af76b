"""What tools return, in the way of real ones: values of any JSON type, and errors as gemma_notebook words them."""

from __future__ import annotations

import json
import random
from typing import Any

import sentences
import tool_words
import values

DONE = "It is done."
_EXCEPTIONS = values.words("""
KeyError ValueError TypeError RuntimeError TimeoutError OSError FileNotFoundError PermissionError ConnectionError IndexError
ZeroDivisionError NameError LookupError NotImplementedError JSONDecodeError HTTPError MemoryError ImportError
""")
_WRONG = values.phrases("""
Field required|Input should be less than or equal to {d}|Input should be greater than or equal to {d}|Input should be less than {d}
Input should be greater than {d}|Input should be a valid integer|Input should be a valid string|Input should be a valid number
Input should be a valid boolean|Extra inputs are not permitted|Input should be a valid list
String should have at most {d} characters|Input should be '{w}' or '{w}'
Input should be a valid integer, unable to parse string as an integer
Input should be a valid number, unable to parse string as a number
""")
_PLAIN_ERRORS = values.phrases("""
no connection|no network|not found|permission denied|the server did not answer|division by zero|list index out of range|try again later
the user did not allow this call|cancelled|not answered|access denied|bad request|too many requests|no such file|out of memory
""")


def phrase(rng: random.Random, most: int = 4) -> str:
    """Draw some words."""
    words = [values.any_word(rng) for _ in range(rng.choice((1, 1, 2, 2, 3, most)))]
    text = " ".join(words)
    return text.capitalize() if rng.random() < 0.2 else text


def number(rng: random.Random) -> str:
    """Draw a whole number of one to four digits."""
    digits = rng.choice((1, 1, 2, 2, 2, 3, 4))
    return str(rng.randrange(0 if digits == 1 else 10 ** (digits - 1), 10**digits))


def decimal(rng: random.Random) -> str:
    """Draw a number, in half of all cases with a fraction."""
    return number(rng) if rng.random() < 0.5 else f"{rng.randint(0, 99)}.{rng.randint(1, 9)}"


def any_result(rng: random.Random, held_out: bool = False) -> Any:
    """Draw what a tool may return."""
    kind = rng.random()
    if kind < 0.27:
        return phrase(rng, 12)
    if kind < 0.39:
        return _plain_number(rng)
    if kind < 0.52:
        return fact_string(rng, held_out)
    if kind < 0.75:
        return {_key(rng): _scalar(rng, held_out) for _ in range(rng.choice((1, 2, 2, 3)))}
    if kind < 0.83:
        draw = rng.choice(
            (
                lambda: int(number(rng)),
                lambda: values.any_word(rng),
                lambda: values.any_name(rng, held_out),
            )
        )
        return [draw() for _ in range(rng.randint(2, 4))]
    if kind < 0.95:
        return {"error": failure(rng)}
    return rng.choice((True, False, None, "", {}, [], "ok", "done"))


def failure(rng: random.Random) -> str:
    """Draw what a call that failed is answered with."""
    kind = rng.random()
    if kind < 0.2:
        return phrase(rng, 8).capitalize() + rng.choice((".", ""))
    if kind < 0.35:
        return rng.choice(_PLAIN_ERRORS)
    if kind < 0.6:
        said = rng.choice(
            (
                f"'{rng.choice((values.any_place, values.any_word))(rng)}'",
                rng.choice(_PLAIN_ERRORS),
                phrase(rng, 8),
                f"{values.any_word(rng)} {number(rng)}",
            )
        )
        return f"{rng.choice(_EXCEPTIONS)}: {said}" if rng.random() < 0.9 else rng.choice(_EXCEPTIONS)
    if kind < 0.85:
        wrong = f"{_key(rng)}: {_filled(rng.choice(_WRONG), rng)}"
        return f"wrong arguments for {_tool_name(rng)}: {wrong}"
    if kind < 0.93:
        return f"it took longer than {decimal(rng)} s"
    names = ", ".join(_tool_name(rng) for _ in range(rng.randint(1, 3)))
    return f"there is no tool '{rng.choice((values.any_word, _tool_name))(rng)}'; there are: {names}"


def _filled(template: str, rng: random.Random) -> str:
    while "{" in template:
        template = template.replace("{d}", number(rng), 1).replace("{w}", values.any_word(rng), 1)
    return template


def _tool_name(rng: random.Random) -> str:
    if rng.random() < 0.4:
        return rng.choice(rng.choice(tool_words.FAMILIES).split(";")[0].split(","))
    return f"{rng.choice(tool_words.VERBS)}_{rng.choice(tool_words.NOUNS)}"


def _plain_number(rng: random.Random) -> float | int:
    text = decimal(rng)
    return float(text) if "." in text else int(text)


def fact_string(rng: random.Random, held_out: bool) -> str:
    """Draw a name, a place, a short sentence, or one as a user says it, who has not said it."""
    kind = rng.random()
    if kind < 0.35:
        return values.any_name(rng, held_out)
    if kind < 0.6:
        return values.draw(values.any_place, rng, held_out)
    if kind < 0.75:
        slot = rng.choice(("name", "home"))
        value = values.any_name(rng, held_out) if slot == "name" else values.any_place(rng)
        return rng.choice(sentences.TELL[slot]).format(value)
    return phrase(rng).capitalize() + "."


def _key(rng: random.Random) -> str:
    name = rng.choice(tool_words.STRING_NAMES + tool_words.NUMBER_NAMES + tool_words.NOUNS)
    return f"{name}_{rng.choice(tool_words.NOUNS)}" if rng.random() < 0.15 else name


def _scalar(rng: random.Random, held_out: bool) -> Any:
    kind = rng.random()
    if kind < 0.45:
        return _plain_number(rng)
    if kind < 0.9:
        return values.any_word(rng) if rng.random() < 0.6 else fact_string(rng, held_out).rstrip(".")
    return rng.random() < 0.5


def result_text(result: Any, rng: random.Random) -> str:
    """Write a result as the chat template does: its JSON, or a plain text."""
    if isinstance(result, str) and result and rng.random() < 0.3:
        return result
    return json.dumps(result, ensure_ascii=False)


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _closed(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else text + "."


def answer(result: Any) -> tuple[str, str]:
    """Write the reply that a result makes, and its short form."""
    if result in (None, "", {}, []):
        return DONE, "Done."
    if isinstance(result, dict) and list(result) == ["error"]:
        return _closed(f"That did not work: {_said(result['error'])}"), _closed(
            f"Error: {_said(result['error'])}"
        )
    if isinstance(result, dict):
        parts = [(key.replace("_", " "), _said(value)) for key, value in result.items()]
        return " ".join(_closed(f"The {key} is {value}") for key, value in parts), _closed(
            ", ".join(value for _, value in parts)
        )
    text = ", ".join(map(_said, result)) if isinstance(result, list) else _said(result)
    return _closed(f"The answer is {text}"), _closed(text)
