"""Text of somebody who is not trusted, as Markdown that is safe to hand on, whoever reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from gemma_notebook.harmless import harmless_markdown
from gemma_notebook.transcript.markdown_html import MarkdownReader, has_too_many_brackets, is_allowed

if TYPE_CHECKING:
    from markdown_it.token import Token

__all__ = ["escaped", "fenced", "neutral", "one_line"]

_suspicious_reader = MarkdownReader(html=True)


def escaped(text: str) -> str:
    """Text that is no Markdown, so that Markdown shows it as it is, line by line."""
    lines = [_escaped_line(line) for line in text.splitlines()]
    joints = ["\\\n" if line and following else "\n" for line, following in pairwise(lines)]
    return "".join(line + joint for line, joint in zip(lines, [*joints, ""], strict=True)) if lines else ""


def _escaped_line(line: str) -> str:
    rest = line.strip()
    indent = "&nbsp;" * (len(line.expandtabs()) - len(line.expandtabs().lstrip()))
    # What begins a list, a heading or a quotation.
    return indent + re.sub(r"^(?=[-+=>])|^(\d+)(?=[.)])", r"\1\\", one_line(rest)) if rest else ""


def one_line(text: str) -> str:
    """Text that is no Markdown, in the middle of a line."""
    line = " ".join(text.splitlines())
    return re.sub(r"([\\`*_\[\]#|~$])", r"\\\1", line).replace("&", "&amp;").replace("<", "&lt;")


def fenced(text: str, info: str = "") -> str:
    """``text`` as a block of code that it cannot end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{info}\n{text}\n{fence}"


def neutral(text: str) -> str:
    """Markdown that stays what it is, but for what other readers of it might run, fetch or follow.

    A suspicious reader looks it over, and where that still finds something it becomes a block of code.
    """
    candidate = harmless_markdown(text)
    if has_too_many_brackets(text) or any(_is_suspicious(token) for token in _tokens(candidate)):
        return fenced(text, "markdown")
    return candidate


def _tokens(text: str) -> Iterator[Token]:
    for token in _suspicious_reader.parse(text):
        yield token
        yield from token.children or ()


def _is_suspicious(token: Token) -> bool:
    if token.type in ("html_block", "html_inline", "image"):
        return True
    return token.type == "link_open" and not is_allowed(str(token.attrGet("href") or ""))
