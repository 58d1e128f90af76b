"""The quick start as a new user goes through it, in a real JupyterLab with the real model."""

from __future__ import annotations

import re

import pytest
from lab_page import Notebook
from playwright.sync_api import expect
from recorder import Recorder

pytestmark = pytest.mark.timeout(600)

# What only the old chat says. (It also asks "What is my name?", as the new one will.)
OLD_CHAT = r"Ada|Nice to meet|Your name is|Count to|\d, \d"
TWO_HANDLES = "HandleCounts(created=2, closed=1, live=1, checkpoints=0)"


def matching(pattern: str, texts: list[str]) -> list[str]:
    return [text for text in texts if re.search(pattern, text)]


def test_reset_in_mid_reply_frees_the_memory_and_nothing_of_the_old_chat_appears(quick_start: Notebook):
    panel = quick_start.panel()
    recorder = panel.record()

    assert "Ada" in panel.ask("My name is Ada.")
    assert "Ada" in panel.ask("What is my name?")

    panel.click_in_mid_reply("Count to 200.", "Reset chat")
    expect(panel.status).to_have_text("Ready")
    expect(panel.articles).to_have_count(0)
    expect(panel.box).to_have_value("")
    until_new_chat = recorder.read()
    assert quick_start.run_cell("manager.handles") == TWO_HANDLES

    assert "You have not told me your name." in panel.ask("What is my name?")
    recording = recorder.read()

    assert until_new_chat.state == "streaming"
    assert "3" in until_new_chat.text
    assert "200" not in until_new_chat.text
    assert matching(OLD_CHAT + "|What is my name", until_new_chat.after) == []
    assert matching(OLD_CHAT, recording.after) == []
    assert matching("You have not told me your name", recording.after)
    assert len(panel.texts()) == 2
    expect(panel.replies).to_have_attribute("data-epoch", "2")
    assert quick_start.run_cell("manager.handles") == TWO_HANDLES


def test_replies_stream_in(quick_start: Notebook):
    panel = quick_start.panel()
    recorder = panel.record()
    panel.ask("Count to 200.")
    assert len(recorder.read().lengths("1, 2")) > 3


def test_the_recorder_sees_text_that_is_gone_before_the_next_frame(quick_start: Notebook):
    panel = quick_start.panel()
    recorder = Recorder(panel.log)
    panel.reset.click()
    expect(panel.status).to_have_text("Ready")
    panel.log.evaluate("log => { log.append('Your name is Ada.'); log.lastChild.remove(); }")
    panel.log.evaluate("log => { log.append('…'); log.lastChild.data = 'Ada'; log.lastChild.remove(); }")
    assert set(matching(OLD_CHAT, recorder.read().after)) == {"Your name is Ada.", "Ada"}
