"""Records in the page what a panel shows, mutation by mutation, so that even a flash is caught."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import Locator

# Whatever text is added or changed below the notebook's output area counts, also when it is gone again before
# the next frame. The area is JupyterLab's own: a panel that rebuilt itself from scratch would be seen too.
_INSTALL = """(log) => {
  const recorder = {texts: [], reset: null};
  const note = (node) => { if (node.textContent) recorder.texts.push(node.textContent); };
  const take = (mutations) => {
    for (const mutation of mutations) {
      if (mutation.type === "characterData") note(mutation.target);
      else mutation.addedNodes.forEach(note);
    }
  };
  const observer = new MutationObserver(take);
  const area = log.closest(".jp-OutputArea-output");
  observer.observe(area, {subtree: true, childList: true, characterData: true});
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (recorder.reset !== null || button?.textContent.trim() !== "Reset chat") return;
    take(observer.takeRecords());
    const last = [...area.querySelectorAll("article")].at(-1);
    recorder.reset = {
      at: recorder.texts.length, state: last?.dataset.state ?? null, text: last?.textContent ?? "",
    };
  }, {capture: true});
  window.panelRecorder = recorder;
}"""


@dataclass(frozen=True)
class Recording:
    """What was seen.

    Attributes:
        before: Every text that was added before the click on *Reset chat*, in order.
        after: Every text that was added after it.
        state: The ``data-state`` of the last article at the moment of the click.
        text: That article's text then.
    """

    before: list[str]
    after: list[str]
    state: str | None
    text: str

    def lengths(self, start: str) -> list[int]:
        """The lengths that a text beginning with ``start`` had one after another, before the click."""
        return list(dict.fromkeys(len(text) for text in self.before if text.startswith(start)))


class Recorder:
    """Records one panel from now on; ``log`` is its conversation."""

    def __init__(self, log: Locator) -> None:
        self._page = log.page
        log.evaluate(_INSTALL)

    def read(self) -> Recording:
        """What was seen so far."""
        found = self._page.evaluate("({texts: panelRecorder.texts, reset: panelRecorder.reset})")
        texts, reset = found["texts"], found["reset"]
        if reset is None:
            return Recording(texts, [], None, "")
        at = reset["at"]
        return Recording(texts[:at], texts[at:], reset["state"], reset["text"])
