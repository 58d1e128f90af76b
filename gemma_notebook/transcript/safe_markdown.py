"""Markdown of somebody who is not trusted, as HTML and as Markdown that is safe to hand on.

The parser is the Python twin of the panel's, with the same rules: raw HTML is text, links lead to the web and to mail
alone, images are not fetched, TeX stays TeX.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
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

__all__ = ["escaped", "fenced", "is_allowed", "neutral", "render_html"]

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

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002
        href, alt = escape(str(tokens[idx].attrGet("src") or "")), escape(tokens[idx].content)
        return f'<a href="{href}" title="{href}" {_ELSEWHERE}>Image{": " if alt else ""}{alt}</a>'

    def link_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002
        href = escape(str(tokens[idx].attrGet("href") or ""))
        return f'<a href="{href}" title="{href}" {_ELSEWHERE}>'

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002
        found = _LANGUAGE.match(tokens[idx].info.strip())
        label = f' class="language-{escape(found[0].lower())}"' if found else ""
        return f'<pre dir="ltr"><code{label}>{escape(tokens[idx].content)}</code></pre>\n'

    def paragraph_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        if not token.hidden:
            token.attrSet("dir", "auto")
        return self.renderToken(tokens, idx, options, env)

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


class _Parser(MarkdownIt):
    def __init__(self, *, html: bool) -> None:
        options = {"html": html, "breaks": True, "maxNesting": 40}
        super().__init__("commonmark", options, renderer_cls=_Renderer)
        self.enable(["table", "strikethrough"])
        math_rules(self)

    def validateLink(self, url: str) -> bool:  # noqa: N802
        # When looking for what other readers of Markdown would make of a text, every link is one.
        return self.options["html"] or is_allowed(url)


_reader, _suspicious_reader = _Parser(html=False), _Parser(html=True)


def render_html(text: str) -> str:
    """``text``, which is Markdown, as HTML."""
    return str(_reader.render(text))


def escaped(text: str) -> str:
    """Text that is no Markdown, so that Markdown shows it as it is, line by line."""
    lines = [_escaped_line(line) for line in text.splitlines()]
    joints = ["\\\n" if line and following else "\n" for line, following in pairwise(lines)]
    return "".join(line + joint for line, joint in zip(lines, [*joints, ""], strict=True)) if lines else ""


def _escaped_line(line: str) -> str:
    rest = line.strip()
    if not rest:
        return ""
    indent = "&nbsp;" * (len(line.expandtabs()) - len(line.expandtabs().lstrip()))
    rest = re.sub(r"([\\`*_\[\]#|~$])", r"\\\1", rest).replace("&", "&amp;").replace("<", "&lt;")
    # What begins a list, a heading or a quotation.
    return indent + re.sub(r"^(?=[-+=>])|^(\d+)(?=[.)])", r"\1\\", rest)


def fenced(text: str, info: str = "") -> str:
    """``text`` as a block of code that it cannot end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{info}\n{text}\n{fence}"


def neutral(text: str) -> str:
    """Markdown that stays what it is, but for what other readers of it might run, fetch or follow.

    The first of three that a suspicious reader finds nothing in: with HTML and images escaped outside of code,
    with links escaped too, and as a block of code.
    """
    for candidate in (_outside_code(text, _without_html), _without_links(_without_html(text))):
        if not any(_is_suspicious(token) for token in _tokens(candidate)):
            return candidate
    return fenced(text, "markdown")


def _without_html(text: str) -> str:
    text = text.replace("<", "&lt;").replace("![", "\\![")
    # MathJax follows these, and makes elements of them.
    return re.sub(
        r"\\(?=(?:href|url|html\w*|style|class|cssId|data|unicode|require|includegraphics)\b)", r"\\\\", text
    )


def _without_links(text: str) -> str:
    return re.sub(r"\](?=[(:\[])", r"\\]", text)


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Change what is surely no code: not in a fence, nor between backticks on one line."""
    result, fence = [], ""
    for line in text.split("\n"):
        found = re.match(r" {0,3}(`{3,}|~{3,})", line)
        if fence:
            result.append(line)
            if found and found[1].startswith(fence) and not line.strip(" `~"):
                fence = ""
        elif found and not ("`" in found[1] and "`" in line[found.end() :]):
            fence = found[1]
            result.append(change(line))
        else:
            parts = re.split(r"(?<![`\\])(`+)(?!`)(.*?[^`])\1(?!`)", line)
            spans = (f"{tick}{code}{tick}" for tick, code in zip(parts[1::3], parts[2::3], strict=True))
            plain = [change(part) for part in parts[::3]]
            result.append("".join(a + b for a, b in zip(plain, [*spans, ""], strict=True)))
    return "\n".join(result)


def _tokens(text: str) -> Iterator[Token]:
    for token in _suspicious_reader.parse(text):
        yield token
        yield from token.children or ()


def _is_suspicious(token: Token) -> bool:
    if token.type in ("html_block", "html_inline", "image"):
        return True
    return token.type == "link_open" and not is_allowed(str(token.attrGet("href") or ""))
