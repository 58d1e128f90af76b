"""421 hostile strings as prompts, replies, names and errors, in the panel and in what is saved: nothing runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from playwright.sync_api import Browser, Page
from untrusted_page import STYLED_POLICY, Line, Watched, watched_server

import gemma_notebook as gn
from gemma_notebook.messages import Message
from gemma_notebook.transcript import Entry, ToolUse, Transcript

pytestmark = pytest.mark.timeout(300)

CORPUS: dict[str, list[str]] = json.loads((Path(__file__).parents[1] / "xss_corpus.json").read_text())
# The engine cannot carry these, and refuses them.
UNSENDABLE = ("\0", "\x1e")


@pytest.fixture
def watched() -> Iterator[Watched]:
    with watched_server() as server:
        yield server


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    line = Line()
    monkeypatch.setattr(gn.ChatPanel, "send", lambda _, *args, **kwargs: line.send(*args, **kwargs))
    return line


@pytest.fixture
def open_panel(
    watched: Watched, browser: Browser, line: Line
) -> Iterator[Callable[[gn.Chat], tuple[Page, gn.ChatPanel]]]:
    opened = []

    def make(chat: gn.Chat) -> tuple[Page, gn.ChatPanel]:
        page, panel = watched.open(browser, "/panel"), gn.ChatPanel(chat)
        opened.append((page, panel))
        box = page.get_by_role("textbox", name="Message", exact=True)
        line.carry(page, panel, lambda: box.count() == 1 and "Connecting" not in page.inner_text("#root"))
        return page, panel

    yield make
    for page, panel in opened:
        page.close()
        panel.close()


def sendable(texts: list[str]) -> list[str]:
    return [text for text in texts if text.strip() and not any(c in text for c in UNSENDABLE)]


def test_the_watch_sees_what_runs_and_what_is_fetched(watched: Watched, browser: Browser):
    watched.pages["/bad"] = (
        "text/html",
        b"<p id=root><img src=//evil.invalid/i.png onerror=alert(1)><a href=javascript:x>x</a>",
    )
    page = watched.open(browser, "/bad")
    page.wait_for_function("window.ran.length > 2")
    assert any(ran == "alert(1)" for ran in page.evaluate("window.ran"))
    assert watched.outside == ["http://evil.invalid/i.png"]
    assert any("script-src" in report for report in watched.reports)
    assert "a href=javascript:x" in watched.trouble(page, "#root")
    page.close()


@pytest.mark.parametrize("kind", CORPUS)
def test_prompts_and_replies_in_the_panel(kind, watched, open_panel, fake_manager):
    texts = sendable(CORPUS[kind])
    chat = fake_manager.create_chat()
    chat.restore([Message(role, text) for text in texts for role in ("user", "assistant")])
    page, _ = open_panel(chat)
    assert page.get_by_role("article").count() == 2 * len(texts)
    assert watched.trouble(page, "#root") == []


def test_what_is_typed_what_streams_in_and_what_fails(watched, open_panel, line, fake_manager, fake):
    texts = [sendable(CORPUS[kind])[0] for kind in CORPUS]
    chat = fake_manager.create_chat()
    page, panel = open_panel(chat)
    box = page.get_by_role("textbox", name="Message", exact=True)
    replies = page.locator("article[data-state=done]")
    fake.set(reply="\x1e".join(texts))
    for count, text in enumerate(texts, 1):
        box.fill(text)
        box.press("Enter")
        line.carry(page, panel, lambda count=count: replies.count() == count)
    failures = page.locator("article[data-state=error]")
    for count, text in enumerate(texts, 1):
        fake.set(end_error=f"INTERNAL: {text}")
        box.fill(text)
        box.press("Enter")
        line.carry(page, panel, lambda count=count: failures.count() == count)
    assert watched.trouble(page, "#root") == []


def test_names_of_models(watched, open_panel, fake_engine_path, tmp_path):
    from gemma_notebook.engine import load_library
    from gemma_notebook.loading import open_manager
    from gemma_notebook.options import EngineOptions

    names = [
        text
        for texts in CORPUS.values()
        for text in texts
        if "/" not in text and "\0" not in text and "on" in text
    ]
    for name in names[:4]:
        model = tmp_path / f"{name.encode('utf-8', 'replace').decode()[:60]}.litertlm"
        model.write_bytes(b"the stub reads nothing")
        with open_manager(
            EngineOptions(model), check=False, library=load_library(fake_engine_path)
        ) as manager:
            page, panel = open_panel(manager.create_chat())
            assert manager.model.name in page.inner_text("#root")
            assert watched.trouble(page, "#root") == []
            panel.close()
            page.close()


def as_lenient_html(markdown: str) -> str:
    """As a reader of Markdown shows it that lets HTML and all links through."""
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    reader.validateLink = lambda _: True
    return reader.render(markdown)


@pytest.mark.parametrize("form", ["page", "output", "markdown"])
def test_transcripts(form, watched, browser):
    watched.policy = STYLED_POLICY
    for number, (kind, texts) in enumerate(CORPUS.items()):
        entries = tuple(entry for text in texts for entry in entries_of(text))
        given = Transcript(entries, texts[0], "\n".join(texts), {text[:80]: text for text in texts})
        transcript = Transcript.from_json(given.to_json())
        if form == "page":
            html = transcript.to_html()
        elif form == "output":
            html = f"<!doctype html><main>{transcript._repr_mimebundle_()['text/html']}</main>"
        else:
            html = f"<!doctype html><main>{as_lenient_html(transcript.to_markdown())}</main>"
        watched.pages[f"/{number}"] = ("text/html", html.encode("utf-8", "replace"))
        page = watched.open(browser, f"/{number}")
        assert watched.trouble(page, "main") == [], kind
        assert page.locator("main style").count() == (form == "output")
        if form != "markdown":
            assert page.locator("main .gn-you").count() == len(texts)
        page.close()


def entries_of(text: str) -> Iterator[Entry]:
    yield Entry("user", text)
    yield Entry("assistant", text, text, (ToolUse(text, {text: text}, text),), error=text)
