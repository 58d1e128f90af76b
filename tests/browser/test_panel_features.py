"""Going back, settings, handles, files, tabs: in JupyterLab, with the real model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from lab_page import Notebook
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.timeout(600)

LOAD = "import gemma_notebook as gn\nmanager = gn.load()"
SHOW = "panel = gn.ChatPanel(manager)\npanel"
NOT_TOLD = "You have not told me your name."


def test_an_edited_prompt_makes_a_branch_and_the_model_remembers_the_one_that_is_shown(
    make_notebook: Callable[..., Notebook],
):
    panel = make_notebook(LOAD, SHOW).panel()
    panel.ask("My name is Ada.")
    assert "Ada" in panel.ask("What is my name?")

    panel.prompts.first.hover()
    panel.prompts.first.get_by_role("button", name="Edit", exact=True).click()
    edited = panel.log.get_by_role("textbox", name="Edited prompt", exact=True)
    edited.fill("My name is Grace.")
    edited.press("Enter")
    expect(panel.articles).to_have_count(2)
    expect(panel.replies.first).to_contain_text("Grace")
    expect(panel.replies.first).to_have_attribute("data-state", "done")
    assert "Grace" in panel.ask("What is my name?")

    panel.prompts.first.get_by_role("button", name="Previous alternative", exact=True).click()
    expect(panel.replies.last).to_contain_text("Ada")
    expect(panel.status).to_have_text("Reply complete")
    assert "Ada" in panel.ask("Who am I?") or "Ada" in panel.ask("What is my name?")


def test_undo_takes_the_turn_from_the_models_memory(make_notebook: Callable[..., Notebook]):
    notebook = make_notebook(LOAD, SHOW, "manager.handles")
    panel = notebook.panel()
    panel.ask("My name is Ada.")
    panel.button("Undo").click()
    expect(panel.articles).to_have_count(0)
    expect(panel.box).to_have_value("My name is Ada.")
    assert NOT_TOLD in panel.ask("What is my name?")
    assert "live=1" in notebook.run_cell("manager.handles")


def test_regenerate_answers_in_place_and_keeps_the_first_reply(make_notebook: Callable[..., Notebook]):
    panel = make_notebook(LOAD, SHOW).panel()
    panel.ask("My name is Ada.")
    panel.ask("What is my name?")
    panel.button("Regenerate").click()
    expect(panel.replies.last).to_contain_text("2/2")
    expect(panel.replies.last).to_contain_text("Ada")
    expect(panel.articles).to_have_count(4)


def test_under_the_hood_a_reset_closes_the_handle(make_notebook: Callable[..., Notebook]):
    panel = make_notebook(LOAD, SHOW).panel()
    panel.ask("My name is Ada.")
    panel.button("Under the hood").click()
    lives = panel.root.get_by_role("table").get_by_role("row")
    expect(lives.filter(has_text="live, this chat")).to_have_count(1)
    panel.reset.click()
    expect(lives.filter(has_text="memory freed").last).to_contain_text("closed")
    expect(lives.filter(has_text="live, this chat")).to_have_count(1)
    expect(lives.filter(has_text="checkpoint").filter(has_text="alive")).to_have_count(0)


def test_settings_begin_with_a_new_chat(make_notebook: Callable[..., Notebook]):
    panel = make_notebook(LOAD, SHOW, "panel.chat.options.system_instruction").panel()
    panel.ask("My name is Ada.")
    panel.button("Settings").click()
    panel.root.get_by_role("textbox", name="System instruction").fill("Your name is Botty.")
    panel.button("Start a new chat with these").click()
    expect(panel.status).to_have_text("Ready")
    expect(panel.articles).to_have_count(0)
    assert "Botty" in panel.ask("Who are you?")


def test_a_chat_goes_out_as_a_file_and_comes_back_as_a_new_chat(
    make_notebook: Callable[..., Notebook], page: Page, tmp_path: Path
):
    panel = make_notebook(LOAD, SHOW).panel()
    panel.ask("My name is Ada.")
    panel.button("Export").click()
    with page.expect_download() as markdown:
        panel.button("Markdown").click()
    assert "My name is Ada." in Path(markdown.value.path()).read_text(encoding="utf-8")
    panel.button("Export").click()
    with page.expect_download() as saved:
        panel.button("JSON").click()
    file = tmp_path / "chat.json"
    saved.value.save_as(file)
    assert json.loads(file.read_text(encoding="utf-8"))

    panel.reset.click()
    expect(panel.status).to_have_text("Ready")
    assert NOT_TOLD in panel.ask("What is my name?")
    panel.button("Export").click()
    panel.root.locator("input[type=file][aria-label='File to import']").set_input_files(file)
    expect(panel.articles).to_have_count(2)
    expect(panel.replies.last).to_contain_text("Ada")
    assert "Ada" in panel.ask("What is my name?")


def test_the_chat_that_was_reset_can_still_be_saved(make_notebook: Callable[..., Notebook], page: Page):
    panel = make_notebook(LOAD, SHOW).panel()
    panel.ask("My name is Ada.")
    panel.reset.click()
    with page.expect_download() as saved:
        panel.button("Save it").click()
    assert "My name is Ada." in Path(saved.value.path()).read_text(encoding="utf-8")
    assert "Ada" not in panel.root.inner_text()


def test_tabs_are_chats_of_their_own(make_notebook: Callable[..., Notebook]):
    notebook = make_notebook(
        "import gemma_notebook as gn\nmanager = gn.load(max_sessions=2)", SHOW, "manager.handles"
    )
    panel = notebook.panel()
    panel.ask("My name is Ada.")
    panel.button("New tab").click()
    tabs = panel.root.get_by_role("tab")
    expect(tabs).to_have_count(2)
    expect(panel.articles).to_have_count(0)
    assert NOT_TOLD in panel.ask("What is my name?")
    tabs.first.click()
    assert "Ada" in panel.ask("What is my name?")
    panel.button("New tab").click()
    expect(panel.root.get_by_role("alert")).to_contain_text("max_sessions=2")
    assert "live=2" in notebook.run_cell("manager.handles")
    panel.button("Close tab").click()
    expect(tabs).to_have_count(0)
    expect(panel.replies).to_contain_text(NOT_TOLD)
    expect(panel.status).to_have_text("Reply complete")
    panel.ask("Hello!")
    assert "live=1" in notebook.run_cell("manager.handles")


def test_after_a_restart_of_the_kernel_the_chat_can_only_be_read(
    make_notebook: Callable[..., Notebook], page: Page
):
    notebook = make_notebook(LOAD, SHOW)
    panel = notebook.panel()
    panel.ask("My name is Ada.")
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Restart Kernel…")).click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    expect(panel.status).to_contain_text("The kernel was started again")
    expect(panel.replies).to_contain_text("Ada")
    expect(panel.box).to_have_attribute("readonly", "")
    expect(panel.reset).to_have_attribute("aria-disabled", "true")
    notebook.wait_for_kernel()
