"""A chat with calls of tools, exported and imported: the same messages, the same rows, and the results for the model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scripted_chat import WAIT_S, FrontEnd, ScriptedChat, connected

import gemma_notebook as gn
from gemma_notebook.messages import Message, ModelInfo, ToolCall, ToolResult
from gemma_notebook.panel import export
from gemma_notebook.transcript import Entry, ToolUse, Transcript

CHUNK, REPLY = "\x1e", "\x1d"
ADD = ToolCall("add", {"a": 2, "b": 3})
MODEL = ModelInfo(
    "tiny", "tiny.litertlm", 1, 1024, supports_thinking=False, supports_tools=True, modalities=("text",)
)


def add(a: int, b: int) -> dict[str, int]:
    """Add two numbers."""
    return {"sum": a + b}


def lose(what: str) -> None:
    """Lose it."""
    raise KeyError(what)


@gn.tool(needs_approval=True)
def pay(euros: int) -> str:
    """Pay."""
    return f"paid {euros}"


def says(text: str) -> str:
    return json.dumps({"role": "assistant", "content": [{"type": "text", "text": text}]})


def calls(*wanted: tuple[str, object]) -> str:
    listed = [{"type": "function", "function": {"name": n, "arguments": a}} for n, a in wanted]
    return json.dumps({"role": "assistant", "tool_calls": listed})


@pytest.fixture
def chat(fake: Any, make_fake_manager: Callable[..., gn.SessionManager]) -> gn.Chat:
    """A chat that calls tools in two rounds, and says something before, between and after them."""
    first = CHUNK.join((says("Let me see."), calls(("add", {"a": 2, "b": 3}), ("lose", {"what": "it"}))))
    second = CHUNK.join((says("And now:"), calls(("pay", {"euros": 5}))))
    fake.set(
        info_supports_function_calling=1,
        chunk_replies=REPLY.join((first, second, says("Done."), says("Yes."))),
    )
    return make_fake_manager().create_chat(tools=[add, lose, pay])


@pytest.fixture
def front(fake: Any, chat: gn.Chat) -> Iterator[FrontEnd]:
    with connected(chat) as front:
        yield front
        fake.let_go()


def said(front: FrontEnd) -> None:
    """Have the model call its tools, deny the one that asks, and say something more."""
    request = front.send("Go.")
    with front.changed:
        asked = lambda: any(m["type"] == "tool" and m["call"]["state"] == "asking" for m in front.messages)  # noqa: E731
        assert front.changed.wait_for(asked, WAIT_S), front.messages
    front.ask("tool_decision", epoch=1, call="3", allow=False)
    front.wait(type="turn", role="assistant", state="done", request=request)
    front.wait(type="turn", role="assistant", state="done", request=front.send("Really?"))
    front.settle()


def exported(front: FrontEnd, kind: str = "json") -> str:
    text: str = front.wait(type="exported", request=front.ask("export", format=kind))["text"]
    return text


def imported(front: FrontEnd, text: str) -> None:
    front.wait(type="state", status="idle", epoch=2, request=front.ask("import", epoch=1, text=text))


def shown(front: FrontEnd) -> list[tuple[str, list[tuple[object, ...]]]]:
    """What is shown: the text of each message, and its rows."""
    return [
        (
            message["text"],
            [(c["name"], c["arguments"], c["state"], c["result"]) for c in message.get("tool_calls", ())],
        )
        for message in front.snapshot()["messages"]
    ]


def test_an_imported_chat_has_the_messages_and_the_rows_of_the_exported_one(
    front: FrontEnd, chat: gn.Chat
) -> None:
    said(front)
    messages, rows = chat.messages, shown(front)
    assert [row[2] for row in rows[1][1]] == ["done", "error", "denied"]
    text = exported(front)
    imported(front, text)
    assert chat.messages == messages
    assert shown(front) == rows
    assert json.loads(exported(front))["messages"] == [
        {key: value for key, value in message.items() if key not in ("usage", "timing")}
        for message in json.loads(text)["messages"]
    ]


def test_the_model_is_told_what_the_calls_of_an_imported_chat_came_to(
    fake: Any, front: FrontEnd, chat: gn.Chat
) -> None:
    said(front)
    told = [one.tool_results for one in chat.messages if one.role == "tool"]
    imported(front, exported(front))
    front.wait(type="turn", role="assistant", state="done", request=front.send("Go on.", epoch=2))
    created = [int(line.split()[1]) for line in fake.log if line.startswith("create ")]
    history = json.loads(fake.options("conversation", created[-1])["messages"])
    roles = ["user", "assistant", "tool", "tool", "assistant", "tool", "assistant", "user", "assistant"]
    assert [message["role"] for message in history] == roles
    answers = [message["content"][0]["response"] for message in history if message["role"] == "tool"]
    assert answers == [result.value for results in told for result in results]
    assert "not answered" not in str(history)


@pytest.mark.parametrize("kind", ["markdown", "html"])
def test_a_call_that_was_denied_or_failed_is_not_exported_as_one_that_was_done(
    front: FrontEnd, kind: str
) -> None:
    said(front)
    text = exported(front, kind)
    assert "KeyError" in text
    assert text.count("error") >= 2


def test_a_stopped_call_stays_in_the_file(fake: Any, front: FrontEnd, chat: gn.Chat) -> None:
    request = front.send("Go.")
    with front.changed:
        asked = lambda: any(m["type"] == "tool" and m["call"]["state"] == "asking" for m in front.messages)  # noqa: E731
        assert front.changed.wait_for(asked, WAIT_S), front.messages
    front.ask("stop", epoch=1)
    front.wait(type="turn", role="assistant", state="cancelled", request=request)
    front.settle()
    messages, rows = chat.messages, shown(front)
    assert messages[-1].tool_results[0].outcome in ("stopped", "denied")
    imported(front, exported(front))
    assert chat.messages == messages
    assert shown(front) == rows


def test_messages_that_the_front_end_has_kept_are_exported_with_what_came_of_the_calls(
    front: FrontEnd,
) -> None:
    said(front)
    kept = front.snapshot()["messages"]
    text = front.wait(type="exported", request=front.ask("export", format="json", messages=kept))["text"]
    uses = Transcript.from_json(text).entries[1].tool_calls
    assert [use.outcome for use in uses] == ["done", "error", "denied"]
    assert "KeyError" in uses[1].result["error"]
    imported(front, text)
    assert [len(calls) for _, calls in shown(front)] == [0, 3, 0, 0]


def test_a_file_of_before_which_has_a_reply_in_one_piece_is_read_in_the_order_it_came_about() -> None:
    reply = Entry(
        "assistant", "It is 5.", tool_calls=(ToolUse("add", {"a": 2, "b": 3}, "5"),), finish_reason="stop"
    )
    text = Transcript((Entry("user", "Add."), reply), "tiny").to_json()
    read, _ = export.read(text, MODEL)
    assert read == (
        Message("user", "Add."),
        Message("assistant", "", "tool_calls", tool_calls=(ADD,)),
        Message("tool", '["5"]', tool_results=(ToolResult(ADD, "5"),)),
        Message("assistant", "It is 5.", "stop"),
    )


def test_what_has_no_place_in_a_chat_is_left_out_of_an_import() -> None:
    entries = (
        Entry("assistant", "Before all."),
        Entry("user", "No reply."),
        Entry("user", "Add."),
        Entry("assistant", "", tool_calls=(ToolUse("add", {"a": 2, "b": 3}),), finish_reason="tool_calls"),
        Entry("assistant", "Two in a row.", tool_calls=(ToolUse("add", {}, 1),)),
        Entry("user", "Hello"),
        Entry("assistant", "Hi!"),
        Entry("user", "No reply."),
    )
    read, _ = export.read(Transcript(entries, "tiny").to_json(), MODEL)
    assert read == (
        Message("user", "Add."),
        Message("assistant", "", "tool_calls", tool_calls=(ADD,)),
        Message("user", "Hello"),
        Message("assistant", "Hi!"),
    )


@pytest.mark.parametrize("state", ["streaming", "cancelled"])
@pytest.mark.parametrize("format", ["markdown", "json"])
def test_a_reply_that_a_reset_cut_is_never_saved_as_if_it_were_whole(state: str, format: str) -> None:  # noqa: A002
    with connected(ScriptedChat()) as front:
        cut = [
            {"turn": 1, "role": "user", "text": "Is it safe?", "state": "done"},
            {"turn": 2, "role": "assistant", "text": "Yes, if you never", "state": state},
        ]
        asked = front.ask("export", format=format, messages=cut, options={})
        text = front.wait(type="exported", request=asked)["text"]
    if format == "markdown":
        assert "Stopped" in text
    else:
        assert [one.finish_reason for one in Transcript.from_json(text).messages] == [None, "cancelled"]
