r"""TeX in Markdown, by the panel's rules: ``$…$`` and ``\(…\)`` in a line, ``$$…$$`` and ``\[…\]`` also as blocks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

__all__ = ["math_rules"]

_PAIRS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))
_BLOCKS = {"$$": "$$", "\\[": "\\]"}


def math_rules(parser: MarkdownIt) -> None:
    """Teach ``parser`` TeX: tokens of the types ``formula`` and ``math``."""
    parser.block.ruler.before(
        "fence", "formula", _formula, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    parser.inline.ruler.before("escape", "math", _math)


def _formula(state: StateBlock, line: int, end_line: int, silent: bool) -> bool:
    text = _line(state, line)
    closer = _BLOCKS.get(text[:2])
    if closer is None or state.is_code_block(line):
        return False
    first, found, after = text[2:].partition(closer)
    if after.strip():
        return False
    if silent:
        return True
    lines, following, closed = [first], line + 1, bool(found)
    while not closed and following < end_line:
        if state.isEmpty(following) or state.sCount[following] < state.blkIndent:
            break
        row = _line(state, following).rstrip()
        closed = row.endswith(closer)
        lines.append(row.removesuffix(closer) if closed else row)
        following += 1
    token = state.push("formula", "math", 0)
    token.block = True
    token.content = "\n".join(lines).strip()
    token.markup = text[:2]
    token.map = [line, following]
    state.line = following
    return True


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]


def _math(state: StateInline, silent: bool) -> bool:
    pair = next((pair for pair in _PAIRS if state.src.startswith(pair[0], state.pos)), None)
    if pair is None:
        return False
    opener, closer = pair
    begin = state.pos + len(opener)
    # Where none was found for one opener there is none for those behind it: not to look again keeps a text of nothing but
    # openers linear.
    missing: dict[str, tuple[str, int, int]] = state.env.setdefault("no_closer", {})
    text, since, until = missing.get(closer, ("", 0, 0))
    if text is state.src and since <= begin and state.posMax <= until:
        return False
    end = _closer_at(state.src, closer, begin, state.posMax)
    if end < 0:
        missing[closer] = (state.src, begin, state.posMax)
        return False
    tex = state.src[begin:end]
    if not tex.strip() or (opener == "$" and not _is_math(tex, state.src[end + 1 : end + 2])):
        return False
    if not silent:
        token = state.push("math", "math", 0)
        token.content = tex.strip()
        token.markup = opener
    state.pos = end + len(closer)
    return True


def _closer_at(src: str, closer: str, begin: int, limit: int) -> int:
    at = src.find(closer, begin, limit)
    while at >= 0:
        slash = at
        while slash > begin and src[slash - 1] == "\\":
            slash -= 1
        if (at - slash) % 2 == 0:
            return at
        at = src.find(closer, at + 1, limit)
    return -1


def _is_math(tex: str, after: str) -> bool:
    """As pandoc: no space inside the dollars, and no digit after them, so that prices stay prices."""
    return not re.search(r"^\s|\s$", tex) and not after.isdigit()
