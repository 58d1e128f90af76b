"""What a model wrote, made harmless: Markdown for a notebook, text for a terminal.

Jupyter renders the HTML inside Markdown, runs its scripts in outputs that it trusts, and loads remote images. What
a model writes is untrusted: here raw HTML becomes text, an image a link, and a link with a scheme such as
``javascript:`` plain text, while headings, lists, emphasis, tables, maths and code stay what they are.

Renderers disagree about where code begins and ends, and code is the one place where ``<`` must stay as it is. So no
renderer is asked: a fence or a code span that is recognised here is written in a form on which all agree, and every
backtick that is not part of one is escaped.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

__all__ = ["harmless_markdown", "printable"]

_FENCE = re.compile(
    r"(?P<indent>(?P<item>[ \t]*+(?:[-*+]|\d{1,9}[.)])[ \t]++)?[ \t]*+)"
    r"(?P<fence>`{3,}+|~{3,}+)[ \t]*+(?P<info>[\w+#.-]*+)[ \t]*+$"
)
_TICKS = re.compile(r"`+")
_ESCAPE = re.compile(r"\\[!-/:-@\[-`{-~]")
# Markdown knows the first three; others who read it on may know the rest.
_LINE_END = re.compile("\r\n?|[\x85\u2028\u2029]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_LINK = re.compile(r"\](?P<rest>[(:]\s*(?P<target>[^\s)]*))")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_MATHS = re.compile(r"\$|\\\\[(\[]|\\begin")
_ENTITY = re.compile(r"&(?=#?\w+;)")
# An entity may spell a colon; some renderers decode it twice.
_SCHEME = re.compile(r"[^/?]*?[:&]")
_ALLOWED = re.compile(r"(https?|mailto):", re.IGNORECASE)
# Commands of MathJax that make links, load code, or style the page around the formula.
_MATH = re.compile(r"\\(?=(?:href|url|require|style|class|cssId|data|includegraphics|html\w*)\b)")


def harmless_markdown(text: str) -> str:
    """``text`` without raw HTML, images and links that could do something.

    Example:
        >>> harmless_markdown("<img src=x> and `<b>`")
        '&lt;img src=x> and `<b>`'
    """
    lines = _CONTROL.sub("", _LINE_END.sub("\n", text)).split("\n")
    return "\n".join(_blocks(iter(lines), maths=bool(_MATHS.search(text))))


def _blocks(lines: Iterator[str], *, maths: bool) -> Iterator[str]:
    """The lines, with fenced code in canonical form: at the margin, between blank lines, and closed."""
    for line in lines:
        opening = _FENCE.match(line)
        if opening is None:
            yield _prose(line, maths=maths)
            continue
        indent = re.compile(rf"[ \t]{{0,{len(opening['indent'])}}}")
        code = [indent.sub("", line, count=1) for line in _until_closed(lines, opening["fence"])]
        longest = max((len(run) for run in _TICKS.findall("\n".join(code))), default=0)
        fence = "`" * max(3, longest + 1)
        if opening["item"]:  # the list goes on after it
            yield opening["item"].rstrip()
        yield from ("", fence + opening["info"], *code, fence, "")


def _until_closed(lines: Iterable[str], fence: str) -> Iterator[str]:
    for line in lines:
        closing = line.strip()
        if closing.startswith(fence) and set(closing) == {fence[0]}:
            return
        yield line


def _prose(line: str, *, maths: bool) -> str:
    """A line outside of fences: its code spans as they are, the rest without anything that acts."""
    done: list[str] = []
    rest = start = 0
    while start < len(line):
        if escape := _ESCAPE.match(line, start):
            start = escape.end()
        elif ticks := _TICKS.match(line, start):
            end = _span_end(line, ticks) or ticks.end()
            words = _words(line[rest : ticks.start()])
            span = _code_span(line[ticks.start() : end], maths=maths)
            # An address without a space behind it may swallow the backticks.
            gap = " " if words.strip() and not words[-1].isspace() and _TAG.search(span) else ""
            done += [words, gap, span]
            rest = start = end
        else:
            start += 1
    return "".join([*done, _words(line[rest:])])


def _code_span(span: str, *, maths: bool) -> str:
    """A code span, or backticks that begin none, so that nothing in it acts for any renderer."""
    if not span.strip("`") or (_TAG.search(span) and (maths or "|" in span)):
        # Formulas and the cells of tables may end in a code span, for some renderers, and the span with them.
        return _words(span.replace("`", "\\`"))
    return span


def _span_end(line: str, opening: re.Match[str]) -> int | None:
    """Where the code span ends that these backticks open; None when they open none on this line."""
    for closing in _TICKS.finditer(line, opening.end()):
        if len(closing[0]) == len(opening[0]):
            return closing.end()
    return None


def _words(text: str) -> str:
    # An entity would be decoded in a link's target, where it could spell "javascript:".
    text = _TAG.sub("&lt;", _ENTITY.sub("&amp;", text))
    text = text.replace("![", "\\!\\[")
    return _MATH.sub(r"\\ ", _LINK.sub(_harmless_link, text))


def _harmless_link(link: re.Match[str]) -> str:
    target = re.sub(r"\\(?=\W)", "", link["target"])
    # An empty one goes on in the next line, which is not seen here.
    if target and (_ALLOWED.match(target) or not _SCHEME.match(target)):
        return link[0]
    return f"] {link['rest']}"  # not with a backslash: one may stand before it already


def printable(text: str) -> str:
    """``text`` without what a terminal would obey: escape sequences and the like."""
    # Not Cf: emoji are joined by them.
    return "".join(one for one in text if one in "\n\t" or unicodedata.category(one) not in ("Cc", "Cs"))
