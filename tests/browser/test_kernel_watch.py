"""What JupyterLab and Notebook 7 tell the panel's transport of the kernel: it runs a cell, it died, it was restarted."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import new_page, write_notebook
from lab_page import Notebook, Notebook7
from lab_server import Server
from playwright.sync_api import Browser, Locator, expect
from test_hosts import LOAD, NOTEBOOK_7_RAISES, SHOW
from test_panel import ASK_THE_SECOND_TIME

pytestmark = pytest.mark.timeout(600)

JS = Path(__file__).parents[2] / "js"
# The transport's own watch, and a view that lists what it has told.
WATCH = """import anywidget, pathlib
class Watch(anywidget.AnyWidget):
    _esm = pathlib.Path("watch.js").read_text()
Watch()"""
VIEW = """
export default {
  render({model, el}) {
    const watch = new KernelWatch(model.widget_manager);
    el.role = "note";
    el.ariaLabel = "Kernel";
    el.textContent = watch.kernel;
    watch.onChange((kernel) => { el.textContent += ` ${kernel}`; });
  },
};
"""
KILL_THE_SECOND_TIME = "try:\n    os.kill(os.getpid(), 9)\nexcept NameError:\n    import os"


@pytest.fixture(params=["JupyterLab", "Notebook 7"])
def notebook(request: pytest.FixtureRequest, browser: Browser, server: Server) -> Iterator[Notebook]:
    code = subprocess.run(
        [JS / "node_modules" / ".bin" / "esbuild", JS / "src" / "transport" / "kernel-watch.ts"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    (server.root / "watch.js").write_text(code + VIEW)
    kind, hosts_own = (Notebook, ()) if request.param == "JupyterLab" else (Notebook7, NOTEBOOK_7_RAISES)
    with new_page(browser, server.url, hosts_own) as page:
        path = write_notebook(server, (LOAD, SHOW, WATCH, ASK_THE_SECOND_TIME, KILL_THE_SECOND_TIME))
        yield kind(page, server, path).open().run_all()
    server.shut_kernels_down()


@pytest.fixture
def told(notebook: Notebook) -> Locator:
    """What the watch has told so far, the latest last."""
    told = notebook.page.get_by_role("note", name="Kernel", exact=True)
    expect(told).to_have_text(latest("alive"))
    return told


def latest(state: str) -> re.Pattern[str]:
    return re.compile(rf"\b{state}$")


def test_a_cell_makes_the_kernel_busy_and_a_message_of_the_panel_does_not(notebook: Notebook, told: Locator):
    before = told.inner_text()
    notebook.panel().ask("My name is Ada.")
    assert told.inner_text() == before
    notebook.start_cell(ASK_THE_SECOND_TIME)
    expect(notebook.question).to_be_visible()
    expect(told).to_have_text(latest("busy"))
    notebook.answer("go on")
    expect(told).to_have_text(latest("alive"))


def test_a_restarted_kernel_is_dead_to_the_panel(notebook: Notebook, told: Locator):
    notebook.restart()
    expect(told).to_have_text(latest("dead"))


def test_a_kernel_that_died_is_dead_to_the_panel_also_when_another_takes_its_place(
    notebook: Notebook, told: Locator
):
    notebook.start_cell(KILL_THE_SECOND_TIME)
    expect(told).to_have_text(latest("dead"))
