"""The panel when its kernel dies or makes room for another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fresh import new_page, write_notebook
from lab_page import Notebook, Notebook7, Panel
from lab_server import Server
from playwright.sync_api import Browser, expect
from test_hosts import LOAD, NOTEBOOK_7_RAISES, SHOW

pytestmark = pytest.mark.timeout(600)

KILL_THE_SECOND_TIME = "try:\n    os.kill(os.getpid(), 9)\nexcept NameError:\n    import os"


@pytest.fixture(params=["JupyterLab", "Notebook 7"])
def notebook(request: pytest.FixtureRequest, browser: Browser, server: Server) -> Iterator[Notebook]:
    kind, hosts_own = (Notebook, ()) if request.param == "JupyterLab" else (Notebook7, NOTEBOOK_7_RAISES)
    with new_page(browser, server.url, hosts_own) as page:
        path = write_notebook(server, (LOAD, SHOW, KILL_THE_SECOND_TIME))
        yield kind(page, server, path).open().run_all()
    server.shut_kernels_down()


def assert_the_chat_can_only_be_read(panel: Panel, why: str = "The kernel was started again") -> None:
    expect(panel.status).to_contain_text(why)
    expect(panel.replies).to_contain_text("Ada")
    expect(panel.box).to_have_attribute("readonly", "")
    expect(panel.reset).to_have_attribute("aria-disabled", "true")


def test_after_the_kernel_was_killed_the_chat_can_only_be_read(notebook: Notebook):
    panel = notebook.panel()
    panel.ask("My name is Ada.")
    notebook.start_cell(KILL_THE_SECOND_TIME)
    assert_the_chat_can_only_be_read(panel)


def test_after_a_restart_the_chat_can_only_be_read_and_the_cells_make_a_new_one(notebook: Notebook):
    panel = notebook.panel()
    panel.ask("My name is Ada.")
    notebook.restart()
    assert_the_chat_can_only_be_read(panel)
    notebook.start_cell(LOAD)
    notebook.start_cell(SHOW)
    expect(panel.status).to_have_text("Ready")
    assert "You have not told me your name." in panel.ask("What is my name?")


@pytest.mark.parametrize("let_go", [Notebook.change_kernel, Notebook.shut_kernel_down])
def test_after_the_notebook_let_go_of_the_kernel_the_chat_can_only_be_read(
    notebook: Notebook, let_go: Callable[[Notebook], None]
):
    panel = notebook.panel()
    panel.ask("My name is Ada.")
    let_go(notebook)
    assert_the_chat_can_only_be_read(panel, "was shut down or changed for another")
