"""What the panel does in JupyterLab besides the quick start's story."""

from __future__ import annotations

from collections.abc import Callable

import ipykernel
import pytest
from lab_page import Notebook
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(600)

LOAD = "import gemma_notebook as gn\nmanager = gn.load()"
# A cell that holds the kernel until it is answered, from its second run on.
ASK_THE_SECOND_TIME = "try:\n    input(question)\nexcept NameError:\n    question = 'Held'"
SHOW = "panel = gn.ChatPanel(manager)\npanel"


def test_after_a_stop_the_chat_goes_on_with_its_history(quick_start: Notebook):
    panel = quick_start.panel()
    panel.ask("My name is Ada.")
    panel.click_in_mid_reply("Count to 200.", "Stop")
    expect(panel.replies.last).to_have_attribute("data-state", "cancelled")
    expect(panel.status).to_have_text("Stopped")
    assert "200" not in panel.replies.last.inner_text()
    assert "Ada" in panel.ask("What is my name?")


def test_send_sends_by_mouse_and_is_there_again_after_the_reply(quick_start: Notebook):
    panel = quick_start.panel()
    panel.box.fill("My name is Ada.")
    panel.send.click()
    expect(panel.replies.first).to_have_attribute("data-state", "done")
    expect(panel.send).to_be_visible()
    expect(panel.box).to_be_focused()
    assert int(panel.meter.get_attribute("aria-valuenow") or 0) > 0


@pytest.mark.skipif(
    ipykernel.version_info < (7, 4), reason="an older kernel gets to the panel after the cell"
)
def test_the_panel_works_while_a_cell_keeps_the_kernel_busy(make_notebook: Callable[..., Notebook]):
    notebook = make_notebook(LOAD, SHOW, ASK_THE_SECOND_TIME)
    panel = notebook.panel()
    panel.ask("My name is Ada.")
    notebook.start_cell(ASK_THE_SECOND_TIME)
    expect(notebook.question).to_be_visible()

    panel.reset.click()
    expect(panel.status).to_have_text("Ready")
    assert "You have not told me your name." in panel.ask("What is my name?")

    expect(notebook.question).to_be_visible()
    notebook.answer("go on")
    expect(notebook.question).to_have_count(0)
