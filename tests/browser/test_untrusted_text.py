"""Hundreds of hostile strings as prompts, replies, names and errors, in the panel and in what is saved: nothing runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from playwright.sync_api import Browser, Page, expect
from untrusted_page import STYLED_POLICY, Line, Watched, watched_server

import gemma_notebook as gn
from gemma_notebook.messages import Message
from gemma_notebook.transcript import Entry, ToolUse, Transcript

pytestmark = pytest.mark.timeout(300)

CORPUS: dict[str, list[str]] = json.loads((Path(__file__).parents[1] / "xss_corpus.json").read_text())
ALL = [text for texts in CORPUS.values() for text in texts]
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
        status = page.get_by_role("status", name="Chat status", exact=True)
        line.carry(page, panel, lambda: status.all_inner_texts()[:1] in (["Ready"], ["Reply complete"]))
        return page, panel

    yield make
    for page, panel in opened:
        page.close()
        panel.close()


def sendable(texts: list[str]) -> list[str]:
    return [text for text in texts if text.strip() and not any(c in text for c in UNSENDABLE)]


def shown(page: Page) -> int:
    """How many messages are on the page; of a long chat, the earlier ones are asked for."""
    # In one step: the button goes as soon as all are there.
    page.evaluate("() => document.querySelector('.gn-earlier')?.click()")
    return page.get_by_role("article").count()


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


@pytest.mark.parametrize("part", range(4))
def test_prompts_and_replies_in_the_panel(part, watched, open_panel, fake_manager):
    texts = sendable(ALL)[part::4]
    chat = fake_manager.create_chat()
    chat.restore([Message(role, text) for text in texts for role in ("user", "assistant")])
    page, _ = open_panel(chat)
    expect(page.get_by_role("article").first).to_be_visible()
    while page.locator(".gn-earlier").count():
        shown(page)
    expect(page.get_by_role("article")).to_have_count(2 * len(texts))
    assert watched.trouble(page, "#root") == []


def test_what_is_typed_what_streams_in_and_what_fails(watched, open_panel, line, fake_manager, fake):
    texts = [sendable(CORPUS[kind])[0] for kind in CORPUS]
    chat = fake_manager.create_chat()
    page, panel = open_panel(chat)
    box = page.get_by_role("textbox", name="Message", exact=True)
    replies = page.locator("article[data-state=done]")
    for count, text in enumerate(texts, 1):
        chunk = {"content": [{"type": "text", "text": text}], "channels": {"thought": text}}
        fake.set(chunks=json.dumps(chunk))
        box.fill(text)
        box.press("Enter")
        line.carry(page, panel, lambda count=count: replies.count() == count)
    fake.set(chunks=None)
    failures = page.locator("article[data-state=error]")
    for count, text in enumerate(texts, 1):
        fake.set(end_error=f"INTERNAL: {text}")
        box.fill(text)
        box.press("Enter")
        line.carry(page, panel, lambda count=count: failures.count() == count)
    assert watched.trouble(page, "#root") == []


def test_json_that_is_imported(watched, open_panel, line, fake_manager):
    entries = [
        entry for texts in CORPUS.values() for text in sendable(texts)[::4] for entry in entries_of(text)
    ]
    file = Transcript(tuple(entries), "</script><script>alert(1)</script>").to_json().encode()
    page, panel = open_panel(fake_manager.create_chat())
    page.get_by_role("button", name="Export", exact=True).click()
    chosen = {"name": "<img src=x onerror=alert(1)>.json", "mimeType": "application/json", "buffer": file}
    page.get_by_label("File to import").set_input_files(chosen)
    line.carry(page, panel, lambda: shown(page) == len(entries))
    folds = page.locator(".gn-fold-head[aria-expanded=false]")
    folds.evaluate_all("heads => heads.forEach((head) => head.click())")
    expect(folds).to_have_count(0)
    assert page.locator(".gn-fold-body").count() >= len(entries)  # a thought and a call for each reply
    assert watched.trouble(page, "#root") == []


def test_names_of_models(watched, open_panel, fake_engine_path, tmp_path):
    from gemma_notebook.engine import load_library
    from gemma_notebook.loading import open_manager
    from gemma_notebook.options import EngineOptions

    names = [text for text in ALL if "/" not in text and "\0" not in text and "on" in text]
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
    firsts = " ".join(texts[0] for texts in CORPUS.values())
    entries = tuple(entry for text in ALL for entry in entries_of(text))
    given = Transcript(entries, firsts, "\n".join(ALL), {text[:80]: text for text in ALL})
    transcript = Transcript.from_json(given.to_json())
    if form == "page":
        html = transcript.to_html()
    elif form == "output":
        html = f"<!doctype html><main>{transcript._repr_mimebundle_()['text/html']}</main>"
    else:
        html = f"<!doctype html><main>{as_lenient_html(transcript.to_markdown())}</main>"
    watched.pages["/saved"] = ("text/html", html.encode("utf-8", "replace"))
    page = watched.open(browser, "/saved")
    assert watched.trouble(page, "main") == []
    assert page.locator("main style").count() == (form == "output")
    if form != "markdown":
        assert page.locator("main .gn-you").count() == len(ALL)
    page.close()


def entries_of(text: str) -> Iterator[Entry]:
    yield Entry("user", text)
    yield Entry("assistant", text, text, (ToolUse(text, {text: text}, text),), error=text)
