"""What each test begins with: a page of a new user, and a notebook."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import nbformat
from lab_page import PATIENCE_MS
from lab_server import Server
from playwright.sync_api import Browser, ConsoleMessage, Page, Route


@contextlib.contextmanager
def new_page(browser: Browser, url: str, hosts_own: tuple[str, ...] = ()) -> Iterator[Page]:
    """A page of a new user, who is offline. An error in the console, or a request to elsewhere, fails the test.

    ``hosts_own`` are words of the errors that the host raises without the panel, too.
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
    assert [error for error in errors if not any(words in error for words in hosts_own)] == []


def write_notebook(server: Server, sources: tuple[str, ...]) -> str:
    """Write a notebook of these code cells, and return its path."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in sources],
        metadata={"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    )
    nbformat.write(notebook, server.root / "made.ipynb")
    return "made.ipynb"
