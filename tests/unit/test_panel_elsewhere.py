"""What others say to a panel's chat, in a cell or in another panel, is shown; what they made it forget is not."""

from __future__ import annotations

from typing import Any

from scripted_chat import FrontEnd, ScriptedChat, answer, connected, said, say, streaming

import gemma_notebook as gn
from gemma_notebook.errors import EngineError
from gemma_notebook.messages import Message


def test_what_a_cell_says_is_shown_when_it_is_answered(front: FrontEnd, chat: ScriptedChat) -> None:
    say(front, chat, "One", "1")
    front.clear()
    chat.said_elsewhere(*said("One", "1", "Two", "2"), Message("user", "Three"))
    assert front.texts(front.wait(type="snapshot", epoch=1)) == ["One", "1", "Two", "2"]
    say(front, chat, "Four", "4")
    assert front.shown() == ["One", "1", "Two", "2", "Four", "4"]
    assert chat.restored == []


def test_a_message_that_was_stopped_before_its_first_word_is_in_step_with_the_chat(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    say(front, chat, "One", "1")
    front.clear()
    stopped = Message("user", "Two"), Message("assistant", "", "cancelled")
    chat.said_elsewhere(*said("One", "1"), *stopped)
    assert front.texts(front.wait(type="snapshot", epoch=1)) == ["One", "1", "Two", ""]
    say(front, chat, "Three", "3")
    request = front.ask("undo", epoch=1)
    assert front.wait(type="state", request=request)["status"] == "idle"
    assert chat.messages == (*said("One", "1"), *stopped)
    request = front.ask("undo", epoch=1)
    assert front.wait(type="state", request=request)["status"] == "idle"
    assert (chat.undos, chat.restored, chat.messages) == (2, [], said("One", "1"))
    assert front.shown() == ["One", "1"]


def test_a_reply_that_failed_of_which_the_chat_has_something_is_not_told_twice(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    stream = streaming(front, chat)
    thought = Message("assistant", "", "cancelled", thinking="Well.")
    chat.messages = (Message("user", stream.prompt), thought)
    stream.pieces.put(EngineError("the engine broke off; send the message again"))
    front.wait(type="turn", state="error")
    front.settle()
    front.clear()
    chat.said_elsewhere(*chat.messages, *said("Two", "2"))
    shown = front.texts(front.wait(type="snapshot", epoch=1))
    assert shown == [stream.prompt, "", "Two", "2"]


def test_what_was_forgotten_elsewhere_is_taken_off_the_screen(front: FrontEnd, chat: ScriptedChat) -> None:
    say(front, chat, "One", "1")
    front.clear()
    chat.said_elsewhere()
    assert front.wait(type="snapshot", epoch=2)["messages"] == []
    answer(front, chat, front.send("Two", epoch=2), "2")
    assert front.shown() == ["Two", "2"]


def test_what_is_said_elsewhere_during_a_reply_is_shown_after_it(front: FrontEnd, chat: ScriptedChat) -> None:
    stream = streaming(front, chat, "1")
    chat.said_elsewhere(*said("Two", "2"))
    stream.pieces.put(None)
    shown = front.wait(type="snapshot", epoch=2)
    assert front.texts(shown) == ["Two", "2", stream.prompt, "1"]


def test_the_panels_own_turns_are_not_told_twice(front: FrontEnd, chat: ScriptedChat) -> None:
    front.clear()
    say(front, chat, "One", "1")
    chat.said_elsewhere(*chat.messages)
    say(front, chat, "Two", "2")
    assert not [message for message in front.messages if message["type"] == "snapshot"]


def test_a_chat_that_dropped_its_oldest_turns_keeps_them_on_the_screen(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    say(front, chat, "One", "1")
    say(front, chat, "Two", "2")
    front.clear()
    chat.said_elsewhere(*said("Two", "2", "Three", "3"))
    assert front.texts(front.wait(type="snapshot", epoch=1)) == ["One", "1", "Two", "2", "Three", "3"]


def test_a_panel_that_is_opened_during_a_reply_shows_its_prompt_once(
    fake: Any, fake_manager: gn.SessionManager
) -> None:
    chat = fake_manager.create_chat()
    chat.send("One")
    fake.set(gate="1", reply="one two")
    stream = chat.stream("Two")  # as a cell does
    with connected(chat) as front:
        assert len(front.shown()) == 2
        fake.let_go()
        said = stream.reply.text
        front.wait(type="snapshot", request=None)
        assert front.shown()[2:] == ["Two", said]


def test_alternatives_stay_when_a_cell_goes_on(front: FrontEnd, chat: ScriptedChat) -> None:
    say(front, chat, "One", "1")
    answer(front, chat, front.ask("edit", epoch=1, turn=1, text="Eins"), "I")
    front.clear()
    chat.said_elsewhere(*said("Eins", "I", "Two", "2"))
    first = front.wait(type="snapshot", epoch=1)["messages"][0]
    assert (first["text"], first["branch"]) == ("Eins", {"index": 2, "count": 2})


def test_a_closed_panel_watches_no_more(front: FrontEnd, chat: ScriptedChat) -> None:
    front.controller.close()
    assert chat.watchers == []
