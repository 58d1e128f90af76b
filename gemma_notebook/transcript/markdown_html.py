"""Markdown of somebody who is not trusted, as HTML.

The parser is the Python twin of the panel's, with the same rules: raw HTML is text, links lead to the web and to mail
alone, images are not fetched, TeX stays TeX.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML

from gemma_notebook.transcript.math_rules import math_rules

if TYPE_CHECKING:
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

__all__ = ["MarkdownReader", "is_allowed", "render_html"]

_LANGUAGE = re.compile(r"[\w+#.-]{1,20}(?=$|[\s:{,])")
_ELSEWHERE = 'target="_blank" rel="noopener noreferrer"'


def is_allowed(address: str) -> bool:
    """Whether a link may lead to ``address``: absolute, and to the web or to mail."""
    if re.search(r"[\x00-\x20\x7f\\]", address):
        return False
    try:
        scheme, host = urlsplit(address)[:2]
    except ValueError:
        return False
    return (scheme in ("http", "https") and host != "") or scheme == "mailto"


class _Renderer(RendererHTML):
    """HTML with nothing in it that runs, fetches, or leads anywhere but to the web."""

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        alt, link = escape(tokens[idx].content), self.link_open(tokens, idx, options, env)
        return f"{link}Image{': ' if alt else ''}{alt}</a>"

    def link_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002
        address = str(tokens[idx].attrGet("href") or tokens[idx].attrGet("src") or "")
        if not is_allowed(address):  # an empty one, which the parser does not ask about
            return "<a>"
        return f'<a href="{escape(address)}" title="{escape(address)}" {_ELSEWHERE}>'

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002
        found = _LANGUAGE.match(tokens[idx].info.strip())
        label = f' class="language-{escape(found[0].lower())}"' if found else ""
        return f'<pre dir="ltr"><code{label}>{escape(tokens[idx].content)}</code></pre>\n'

    def paragraph_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        if not token.hidden:
            token.attrSet("dir", "auto")
        return self.renderToken(tokens, idx, options, env)

    def heading_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002
        """Below the headings of the page."""
        tag = f"h{min(6, int(tokens[idx].tag[1:]) + 2)}"
        return f'<{tag} dir="auto">' if tokens[idx].nesting == 1 else f"</{tag}>\n"

    def heading_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return self.heading_open(tokens, idx, options, env)

    def bullet_list_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """With its direction said: ``auto`` does not look into paragraphs that have one of their own."""
        tokens[idx].attrSet("dir", _direction(tokens, idx))
        return self.renderToken(tokens, idx, options, env)

    def ordered_list_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return self.bullet_list_open(tokens, idx, options, env)

    def blockquote_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return self.bullet_list_open(tokens, idx, options, env)

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f'<div class="gn-scroll">{self.bullet_list_open(tokens, idx, options, env)}'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f"{self.renderToken(tokens, idx, options, env)}</div>\n"

    def th_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002
        # Not as a style, which the policy of the page forbids.
        found = re.search("left|center|right", str(tokens[idx].attrGet("style") or ""))
        return f'<{tokens[idx].tag} dir="auto"{f" align={found[0]}" if found else ""}>'

    def td_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return self.th_open(tokens, idx, options, env)

    def math(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002
        return f'<code class="gn-tex" dir="ltr">{escape(tokens[idx].content)}</code>'

    def formula(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return f"<p>{self.math(tokens, idx, options, env)}</p>\n"


def _direction(tokens: Sequence[Token], start: int) -> str:
    """The direction of the first letter after ``start``, as browsers find it."""
    for token in tokens[start:]:
        for character in token.content if token.type == "inline" else "":
            kind = unicodedata.bidirectional(character)
            if kind in ("L", "R", "AL"):
                return "ltr" if kind == "L" else "rtl"
    return "auto"


class MarkdownReader(MarkdownIt):
    """Reads Markdown by the panel's rules; with ``html`` also what other readers would let through."""

    def __init__(self, *, html: bool) -> None:
        options = {"html": html, "breaks": True, "maxNesting": 40}
        super().__init__("commonmark", options, renderer_cls=_Renderer)
        self.enable(["table", "strikethrough"])
        math_rules(self)

    def validateLink(self, url: str) -> bool:  # noqa: N802
        # When looking for what other readers of Markdown would make of a text, every link is one.
        return self.options["html"] or is_allowed(url)


_reader = MarkdownReader(html=False)
# To look for the end of each link takes the square of their number: 20,000 take some seconds.
_MOST_BRACKETS = 4000


def render_html(text: str) -> str:
    """``text``, which is Markdown, as HTML. What has too many brackets for the parser is shown as it is written."""
    if has_too_many_brackets(text):
        return f"<pre>{escape(text)}</pre>\n"
    tokens = _reader.parse(text)
    for before, token in pairwise(tokens[1:]):
        if before.type == "paragraph_open" and before.level >= 2 and token.children:
            _tick(token.children[0])
    return str(_reader.renderer.render(tokens, _reader.options, {}))


def has_too_many_brackets(text: str) -> bool:
    """Whether to parse it would take longer than anybody waits."""
    return text.count("[") > _MOST_BRACKETS


def _tick(text: Token) -> None:
    """A task's box as a character."""
    found = re.match(r"\[([ xX])\]\s", text.content)
    if found:
        text.content = ("☐ " if found[1] == " " else "☑ ") + text.content[4:]
