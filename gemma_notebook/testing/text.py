"""Comparing text that may differ in what differs from run to run, and in nothing else."""

from __future__ import annotations

import difflib
import functools
import re
from pathlib import Path

from gemma_notebook.errors import OptionValueError

__all__ = ["SANITIZE_CFG", "Rule", "assert_same_text", "normalized", "read_rules"]

SANITIZE_CFG = Path(__file__).with_name("sanitize.cfg")
"""The sanitising file for nbval: ``pytest --nbval --nbval-sanitize-with=…``; ``gemma-notebook check-notebooks
--sanitize-path`` prints where it lies."""

Rule = tuple[re.Pattern[str], str]


@functools.cache
def _usual_rules() -> tuple[Rule, ...]:
    return read_rules(SANITIZE_CFG)


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a sanitising file, in nbval's format: ``regex:`` and ``replace:`` lines in pairs.

    Raises:
        OptionValueError: It cannot be read, or has rules that are none.
    """
    try:
        lines = [line.partition(": ") for line in path.read_text(encoding="utf-8").splitlines()]
        patterns = [value for key, _, value in lines if key == "regex"]
        words = [value for key, _, value in lines if key == "replace"]
        if len(patterns) != len(words):
            raise ValueError(f"{len(patterns)} 'regex: ' lines, and {len(words)} 'replace: ' lines")
        return tuple((re.compile(pattern), word) for pattern, word in zip(patterns, words, strict=True))
    except (OSError, ValueError, re.error) as error:
        raise OptionValueError(
            f"the sanitising file {str(path)!r} cannot be used ({error}); each rule is a line 'regex: …' and a line "
            "'replace: …' below it"
        ) from error


def normalized(text: str, rules: tuple[Rule, ...] | None = None) -> str:
    """``text`` with addresses, ids and times replaced by their kind, as nbval sees it with :data:`SANITIZE_CFG`.

    Example:
        >>> normalized("<Thing at 0x7f3d2c1b0a90> in 12.3 ms")
        '<Thing at ADDRESS> in DURATION'
    """
    for pattern, word in _usual_rules() if rules is None else rules:
        text = pattern.sub(word, text)
    return text


def assert_same_text(actual: str, expected: str) -> None:
    """Raise unless the texts are the same, but for addresses, ids and times.

    Raises:
        AssertionError: They differ; it shows where.
    """
    left, right = normalized(expected), normalized(actual)
    if left != right:
        lines = difflib.unified_diff(
            left.splitlines(), right.splitlines(), "expected", "actual", lineterm="", n=2
        )
        raise AssertionError(
            "the texts differ:\n" + ("\n".join(lines) or "only in the breaks between their lines")
        )
