"""The panel in each place that the README names: JupyterLab 4, Notebook 7 and marimo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import pytest
from fresh import new_page, write_notebook
from lab_page import Notebook, Notebook7, Panel
from lab_server import Server
from marimo_page import MarimoNotebook
from marimo_server import MarimoServer, running_marimo
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.timeout(600)

LOAD = "import gemma_notebook as gn\nmanager = gn.load()"
SHOW = "panel = gn.ChatPanel(manager)\npanel"
# In marimo only another output shows that a cell has run again.
HANDLES = "__import__('time').monotonic_ns(), manager.handles"
# Notebook 7.6 raises them while it starts, whatever the notebook.
NOTEBOOK_7_RAISES = (
    "Cannot read properties of undefined (reading 'schema')",
    "Command 'filebrowser:open-path' not registered.",
)


class Opened(Protocol):
    """A notebook in any of them."""

    def run_all(self) -> Opened: ...
    def panel(self, index: int = 0) -> Panel: ...
    def run_cell(self, source: str) -> str: ...
    def save(self) -> None: ...
    def reload(self) -> None: ...


@pytest.fixture(scope="module")
def marimo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MarimoServer]:
    with running_marimo(tmp_path_factory.mktemp("marimo")) as server:
        yield server


@pytest.fixture(params=["JupyterLab", "Notebook 7", "marimo"])
def open_notebook(
    request: pytest.FixtureRequest, browser: Browser, tmp_path: object
) -> Iterator[Callable[..., Opened]]:
    """Write a notebook of the given cells, open it there, and run it."""
    if request.param == "marimo":
        marimo: MarimoServer = request.getfixturevalue("marimo")
        with new_page(browser, marimo.url) as page:

            def open_it(*cells: str) -> Opened:
                name = f"{request.node.originalname}.py"
                marimo.write(name, cells)
                return MarimoNotebook(page, marimo, name).open().run_all()

            yield open_it
    else:
        server: Server = request.getfixturevalue("server")
        kind, hosts_own = (Notebook, ()) if request.param == "JupyterLab" else (Notebook7, NOTEBOOK_7_RAISES)
        with new_page(browser, server.url, hosts_own) as page:
            yield lambda *cells: kind(page, server, write_notebook(server, cells)).open().run_all()
        server.shut_kernels_down()


def test_send_stop_and_reset(open_notebook: Callable[..., Opened]):
    notebook = open_notebook(LOAD, SHOW, HANDLES)
    panel = notebook.panel()
    assert "Ada" in panel.ask("My name is Ada.")
    panel.click_in_mid_reply("Count to 200.", "Stop")
    expect(panel.replies.last).to_have_attribute("data-state", "cancelled")
    assert "200" not in panel.replies.last.inner_text()
    assert "Ada" in panel.ask("What is my name?")

    panel.click_in_mid_reply("Count to 200.", "Reset chat")
    expect(panel.status).to_have_text("Ready")
    expect(panel.articles).to_have_count(0)
    assert "You have not told me your name." in panel.ask("What is my name?")
    assert "live=1, checkpoints=0" in notebook.run_cell(HANDLES)


def test_a_chat_is_exported_by_mouse(open_notebook: Callable[..., Opened]):
    panel = open_notebook(LOAD, SHOW, HANDLES).panel()
    panel.ask("My name is Ada.")
    panel.button("Export").click()
    with panel.page.expect_download() as saved:
        panel.button("Markdown").click()
    assert "My name is Ada." in saved.value.path().read_text(encoding="utf-8")


def test_two_views_of_one_panel_stay_in_step(open_notebook: Callable[..., Opened]):
    notebook = open_notebook(LOAD, SHOW, "panel")
    left, right = notebook.panel(0), notebook.panel(1)
    left.ask("My name is Ada.")
    expect(right.articles).to_have_count(2)
    assert "Ada" in right.ask("What is my name?")
    expect(left.articles).to_have_count(4)
    assert left.texts() == right.texts()

    left.click_in_mid_reply("Count to 200.", "Reset chat")
    for view in (left, right):
        expect(view.articles).to_have_count(0)
        expect(view.status).to_have_text("Ready")
    assert "You have not told me your name." in right.ask("What is my name?")
    expect(left.replies).to_have_attribute("data-epoch", "2")
    assert left.texts() == right.texts()


def test_a_reloaded_page_gets_the_chat_back_from_the_kernel(open_notebook: Callable[..., Opened]):
    notebook = open_notebook(LOAD, SHOW, HANDLES)
    panel = notebook.panel()
    panel.ask("My name is Ada.")
    told = panel.texts()
    notebook.save()
    notebook.reload()

    expect(panel.articles).to_have_count(len(told))
    assert panel.texts() == told
    assert "Ada" in panel.ask("What is my name?")
    assert "HandleCounts(created=1, closed=0, live=1" in notebook.run_cell(HANDLES)
