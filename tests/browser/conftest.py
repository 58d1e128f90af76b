"""A JupyterLab server, Debian's Chromium, and notebooks to open in them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from fresh import new_page, write_notebook
from lab_page import PATIENCE_MS, Notebook
from lab_server import Server, running_server
from playwright.sync_api import Browser, Page, expect, sync_playwright

QUICK_START = "teaching/01-quick-start.ipynb"
CHROMIUM_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--panel-image", metavar="FILE", help="write a picture of a short chat, for the README")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("jupyter")) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "The browser tests need chromium on the PATH; `make test-browser` installs it on Debian."
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A new page for JupyterLab; its kernels end with the test."""
    with new_page(browser, server.url) as page:
        yield page
        server.shut_kernels_down()


@pytest.fixture
def quick_start(page: Page, server: Server) -> Notebook:
    """The quick start, its cells run."""
    return Notebook(page, server, QUICK_START).open().run_all()


@pytest.fixture
def make_notebook(page: Page, server: Server) -> Callable[..., Notebook]:
    """Write a notebook of the given code cells, open it, and run it."""

    return lambda *sources: Notebook(page, server, write_notebook(server, sources)).open().run_all()
