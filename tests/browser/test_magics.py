"""The magics and the displays in a real JupyterLab: what streams, what stays, and what a model's Markdown may not do."""

from __future__ import annotations

import pytest
from fresh import write_notebook
from lab_page import Notebook
from lab_server import Server
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.timeout(600)

COUNT = "%%gemma\nCount to 200."
ASK = "%%gemma\nWhat is my name?"

# Whatever the cell's output shows for a moment, each once.
WATCH = """area => {
  window.seen = [];
  const look = () => {
    const text = area.textContent.trim();
    if (text && seen.at(-1) !== text) seen.push(text);
  };
  new MutationObserver(look).observe(area, {subtree: true, childList: true, characterData: true});
}"""

HOSTILE = r"""
<img src="https://elsewhere.invalid/a.png" onerror="window.acted = 1"> <script>window.acted = 1</script>

![remote](https://elsewhere.invalid/b.png) ![by reference][r] [run](javascript:window.acted=1) [too](&#106;avascript:x)

[r]: https://elsewhere.invalid/c.png

`<b>code</b>` and `
`<img src="https://elsewhere.invalid/d.png">`

| a | b |
|---|---|
| `x | <img src="https://elsewhere.invalid/e.png"> ` |

$`<img src="https://elsewhere.invalid/f.png">`$ $\href{javascript:window.acted=1}{x}$

- ```html
  <b>in a list</b>
  ```
<iframe src="https://elsewhere.invalid/g.html"></iframe>

```html
<b>in a fence</b>
```

**bold**
"""
SHOW_HOSTILE = (
    f"import gemma_notebook as gn\ngn.Reply({HOSTILE!r}, 'stop', gn.Usage(1, 1, 2, 9), "
    "gn.Timing(None, None, None, 0.0))"
)


@pytest.fixture
def notebook(page: Page, server: Server) -> Notebook:
    sources = ("%load_ext gemma_notebook", COUNT, ASK, SHOW_HOSTILE, "%gemma_panel")
    notebook = Notebook(page, server, write_notebook(server, sources)).open()
    notebook.page.get_by_role("menuitem", name="Run", exact=True).click()
    notebook.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    # The cells have talked before the panel was there.
    expect(notebook.panel().status).to_have_text("Reply complete")
    return notebook


def output_of(notebook: Notebook, cell: int) -> Locator:
    return notebook.page.locator(".jp-CodeCell").nth(cell)


def test_a_reply_streams_into_its_cell_and_stays_there_once(notebook: Notebook):
    cell = output_of(notebook, 1)
    expect(cell.locator(".jp-OutputArea-output")).to_have_count(1)
    cell.locator(".jp-Cell-outputWrapper").evaluate(WATCH)
    notebook.run_cell(COUNT)
    expect(cell.locator(".jp-OutputArea-output")).to_have_count(1)
    expect(cell.locator(".jp-RenderedMarkdown")).to_contain_text("199, 200.")
    seen = notebook.page.evaluate("seen")
    begun = [text for text in seen if "1, 2, 3" in text and "200." not in text]
    assert len(begun) > 2, seen


def test_what_the_panel_is_told_the_cells_know(notebook: Notebook):
    notebook.panel().ask("My name is Ada.")
    assert notebook.run_cell(ASK) == "Your name is Ada."


def test_what_a_cell_says_the_panel_shows_and_goes_on_from(notebook: Notebook):
    panel = notebook.panel()
    panel.ask("My name is Ada.")
    notebook.run_cell(ASK)
    expect(panel.replies.last).to_contain_text("Your name is Ada.")
    assert "Bo" in panel.ask("My name is Bo.")
    expect(panel.replies.nth(-2)).to_contain_text("Your name is Ada.")


def test_a_model_s_markdown_is_shown_and_does_nothing(notebook: Notebook):
    # That nothing was fetched is for the page of every test to see.
    shown = output_of(notebook, 3).locator(".jp-RenderedMarkdown")
    expect(shown.locator("strong")).to_have_text("bold")
    expect(shown).to_contain_text('<img src="https://elsewhere.invalid/a.png"')
    expect(shown.locator("pre").last).to_contain_text("<b>in a fence</b>")
    expect(shown.locator("pre").first).to_contain_text("<b>in a list</b>")
    expect(shown).to_contain_text("<b>code</b>")
    assert shown.locator("img, script, iframe, b, form, [onerror]").count() == 0
    targets = shown.locator("a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []
    assert notebook.page.evaluate("window.acted") is None
