"""A notebook with a panel that persists, opened again when its kernel is gone."""

from __future__ import annotations

import nbformat
import pytest
from fresh import new_page, write_notebook
from lab_page import Notebook, Notebook7
from lab_server import Server
from playwright.sync_api import Browser, expect
from test_hosts import LOAD, NOTEBOOK_7_RAISES

pytestmark = pytest.mark.timeout(600)

# Said by code whose text does not have the words, so that they can only come from the chat.
TELL = f"chat = manager.create_chat()\n_ = chat.send(bytes.fromhex('{b'My name is Ada.'.hex()}').decode())"
SHOW = "gn.ChatPanel(chat, persist=True)"
SAID = ("My name is Ada.", "Nice to meet you, Ada.")
NO_MODEL = "Error displaying widget: model not found"


@pytest.mark.parametrize(("kind", "hosts_own"), [(Notebook, ()), (Notebook7, NOTEBOOK_7_RAISES)])
@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "not trusted"])
def test_what_a_panel_keeps_is_hidden_beside_it_and_read_when_the_kernel_is_gone(
    browser: Browser, server: Server, kind: type[Notebook], hosts_own: tuple[str, ...], *, trusted: bool
):
    path = write_notebook(server, (LOAD, TELL, SHOW))
    with new_page(browser, server.url, hosts_own) as page:
        notebook = kind(page, server, path).open().run_all("Reply complete")
        expect(notebook.panel().replies).to_contain_text(SAID[1])
        expect(page.locator(".gn-saved")).to_have_count(1)
        expect(page.locator(".gn-saved")).to_be_hidden()
        notebook.save()
    server.shut_kernels_down()
    if not trusted:
        change_as_somebody_else(server, path)
    with new_page(browser, server.url, (*hosts_own, "Error: widget model not found")) as page:
        notebook = kind(page, server, path).open()
        expect(page.get_by_text(NO_MODEL)).to_have_count(1 if trusted else 0)
        for words in SAID:
            expect(page.locator(".gn-saved").get_by_text(words, exact=True)).to_be_visible()
        expect(notebook.panel().root).to_have_count(0)
    server.shut_kernels_down()


def change_as_somebody_else(server: Server, path: str) -> None:
    """Change the notebook, so that it is no longer the one that Jupyter has signed."""
    saved = nbformat.read(server.root / path, 4)
    saved.cells[0].source += "  # of somebody else"
    nbformat.write(saved, server.root / path)
