"""A cell that runs for ever, where clicks wait for it: the panel says so, and ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from lab_page import Notebook
from lab_server import Server
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.timeout(600)

LOAD = "import gemma_notebook as gn\nmanager = gn.load()"
SHOW = "panel = gn.ChatPanel(manager)\npanel"
BLOCK = "if panel.chat.messages: __import__('threading').Event().wait()"


@pytest.fixture
def no_subshells(server: Server) -> Iterator[None]:
    """As with ipykernel 6: messages of widgets wait for the cell that runs."""
    server.use_subshells(on=False)
    yield
    server.use_subshells(on=True)


@pytest.mark.usefixtures("no_subshells")
def test_the_panel_interrupts_the_cell_that_its_reset_waits_for(
    page: Page, make_notebook: Callable[..., Notebook]
):
    notebook = make_notebook(LOAD, SHOW, BLOCK)
    panel = notebook.panel()
    panel.ask("My name is Ada.")
    notebook.start_cell(BLOCK)
    panel.reset.click()
    expect(panel.articles).to_have_count(0)  # gone from the screen at once, before the kernel has heard of it
    expect(panel.status).to_have_text(
        "The kernel is busy with a cell: the reset will reach the model when it ends."
    )
    panel.button("Interrupt the cell").click()
    expect(panel.status).to_have_text("Ready")
    expect(panel.button("Interrupt the cell")).to_have_count(0)
    expect(page.locator(".jp-OutputArea-output").filter(has_text="KeyboardInterrupt")).to_be_visible()
    assert "You have not told me your name." in panel.ask("What is my name?")
