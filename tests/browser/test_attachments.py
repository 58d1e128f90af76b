"""Files in a chat with a model that sees: picked, sent beside the message, and told of where they cannot be read.

The bundled model is blind and deaf. So the engine is the stub, which says what it was given.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from pathlib import Path

import pytest
from lab_page import Notebook, Panel
from PIL import Image
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(600)

SHOW = "panel = gn.ChatPanel(manager)\npanel"
SENT = "sent()"


def load(fake_engine_path: Path) -> str:
    """A cell that loads the stub of a model that sees and hears, and can say what it was sent."""
    return f"""
import os, sys, json
os.environ["GEMMA_NOTEBOOK_ENGINE_LIBRARY"] = {str(fake_engine_path)!r}
os.environ.update(FAKE_ENGINE_INFO_SUPPORTS_VISION="1", FAKE_ENGINE_INFO_SUPPORTS_AUDIO="1")
sys.path.append({str(Path(__file__).parents[1])!r})
import gemma_notebook as gn, fake_engine
manager = gn.load(check=False)
def sent(fake=fake_engine.FakeEngine({str(fake_engine_path)!r})):
    return [part["type"] for part in json.loads(fake.options("conversation", 1)["send_message"])["content"]]
""".strip()


def attach(panel: Panel, name: str, content: bytes, media_type: str = "image/png") -> None:
    with panel.page.expect_file_chooser() as chooser:
        panel.button("Attach files").click()
    chooser.value.set_files({"name": name, "mimeType": media_type, "buffer": content})
    expect(panel.button(f"Remove {name}")).to_be_visible()


def png() -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (300, 200), "teal").save(written, "PNG")
    return written.getvalue()


def test_an_image_reaches_the_engine_and_a_broken_one_comes_back_with_its_prompt(
    make_notebook: Callable[..., Notebook], fake_engine_path: Path
):
    notebook = make_notebook(load(fake_engine_path), SHOW, SENT)
    panel = notebook.panel()

    attach(panel, "broken.png", png()[:80])
    panel.say("What is this?")
    expect(panel.log.get_by_role("alert")).to_contain_text("'broken.png' is a broken image")
    expect(panel.box).to_have_value("What is this?")
    expect(panel.articles).to_have_count(0)

    panel.button("Remove broken.png").click()
    attach(panel, "teal.png", png())
    panel.box.press("Enter")
    expect(panel.root.get_by_role("article").last).to_have_attribute("data-state", "done")
    expect(panel.prompts.last.get_by_role("list", name="Attached files")).to_contain_text("teal.png")
    assert notebook.run_cell(SENT) == "['image', 'text']"


def wav() -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 1600))
    return written.getvalue()


def test_a_sound_and_a_picture_go_with_one_prompt(
    make_notebook: Callable[..., Notebook], fake_engine_path: Path
):
    notebook = make_notebook(load(fake_engine_path), SHOW, SENT)
    panel = notebook.panel()
    attach(panel, "hum.wav", wav(), "audio/wav")
    attach(panel, "teal.png", png())
    panel.say("What do you hear?")
    expect(panel.root.get_by_role("article").last).to_have_attribute("data-state", "done")
    files = panel.prompts.last.get_by_role("list", name="Attached files")
    expect(files.get_by_role("listitem")).to_have_text(["hum.wav", "teal.png"])
    assert notebook.run_cell(SENT) == "['audio', 'image', 'text']"
