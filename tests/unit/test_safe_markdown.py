"""Text that nobody trusts, as HTML and as Markdown: it stays text, whoever reads it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from gemma_notebook.transcript.markdown_html import is_allowed, render_html
from gemma_notebook.transcript.neutral_markdown import escaped, fenced, neutral

CORPUS = json.loads((Path(__file__).parents[1] / "xss_corpus.json").read_text())
PIECES = ["\n", "\n\n", " ", "    ", "\t", "a", "`", "```", "~~~", "*", "_", "#", ">", "- ", "1. ", "|", "|--|\n", "[", "](", ")", "]: ",
          "![", "<", "<b>", "<!--", "-->", "&", "&lt;", "\\", "$", "$$", "https://x.org", "javascript:", "\r", "\x0b", "\u2028", "=", "+"]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)

ELEMENTS = {"div", "p", "a", "em", "strong", "s", "code", "pre", "ul", "ol", "li", "blockquote", "hr", "br", "table", "thead", "tbody", "tr",
            "th", "td", "h1", "h2", "h3", "h4", "h5", "h6"}  # fmt: skip
ATTRIBUTES = {"href", "title", "target", "rel", "dir", "align", "class", "start"}


class Reader(HTMLParser):
    """What a browser would find in a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.other: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        self.other.append(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def assert_harmless(html: str) -> None:
    found = Reader(html)
    assert found.other == []
    for tag, attributes in found.elements:
        assert tag in ELEMENTS, tag
        assert set(attributes) <= ATTRIBUTES, attributes
        if "href" in attributes:
            assert tag == "a"
            assert re.match(r"(https?://|mailto:)", attributes["href"] or "")
            assert attributes["rel"] == "noopener noreferrer"


def lenient(markdown: str) -> str:
    """As a reader of Markdown renders it that lets HTML and every link through."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    return parser.render(markdown)


@pytest.mark.parametrize("kind", CORPUS)
def test_a_text_as_html_has_no_elements_of_its_own(kind):
    for text in CORPUS[kind]:
        assert_harmless(render_html(text))


@pytest.mark.parametrize("kind", CORPUS)
def test_a_text_as_neutral_markdown_is_harmless_to_a_reader_that_lets_all_through(kind):
    forms = [neutral(text) for text in CORPUS[kind]]
    for form in [*forms, *("> " + "\n> ".join(form.splitlines()) for form in forms)]:
        html = lenient(form)
        assert_harmless(html.replace("<a ", '<a rel="noopener noreferrer" ').replace("style=", "align="))


@given(texts)
def test_any_text_is_harmless_as_html_and_as_neutral_markdown(text):
    assert_harmless(render_html(text))
    html = lenient(neutral(text))
    assert_harmless(html.replace("<a ", '<a rel="noopener noreferrer" ').replace("style=", "align="))


@given(texts)
def test_escaped_text_reads_as_it_was_written(text):
    found = Reader(lenient(escaped(text)))
    assert {tag for tag, _ in found.elements} <= {"p", "br"}
    assert "".join(found.text.split()) == "".join(text.replace("\0", "\ufffd").split())


@given(texts)
def test_a_fence_cannot_be_ended_from_inside(text):
    found = Reader(lenient(fenced(text)))
    assert [tag for tag, _ in found.elements] == ["pre", "code"]


def test_neutral_markdown_leaves_markdown_alone():
    text = "# One\n\n**bold** `a[b]` [x](https://x.org) $x^2$\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n"
    assert neutral(text) == text
    code = "Look:\n\n```html\n<b>bold</b>\n```\n"
    assert Reader(lenient(neutral(code))).elements == Reader(lenient(code)).elements


def test_images_become_links_and_html_becomes_text():
    assert neutral("![a](https://x.org/i.png) <b>") == "\\!\\[a](https://x.org/i.png) &lt;b>"
    assert Reader(render_html("![a](https://x.org/i.png)")).elements[1][0] == "a"


def test_markdown_becomes_the_html_that_the_panel_shows():
    html = render_html(
        "Some **bold**\nand `code`.\n\n| a |\n|--:|\n| ~~1~~ |\n\n```python\nx = 1\n```\n\nNow $a_1 * b_2$ and \\(c\\), at $5 or $6."
    )
    assert "<strong>bold</strong><br>" in html.replace(" />", ">")
    assert '<td dir="auto" align=right><s>1</s></td>' in html
    assert '<code class="language-python">x = 1\n</code>' in html
    assert '<code class="gn-tex" dir="ltr">a_1 * b_2</code>' in html
    assert "$5 or $6" in html


def test_a_formula_of_several_lines_is_one_block():
    html = render_html("Now:\n$$\na\n- b\n$$\nafter")
    assert '<code class="gn-tex" dir="ltr">a\n- b</code>' in html
    assert "<li>" not in html


def test_headings_go_below_those_of_the_page_and_tasks_have_boxes():
    html = render_html("# One\n\n- [x] done\n- [ ] open\n- [y] other")
    assert '<h3 dir="auto">One</h3>' in html
    assert [item.split("<")[0] for item in html.split("<li>")[1:]] == ["☑ done", "☐ open", "[y] other"]


def test_lists_quotations_and_tables_have_the_direction_of_their_text():
    assert re.findall(
        r'<(\w+) dir="(ltr|rtl)"', render_html("- שלום\n\n> שלום\n\n1. one\n\n| ש |\n|---|\n")
    ) == [
        ("ul", "rtl"),
        ("blockquote", "rtl"),
        ("ol", "ltr"),
        ("table", "rtl"),
    ]


@pytest.mark.parametrize(
    "address", ["https://x.org", "http://x.org/a?b#c", "mailto:a@x.org", "HTTPS://X.org"]
)
def test_links_may_lead_to_the_web_and_to_mail(address):
    assert is_allowed(address)


@pytest.mark.parametrize(
    "address", ["", "/a", "//x.org", "#a", "javascript:x", "data:x", "https:x", "https:/x", "java\nscript:x", "http://[", "https://\\x", "file:///x"]
)  # fmt: skip
def test_links_may_lead_nowhere_else(address):
    assert not is_allowed(address)
