"""Tools when things go wrong: each call has an answer, in the history and for the model, and nobody waits for ever. On the stub."""

from __future__ import annotations

import asyncio
import contextvars
import json
import os
import shutil
import signal
import threading
from pathlib import Path
from typing import Literal

import pytest
from support import WAIT_S, load_test_model, wait_until
from test_tools import CHUNK, add, calls, last_sent, replies, says

import gemma_notebook as gn
from gemma_notebook.errors import (
    ClosedError,
    ContextFullError,
    EngineError,
    OptionTypeError,
    OptionValueError,
    ToolError,
    UnsupportedError,
)
from gemma_notebook.models import resolve_model
from gemma_notebook.panel.tabs import Tabs


@pytest.fixture
def manager(fake, make_fake_manager):
    fake.set(info_supports_function_calling=1)
    return make_fake_manager()


def history(fake):
    """The messages that the latest conversation was created with."""
    created = [int(line.split()[1]) for line in fake.log if line.startswith("create ")]
    return json.loads(fake.options("conversation", created[-1])["messages"])


def test_a_call_in_a_reply_that_is_stopped_is_answered(fake, manager, in_thread):
    fake.set(chunks=CHUNK.join([calls(("add", {"a": 1, "b": 1})), says("and"), says("more")]), gate=1)
    chat = manager.create_chat(tools=[add])
    stream = in_thread(chat.stream, "Go.").result(WAIT_S)
    fake.allow(1)
    assert next(stream).tool_call
    chat.stop()
    fake.set(gate=None)
    fake.let_go()
    reply = stream.reply
    assert reply.finish_reason == "cancelled"
    assert [one.outcome for one in reply.tool_results] == ["stopped"]
    assert [message.role for message in chat.messages] == ["user", "assistant", "tool"]
    fake.set(chunks=says("Hello."))
    chat.send("Hi")
    assert [message["role"] for message in history(fake)] == ["user", "assistant", "tool", "assistant"]


def test_a_call_that_the_model_never_ends_is_answered_and_not_shown(fake, manager):
    # The stub's file tells nothing of calls, but who reads it looks into the file itself.
    shutil.copy(resolve_model("tiny"), manager.model.path)
    fake.set(
        chunk_replies=replies(
            [says("Well. "), says('<tool_call>{"name": "add", '), says('"a')], says("Once more.")
        )
    )
    stream = manager.create_chat(tools=[add]).stream("Go.")
    text = "".join(delta.text for delta in stream)
    assert text == "Well. \n\nOnce more."
    assert stream.reply.tool_calls == (gn.ToolCall("", '<tool_call>{"name": "add", "a'),)
    assert "there is no tool ''" in stream.reply.tool_results[0].value["error"]


def test_a_call_that_is_never_ended_after_a_required_one_is_not_shown_either(fake, manager):
    shutil.copy(resolve_model("tiny"), manager.model.path)
    manager._engine._constrains["ascii"] = True
    fake.set(
        chunk_replies=replies(
            says('{"name": "add", "arguments": {"a": 1, "b": 2}}'), says('<tool_call>{"na'), says("3.")
        )
    )
    reply = manager.create_chat(tools=[add], tool_choice="required").send("Go.")
    assert [one.outcome for one in reply.tool_results] == ["done", "error"]
    assert reply.text == "3."


def test_a_call_in_a_reply_that_the_engine_breaks_off_is_answered(fake, manager):
    fake.set(chunks=calls(("add", {"a": 1, "b": 1})), end_error="INTERNAL: broken")
    chat = manager.create_chat(tools=[add])
    stream = chat.stream("Go.")
    with pytest.raises(EngineError):
        list(stream)
    assert [message.role for message in chat.messages] == ["user", "assistant", "tool"]


def test_results_that_the_engine_refuses_are_kept_for_the_next_message(fake, manager):
    def once() -> str:
        fake.set(fail_conversation_send_message_stream="1:13:no")
        return "done once"

    fake.set(chunk_replies=replies(calls(("once", {})), says("Hello.")))
    chat = manager.create_chat(tools=[once])
    with pytest.raises(EngineError):
        chat.send("Go.")
    assert chat.messages[-1].tool_results[0].value == "done once"
    assert chat.send("Hi").text == "Hello."
    assert history(fake)[2]["content"][0]["response"] == "done once"


def test_what_the_reply_says_came_of_a_call_is_what_the_model_was_told(fake, make_fake_manager):
    fake.set(info_supports_function_calling=1)
    manager = make_fake_manager(context_tokens=128)

    def long() -> str:
        return "word " * 500

    fake.set(chunk_replies=replies(calls(("long", {})), says("Too long.")))
    chat = manager.create_chat(tools=[long])
    reply = chat.send("Go.")
    assert reply.tool_results == chat.messages[2].tool_results
    assert reply.tool_results[0].outcome == "error"


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even that")


@pytest.mark.parametrize(
    "failure", [UnspeakableError(), ValueError("half \ud800 a pair"), SystemExit(3), StopIteration()]
)
def test_a_call_is_answered_whatever_is_raised(fake, manager, failure):
    def approve(_: gn.ToolCall) -> bool:
        raise failure

    fake.set(chunk_replies=replies(calls(("add", {"a": 1, "b": 1})), says("Sorry.")))
    reply = manager.create_chat(tools=[add], approve_tool=approve).send("Go.")
    assert reply.tool_results[0].outcome == "error"
    assert reply.text == "Sorry."
    json.dumps(last_sent(fake), ensure_ascii=False).encode()


def test_a_tool_that_changes_its_arguments_changes_no_history(fake, manager):
    def changes(what: dict) -> None:
        what["inner"].append("changed")

    fake.set(chunk_replies=replies(calls(("changes", {"what": {"inner": []}})), says("Done.")))
    chat = manager.create_chat(tools=[changes])
    chat.send("Go.")
    assert chat.messages[1].tool_calls[0].arguments == {"what": {"inner": []}}


def test_a_nul_in_a_result_does_not_cut_the_prompt(fake, manager):
    def reads() -> dict[str, str]:
        return {"a\0b": "c\0d"}

    fake.set(chunk_replies=replies(calls(("reads", {})), says("Read.")))
    manager.create_chat(tools=[reads]).send("Go.")
    assert "\\u0000" not in json.dumps(last_sent(fake))


def test_a_chat_is_not_sent_to_by_a_tool_of_a_tool_of_it_either(fake, manager):
    chats = {}

    async def first() -> str:
        return (await chats["second"].asend("Inner.")).text

    async def second() -> str:
        return (await chats["first"].asend("Innermost.")).text

    fake.set(
        chunk_replies=replies(calls(("first", {})), calls(("second", {})), says("Refused."), says("Done."))
    )
    chats["first"] = manager.open_chat(tools=[first])
    chats["second"] = manager.open_chat(tools=[second])
    reply = asyncio.run(asyncio.wait_for(chats["first"].asend("Go."), WAIT_S))
    assert reply.text == "Done."
    innermost = chats["second"].messages[2].tool_results[0]
    assert "cannot send to the chat that called it" in innermost.value["error"]


WHO = contextvars.ContextVar("WHO", default="nobody")


@pytest.mark.parametrize("way", ["send", "asend"])
def test_a_tool_runs_in_the_context_of_who_sent(fake, manager, way):
    def who() -> str:
        return WHO.get()

    fake.set(chunk_replies=replies(calls(("who", {})), says("Done.")))
    chat = manager.create_chat(tools=[who])

    def send() -> gn.Reply:
        WHO.set("me")
        return chat.send("Go.") if way == "send" else asyncio.run(chat.asend("Go."))

    assert contextvars.copy_context().run(send).tool_results[0].value == "me"


@pytest.mark.parametrize("verb", ["regenerate", "edit"])
def test_a_tool_that_goes_back_to_answer_again_is_refused_before_anything_is_forgotten(fake, manager, verb):
    chats = []

    def again() -> str:
        chat = chats[0]
        return (chat.regenerate() if verb == "regenerate" else chat.edit(0, "Other.")).text

    fake.set(chunk_replies=replies(calls(("again", {})), says("No.")))
    chats.append(manager.create_chat(tools=[again]))
    reply = chats[0].send("Go.")
    assert reply.text == "No."
    assert "cannot send to the chat that called it" in reply.tool_results[0].value["error"]
    assert [message.text for message in chats[0].messages if message.role == "user"] == ["Go."]


def test_a_tool_that_exits_does_not_end_the_loop_that_it_runs_on(fake, manager):
    async def leaves() -> None:
        raise SystemExit(3)

    fake.set(chunk_replies=replies(calls(("leaves", {})), says("Sorry.")))
    chat = manager.create_chat(tools=[leaves])
    reply = asyncio.run(chat.asend("Go."))
    assert reply.text == "Sorry."
    assert reply.tool_results[0].value == {"error": "SystemExit: 3"}


@pytest.mark.parametrize("verb", ["stop", "reset", "undo", "close"])
def test_a_tool_may_end_its_own_chat(fake, manager, verb):
    chats = []

    def ends() -> str:
        getattr(chats[0], verb)()
        return "done"

    fake.set(chunk_replies=replies(calls(("ends", {})), says("No.")))
    chats.append(manager.create_chat(tools=[ends]))
    assert chats[0].send("Go.").finish_reason == "cancelled"
    assert manager.handles.live == (0 if verb == "close" else 1)


@pytest.mark.parametrize("verb", ["reload", "close"])
def test_a_tool_may_reload_or_close_its_manager(fake, manager, verb):
    def ends() -> str:
        getattr(manager, verb)()
        return "done"

    fake.set(chunk_replies=replies(calls(("ends", {})), says("Hello.")))
    chat = manager.create_chat(tools=[ends])
    assert chat.send("Go.").finish_reason == "cancelled"
    if verb == "reload":
        fake.set(chunk_replies=says("Hello."))
        assert chat.send("Hi").text == "Hello."
        assert manager.handles.live == 1


def test_a_chat_restored_without_native_calls_has_them_as_text(fake, make_fake_manager):
    plain = make_fake_manager()
    fake.set(
        chunk_replies=replies(
            says('{"name": "add", "parameters": {"a": 1, "b": 1}}'), says("2"), says("Hello.")
        )
    )
    chat = plain.create_chat(tools=[add])
    chat.send("Go.")
    saved = gn.Transcript.from_json(chat.transcript().to_json())
    chat.restore(saved.messages)
    assert chat.messages == saved.messages
    chat.send("Hi")
    told = history(fake)
    assert [message["role"] for message in told] == ["user", "assistant", "user", "assistant"]
    assert not any("tool_calls" in message for message in told)
    assert json.loads(told[1]["content"][0]["text"]) == [{"name": "add", "parameters": {"a": 1, "b": 1}}]
    assert json.loads(told[2]["content"][0]["text"]) == {"name": "add", "response": 2}


@pytest.mark.parametrize(
    "result",
    [
        gn.ToolResult(gn.ToolCall("add", {"a": 1}), object()),
        gn.ToolResult(gn.ToolCall("add", {"a": object()}), 1),
    ],
)
def test_what_is_no_json_cannot_be_restored_and_nothing_is_forgotten(fake, manager, result):
    chat = manager.create_chat(tools=[add])
    chat.send("Hi")
    said = chat.messages
    with pytest.raises(OptionValueError, match="JSON"):
        chat.restore(
            [
                gn.Message("user", "Go."),
                gn.Message("assistant", "", "tool_calls", tool_calls=(result.call,)),
                gn.Message("tool", "", tool_results=(result,)),
            ]
        )
    assert chat.messages == said


@pytest.mark.parametrize("value", ["NaN", "1e999", '"\\ud800"'])
def test_without_native_calls_what_json_cannot_carry_is_no_call(fake, make_fake_manager, value):
    fake.set(
        chunk_replies=replies(says(f'{{"name": "add", "parameters": {{"a": {value}}}}}'), says("Sorry."))
    )
    chat = make_fake_manager().create_chat(tools=[add])
    reply = chat.send("Go.")
    assert reply.text == "Sorry."
    assert reply.tool_calls[0].name == ""
    chat.restore(gn.Transcript.from_json(chat.transcript().to_json()).messages)


def test_a_restored_chat_is_replayed_once(fake, manager):
    fake.set(chunk_replies=replies(calls(("add", {"a": 1, "b": 1})), says("2"), says("Hello.")))
    chat = manager.create_chat(tools=[add])
    chat.send("Go.")
    chat.restore(chat.messages)
    created = manager.handles.created
    assert chat.send("Hi").text == "Hello."
    assert manager.handles.created == created


def test_results_for_a_restored_call_are_its_only_answer(fake, manager):
    fake.set(chunk_replies=replies(calls(("add", {"a": 1, "b": 1})), says("2")))
    session = manager.create_session(tools=[add])
    (call,) = session.send("Go.").tool_calls
    session.restore(session.messages)
    assert session.send_tool_results([gn.ToolResult(call, 2)]).text == "2"
    assert [message["role"] for message in history(fake)] == ["user", "assistant"]


def test_a_call_that_is_never_ended_after_a_restored_one_is_not_shown_either(fake, manager):
    shutil.copy(resolve_model("tiny"), manager.model.path)
    call = gn.ToolCall("add", {"a": 1, "b": 1})
    session = manager.create_session(tools=[add])
    session.restore([gn.Message("user", "Go."), gn.Message("assistant", "", tool_calls=(call,))])
    fake.set(chunks=says('So: <tool_call>{"na'))
    reply = session.send_tool_results([gn.ToolResult(call, 2)])
    assert (reply.text, reply.finish_reason) == ("So: ", "tool_calls")


def test_going_back_behind_a_stopped_call_costs_no_replay(fake, manager, in_thread):
    fake.set(chunk_replies=replies(calls(("add", {"a": 1, "b": 1})), says("One."), says("Two.")))
    chat = manager.create_chat(tools=[add])
    stream = chat.stream("Go.")
    while not next(stream).tool_call:
        pass
    stream.close()
    chat.send("One?")
    chat.send("Two?")
    created = manager.handles.created
    chat.undo()
    assert chat.send("Two?").text == "Two."
    assert manager.handles.created == created + 1  # the checkpoint


def test_a_chat_opened_beside_another_has_its_rules_for_tools(fake, manager):
    chat = manager.create_chat(tools=[add], approve_tool=lambda _: False, max_tool_turns=1)
    tabs = Tabs([chat], lambda _: None)
    tabs.handle({"type": "open_chat", "id": "1", "like": "1"})
    wait_until(lambda: len(tabs.chats) == 2)
    fake.set(chunk_replies=calls(("add", {"a": 1, "b": 1})))
    reply = tabs.chats[1].send("Go.")
    assert [one.outcome for one in reply.tool_results] == ["denied", "error"]
    tabs.close()


def test_a_panel_goes_back_to_what_was_said_round_by_round(fake, manager):
    fake.set(
        chunk_replies=replies(
            [says("First."), calls(("add", {"a": 1, "b": 1}))],
            [says("Then."), calls(("add", {"a": 2, "b": 2}))],
            says("Four."),
            says("Yes."),
            says("No."),
        )
    )
    chat = manager.create_chat(tools=[add])
    told = []
    tabs = Tabs([chat], told.append)

    def ask(kind: str, ends: int, **fields: object) -> list[dict]:
        def ended() -> list[dict]:
            return [
                one
                for one in told
                if one["type"] == "turn" and one["state"] == "done" and one["role"] == "assistant"
            ]

        tabs.handle({"type": kind, "id": kind, "epoch": 1, **fields})
        wait_until(lambda: len(ended()) == ends and told[-1].get("status") == "idle")
        return ended()

    ask("send", 1, text="Go.")
    said = chat.messages
    ask("send", 2, text="Right?")
    _, last = ask("edit", 3, turn=3, text="Wrong?")[1:]
    tabs.handle({"type": "switch", "id": "switch", "epoch": 1, "turn": last["turn"] - 1, "index": 1})
    wait_until(lambda: chat.messages[-1].text == "Yes.")
    assert chat.messages[:-2] == said
    tabs.close()


@pytest.mark.parametrize("what", ["required", "format"])
def test_an_async_send_does_not_try_the_constraint_on_the_loop(fake, manager, what):
    fake.set(chunk_replies=says("No."), hold_conversation_send_message=1)
    if what == "required":
        chat, more = manager.create_chat(tools=[add], tool_choice="required"), {}
    else:
        chat, more = manager.create_chat(), {"response_format": "yes|no"}

    async def ask() -> None:
        task = asyncio.create_task(chat.asend("Go.", **more))
        while not fake.count("conversation_send_message"):
            await asyncio.sleep(0.001)
        fake.set(hold_conversation_send_message=None)
        with pytest.raises((ToolError, UnsupportedError)):
            await task

    asyncio.run(ask())
    if what == "format":
        assert chat.messages == ()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_the_tools_of_its_parent(fake, manager, in_thread):
    entered, release = threading.Event(), threading.Event()

    def slow() -> str:
        entered.set()
        release.wait(WAIT_S)
        return "now"

    fake.set(chunk_replies=replies(calls(("slow", {})), says("Done.")))
    chat = manager.create_chat(tools=[slow])
    stream = chat.stream("Go.")
    sent = in_thread(lambda: stream.reply)
    assert entered.wait(WAIT_S)
    with chat._line._lock:  # which another thread may hold just then
        child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)  # which ends a child that waits
        code = 1
        try:
            with pytest.raises(ClosedError, match="forked"), chat._line._lock:
                list(stream)
            with pytest.raises(ClosedError, match="forked"):
                chat.send("Hi")
            code = 7
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    release.set()
    assert sent.result(WAIT_S).text == "Done."


def test_a_transcript_names_the_tools(manager):
    chat = manager.create_chat(tools=[add, gn.tool(name="sum")(add)])
    assert chat.transcript().options["tools"] == ["add", "sum"]


def test_a_session_takes_results_of_any_type_that_json_has_and_nothing_else(fake, manager):
    fake.set(chunk_replies=replies(calls(("add", {"a": 1, "b": 1})), says("2")))
    session = manager.create_session(tools=[add])
    (call,) = session.send("Go.").tool_calls
    with pytest.raises(OptionTypeError, match="ToolResult"):
        session.send_tool_results([2])
    with pytest.raises(ToolError, match="JSON"):
        session.send_tool_results([gn.ToolResult(call, object())])
    assert session.send_tool_results([gn.ToolResult(call, {1})]).text == "2"
    assert last_sent(fake)["content"][0]["response"] == [1]


def test_a_call_that_was_stopped_while_the_user_was_asked_is_not_carried_out(fake, manager, in_thread):
    asked, answer, carried_out = threading.Event(), threading.Event(), []

    def delete(name: str) -> None:
        carried_out.append(name)

    def approve(call: gn.ToolCall) -> bool:
        asked.set()
        return answer.wait(WAIT_S)

    fake.set(chunk_replies=replies(calls(("delete", {"name": "a"}))))
    chat = manager.create_chat(tools=[delete], approve_tool=approve)
    reply = in_thread(chat.send, "Go.")
    assert asked.wait(WAIT_S)
    chat.stop()
    assert [one.outcome for one in reply.result(WAIT_S).tool_results] == ["stopped"]
    answer.set()
    for thread in threading.enumerate():
        if thread.name.startswith("gemma_notebook tool"):
            thread.join(WAIT_S)
    assert carried_out == []


def test_a_question_that_is_async_ends_with_the_stop(fake, manager, in_thread):
    asked, ended = threading.Event(), []

    async def approve(call: gn.ToolCall) -> bool:
        asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    fake.set(chunk_replies=replies(calls(("add", {"a": 1, "b": 2}))))
    chat = manager.create_chat(tools=[add], approve_tool=approve)
    reply = in_thread(chat.send, "Go.")
    assert asked.wait(WAIT_S)
    chat.stop()
    assert [one.outcome for one in reply.result(WAIT_S).tool_results] == ["stopped"]
    wait_until(lambda: ended)
    assert ended == ["cancelled"]


@pytest.mark.parametrize(
    ("written", "shown", "names"),
    [
        (
            ["I will.\n\n", "```JSON\n", '{"name": "add", "parameters": {"a": 2, "b": 3}}', "\n```"],
            "I will.",
            ["add"],
        ),
        (["Sure. ", '{"na', 'me": "add", "arguments": {"a": 2, "b": 3}} It is 6.'], "Sure.", ["add"]),
        (['<tool_call>{"name": "add", "arguments": {"a": 2, "b": 3}}', "</tool_call>"], "", ["add"]),
        (['{"type": "function", "name": "add", "parameters": {"a": 2, "b": 3}}'], "", ["add"]),
        (['{"type":"function","function":{"name":"add","arguments":{"a": 2, "b": 3}}}'], "", ["add"]),
        (['{"function": {"na', 'me": "add", "arguments": {"a": 2, "b": 3}}}'], "", ["add"]),
        (['{"tool_calls": [{"function": {"name": "add", "arguments": {"a": 2, "b": 3}}}]}'], "", ["add"]),
        (['{"id": 1, "name": "add", "arguments": {"a": 2, "b": 3}}'], "", ["add"]),
        (["```javascr", 'ipt\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n```'], "", ["add"]),
        (
            ["Use ``` to open.\n\n", '```json\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n```'],
            "Use ``` to open.",
            ["add"],
        ),
        (
            ["```json\n", '{"x": 1}\n``', '`\n{"name": "add", "arguments": {"a": 2, "b": 3}}'],
            '```json\n{"x": 1}\n```',
            ["add"],
        ),
        (
            ['{"name": "add", "parameters": {"a": 2, "b": 3}}\n', '{"name": "no", "parameters": {}}'],
            "",
            ["add", "no"],
        ),
        (
            [
                '<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n</tool_call>\n<tool',
                '_call>\n{"name": "no", "arguments": {}}\n</tool_call>',
            ],
            "",
            ["add", "no"],
        ),
        (
            ['```json\n{"name": "add", "parameters": {"a": 2, "b": 3}}\n```\n', '```output\n{"sum": 5}\n```'],
            "",
            ["add"],
        ),
    ],
)
def test_without_native_calls_a_call_beside_text_never_shows(fake, make_fake_manager, written, shown, names):
    fake.set(chunk_replies=replies([says(piece) for piece in written], says("It is 5.")))
    chat = make_fake_manager().create_chat(tools=[add])
    stream = chat.stream("Add 2 and 3.")
    assert "".join(delta.text for delta in stream) == f"{shown}\n\nIt is 5.".lstrip()
    assert [one.name for one in stream.reply.tool_calls] == names
    assert stream.reply.tool_results[0].value == 5


@pytest.mark.parametrize(
    "written",
    [
        ['{"id": "m1", "parameters": {"cpu": 2}}', "\nThat is it."],
        ['{"id": 7, "title": "A"}', " and prose"],
        ["```\n", "```\n", "Hello", " there."],
        ['[{"name": "Bo", "age": 3}]', " of one"],
        ['{"id": 7, "x": [{"name": "add", "parameters": {"a": 2, "b": 3}}]}', " is data"],
        ['{"name": "Bo", "x": {"name": "add", ', '"parameters": {"a": 2, "b": 3}}}', " too"],
        ['{"add', '": {"na', 'me": "add", "para', 'meters": {"a": 2, "b": 3}}, "or": 1}', " too"],
        [
            '```json\n{"u": "\\u00',
            'e9", "add": ',
            '{"name": "add", "parameters": {"a": 2, "b": 3}}',
            "}\n```",
        ],
    ],
)
def test_without_native_calls_json_that_is_no_call_is_shown_as_soon_as_it_is_whole(
    fake, make_fake_manager, written
):
    fake.set(chunk_replies=replies([says(piece) for piece in written]))
    stream = make_fake_manager().create_chat(tools=[add]).stream("Go.")
    deltas = [delta.text for delta in stream]
    assert "".join(deltas) == "".join(written)
    assert deltas[-1] != "".join(written)
    assert not stream.reply.tool_calls


def test_without_native_calls_text_is_held_back_no_longer_than_it_may_be_a_call(fake, make_fake_manager):
    written = ["if (a) ", "{ b[0] = ", "`x`; }", " <b>"]
    fake.set(chunk_replies=replies([says(piece) for piece in written]))
    stream = make_fake_manager().create_chat(tools=[add]).stream("Go.")
    assert [delta.text for delta in stream] == ["if (a)", " { b[0] =", " `x`; }", " <b>"]


def test_a_required_call_takes_arguments_that_the_grammar_has_no_words_for(real_manager):
    def note(tags: set[str], where: Path) -> str:
        """Note something."""
        return f"{sorted(tags)} {where}"

    chat = real_manager.create_chat(tools=[note], tool_choice="required", max_tool_turns=1)
    [result] = chat.send("Note the tags red and blue.", max_output_tokens=200).tool_results
    assert result.call.name == "note"


def test_a_required_call_may_have_letters_that_the_tokenizer_writes_byte_by_byte(real_manager):
    def greet(who: Literal["Zoë", "Bo"]) -> str:
        """Greet somebody."""
        return who

    chat = real_manager.create_chat(tools=[greet], tool_choice="required", max_tool_turns=1)
    [result] = chat.send("Hello", max_output_tokens=60).tool_results
    assert result.call.name == "greet"


def test_a_schema_that_the_engine_cannot_hold_a_call_to_is_named(fake, manager):
    manager._engine._constrains["ascii"] = True
    fake.set(
        fail_conversation_send_message_stream="1:13:INTERNAL: Failed to create LLGuidance constraint: no such thing"
    )
    chat = manager.create_chat(tools=[add], tool_choice="required")
    with pytest.raises(ToolError, match="and the engine cannot: no such thing.*; give them simpler types"):
        chat.send("Go.")


def test_a_short_result_is_never_replaced_by_an_error_that_is_longer():
    called = []

    def get_weather(city: str) -> str:
        """The weather in a city."""
        called.append(city)
        return "sun"

    with load_test_model(context_tokens=256) as manager:
        chat = manager.create_chat(tools=[get_weather], context_policy="error")
        chat.send("Count to 43.")
        with pytest.raises(ContextFullError, match="the tools were called") as caught:
            chat.send("What is the weather in Paris?")
        assert "nothing was sent" not in str(caught.value)
        assert called == ["Paris"]
        assert [one.value for one in chat.messages[-1].tool_results] == ["sun"]
        assert chat.undo().text == "What is the weather in Paris?"


def test_a_fork_in_the_middle_of_calls_goes_on_after_the_last_whole_reply(fake, manager):
    forks = []

    def look() -> str:
        forks.append(chat.fork())
        return "seen"

    fake.set(chunk_replies=replies(says("Hello."), calls(("look", {})), says("Done."), says("Yes.")))
    chat = manager.open_chat(tools=[look])
    chat.send("Hi")
    chat.send("Look.")
    (fork,) = forks
    assert [message.text for message in fork.messages] == ["Hi", "Hello."]
    assert fork.send("Right?").text == "Yes."


def test_a_chat_that_must_call_may_be_reset_to_no_tools_and_back(real_manager):
    chat = real_manager.create_chat(tools=[add], tool_choice="required")
    chat.reset(tools=())
    assert not chat.send("Hello").tool_calls
    chat.reset(tools=[add])
    assert chat.send("What is 1 plus 2?").tool_calls


def test_a_required_call_that_is_cut_off_is_not_shown(real_manager):
    chat = real_manager.create_chat(tools=[add], tool_choice="required")
    for limit in (1, 3, 8):
        reply = chat.send("What is 1 plus 2?", max_output_tokens=limit)
        assert (reply.text, reply.finish_reason) == ("", "length")


@pytest.mark.parametrize("verb", ["regenerate", "edit"])
def test_going_back_that_would_hold_up_the_loop_of_a_reply_is_refused_before_anything_is_stopped(
    fake, manager, verb
):
    async def main() -> gn.Reply:
        began, go_on = asyncio.Event(), asyncio.Event()

        async def weather() -> str:
            began.set()
            await go_on.wait()
            return "sun"

        fake.set(chunk_replies=replies(calls(("weather", {})), says("Sunny.")))
        chat = manager.create_chat(tools=[weather])
        asked = asyncio.create_task(chat.asend("Go."))
        await began.wait()
        with pytest.raises(ToolError, match="aregenerate"):
            chat.regenerate() if verb == "regenerate" else chat.edit(0, "Other.")
        go_on.set()
        return await asked

    reply = asyncio.run(asyncio.wait_for(main(), WAIT_S))
    assert (reply.text, reply.finish_reason) == ("Sunny.", "stop")
