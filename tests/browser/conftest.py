"""A JupyterLab server, Debian's Chromium, and notebooks to open in them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator

import nbformat
import pytest
from lab_page import PATIENCE_MS, Notebook
from lab_server import Server, running_server
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect, sync_playwright

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


@contextlib.contextmanager
def new_page(browser: Browser, url: str, hosts_own: tuple[str, ...] = ()) -> Iterator[Page]:
    """A page of a new user, who is offline. An error in the console, or a request to elsewhere, fails the test.

    ``hosts_own`` are the texts of errors that the host raises without the panel, too.
    """
    errors: list[str] = []
    outside: list[str] = []

    def note_error(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(f"{message.text} ({message.location.get('url', '')})")

    def stay_here(route: Route) -> None:
        if route.request.url.startswith((url, "data:", "blob:")):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    context.route("**/*", stay_here)
    page = context.new_page()
    page.on("console", note_error)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert outside == []
    assert [error for error in errors if error not in hosts_own] == []


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


def write_notebook(server: Server, sources: tuple[str, ...]) -> str:
    """Write a notebook of these code cells, and return its path."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in sources],
        metadata={"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    )
    nbformat.write(notebook, server.root / "made.ipynb")
    return "made.ipynb"
