"""JupyterLab and the panel, as somebody uses them. The panel's parts are found by their accessible names only."""

from __future__ import annotations

import contextlib
import re

from lab_server import Server
from playwright.sync_api import Locator, Page, expect
from recorder import Recorder

MODEL = "tiny"
# An upper bound for two busy cores; what is waited for usually takes a tenth of a second.
PATIENCE_MS = 90_000

_CLICK_IN_MID_REPLY = """(log, [name, replies]) => {
  window.clickedInMidReply = false;
  const observer = new MutationObserver(() => {
    const reply = log.querySelectorAll("article[data-state]")[replies];
    if (reply?.dataset.state !== "streaming" || !reply.textContent.includes("3")) return;
    const buttons = [...log.closest("section").querySelectorAll("button")];
    const button = buttons.find((b) => (b.ariaLabel ?? b.textContent.trim()) === name);
    if (!button) return;
    observer.disconnect();
    window.clickedInMidReply = true;
    button.click();
  });
  observer.observe(log, {subtree: true, childList: true, characterData: true, attributes: true});
}"""

_CONNECTED = """async () => {
  const kernels = await (await fetch("/api/kernels")).json();
  return kernels.some((kernel) => kernel.connections > 0);
}"""


class Panel:
    """One view of a chat panel.

    Args:
        page: The page that it is on.
        index: Which one, when the page has several.
    """

    def __init__(self, page: Page, index: int = 0) -> None:
        self.page = page
        self.root = page.get_by_role("region", name="Chat", exact=True).nth(index)
        self.log = page.get_by_role("log", name="Conversation", exact=True).nth(index)
        self.box = page.get_by_role("textbox", name="Message", exact=True).nth(index)
        # Each takes the other's place: counted on the whole page, they would be other panels' at times.
        self.send = self.root.get_by_role("button", name="Send", exact=True)
        self.stop = self.root.get_by_role("button", name="Stop", exact=True)
        self.reset = page.get_by_role("button", name="Reset chat", exact=True).nth(index)
        self.status = page.get_by_role("status", name="Chat status", exact=True).nth(index)
        self.meter = page.get_by_role("meter", name="Context used", exact=True).nth(index)
        self.articles = self.log.get_by_role("article")
        self.prompts = self.log.get_by_role("article", name="You", exact=True)
        self.replies = self.log.get_by_role("article", name=MODEL, exact=True)

    def button(self, name: str) -> Locator:
        """A button of the panel by its accessible name; of several the last."""
        return self.root.get_by_role("button", name=name, exact=True).last

    def say(self, text: str) -> None:
        """Type a message and press Enter as soon as it can be sent."""
        self.box.fill(text)
        expect(self.send).to_have_attribute("aria-disabled", "false")
        self.box.press("Enter")

    def ask(self, text: str) -> str:
        """Say something and return the whole reply."""
        count = self.replies.count()
        self.say(text)
        reply = self.replies.nth(count)
        expect(reply).to_have_attribute("data-state", "done")
        return reply.inner_text()

    def click_in_mid_reply(self, prompt: str, button: str) -> None:
        """Say something that is answered at length, and click a button while the answer streams.

        The page clicks, as soon as it shows a part of the answer: the bundled model needs no second for two
        hundred numbers, and a click from here would be too late on a busy machine.
        """
        self.log.evaluate(_CLICK_IN_MID_REPLY, [button, self.replies.count()])
        self.say(prompt)
        self.page.wait_for_function("window.clickedInMidReply")

    def record(self) -> Recorder:
        """Record what the panel shows from now on."""
        return Recorder(self.log)

    def texts(self) -> list[str]:
        """What the articles say, in order."""
        return [text.strip() for text in self.articles.all_inner_texts()]


class Notebook:
    """A notebook in JupyterLab."""

    def __init__(self, page: Page, server: Server, path: str) -> None:
        self.page = page
        self._server = server
        self._path = path

    def open(self) -> Notebook:
        """Go there and wait for the kernel."""
        self.page.goto(self._server.lab(self._path))
        self.wait_for_kernel()
        return self

    def wait_for_kernel(self) -> None:
        """Wait until the status bar says that the kernel has nothing to do."""
        self.page.get_by_text(re.compile(r"\| Idle$")).first.wait_for()

    def run_all(self, status: str = "Ready") -> Notebook:
        """Run all cells by the menu and wait for the panel."""
        self._click_run_all()
        expect(self.panel().status).to_have_text(status)
        return self

    def _click_run_all(self) -> None:
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()

    def panel(self, index: int = 0) -> Panel:
        """A view of the panel."""
        return Panel(self.page, index)

    def run_cell(self, source: str) -> str:
        """Run the cell with exactly this source again, as a reader does, and return its output."""
        self.finish_cell(source)
        return self._cell(source).locator(".jp-OutputArea-output").first.inner_text().strip()

    def finish_cell(self, source: str) -> None:
        """Run the cell with exactly this source again, and wait until it has ended."""
        prompt = self._cell(source).locator(".jp-InputPrompt")
        before = prompt.inner_text()
        self.start_cell(source)
        expect(prompt).not_to_have_text(before)
        expect(prompt).to_have_text(re.compile(r"^\[\d+\]:$"))

    def start_cell(self, source: str) -> None:
        """Run the cell with exactly this source again, and do not wait for it."""
        self._cell(source).locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")

    @property
    def question(self) -> Locator:
        """Where a cell that asks for input is answered."""
        return self.page.locator(".jp-Stdin-input")

    def answer(self, text: str) -> None:
        """Answer the cell that asks for input."""
        self.question.fill(text)
        self.question.press("Enter")

    def restart(self) -> None:
        """Restart the kernel by the menu, and wait until there is a new one."""
        self.page.get_by_role("menuitem", name="Kernel", exact=True).click()
        self.page.get_by_role("menuitem", name=re.compile("^Restart Kernel…")).first.click()
        self.page.get_by_role("dialog").get_by_role("button", name="Confirm Kernel Restart").click()
        self.wait_for_kernel()

    def change_kernel(self) -> None:
        """Give the notebook a new kernel of the same kind by the menu."""
        self.page.get_by_role("menuitem", name="Kernel", exact=True).click()
        self.page.get_by_role("menuitem", name=re.compile("^Change Kernel…")).first.click()
        dialog = self.page.get_by_role("dialog")
        choice = dialog.locator("option").filter(has_text=re.compile("^Python 3")).first
        dialog.locator("select").select_option(value=choice.get_attribute("value"))
        dialog.get_by_role("button", name="Select Kernel", exact=True).click()

    def shut_kernel_down(self) -> None:
        """Shut the kernel down by the menu."""
        self.page.get_by_role("menuitem", name="Kernel", exact=True).click()
        self.page.get_by_role("menuitem", name="Shut Down Kernel", exact=True).click()

    def save(self) -> None:
        """Save and wait until it lies on the disk."""
        with self.page.expect_response(lambda r: r.request.method == "PUT" and "/api/contents/" in r.url):
            self.page.get_by_role("menuitem", name="File", exact=True).click()
            self.page.get_by_role("menuitem", name=re.compile("^Save Notebook( Ctrl|$)")).click()

    def reload(self) -> None:
        """Load the page again."""
        self.page.reload()
        self.wait_for_kernel()

    def _cell(self, source: str) -> Locator:
        lines = r"\s*".join(re.escape(line.strip()) for line in source.splitlines())
        editor = self.page.locator(".cm-content").filter(has_text=re.compile(rf"^\s*{lines}\s*$"))
        return self.page.locator(".jp-CodeCell").filter(has=editor)


class Notebook7(Notebook):
    """A notebook in Notebook 7, which is made of JupyterLab's parts."""

    def open(self) -> Notebook7:
        """Go there and wait for the kernel."""
        self.page.goto(self._server.notebook7(self._path))
        self.wait_for_kernel()
        return self

    def wait_for_kernel(self) -> None:
        """Wait until the page is connected to a kernel, and the toolbar says that it has nothing to do.

        The toolbar says so from the beginning, before there is a kernel.
        """
        self.page.wait_for_function(_CONNECTED)
        self.page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").wait_for()

    def _click_run_all(self) -> None:
        """By the menu, until it takes the click: it is built anew while the page loads."""
        prompt = self.page.locator(".jp-InputPrompt").first
        for _ in range(10):
            super()._click_run_all()
            with contextlib.suppress(AssertionError):
                expect(prompt).not_to_have_text("[ ]:", timeout=5_000)
                return
        raise AssertionError("Run All Cells ran none")
