"""Tools when things go wrong: each call has an answer, in the history and for the model, and nobody waits for ever. On the stub."""

from __future__ import annotations

import json

import pytest
from support import WAIT_S
from test_tools import CHUNK, add, calls, says

from gemma_notebook.errors import EngineError


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


def test_a_call_in_a_reply_that_the_engine_breaks_off_is_answered(fake, manager):
    fake.set(chunks=calls(("add", {"a": 1, "b": 1})), end_error="INTERNAL: broken")
    chat = manager.create_chat(tools=[add])
    stream = chat.stream("Go.")
    with pytest.raises(EngineError):
        list(stream)
    assert [message.role for message in chat.messages] == ["user", "assistant", "tool"]
