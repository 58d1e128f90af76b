"""A marimo notebook, as somebody uses it. Its panels are those of `lab_page`."""

from __future__ import annotations

import re

from lab_page import Panel
from marimo_server import MarimoServer
from playwright.sync_api import Page, expect


class MarimoNotebook:
    """A notebook in marimo's editor.

    Args:
        page: The page to open it in.
        server: Where it lies.
        name: Its file.
    """

    def __init__(self, page: Page, server: MarimoServer, name: str) -> None:
        self.page = page
        self._url = f"{server.url}/?file={name}"

    def open(self) -> MarimoNotebook:
        """Go there; all cells run, as it is set in the server's folder."""
        self.page.goto(self._url)
        return self

    def run_all(self) -> MarimoNotebook:
        """Wait for the panel."""
        expect(self.panel().status).to_have_text("Ready")
        return self

    def panel(self, index: int = 0) -> Panel:
        """A view of the panel."""
        return Panel(self.page, index)

    def run_cell(self, source: str) -> str:
        """Run the cell with exactly this source again and return its output."""
        editor = self.page.locator(".cm-content").filter(has_text=re.compile(rf"^\s*{re.escape(source)}\s*$"))
        cell = self.page.locator(".marimo-cell").filter(has=editor)
        output = cell.locator(".output-area")
        before = output.inner_html() if output.count() else ""
        editor.click()
        self.page.keyboard.press("Control+Enter")
        expect(output).not_to_have_js_property("innerHTML", before)
        return output.inner_text().strip()

    def save(self) -> None:
        """marimo saves by itself."""

    def reload(self) -> None:
        """Load the page again; the session stays."""
        self.page.reload()
        self.page.get_by_text("You have reconnected to an existing session.").wait_for()
