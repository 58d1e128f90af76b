"""Thinking and tools, settings, handles, exports: what a panel does besides talking."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from scripted_chat import WAIT_S, FrontEnd, ScriptedChat, connected, say, streaming

import gemma_notebook as gn
from gemma_notebook.errors import OptionValueError
from gemma_notebook.messages import Delta, HandleEvent, Message, ToolCall, ToolResult, Usage
from gemma_notebook.panel import export
from gemma_notebook.panel.hood import MOST_LIVES, lives
from gemma_notebook.transcript import Entry, Transcript


def weather(city: str) -> str:
    return f"rain in {city}"


def test_thinking_streams_apart_from_the_answer(front: FrontEnd, chat: ScriptedChat) -> None:
    stream = streaming(front, chat)
    for piece in (Delta(thinking="Hm. "), Delta(thinking="👋 "), Delta("Yes", thinking="Ah.")):
        stream.pieces.put(piece)
    stream.pieces.put(None)
    end = front.wait(type="turn", role="assistant", state="done")
    told = [(d.get("part", "text"), d["offset"], d["text"]) for d in front.messages if d["type"] == "delta"]
    assert [(part, text) for part, _, text in told if part == "text"] == [("text", "Yes")]
    assert "".join(text for part, _, text in told if part == "thinking") == "Hm. 👋 Ah."
    assert (end["thinking"], end.get("text", "Yes")) == ("Hm. 👋 Ah.", "Yes")


def ask_in_mid_reply(front: FrontEnd, chat: ScriptedChat, call: ToolCall) -> tuple[Any, list[bool]]:
    """Let the chat's tool loop ask whether it may call; its answers arrive in the list."""
    answers: list[bool] = []
    stream = streaming(front, chat)
    stream.pieces.put(lambda: answers.append(front.controller.tools.approve(call)))
    stream.pieces.put(Delta("."))
    return front.wait(type="tool")["call"], answers


def test_a_tool_waits_until_the_user_has_decided_and_shows_its_result(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    call = ToolCall("weather", {"city": "Paris"})
    asked, answers = ask_in_mid_reply(front, chat, call)
    assert asked == {"id": "1", "name": "weather", "arguments": {"city": "Paris"}, "state": "asking"}
    assert front.snapshot()["messages"][-1]["tool_calls"] == [asked]
    assert answers == []
    request = front.ask("tool_decision", epoch=1, call="1", allow=True)
    front.wait(type="state", request=request)
    front.wait(type="delta", text=".")
    assert answers == [True]
    front.controller.tools.settle(ToolResult(call, "rain"))
    assert front.wait(type="tool", call={**asked, "state": "done", "result": "rain"})
    again = front.ask("tool_decision", epoch=1, call="1", allow=False)
    assert "decided already" in front.wait(type="error", request=again)["message"]


def test_a_denied_tool_is_not_called(front: FrontEnd, chat: ScriptedChat) -> None:
    asked, answers = ask_in_mid_reply(front, chat, ToolCall("weather", {}))
    front.ask("tool_decision", epoch=1, call=asked["id"], allow=False)
    front.wait(type="delta", text=".")
    assert answers == [False]
    assert front.snapshot()["messages"][-1]["tool_calls"][0]["state"] == "denied"


def test_stop_and_reset_deny_what_a_tool_asks(front: FrontEnd, chat: ScriptedChat) -> None:
    _, answers = ask_in_mid_reply(front, chat, ToolCall("weather", {}))
    front.ask("stop", epoch=1)
    front.wait(type="turn", state="cancelled")
    assert answers == [False]
    front.settle()
    front.clear()
    _, answers = ask_in_mid_reply(front, chat, ToolCall("weather", {}))
    front.ask("reset", epoch=1)
    front.wait(type="state", epoch=2, status="idle")
    assert answers == [False]


def test_a_question_ends_when_the_call_was_stopped_elsewhere(front: FrontEnd, chat: ScriptedChat) -> None:
    call = ToolCall("weather", {})
    stream = streaming(front, chat)
    answers: list[bool] = []
    asking = threading.Thread(target=lambda: answers.append(chat._askers[0](call)))
    asking.start()
    assert front.wait(type="tool")["call"]["state"] == "asking"
    stream.pieces.put(Delta(tool_result=ToolResult(call, {"error": "stopped"}, "stopped")))
    asking.join(WAIT_S)
    assert answers == [False]
    stream.pieces.put(None)
    front.settle()
    assert front.snapshot()["messages"][-1]["tool_calls"][0]["state"] == "stopped"


def test_a_call_that_is_being_asked_about_stays_so_when_it_is_shown(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    call = ToolCall("weather", {})
    asked, _ = ask_in_mid_reply(front, chat, call)
    front.controller.tools.show(call)
    assert front.snapshot()["messages"][-1]["tool_calls"] == [asked]


def test_a_tool_is_denied_where_the_panel_shows_no_reply(front: FrontEnd, chat: ScriptedChat) -> None:
    assert not chat._askers[0](ToolCall("weather", {}))  # a send in a cell
    front.controller.close()
    assert chat._askers == []


def test_arguments_and_results_that_json_cannot_carry_are_told_all_the_same(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    call = ToolCall("a\ud83d", {"x": {1, 2}, "y": "\ud83d"})
    stream = streaming(front, chat)
    stream.pieces.put(Delta(tool_call=call))
    told = front.wait(type="tool")["call"]
    assert told["name"] == "a\ufffd"
    assert told["arguments"] == {"x": "{1, 2}", "y": "\ufffd"}
    front.controller.tools.settle(ToolResult(call, {"error": "\udc00"}, "error"))
    assert front.wait(type="tool", call={**told, "state": "error", "result": "\ufffd"})


def test_what_a_tool_will_be_called_with_is_what_is_shown(front: FrontEnd, chat: ScriptedChat) -> None:
    stream = streaming(front, chat)
    as_text = '{"to": "boss",\n\n\n"bcc": "thief", "id": 1234567890123456789}'
    stream.pieces.put(Delta(tool_call=ToolCall("send", as_text)))
    shown = front.wait(type="tool")["call"]["arguments"]
    # JavaScript would read the number as 1234567890123456800.
    assert shown == {"to": "boss", "bcc": "thief", "id": "1234567890123456789"}


def test_calls_stay_in_their_order_when_they_end_in_another(front: FrontEnd, chat: ScriptedChat) -> None:
    calls = [ToolCall("slow", {}), ToolCall("quick", {})]
    stream = streaming(front, chat)
    for piece in (
        *(Delta(tool_call=call) for call in calls),
        Delta(tool_result=ToolResult(calls[1], "soon")),
    ):
        stream.pieces.put(piece)
    stream.pieces.put(Delta(tool_result=ToolResult(calls[0], "late")))
    stream.pieces.put(None)
    front.settle()
    shown = front.snapshot()["messages"][-1]["tool_calls"]
    assert [(call["name"], call["result"]) for call in shown] == [("slow", "late"), ("quick", "soon")]


def test_options_wait_for_the_next_chat_and_are_its_own_then(front: FrontEnd, chat: ScriptedChat) -> None:
    request = front.ask(
        "options", epoch=1, options={"temperature": 1.5, "top_k": 40, "system_instruction": ""}
    )
    told = front.wait(type="settings", request=request)["settings"]
    assert (told["options"]["top_k"], told["pending"]["top_k"]) == (1, 40)
    assert chat.options.top_k == 1
    front.ask("reset", epoch=1)
    told = front.wait(type="settings", epoch=2)["settings"]
    assert (told["options"]["top_k"], told["options"]["temperature"], told["pending"]) == (40, 1.5, None)
    assert chat.options == replace(chat.options, temperature=1.5, top_k=40, system_instruction=None)


def test_options_that_are_set_while_a_chat_is_reset_wait_for_the_one_after(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    front.ask("options", epoch=1, options={"top_k": 40})
    chat.reset_may_end.clear()
    request = front.ask("reset", epoch=1)
    assert chat.reset_begun.wait(WAIT_S)
    front.ask("options", epoch=1, options={"top_k": 1, "random_seed": 7})
    chat.reset_may_end.set()
    front.wait(type="state", status="idle", request=request)
    assert (chat.options.top_k, chat.options.random_seed) == (40, 1)
    pending = front.snapshot()["settings"]["pending"]
    assert (pending["top_k"], pending["random_seed"]) == (1, 7)
    front.wait(type="state", status="idle", request=front.ask("reset", epoch=2))
    assert (chat.options.top_k, chat.options.random_seed) == (1, 7)
    assert front.snapshot()["settings"]["pending"] is None


def test_a_reset_ends_also_where_options_set_meanwhile_do_not_go_with_those_of_the_new_chat(
    front: FrontEnd, chat: ScriptedChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.ask("options", epoch=1, options={"top_k": 40})
    chat.reset_may_end.clear()
    request = front.ask("reset", epoch=1)
    assert chat.reset_begun.wait(WAIT_S)
    front.wait(type="settings", request=front.ask("options", epoch=1, options={"random_seed": 7}))

    def refuse_a_seed(changes: dict[str, Any]) -> None:
        if "random_seed" in changes:
            raise OptionValueError("no seed goes with these")

    monkeypatch.setattr(chat, "_changed_options", refuse_a_seed)
    chat.reset_may_end.set()
    front.wait(type="state", status="idle", request=request)
    assert (chat.options.top_k, front.snapshot()["settings"]["pending"]) == (40, None)


def test_options_that_were_taken_back_or_are_the_same_change_nothing(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    front.ask("options", epoch=1, options={"top_k": 40})
    request = front.ask("options", epoch=1, options=None)
    assert front.wait(type="settings", request=request)["settings"]["pending"] is None
    request = front.ask("options", epoch=1, options={"top_k": 1})
    assert front.wait(type="settings", request=request)["settings"]["pending"] is None


def test_options_that_cannot_work_are_refused_in_words_and_change_nothing(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    for options, words in (
        ({"top_p": 0}, "top_p=0"),
        ({"top_k": "many"}, "whole number"),
        ({"colour": "red"}, "unknown option"),
        ({"enable_thinking": True}, "no thinking"),
    ):
        request = front.ask("options", epoch=1, options=options)
        assert words in front.wait(type="error", request=request)["message"]
    assert front.snapshot()["settings"]["pending"] is None


def test_tools_can_be_turned_off_and_on_again(front: FrontEnd, chat: ScriptedChat) -> None:
    front.controller._teller.next.__init__(replace(chat.options, tools=(weather,)))
    chat.options = replace(chat.options, tools=(weather,))
    assert front.snapshot()["settings"]["tools"] == ["weather"]
    for epoch, on in ((1, False), (2, True)):
        front.ask("options", epoch=epoch, options={"tools": on})
        front.ask("reset", epoch=epoch)
        front.wait(type="settings", epoch=epoch + 1)
        assert chat.options.tools == ((weather,) if on else ())


EVENTS = (
    HandleEvent(1, "created", at_s=0.5),
    HandleEvent(1, "sent", at_s=1.0),
    HandleEvent(1, "turn", at_s=2.0, usage=Usage(5, 5, 120, 1024)),
    HandleEvent(0, "failed", at_s=2.1),
    HandleEvent(1, "sent", at_s=2.2),
    HandleEvent(1, "cancelled", at_s=2.3),
    HandleEvent(1, "spent", "cancelled", at_s=2.4),
    HandleEvent(1, "closed", at_s=2.5),
    HandleEvent(2, "created", at_s=2.6),
    HandleEvent(2, "checkpoint", "checkpoint 1", at_s=2.6),
    HandleEvent(2, "checkpoint", "checkpoint 2", at_s=2.7),
    HandleEvent(2, "checkpoint", "checkpoint 3", at_s=2.7),
    HandleEvent(2, "checkpoint_closed", "checkpoint 1", at_s=2.7),
    HandleEvent(3, "created", "from checkpoint 2", at_s=2.8),
)


def test_under_the_hood_each_handle_has_its_life(front: FrontEnd, chat: ScriptedChat) -> None:
    chat.manager.events, chat.handle_id = EVENTS, 3
    hood = front.wait(type="hood", request=front.ask("hood_request"))
    assert (hood["now_s"], hood["earlier"]) == (2.8, 0)
    first, second, third = hood["lives"]
    assert (first["created_s"], first["spent_s"], first["closed_s"]) == (0.5, 2.4, 2.5)
    assert (first["sends"], first["end"], first["current"]) == (2, "cancelled", False)
    assert (first["tokens"], first["checkpoints"]) == (120, 0)
    assert (second["checkpoints"], second["current"]) == (1, False)
    assert (third["checkpoints"], third["closed_s"], third["current"]) == (0, None, True)


def test_of_many_handles_the_latest_are_told() -> None:
    events = [HandleEvent(n, "created", at_s=float(n)) for n in range(1, 2 * MOST_LIVES + 1)]
    earlier, latest = lives(events, None)
    assert (earlier, len(latest), latest[-1]["handle"]) == (MOST_LIVES, MOST_LIVES, 2 * MOST_LIVES)


def test_an_export_has_what_is_shown_and_an_import_makes_a_new_chat_of_it(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    say(front, chat, "My name is Ada.", "Hi, *Ada*!")
    for kind, media, words in (
        ("markdown", "text/markdown", "Hi, *Ada*!"),
        ("html", "text/html", "<em>Ada</em>"),
        ("json", "application/json", "Hi, *Ada*!"),
    ):
        told = front.wait(type="exported", request=front.ask("export", format=kind))
        assert told["media_type"] == media
        assert words in told["text"]
    request = front.ask("import", epoch=1, text=told["text"])
    assert front.wait(type="state", request=request)["epoch"] == 2
    assert front.shown() == ["My name is Ada.", "Hi, *Ada*!"]
    assert chat.restored == [(Message("user", "My name is Ada."), Message("assistant", "Hi, *Ada*!", "stop"))]
    front.wait(type="state", epoch=3, request=front.ask("reset", epoch=2))
    assert front.shown() == []
    assert len(chat.restored) == 1


def test_a_reply_is_stopped_while_an_export_is_written(
    front: FrontEnd, chat: ScriptedChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write, write = threading.Event(), export.write

    def write_slowly(*arguments: Any) -> export.File:
        assert may_write.wait(WAIT_S)
        return write(*arguments)

    monkeypatch.setattr(export, "write", write_slowly)
    streaming(front, chat).pieces.put(Delta("One"))
    front.wait(type="delta", text="One")
    exported = front.ask("export", format="markdown")
    front.wait(type="state", request=front.ask("stop", epoch=1))
    may_write.set()
    assert "One" in front.wait(type="exported", request=exported)["text"]


def test_an_imported_chat_has_the_options_that_it_was_exported_with(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    chat.options = replace(chat.options, system_instruction="Answer in French.", temperature=0.5, top_k=40)
    say(front, chat, "Hello", "Salut!")
    text = front.wait(type="exported", request=front.ask("export", format="json"))["text"]
    chat.options = replace(chat.options, system_instruction="Be a pirate.", top_k=1)
    front.ask("options", epoch=1, options={"temperature": 2.0, "random_seed": 7})
    front.wait(type="state", status="idle", request=front.ask("import", epoch=1, text=text))
    now = chat.options
    assert (now.system_instruction, now.top_k, now.temperature) == ("Answer in French.", 40, 0.5)
    assert now.random_seed == 1, "the file's goes before the one that waits for the next chat"
    settings = front.snapshot()["settings"]
    assert settings["pending"] is None
    assert settings["options"]["system_instruction"] == "Answer in French."
    assert "has a system instruction" in front.wait(type="error", kind="Note")["message"]


def test_options_of_a_file_that_no_chat_can_have_are_left_out_and_named(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    said = (Entry("user", "I am Bo."), Entry("assistant", "Hello, Bo!"))
    options = {"top_k": "many", "temperature": 0.5, "random_seed": 2**40}
    text = Transcript(said, "tiny", options=options).to_json()
    front.wait(type="state", status="idle", epoch=2, request=front.ask("import", epoch=1, text=text))
    told = front.wait(type="error")
    assert "were left out: top_k, random_seed." in told["message"]
    assert "request" not in told
    assert chat.options.temperature == 0.5
    assert front.shown() == ["I am Bo.", "Hello, Bo!"]


def test_settings_that_waited_for_the_next_chat_do_not_wait_on_after_an_import(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    say(front, chat, "Hello", "Hi!")
    text = front.wait(type="exported", request=front.ask("export", format="json"))["text"]
    front.ask("options", epoch=1, options={"temperature": 2.0})
    front.wait(type="state", status="idle", epoch=2, request=front.ask("import", epoch=1, text=text))
    assert front.snapshot()["settings"]["pending"] is None
    assert chat.options.temperature != 2.0


def test_a_file_that_is_chosen_while_the_chat_is_reset_is_refused_in_words(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    text = Transcript((Entry("user", "One"), Entry("assistant", "1")), "tiny").to_json()
    chat.reset_may_end.clear()
    reset = front.ask("reset", epoch=1)
    assert chat.reset_begun.wait(WAIT_S)
    refused = front.wait(type="error", request=front.ask("import", epoch=2, text=text))
    assert "import the file again" in refused["message"]
    chat.reset_may_end.set()
    front.wait(type="state", status="idle", request=reset)
    assert front.shown() == []
    front.wait(type="state", status="idle", request=front.ask("import", epoch=2, text=text))
    assert front.shown() == ["One", "1"]


def test_an_import_that_a_reset_elsewhere_overtook_is_refused_in_words(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    say(front, chat, "Hello", "Hi!")
    exported = front.wait(type="exported", request=front.ask("export", format="json"))["text"]
    chat.resets += 1
    chat.said_elsewhere()
    front.wait(type="snapshot", epoch=2)
    refused = front.wait(type="error", request=front.ask("import", epoch=1, text=exported))
    assert "import it again" in refused["message"]
    assert chat.restored == []


def test_a_reset_while_a_file_is_imported_ends_with_an_empty_chat(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    text = Transcript((Entry("user", "One"), Entry("assistant", "1")), "tiny").to_json()
    chat.reset_may_end.clear()
    front.ask("import", epoch=1, text=text)
    assert chat.reset_begun.wait(WAIT_S)
    reset = front.ask("reset", epoch=2)
    chat.reset_may_end.set()
    front.wait(type="state", status="idle", request=reset)
    assert front.shown() == []
    assert chat.messages == ()


def test_a_file_of_a_chat_that_thought_is_read_where_the_model_cannot(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    text = Transcript(
        (Entry("user", "I am Bo."), Entry("assistant", "Hello, Bo!")),
        "tiny",
        options={"enable_thinking": True, "colour": "red"},
    ).to_json()
    front.wait(type="state", status="idle", epoch=2, request=front.ask("import", epoch=1, text=text))
    assert front.shown() == ["I am Bo.", "Hello, Bo!"]
    assert chat.options.enable_thinking is False


def test_a_chat_that_was_reset_is_exported_with_its_own_options_and_not_with_the_next_ones(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    say(front, chat, "Hello", "Salut!")
    before = front.snapshot()
    options = {**before["settings"]["options"], "system_instruction": "Answer in French.", "top_k": 40}
    for mine in (options, None):
        more = {} if mine is None else {"options": mine}
        asked = front.ask("export", format="json", messages=before["messages"], **more)
        saved = Transcript.from_json(front.wait(type="exported", request=asked)["text"])
        assert saved.system_instruction == (mine and "Answer in French.")
        assert saved.options.get("top_k") == (mine and 40), "what is not known is left out"


def test_a_chat_that_was_reset_is_exported_from_what_the_front_end_has_kept(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    say(front, chat, "My name is Ada.", "Hi!")
    kept = front.snapshot()["messages"]
    front.wait(type="state", epoch=2, request=front.ask("reset", epoch=1))
    told = front.wait(type="exported", request=front.ask("export", format="markdown", messages=kept))
    assert "My name is Ada." in told["text"]
    broken = front.ask("export", format="markdown", messages=[{"role": "user"}])
    assert "unexpected" in front.wait(type="error", request=broken)["message"]


def test_a_file_that_is_no_chat_is_refused_and_the_chat_stays(front: FrontEnd, chat: ScriptedChat) -> None:
    say(front, chat, "Hello", "Hi!")
    for text in ("{", "[]", '{"format": "something else"}'):
        refused = front.wait(type="error", request=front.ask("import", epoch=1, text=text))
        assert refused["kind"] == "TranscriptError"
    assert front.shown() == ["Hello", "Hi!"]


@pytest.mark.parametrize("prompt", ["", "A NUL: \0"])
def test_a_chat_that_the_model_cannot_go_on_from_is_refused_and_the_old_one_stays(
    fake: Any, fake_manager: gn.SessionManager, prompt: str
) -> None:
    fake.set(reply="Hi!")
    chat = fake_manager.create_chat()
    chat.send("Hello")
    with connected(chat) as front:
        text = Transcript((Entry("user", prompt), Entry("assistant", "Hi!")), "tiny").to_json()
        refused = front.wait(type="error", request=front.ask("import", epoch=1, text=text))
        assert refused["kind"] == "OptionValueError"
        assert front.snapshot()["status"] == "idle"
        assert front.shown() == ["Hello", "Hi!"]
        assert [message.text for message in chat.messages] == ["Hello", "Hi!"]


def test_a_chat_that_must_call_has_nothing_to_call_where_its_tools_are_turned_off(
    fake: Any, make_fake_manager: Callable[..., gn.SessionManager]
) -> None:
    fake.set(info_supports_function_calling=1, reply="Hi!")
    chat = make_fake_manager().create_chat(tools=[weather], tool_choice="required")
    with connected(chat) as front:
        for wanted, tools in ((False, ()), (True, (weather,))):
            front.wait(
                type="settings",
                request=front.ask("options", epoch=chat._resets + 1, options={"tools": wanted}),
            )
            front.wait(type="state", status="idle", request=front.ask("reset", epoch=chat._resets + 1))
            assert chat.options.tools == tools
            if not tools:
                assert chat.send("Hello").text == "Hi!"
