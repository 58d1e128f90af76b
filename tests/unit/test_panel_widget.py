"""What the panel does with a chat: sending, stopping, resetting, errors, closing."""

from __future__ import annotations

import gc
import random
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from scripted_chat import WAIT_S, FrontEnd, ScriptedChat, ScriptedManager, streaming
from support import wait_until

import gemma_notebook as gn
from gemma_notebook.errors import (
    ClosedError,
    ContextFullError,
    EngineError,
    GemmaNotebookError,
    OptionTypeError,
)
from gemma_notebook.messages import (
    HandleCounts,
    Message,
)
from gemma_notebook.panel import widget as widget_module
from gemma_notebook.panel.interfaces import PanelChat


def test_a_view_gets_the_whole_when_it_asks(front: FrontEnd, chat: ScriptedChat) -> None:
    request = front.ask("snapshot_request")
    assert front.wait(type="snapshot") == {
        "type": "snapshot",
        "epoch": 1,
        "seq": 1,
        "status": "idle",
        "model": {
            "name": "tiny",
            "context_limit": 1024,
            "supports_thinking": False,
            "supports_tools": False,
            "modalities": ["text"],
        },
        "settings": {
            "options": {
                "system_instruction": None,
                "temperature": 0.8,
                "top_k": 1,
                "top_p": None,
                "random_seed": 1,
                "max_output_tokens": None,
                "enable_thinking": False,
                "tools": False,
            },
            "pending": None,
            "tools": [],
            "context_policy": "trim",
        },
        "prompts": [],
        "messages": [],
        "context": {"tokens": 5, "limit": 1024},
        "handles": {"created": 1, "closed": 0, "live": 1, "checkpoints": 0},
        "handle": 1,
        "request": request,
    }


def test_a_late_view_gets_the_reply_as_far_as_it_has_come(front: FrontEnd, chat: ScriptedChat) -> None:
    streaming(front, chat, "Nice ")
    front.ask("snapshot_request")
    snapshot = front.wait(type="snapshot")
    assert snapshot["status"] == "generating"
    assert [(m["role"], m["text"], m["state"]) for m in snapshot["messages"]] == [
        ("user", "Hello", "done"),
        ("assistant", "Nice ", "streaming"),
    ]


def test_a_reply_streams_and_ends_with_its_numbers(front: FrontEnd, chat: ScriptedChat) -> None:
    stream = streaming(front, chat, "Nice ", "👋 ", "Ada")
    stream.pieces.put(None)
    end = front.wait(type="turn", state="done", role="assistant")
    assert end["finish_reason"] == "stop"
    assert end["timing"]["decode_tokens_per_s"] == 50.0
    idle = front.wait(type="state", status="idle")
    assert idle["context"] == {"tokens": 15, "limit": 1024}
    deltas = [m for m in front.messages if m["type"] == "delta"]
    assert [(d["offset"], d["text"]) for d in deltas] == [(0, "Nice "), (5, "👋 "), (8, "Ada")]
    assert [m["seq"] for m in front.messages] == list(range(1, len(front.messages) + 1))


def test_a_reply_is_generating_only_once_the_engine_has_let_it_in(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    chat.admit.clear()
    front.send("Hello")
    assert front.wait(type="state")["status"] == "queued"
    chat.admit.set()
    chat.next_stream()
    front.wait(type="state", status="generating")


def test_prompts_are_answered_in_order_one_at_a_time(front: FrontEnd, chat: ScriptedChat) -> None:
    first = streaming(front, chat)
    second_request = front.send("Second")
    front.wait(type="turn", role="user", text="Second")
    assert chat.streams.empty()
    first.pieces.put(None)
    second = chat.next_stream()
    assert second.prompt == "Second"
    front.wait(type="turn", role="assistant", state="streaming", request=second_request)


def test_stop_reaches_the_chat_and_keeps_what_has_come(front: FrontEnd, chat: ScriptedChat) -> None:
    streaming(front, chat, "Nice ")
    request = front.ask("stop", epoch=1)
    assert front.wait(type="state", request=request)["status"] == "stopping"
    end = front.wait(type="turn", state="cancelled")
    assert end["finish_reason"] == "cancelled"
    front.wait(type="state", status="idle")
    assert chat.stops >= 1


def test_stop_before_there_is_a_stream_stops_it_all_the_same(front: FrontEnd, chat: ScriptedChat) -> None:
    chat.admit.clear()
    front.send("Hello")
    front.wait(type="state", status="queued")
    request = front.ask("stop", epoch=1)
    front.wait(type="state", request=request)
    chat.admit.set()
    front.wait(type="state", status="idle")


def test_stop_gives_back_the_prompts_behind_the_reply(front: FrontEnd, chat: ScriptedChat) -> None:
    streaming(front, chat)
    second = front.send("Second")
    front.wait(type="turn", text="Second")
    front.ask("stop", epoch=1)
    assert front.wait(type="error", request=second)["text"] == "Second"
    front.wait(type="turn", state="cancelled")
    front.wait(type="state", status="idle")
    assert chat.streams.empty()


def test_stop_with_nothing_to_stop_is_answered_and_touches_nothing(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    request = front.ask("stop", epoch=1)
    assert front.wait(type="state", request=request)["status"] == "idle"
    assert chat.stops == 0


def test_stop_reaches_a_reply_that_is_not_shown_here(front: FrontEnd, chat: ScriptedChat) -> None:
    """A cell has asked for it, or a panel that the same cell has replaced since."""
    chat._is_replying = True
    front.wait(type="state", request=front.ask("stop", epoch=1))
    wait_until(lambda: chat.stops == 1)


def test_stop_of_an_older_epoch_touches_nothing(front: FrontEnd, chat: ScriptedChat) -> None:
    front.ask("reset", epoch=1)
    front.wait(type="state", epoch=2, status="idle")
    stops = chat.stops
    streaming(front, chat, epoch=2)
    front.ask("stop", epoch=1)
    front.ask("snapshot_request")
    assert front.wait(type="snapshot")["status"] == "generating"
    assert chat.stops == stops


def test_reset_stops_deletes_creates_and_acknowledges_with_the_new_handle(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    streaming(front, chat, "Nice to meet you, Ada")
    request = front.ask("reset", epoch=1)
    assert front.wait(type="state", request=request) == {
        "type": "state",
        "epoch": 2,
        "seq": front.messages[-1]["seq"],
        "status": "idle",
        "context": {"tokens": 5, "limit": 1024},
        "handles": {"created": 2, "closed": 1, "live": 1, "checkpoints": 0},
        "handle": 2,
        "request": request,
    }
    front.ask("snapshot_request")
    assert front.wait(type="snapshot")["messages"] == []


def test_reset_waits_for_the_reply_to_end_before_the_chat_is_reset(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    stream = streaming(front, chat)
    stop, chat.stop = chat.stop, lambda: None  # type: ignore[method-assign]
    front.ask("reset", epoch=1)
    assert not chat.reset_begun.is_set()
    chat.stop = stop  # type: ignore[method-assign]
    stream.pieces.put("<stopped>")
    assert chat.reset_begun.wait(WAIT_S)


def test_nothing_of_the_old_chat_is_sent_after_the_click(front: FrontEnd, chat: ScriptedChat) -> None:
    stream = streaming(front, chat, "Nice ")
    chat.reset_may_end.clear()
    front.ask("reset", epoch=1)
    clicked_at = front.messages[-1]["seq"]
    stream.pieces.put("late")
    assert chat.reset_begun.wait(WAIT_S)
    chat.reset_may_end.set()
    front.wait(type="state", epoch=2)
    later = [m for m in front.messages if m["seq"] > clicked_at]
    assert {m["type"] for m in later} == {"state"}


def test_reset_at_any_moment_lets_nothing_of_the_old_chat_through(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    moments = random.Random(20260801)
    for epoch in range(1, 101):
        front.clear()
        request = front.send("Hello", epoch)
        if moments.random() < 0.9:
            stream = chat.next_stream()
            for _ in range(moments.randrange(6)):
                stream.pieces.put("old ")
            if moments.random() < 0.3:
                stream.pieces.put(None)
        front.ask("reset", epoch=epoch)
        with front.changed:
            told = len(front.messages)
        front.wait(type="state", epoch=epoch + 1, status="idle")
        late = [m for m in front.messages[told:] if m["type"] in ("delta", "turn")]
        assert late == [], (epoch, request)
        while not chat.streams.empty():
            chat.streams.get()
    assert chat.manager.handles == HandleCounts(101, 100, 1, 0)


def test_reset_gives_back_the_prompts_that_the_model_has_not_read(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    streaming(front, chat)
    second = front.send("Second")
    front.ask("reset", epoch=1)
    assert front.wait(type="error", request=second)["text"] == "Second"
    front.wait(type="state", epoch=2)
    assert chat.streams.empty()


def test_reset_while_the_engine_has_not_let_the_prompt_in_gives_it_back(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    chat.admit.clear()
    request = front.send("Hello")
    front.wait(type="state", status="queued")
    front.ask("reset", epoch=1)
    assert front.wait(type="error", request=request)["text"] == "Hello"
    chat.admit.set()
    front.wait(type="state", epoch=2, status="idle")
    assert not any(m["type"] == "turn" and m["role"] == "assistant" for m in front.messages)


def test_reset_answers_the_requests_whose_answers_it_has_dropped(
    front: FrontEnd, chat: ScriptedChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    streaming(front, chat)
    pump = front.controller._pump
    purge = pump.purge
    monkeypatch.setattr(pump, "purge", lambda epoch: replace(purge(epoch), requests=("dropped",)))
    front.ask("reset", epoch=1)
    front.wait(type="state", request="dropped")


def test_reset_during_a_reset_joins_it_and_both_are_acknowledged(front: FrontEnd, chat: ScriptedChat) -> None:
    chat.reset_may_end.clear()
    first = front.ask("reset", epoch=1)
    assert chat.reset_begun.wait(WAIT_S)
    second = front.ask("reset", epoch=1)
    chat.reset_may_end.set()
    assert front.wait(type="state", request=first)["epoch"] == 2
    assert front.wait(type="state", request=second)["epoch"] == 2
    assert chat.resets == 1


def test_reset_of_an_older_epoch_is_acknowledged_and_resets_nothing(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    front.ask("reset", epoch=1)
    front.wait(type="state", epoch=2)
    late = front.ask("reset", epoch=1)
    assert front.wait(type="state", request=late)["epoch"] == 2
    assert chat.resets == 1


def test_a_prompt_during_a_reset_or_of_an_older_epoch_is_given_back(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    chat.reset_may_end.clear()
    front.ask("reset", epoch=1)
    during = front.send("During", epoch=1)
    assert front.wait(type="error", request=during)["text"] == "During"
    chat.reset_may_end.set()
    front.wait(type="state", epoch=2)
    late = front.send("Late", epoch=1)
    refusal = front.wait(type="error", request=late)
    assert (refusal["text"], refusal["retry"]) == ("Late", "send")
    assert chat.streams.empty()


def test_a_view_that_waits_for_a_snapshot_during_a_reset_gets_one_without_the_old_chat(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    streaming(front, chat, "Nice ")
    chat.reset_may_end.clear()
    front.ask("reset", epoch=1)
    front.ask("snapshot_request")
    snapshot = front.wait(type="snapshot")
    assert (snapshot["status"], snapshot["messages"]) == ("resetting", [])


def test_a_failed_reset_says_so_refuses_prompts_and_can_be_tried_again(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    chat.reset_error = EngineError("no memory; close other chats")
    request = front.ask("reset", epoch=1)
    failed = front.wait(type="state", request=request)
    assert (failed["epoch"], failed["status"], failed["handle"]) == (2, "failed", None)
    assert failed["handles"]["live"] == 0
    error = front.wait(type="error", request=request)
    assert (error["epoch"], error["retry"], error["message"]) == (2, "reset", "no memory; close other chats")
    refused = front.wait(type="error", request=front.send("Hello", 2))
    assert (refused["text"], refused["retry"]) == ("Hello", "reset")
    front.ask("snapshot_request")
    assert front.wait(type="snapshot")["error"] == {
        "message": "no memory; close other chats",
        "remedy": "reset",
    }
    chat.reset_error = None
    again = front.ask("reset", epoch=2)
    assert front.wait(type="state", request=again)["status"] == "idle"
    streaming(front, chat, "Hi", epoch=3)


def test_an_error_in_mid_reply_stays_with_the_reply_and_the_chat_goes_on(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    stream = streaming(front, chat, "Nice ")
    stream.pieces.put(EngineError("the engine broke off; send the message again"))
    failed = front.wait(type="turn", state="error")
    assert failed["error"] == {
        "kind": "EngineError",
        "message": "the engine broke off; send the message again",
        "retry": "send",
    }
    front.wait(type="state", status="idle")
    streaming(front, chat, "Hi")


@pytest.mark.parametrize(
    ("error", "retry"),
    [(EngineError("x; do y"), "send"), (ContextFullError("x; do y"), None), (ClosedError("x; do y"), None)],
)
def test_a_prompt_that_the_chat_refuses_is_given_back_with_the_reason(
    front: FrontEnd, chat: ScriptedChat, error: GemmaNotebookError, retry: str | None
) -> None:
    chat.refusals.append(error)
    request = front.send("Hello")
    refusal = front.wait(type="error", request=request)
    assert (refusal["text"], refusal["message"], refusal["retry"]) == ("Hello", "x; do y", retry)
    front.wait(type="state", status="idle")
    front.ask("snapshot_request")
    assert front.wait(type="snapshot")["messages"] == []


def test_an_unexpected_error_is_told_in_a_sentence_and_logged(
    front: FrontEnd, chat: ScriptedChat, caplog: pytest.LogCaptureFixture
) -> None:
    stream = streaming(front, chat)
    stream.pieces.put(RuntimeError("boom"))
    failed = front.wait(type="turn", state="error")
    assert failed["error"]["message"] == "Something unexpected failed (RuntimeError: boom); try again."
    assert "boom" in caplog.text


def test_a_message_that_is_not_understood_is_refused_by_its_id(front: FrontEnd, chat: ScriptedChat) -> None:
    request = front.ask("sing")
    assert "'sing'" in front.wait(type="error", request=request)["message"]


def test_a_handler_returns_while_the_chat_works(front: FrontEnd, chat: ScriptedChat) -> None:
    chat.admit.clear()
    front.send("Hello")  # returns, though the chat has not let it in
    chat.reset_may_end.clear()
    front.ask("reset", epoch=1)  # returns, though the reset has not ended
    front.ask("snapshot_request")
    assert front.wait(type="snapshot")["status"] == "resetting"


# The widget itself


@pytest.fixture
def open_panel() -> Iterator[Callable[[Any], gn.ChatPanel]]:
    panels = []

    def make(chat: Any) -> gn.ChatPanel:
        panels.append(gn.ChatPanel(chat))
        return panels[-1]

    yield make
    for panel in panels:
        panel.close()


def test_a_panel_of_a_manager_makes_one_chat_and_one_of_a_chat_takes_it(
    open_panel: Callable[[Any], gn.ChatPanel], chat: ScriptedChat
) -> None:
    manager = ScriptedManager()
    assert open_panel(manager).chat is manager.chats[0]
    assert len(manager.chats) == 1
    assert open_panel(chat).chat is chat


def test_anything_else_is_refused_with_its_type() -> None:
    with pytest.raises(OptionTypeError, match="not 'str'"):
        gn.ChatPanel("tiny")  # type: ignore[arg-type]


def test_what_a_panel_of_several_chats_belongs_to_is_looked_at_too(chat: ScriptedChat) -> None:
    with pytest.raises(OptionTypeError, match="not 'int'"):
        gn.ChatPanel(5, chats=[chat])  # type: ignore[arg-type]


def test_a_raw_session_is_refused_with_what_to_give_instead(real_manager: gn.SessionManager) -> None:
    with pytest.raises(OptionTypeError, match=r"manager.create_chat\(\), not 'Session'"):
        gn.ChatPanel(real_manager.create_session())  # type: ignore[arg-type]


def test_the_text_form_is_the_same_in_every_run(
    open_panel: Callable[[Any], gn.ChatPanel], chat: ScriptedChat
) -> None:
    panel = open_panel(chat)
    assert repr(panel) == "ChatPanel('tiny')"
    bundle = panel._repr_mimebundle_()
    assert bundle is not None
    assert bundle[0]["text/plain"] == "ChatPanel('tiny')"


def test_nothing_of_a_chat_is_in_the_state_that_notebooks_save(
    open_panel: Callable[[Any], gn.ChatPanel], chat: ScriptedChat
) -> None:
    chat.messages = (Message("user", "my secret"), Message("assistant", "is safe", "stop"))
    panel = open_panel(chat)
    panel._on_message(panel, {"type": "send", "id": "r", "epoch": 1, "text": "another secret"}, [])
    chat.next_stream().pieces.put(None)
    saved = {key: value for key, value in panel.get_state().items() if key not in ("_esm", "_css")}
    assert "secret" not in repr(saved)
    assert "tiny" not in repr(saved)


def test_messages_of_the_front_end_reach_the_chat(
    open_panel: Callable[[Any], gn.ChatPanel], chat: ScriptedChat
) -> None:
    panel = open_panel(chat)
    panel._handle_custom_msg({"type": "send", "id": "r", "epoch": 1, "text": "Hello"}, [])
    stream = chat.next_stream()
    assert stream.prompt == "Hello"
    stream.pieces.put(None)


def test_the_front_end_chooses_the_shell_where_the_kernel_would_overrule_it() -> None:
    newer, older = SimpleNamespace(_reply_subshell_for=lambda data, default: default), SimpleNamespace()
    for comm in (newer, older, None):
        widget_module._let_messages_pass_cells(comm)
    assert newer._reply_subshell_for is None
    assert not hasattr(older, "_reply_subshell_for")


def test_closing_a_panel_stops_its_reply_and_its_threads_and_leaves_the_chat_open(chat: ScriptedChat) -> None:
    panel = gn.ChatPanel(chat)
    panel._on_message(panel, {"type": "send", "id": "r", "epoch": 1, "text": "Hello"}, [])
    chat.next_stream()
    panel.close()
    panel.close()
    assert chat.stops >= 1
    assert not chat.closed
    for thread in threading.enumerate():
        if thread.name.startswith("gemma-panel"):
            thread.join(WAIT_S)
            assert not thread.is_alive()


def test_a_front_end_that_is_not_built_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, chat: ScriptedChat, tmp_path: Any
) -> None:
    monkeypatch.setattr(widget_module, "_STATIC", tmp_path)
    with pytest.raises(GemmaNotebookError, match="npm run build"):
        gn.ChatPanel(chat)


def test_the_real_chat_fits_what_the_panel_asks_of_one(fake_manager: gn.SessionManager) -> None:
    chat: PanelChat = fake_manager.create_chat()
    assert chat.manager.handles.live == 1
    assert chat.handle_id == 1
    assert chat.context.tokens >= 0


def test_a_panel_that_was_closed_and_forgotten_keeps_nothing(chat: ScriptedChat) -> None:
    panel = gn.ChatPanel(chat)
    panel.close()
    known = weakref.ref(panel)
    del panel
    gc.collect()
    assert known() is None
