"""Two panels of one chat, on the stub: what one forgets the other does not bring back, and tools ask where they are called."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scripted_chat import WAIT_S, FrontEnd

import gemma_notebook as gn
from gemma_notebook.panel.controller import Controller
from gemma_notebook.panel.pump import Pump
from gemma_notebook.panel.worker import worker_of

OpenPanel = Callable[[Any], FrontEnd]


@pytest.fixture
def open_panel(fake: Any) -> Iterator[OpenPanel]:
    opened: list[tuple[Controller, Pump]] = []

    def make(chat: Any) -> FrontEnd:
        front = FrontEnd()
        pump = Pump(front.receive, interval_s=0.0)
        front.controller = Controller(chat, pump, worker_of(chat))
        front.take = front.controller.handle
        opened.append((front.controller, pump))
        return front

    yield make
    fake.let_go()
    for controller, pump in opened:
        controller.close()
        pump.close(WAIT_S)


@pytest.fixture
def chat(fake: Any, fake_manager: gn.SessionManager) -> gn.Chat:
    """A chat that remembers two turns."""
    fake.set(reply="Yes.")
    chat = fake_manager.create_chat()
    chat.send("One")
    chat.send("Two")
    return chat


def all_done(chat: gn.Chat) -> None:
    """Wait until the panels of ``chat`` have done what was asked of them."""
    done = threading.Event()
    worker_of(chat).put(done.set)
    assert done.wait(WAIT_S)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture
def asking_chat(fake: Any, make_fake_manager: Callable[..., gn.SessionManager]) -> gn.Chat:
    """A chat that calls a tool, which needs approval, and then says what came of it."""
    call = {"type": "function", "function": {"name": "add", "arguments": {"a": 2, "b": 3}}}
    each = ({"tool_calls": [call]}, {"content": [{"type": "text", "text": "Well."}]})
    replies = "\x1d".join(json.dumps({"role": "assistant", **one}) for one in each)
    fake.set(info_supports_function_calling=1, chunk_replies=replies)
    return make_fake_manager().create_chat(tools=[gn.tool(needs_approval=True)(add)])


def allow_a_call(front: FrontEnd) -> list[str]:
    """Say something that leads to a call, allow it where that is asked, and tell the states the call had."""
    states = lambda: [m["call"]["state"] for m in front.messages if m["type"] == "tool"]  # noqa: E731
    request = front.send("Add 2 and 3.")
    with front.changed:
        assert front.changed.wait_for(lambda: {"asking", "denied"} & {*states()}, WAIT_S), front.messages
    front.ask("tool_decision", epoch=1, call="1", allow=True)
    front.wait(type="turn", role="assistant", state="done", request=request)
    return states()


def hold_a_reply(fake: Any, front: FrontEnd, epoch: int = 1) -> None:
    """Have the panel's model begin to answer, and go no further."""
    fake.set(gate="1")
    request = front.send("Three", epoch)
    front.wait(type="turn", role="assistant", state="streaming", request=request)


def test_an_undo_that_waits_for_another_panel_does_not_outlive_a_reset(
    fake: Any, chat: gn.Chat, open_panel: OpenPanel
) -> None:
    busy, front = open_panel(chat), open_panel(chat)
    hold_a_reply(fake, busy)
    undone = front.ask("undo", epoch=1)
    front.wait(type="state", request=front.ask("reset", epoch=1), epoch=2)
    all_done(chat)
    assert chat.messages == ()
    assert busy.shown() == front.shown() == []
    assert front.snapshot()["status"] == "idle"
    assert [message for message in front.messages if message.get("request") == undone]


def test_a_switch_that_waits_for_another_panel_does_not_outlive_a_reset(
    fake: Any, chat: gn.Chat, open_panel: OpenPanel
) -> None:
    busy, front = open_panel(chat), open_panel(chat)
    edited = front.ask("edit", epoch=1, turn=3, text="Zwei")
    front.wait(type="turn", role="assistant", state="done", request=edited)
    all_done(chat)
    hold_a_reply(fake, busy, epoch=2)
    front.ask("switch", epoch=1, turn=5, index=1)
    front.wait(type="state", request=front.ask("reset", epoch=1), epoch=2)
    all_done(chat)
    assert chat.messages == ()
    assert busy.shown() == front.shown() == []


@pytest.mark.parametrize("ask", ["undo", "edit", "regenerate"])
def test_what_another_panel_has_reset_is_not_brought_back(
    fake: Any, chat: gn.Chat, open_panel: OpenPanel, ask: str
) -> None:
    busy, front = open_panel(chat), open_panel(chat)
    fields: dict[str, Any] = {"edit": {"turn": 3, "text": "Zwei"}, "regenerate": {"turn": 4}}.get(ask, {})
    hold_a_reply(fake, busy)
    front.ask(ask, epoch=1, **fields)
    busy.wait(type="state", request=busy.ask("reset", epoch=1), epoch=2)
    fake.let_go()
    all_done(chat)
    assert chat.messages == ()
    assert busy.shown() == front.shown() == []
    assert front.snapshot()["status"] == "idle"


def test_what_a_cell_has_reset_is_not_brought_back(fake: Any, chat: gn.Chat, open_panel: OpenPanel) -> None:
    busy, front = open_panel(chat), open_panel(chat)
    hold_a_reply(fake, busy)
    front.ask("undo", epoch=1)
    chat.reset()
    all_done(chat)
    assert chat.messages == ()
    assert front.shown() == []


def test_a_panel_goes_back_again_after_another_has_reset_the_chat(
    chat: gn.Chat, open_panel: OpenPanel
) -> None:
    other, front = open_panel(chat), open_panel(chat)
    other.wait(type="state", request=other.ask("reset", epoch=1), epoch=2)
    all_done(chat)
    request = front.send("Uno", epoch=2)
    front.wait(type="turn", role="assistant", state="done", request=request)
    front.settle()
    front.wait(type="state", status="idle", request=front.ask("undo", epoch=2))
    all_done(chat)
    assert chat.messages == ()
    assert front.shown() == []


@pytest.mark.parametrize("place", [0, 1])
def test_a_tool_asks_in_the_panel_that_it_is_called_from(
    asking_chat: gn.Chat, open_panel: OpenPanel, place: int
) -> None:
    panels = [open_panel(asking_chat), open_panel(asking_chat)]
    states = allow_a_call(panels[place])
    assert "asking" in states
    assert states[-1] == "done"
    assert not [message for message in panels[1 - place].messages if message["type"] == "tool"]


@pytest.mark.parametrize("place", [0, 1])
def test_a_tool_asks_in_the_panel_that_is_left_when_the_other_is_closed(
    asking_chat: gn.Chat, open_panel: OpenPanel, place: int
) -> None:
    panels = [open_panel(asking_chat), open_panel(asking_chat)]
    panels[1 - place].controller.close()
    states = allow_a_call(panels[place])
    assert "asking" in states
    assert states[-1] == "done"


def test_a_tool_that_a_cell_leads_to_is_denied_without_a_question(
    asking_chat: gn.Chat, open_panel: OpenPanel
) -> None:
    panels = [open_panel(asking_chat), open_panel(asking_chat)]
    (result,) = asking_chat.send("Add 2 and 3.").tool_results
    assert result.outcome == "denied"
    assert not [message for front in panels for message in front.messages if message["type"] == "tool"]
