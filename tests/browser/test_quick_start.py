"""The quick start as a new user goes through it, in a real JupyterLab with the real model."""

from __future__ import annotations

import pytest
from lab_page import Notebook
from playwright.sync_api import expect
from recorder import Recorder

pytestmark = pytest.mark.timeout(600)

# What only the old chat says. (It also asks "What is my name?", as the new one will.)
OLD_CHAT = ("Ada", "Nice to meet", "Count to", "1, 2", "Your name is")


def shown_of(chat: tuple[str, ...], texts: list[str]) -> list[str]:
    return [text for text in texts if any(words in text for words in chat)]


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

    assert "You have not told me your name." in panel.ask("What is my name?")
    recording = recorder.read()

    assert until_new_chat.state == "streaming"
    assert "3" in until_new_chat.text
    assert "200" not in until_new_chat.text
    assert shown_of((*OLD_CHAT, "What is my name?"), until_new_chat.after) == []
    assert shown_of(OLD_CHAT, recording.after) == []
    assert shown_of(("You have not told me your name.",), recording.after)
    assert len(panel.texts()) == 2
    expect(panel.replies).to_have_attribute("data-epoch", "2")

    handles = quick_start.run_cell("manager.handles")
    assert handles == "HandleCounts(created=2, closed=1, live=1, checkpoints=0)"


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
    seen = shown_of(OLD_CHAT, recorder.read().after)
    assert seen[0] == "Your name is Ada."
    assert len(seen) == 1 or seen[1] == "Ada"
