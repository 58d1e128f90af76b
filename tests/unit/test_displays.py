"""What notebooks show: the same each time, and nothing of a model's words that acts."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nbconvert.filters import markdown2html

import gemma_notebook as gn
from gemma_notebook.displays import Table
from gemma_notebook.harmless import harmless_markdown

# What Markdown makes by itself.
MARKDOWN_TAGS = frozenset(
    [
        "p",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "li",
        "blockquote",
        "pre",
        "code",
        "span",
        "div",
        "a",
        "em",
        "strong",
        "del",
        "hr",
        "br",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    ]
)

# Pieces in which HTML, images, links and code meet each other and their escapes.
PIECES = (
    "<img src=x onerror=a>", "<script>", "</script>", "<!-- ", "-->", "<", ">", "![", "](", "]:", "[a]", "[", "]", "(", ")",
    "javascript:a", "java", "script:a", "&#106;", "&colon;", "data:text/html,a", "https://a.b/c.png", "`", "``", "```", "~~~",
    "\\", "|", "\n", "\n\n", "    ", "\t", "> ", "- ", "1. ", "# ", "---", "$", "$$", "*", "_", "a", " ", "\r", "\x00", "\x01",
)  # fmt: skip


class _Acting(HTMLParser):
    """Finds what Markdown alone does not make, or what a click would run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in MARKDOWN_TAGS:
            self.found.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name in {"src", "style"}:
                self.found.append(f"{tag} {name}")
            if name == "href" and urlsplit(re.sub(r"[\s\x00-\x20]", "", value or "")).scheme not in SCHEMES:
                self.found.append(f"{tag} href={value}")


SCHEMES = ("", "http", "https", "mailto")


def acting(markdown: str) -> list[str]:
    parser = _Acting()
    parser.feed(markdown2html(markdown))
    parser.close()
    return parser.found


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@example("<img src=x onerror=alert(1)>")
@example("![a](https://a.b/c.png)")
@example("[a](javascript:alert(1)) [b](java\\script:x) [c](&#106;avascript:x)")
@example("[a\\](javascript:x)")
@example("[a](\njavascript:x)")
@example("[a]\n\n[a]: javascript:x")
@example("`\n`<script>`")
@example("| a |\n|---|\n| `b | <script> ` |")
@example("\\```<script>```")
@example("- ```\n  <script>\n  ```\n<script>")
@example("$```$<script>```")
@example("https://a.b`<script>`c")
@example("~~~\n```\n<script>\n~~~\n<script>")
def test_no_words_of_a_model_become_html_images_or_links_that_act(text: str):
    assert acting(harmless_markdown(text)) == []


def test_what_the_property_looks_for_is_there_without_the_neutralising():
    found = acting("![a](https://a.b/c.png) <b onclick='a'>\n\n<script>a</script>")
    assert {"script", "img", "img src", "b", "b onclick"} <= set(found)


@pytest.mark.parametrize(
    "text",
    [
        "# Title\n\nSome *words*, **strong** and `code <b>`.\n\n- a\n- b",
        "1 < 2 and 3 > 2 && a & b",
        "[a link](https://example.org/?a=1&b=2) and [another](#there)",
        "> said\n> again",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "$$\\begin{matrix} a & b \\end{matrix}$$",
    ],
)
def test_harmless_markdown_stays_as_it_is(text: str):
    assert harmless_markdown(text) == text


def test_code_in_a_fence_stays_as_it_is_also_in_a_list():
    code = harmless_markdown("1. so:\n    ```html\n    <b>&amp;</b>\n      `x`\n    ```\nend")
    assert "\n```html\n<b>&amp;</b>\n  `x`\n```\n" in code


def test_a_fence_that_begins_a_list_item_is_one():
    assert "\n```html\n<b>\n```\n" in harmless_markdown("1. ```html\n   <b>\n   ```\n<b>")
    assert harmless_markdown("- ```\n  a\n  ```\n<b>").endswith("&lt;b>")


def test_a_fence_that_is_never_closed_is_closed():
    assert harmless_markdown("```\n<b>").count("```") == 2


def test_tables_escape_what_stands_in_them():
    table = Table(("a|b", "<i>"), [("x|y", "<script>"), ("![i](http://a)", "`\n`")])
    assert "<script>" not in table.html()
    assert acting(table.markdown()) == []


def test_a_long_table_shows_its_last_rows_and_says_so():
    shown = Table(("n",), [(number,) for number in range(250)])
    assert "<td>249</td>" in shown.html()
    assert "<td>49</td>" not in shown.html()
    assert "50 earlier rows" in shown.html()
    assert "50 earlier rows" in shown.markdown()


def displays(manager: gn.SessionManager) -> list[str]:
    """Every display of one of each public object, after the same short chat."""
    chat = manager.create_chat()
    reply = chat.send("My name is Ada.")
    objects = (
        manager, chat, chat.session, reply, reply.usage, chat.context, manager.handles, manager.model,
        manager.events, manager.events[0], manager.events[1:], chat.messages[1], gn.Delta("a"),
        chat.stream("Hello"), chat.astream("Hello"),
    )  # fmt: skip
    shown = [repr(one) for one in objects]
    for name in ("_repr_html_", "_repr_markdown_"):
        shown += [getattr(one, name)() for one in objects if hasattr(one, name)]
    return shown


def test_every_object_shows_the_same_each_time_and_no_address():
    with gn.load() as first, gn.load() as second:
        once, again = displays(first), displays(second)
    assert once == again
    assert len(once) > 30
    assert [text for text in once if " at 0x" in text] == []


def test_closed_objects_show_that_they_are_closed():
    with gn.load() as manager:
        chat = manager.create_chat()
        session = chat.session
    chat.close()
    assert "closed" in manager._repr_html_()
    assert "closed" in chat._repr_html_()
    assert "closed" in session._repr_html_()


def test_events_are_a_tuple_and_so_are_parts_of_them(real_manager: gn.SessionManager):
    real_manager.create_session().send("Hello")
    events = real_manager.events
    assert isinstance(events, tuple)
    assert isinstance(events[:2], gn.HandleEvents)
    assert events[0].kind == "created"
    assert events == tuple(events)


@pytest.mark.parametrize(
    ("reason", "trimmed", "note"),
    [
        ("cancelled", 0, "(stopped)"),
        ("length", 0, "max_output_tokens"),
        ("context_full", 0, "context is full"),
        ("stop", 1, "The oldest turn was dropped"),
        ("stop", 3, "The oldest 3 turns were dropped"),
    ],
)
def test_a_reply_says_in_a_notebook_what_happened_to_it(reason: str, trimmed: int, note: str):
    usage, timing = gn.Usage(1, 1, 2, 9), gn.Timing(None, None, None, 0.0)
    reply = gn.Reply("<b>so</b>", reason, usage, timing, trimmed_turns=trimmed)
    assert note in reply._repr_markdown_()
    assert "<b>" not in reply._repr_markdown_()


def test_a_timing_is_shown_with_units():
    timing = gn.Timing(0.0123, 9340.04, 776.0, 1.25)
    assert repr(timing) == (
        "Timing(time_to_first_token=12.3 ms, prefill=9,340.0 tokens/s, decode=776.0 tokens/s, total=1.2 s)"
    )
    assert "unknown" in gn.Timing(None, None, None, 0.0)._repr_markdown_()
