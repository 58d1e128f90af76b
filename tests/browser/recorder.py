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


# Each round's prompt has its number, and each reply stands in an article with its epoch: so what comes late is known.
_STORM = """async (log, moments) => {
  const panel = log.closest("section");
  const area = log.closest(".jp-OutputArea-output");
  const named = (name) => [...panel.querySelectorAll("button")].find(
    (b) => (b.ariaLabel ?? b.textContent.trim()) === name,
  );
  const box = panel.querySelector('textarea[aria-label="Message"]');
  const status = panel.querySelector('[role="status"]');
  const storm = {resets: 0, inMidReply: 0, late: []};
  const FURTHEST = 300;  // the bundled model counts no further
  let round = 0;
  let armed = null;  // changes of the reply that are still to come before the click

  const reset = () => {
    armed = null;
    if (log.querySelector('article[data-state="streaming"]')) storm.inMidReply += 1;
    named("Reset chat").click();
    round += 1;
    storm.resets += 1;
    observer.takeRecords();  // what was on the screen before the click
  };
  const observer = new MutationObserver((mutations) => {
    for (const mutation of mutations) {
      const nodes = mutation.type === "characterData" ? [mutation.target] : mutation.addedNodes;
      for (const node of nodes) {
        const reply = (node.nodeType === 1 ? node : node.parentElement)?.closest?.("article[data-epoch]")
          ?? node.querySelector?.("article[data-epoch]");
        const epoch = Number(reply?.dataset.epoch ?? round + 1);
        const prompt = node.textContent.match(/Count to (\\d+)/);
        if (epoch <= round || (prompt && FURTHEST - Number(prompt[1]) < round)) {
          storm.late.push(`after reset ${round}: ${node.textContent.slice(0, 80)}`);
        }
      }
    }
    if (armed !== null && log.querySelector("article[data-epoch]") && --armed <= 0) reset();
  });
  observer.observe(area, {subtree: true, childList: true, characterData: true});

  const when = (condition) => new Promise((resolve) => {
    const look = () => (condition() ? resolve() : requestAnimationFrame(look));
    look();
  });
  for (const moment of moments) {
    await when(() => status.textContent === "Ready" && named("Send"));
    box.value = `Count to ${FURTHEST - round}.`;  // the number tells the prompts apart
    box.dispatchEvent(new Event("input", {bubbles: true}));
    await when(() => named("Send").getAttribute("aria-disabled") === "false");
    armed = moment;
    const before = storm.resets;
    named("Send").click();
    if (moment === 0) reset();
    // A reply that came in fewer pieces than that is over before the moment: then at its end.
    await when(() => storm.resets > before || log.querySelector('article[data-state="done"]'));
    if (storm.resets === before) reset();
  }
  await when(() => status.textContent === "Ready");
  return storm;
}"""


@dataclass(frozen=True)
class Storm:
    """Many resets, one after another.

    Attributes:
        resets: How many.
        in_mid_reply: How many of them came while a reply was streaming.
        late: What appeared of a chat after its reset.
    """

    resets: int
    in_mid_reply: int
    late: list[str]


def leaks_of_resets(log: Locator, moments: list[int]) -> Storm:
    """Say something and reset, once for each moment: after so many changes of what the panel shows.

    The page does it by itself, so that a click comes between two changes and not when a test gets to it.
    """
    found = log.evaluate(_STORM, moments)
    return Storm(found["resets"], found["inMidReply"], found["late"])
