"""Several chats in one panel, each with its own numbering, epoch and thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scripted_chat import WAIT_S, FrontEnd, ScriptedManager

import gemma_notebook as gn
from gemma_notebook.errors import OptionTypeError, OptionValueError, SessionLimitError
from gemma_notebook.options import SessionOptions
from gemma_notebook.panel.tabs import Tabs


@pytest.fixture
def manager() -> ScriptedManager:
    return ScriptedManager()


@pytest.fixture
def open_tabs(manager: ScriptedManager) -> Iterator[Callable[[int], tuple[Tabs, FrontEnd]]]:
    opened = []

    def make(count: int) -> tuple[Tabs, FrontEnd]:
        front = FrontEnd()
        tabs = Tabs([manager.create_chat() for _ in range(count)], front.receive)
        front.take = tabs.handle
        opened.append(tabs)
        return tabs, front

    yield make
    for tabs in opened:
        tabs.close()


def names(message: dict[str, Any]) -> list[str]:
    return [chat["id"] for chat in message["chats"]]


def test_messages_of_each_chat_carry_its_name_and_are_numbered_by_themselves(
    open_tabs: Callable[[int], tuple[Tabs, FrontEnd]], manager: ScriptedManager
) -> None:
    _, front = open_tabs(2)
    assert names(front.wait(type="chats", request=front.ask("chats_request"))) == ["1", "2"]
    first = front.wait(type="snapshot", request=front.ask("snapshot_request"))
    second = front.wait(type="snapshot", request=front.ask("snapshot_request", chat="2"))
    assert ("chat" in first, first["seq"]) == (False, 1)
    assert (second["chat"], second["seq"]) == ("2", 1)
    front.ask("send", chat="2", epoch=1, text="Hello")
    stream = manager.chats[1].next_stream()
    assert manager.chats[0].streams.empty()
    front.ask("reset", epoch=1)
    assert front.wait(type="state", epoch=2, status="idle")
    assert "chat" not in front.wait(type="state", epoch=2)
    stream.pieces.put(None)
    assert front.wait(type="turn", role="assistant", state="done")["chat"] == "2"


def test_a_chat_that_is_opened_is_shown_to_who_asked(
    open_tabs: Callable[[int], tuple[Tabs, FrontEnd]], manager: ScriptedManager
) -> None:
    tabs, front = open_tabs(1)
    told = front.wait(type="chats", request=front.ask("open_chat"))
    assert (names(told), told["show"]) == (["1", "2"], "2")
    assert tabs.chats == tuple(manager.chats)


def test_what_chats_there_are_is_told_after_those_that_were_asked_for_before(
    open_tabs: Callable[[int], tuple[Tabs, FrontEnd]],
    manager: ScriptedManager,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, front = open_tabs(1)
    go_on = threading.Event()
    open_chat = manager.open_chat

    def open_slowly(**options: Any) -> Any:
        go_on.wait(WAIT_S)
        return open_chat(**options)

    monkeypatch.setattr(manager, "open_chat", open_slowly)
    opened, asked = front.ask("open_chat"), front.ask("chats_request")
    other = front.ask("snapshot_request")
    front.wait(type="snapshot", request=other)
    assert not [told for told in front.messages if told.get("request") in (opened, asked)]
    go_on.set()
    assert names(front.wait(type="chats", request=asked)) == ["1", "2"]
    order = [told["request"] for told in front.messages if told.get("request") in (opened, asked)]
    assert order == [opened, asked]
    assert names(front.wait(type="chats", request=front.ask("chats_request"))) == ["1", "2"]


def test_a_chat_begins_with_the_options_of_the_one_that_it_was_opened_from(
    open_tabs: Callable[[int], tuple[Tabs, FrontEnd]], manager: ScriptedManager
) -> None:
    _, front = open_tabs(2)
    seen = manager.chats[1]
    seen.options = SessionOptions.of(system_instruction="Be brief.", top_k=40, temperature=0.2)
    seen.session.context_policy = "error"
    front.wait(type="chats", request=front.ask("open_chat", like="2"))
    assert manager.chats[2].options == seen.options
    assert manager.chats[2].session.context_policy == "error"
    front.wait(type="chats", request=front.ask("open_chat", like="1"))
    assert manager.chats[3].options == SessionOptions()
    front.wait(type="chats", request=front.ask("open_chat", like="closed meanwhile"))
    assert manager.chats[4].options == SessionOptions()


def test_what_was_set_for_the_next_chat_counts_for_one_that_is_opened(
    open_tabs: Callable[[int], tuple[Tabs, FrontEnd]], manager: ScriptedManager
) -> None:
    _, front = open_tabs(1)
    front.wait(type="settings", request=front.ask("options", epoch=1, options={"temperature": 0.1}))
    front.wait(type="chats", request=front.ask("open_chat", like="1"))
    assert manager.chats[1].options.temperature == 0.1
    assert manager.chats[0].options.temperature == 0.8


def test_tools_that_were_turned_off_can_be_turned_on_in_the_chat_beside(
    open_tabs: Callable[[int], tuple[Tabs, FrontEnd]], manager: ScriptedManager
) -> None:
    manager.options = SessionOptions.of(tools=[len])
    _, front = open_tabs(1)
    front.wait(type="settings", request=front.ask("options", epoch=1, options={"tools": False}))
    front.wait(type="chats", request=front.ask("open_chat", like="1"))
    assert manager.chats[1].options.tools == ()
    beside = front.wait(
        type="settings", request=front.ask("options", chat="2", epoch=1, options={"tools": True})
    )
    assert beside["settings"]["pending"]["tools"]
    assert beside["settings"]["tools"] == ["len"]


def test_a_limit_of_sessions_is_told_in_its_own_words(
    open_tabs: Callable[[int], tuple[Tabs, FrontEnd]], manager: ScriptedManager
) -> None:
    _, front = open_tabs(1)
    manager.open_error = SessionLimitError("1 sessions are open and max_sessions=1; close one")
    told = front.wait(type="chats", request=front.ask("open_chat"))
    assert (names(told), told["error"]) == (["1"], "1 sessions are open and max_sessions=1; close one")


def test_closing_a_tab_closes_its_chat_and_the_last_one_stays(
    open_tabs: Callable[[int], tuple[Tabs, FrontEnd]], manager: ScriptedManager
) -> None:
    tabs, front = open_tabs(2)
    assert names(front.wait(type="chats", request=front.ask("close_chat", close="1"))) == ["2"]
    assert front.wait(type="state", status="closed")
    assert manager.chats[0].closed_event.wait(WAIT_S)
    assert tabs.chats == (manager.chats[1],)
    told = front.wait(type="chats", request=front.ask("close_chat", close="2"))
    assert "only chat" in told["error"]
    assert not manager.chats[1].closed


def test_a_view_that_shows_a_closed_chat_is_told_which_there_are(
    open_tabs: Callable[[int], tuple[Tabs, FrontEnd]],
) -> None:
    _, front = open_tabs(1)
    front.ask("snapshot_request", chat="7")
    assert names(front.wait(type="chats")) == ["1"]
    front.ask("snapshot_request", chat=["7"])
    front.ask("close_chat")
    assert front.wait(type="chats", request="close_chat-3")["error"]


def test_a_panel_shows_the_chats_and_the_prompts_that_it_was_given(manager: ScriptedManager) -> None:
    chats = [manager.create_chat(), manager.create_chat()]
    panel = gn.ChatPanel(manager, chats=chats, prompts=["Tell me a joke.", " "])
    try:
        assert panel.chats == tuple(chats)
        assert panel.chat is chats[0]
        assert len(manager.chats) == 2
        assert panel._tabs._prompts == ["Tell me a joke."]
    finally:
        panel.close()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"chats": []}, OptionValueError, "no chat to show"),
        ({"chats": ["tiny"]}, OptionTypeError, "'tiny' is a str"),
        ({"chats": 5}, OptionTypeError, "list of Chats, not 5"),
        ({"prompts": "Hello"}, OptionTypeError, "list of strings"),
        ({"prompts": 5}, OptionTypeError, "list of strings"),
        ({"prompts": [1]}, OptionTypeError, "list of strings"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_words(
    manager: ScriptedManager, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        gn.ChatPanel(manager, **options)
