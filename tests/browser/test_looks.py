"""The panel in JupyterLab's themes, wide and narrow: it fits, and there are pictures to look at.

The pictures lie in ``tests/artifacts/screenshots/``. The one for the README is made by
``pytest tests/browser/test_looks.py --panel-image notebooks/images/panel.png``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab_page import PATIENCE_MS, Notebook, Panel
from lab_server import Server
from playwright.sync_api import Browser, Page, ViewportSize, expect

pytestmark = pytest.mark.timeout(600)

SCREENSHOTS = Path(__file__).parents[1] / "artifacts" / "screenshots"
LOAD = "import gemma_notebook as gn\nmanager = gn.load()"
SHOW = "panel = gn.ChatPanel(manager)\npanel"
BREAK = "if panel.chat.messages: panel.chat.close()"
# In JupyterLab the second leaves 322 px for the panel.
VIEWPORTS: dict[str, ViewportSize] = {
    "wide": {"width": 1280, "height": 900},
    "narrow": {"width": 438, "height": 900},
}


@pytest.fixture(params=["light", "dark", "dark high contrast"])
def theme(request: pytest.FixtureRequest, server: Server) -> Iterator[str]:
    server.use_theme(request.param)
    yield request.param
    server.use_theme("light")


def take_pictures(panel: Panel, name: str) -> None:
    """The panel as wide as the notebook lets it be, and about 320 px wide; then wide again."""
    page = panel.page
    frame = page.get_by_role("region", name="Chat", exact=True)
    for width, viewport in VIEWPORTS.items():
        page.set_viewport_size(viewport)
        page.wait_for_function(
            "([frame, narrow]) => (frame.clientWidth <= 325) === narrow",
            arg=[frame.element_handle(), width == "narrow"],
        )
        assert_fits(panel, frame)
        frame.screenshot(path=SCREENSHOTS / f"{name}-{width}.png".replace(" ", "-"))
    page.set_viewport_size(VIEWPORTS["wide"])


def assert_fits(panel: Panel, frame) -> None:
    """Nothing sticks out, and every control is inside."""
    assert frame.evaluate("e => e.scrollWidth <= e.clientWidth")
    assert panel.log.evaluate("e => e.scrollWidth <= e.clientWidth")
    outer = frame.bounding_box()
    for part in (panel.box, panel.reset, panel.status, panel.meter):
        inner = part.bounding_box()
        assert inner["width"] > 0
        assert inner["x"] >= outer["x"]
        assert inner["x"] + inner["width"] <= outer["x"] + outer["width"]


def test_the_panel_fits_in_every_theme_wide_and_narrow(
    theme: str, page: Page, make_notebook: Callable[..., Notebook]
):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    notebook = make_notebook(LOAD, SHOW, BREAK)
    panel = notebook.panel()
    expect(page.locator("body")).to_have_attribute("data-jp-theme-name", f"JupyterLab {theme.title()}")
    page.keyboard.press("Control+b")  # the file browser makes room

    take_pictures(panel, f"{theme}-1-empty")
    panel.ask("My name is Ada.")
    panel.ask("What is my name?")
    take_pictures(panel, f"{theme}-2-chat")
    panel.click_in_mid_reply("Count to 200.", "Stop")
    expect(panel.replies.last).to_have_attribute("data-state", "cancelled")
    take_pictures(panel, f"{theme}-3-stopped")
    page.screenshot(path=SCREENSHOTS / f"{theme}-4-jupyterlab.png".replace(" ", "-"))
    notebook.finish_cell(BREAK)
    panel.say("What is my name?")
    expect(panel.log.get_by_role("alert")).to_contain_text("closed")
    expect(panel.box).to_have_value("What is my name?")
    take_pictures(panel, f"{theme}-5-error")


def test_picture_for_the_readme(request: pytest.FixtureRequest, browser: Browser, server: Server):
    file = request.config.getoption("--panel-image")
    if file is None:
        pytest.skip("only with --panel-image")
    context = browser.new_context(viewport={"width": 1000, "height": 1600}, device_scale_factor=2)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    notebook = Notebook(page, server, "teaching/01-quick-start.ipynb").open().run_all()
    panel = notebook.panel()
    panel.ask("My name is Ada.")
    panel.ask("What is my name?")
    page.mouse.move(0, 0)
    page.get_by_role("region", name="Chat", exact=True).screenshot(path=file)
    context.close()
    server.shut_kernels_down()
    assert Path(file).stat().st_size < 150_000
