"""Tools and thoughts in the panel: in JupyterLab, with the real model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lab_page import Notebook, Panel
from playwright.sync_api import Locator, expect

pytestmark = pytest.mark.timeout(600)

LOAD = """import gemma_notebook as gn
manager = gn.load()
called = []

@gn.tool(needs_approval=True)
def get_weather(city: str) -> str:
    "Get the weather in a city."
    called.append(city)
    return "sunny"
"""
SHOW = "panel = gn.ChatPanel(manager.create_chat(tools=[get_weather]))\npanel"
QUESTION = "What is the weather in Paris?"


@pytest.fixture
def notebook(make_notebook: Callable[..., Notebook]) -> Notebook:
    return make_notebook(LOAD, SHOW, "called", "manager.handles")


def asked(panel: Panel) -> Locator:
    panel.say(QUESTION)
    question = panel.log.get_by_role("group", name="Permission for get_weather", exact=True)
    expect(question).to_contain_text("Paris")
    return question


def test_a_tool_that_needs_approval_runs_after_allow_and_the_model_uses_its_result(notebook: Notebook):
    panel = notebook.panel()
    question = asked(panel)
    question.get_by_role("button", name="Allow", exact=True).click()
    expect(panel.replies.last).to_have_attribute("data-state", "done")
    expect(panel.replies.last).to_contain_text("sunny")
    panel.replies.last.get_by_role("button", name="get_weather").click()
    expect(panel.replies.last).to_contain_text('"city": "Paris"')
    assert "Paris" in notebook.run_cell("called")
    notebook.page.screenshot(path="tests/artifacts/tools-allowed.png")


def test_a_denied_tool_is_not_called_and_the_model_is_told(notebook: Notebook):
    panel = notebook.panel()
    asked(panel).get_by_role("button", name="Deny", exact=True).click()
    expect(panel.replies.last).to_have_attribute("data-state", "done")
    expect(panel.replies.last).to_contain_text("denied")
    assert "Paris" not in notebook.run_cell("called")


@pytest.mark.parametrize(("button", "status"), [("Stop", "Stopped"), ("Reset chat", "Ready")])
def test_stop_and_reset_answer_no_and_the_chat_goes_on(notebook: Notebook, button: str, status: str):
    panel = notebook.panel()
    asked(panel)
    panel.button(button).click()
    expect(panel.status).to_have_text(status)
    assert "Bo" in panel.ask("My name is Bo.")
    assert "Paris" not in notebook.run_cell("called")
    assert "live=1" in notebook.run_cell("manager.handles")


def test_a_reload_of_the_page_shows_the_calls_again(notebook: Notebook):
    panel = notebook.panel()
    asked(panel).get_by_role("button", name="Allow", exact=True).click()
    expect(panel.replies.last).to_contain_text("sunny")
    notebook.save()
    notebook.reload()
    panel = notebook.panel()
    expect(panel.replies.last.get_by_role("button", name="get_weather")).to_be_visible()
    expect(panel.replies.last).to_contain_text("sunny")


def test_thoughts_are_folded_when_the_answer_is_there(make_notebook: Callable[..., Notebook]):
    show = "panel = gn.ChatPanel(manager.create_chat(enable_thinking=True))\npanel"
    panel = make_notebook("import gemma_notebook as gn\nmanager = gn.load()", show).panel()
    panel.ask("My name is Ada.")
    thoughts = panel.replies.last.get_by_role("button", name="Thoughts", exact=True)
    expect(thoughts).to_have_attribute("aria-expanded", "false")
    before = panel.replies.last.inner_text()
    thoughts.click()
    expect(thoughts).to_have_attribute("aria-expanded", "true")
    assert len(panel.replies.last.inner_text()) > len(before)
    panel.page.screenshot(path="tests/artifacts/thoughts.png")
