"""Two hundred resets in a real browser, at random moments of two hundred replies."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from lab_page import Notebook
from playwright.sync_api import expect
from recorder import leaks_of_resets

pytestmark = pytest.mark.timeout(600)

RESETS = 200
SEED = 20_270_104
LOAD = "import gemma_notebook as gn\nmanager = gn.load()"
SHOW = "panel = gn.ChatPanel(manager)\npanel"
HANDLES = "manager.handles"


def test_two_hundred_resets_show_no_late_character_and_leave_one_handle(
    make_notebook: Callable[..., Notebook],
):
    notebook = make_notebook(LOAD, SHOW, HANDLES)
    panel = notebook.panel()
    moments = random.Random(SEED)
    # How many changes of the reply the page waits for before it clicks: none is before its first word.
    storm = leaks_of_resets(panel.log, [moments.randrange(6) for _ in range(RESETS)])
    expect(panel.status).to_have_text("Ready")

    assert storm.resets == RESETS
    assert storm.in_mid_reply > RESETS // 2, "most resets came while the reply was streaming"
    assert storm.late == []
    expect(panel.articles).to_have_count(0)
    assert "You have not told me your name." in panel.ask("What is my name?")
    expect(panel.replies).to_have_attribute("data-epoch", str(RESETS + 1))
    made = RESETS + 1
    assert notebook.run_cell(HANDLES) == (
        f"HandleCounts(created={made}, closed={made - 1}, live=1, checkpoints=0)"
    )


def test_the_storm_sees_text_of_an_old_chat_that_is_gone_before_the_next_frame(
    make_notebook: Callable[..., Notebook],
):
    log = make_notebook(LOAD, SHOW).panel().log
    log.evaluate("""log => document.addEventListener("click", (event) => {
      if (event.target.closest("button")?.textContent.trim() !== "Reset chat") return;
      setTimeout(() => {
        const late = Object.assign(document.createElement("article"), {textContent: "Your name is Ada."});
        late.dataset.epoch = "1";
        log.append(late);
        late.remove();
      });
    })""")
    assert leaks_of_resets(log, [2]).late == ["after reset 1: Your name is Ada."]
