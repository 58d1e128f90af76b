"""Two things at once: each race here once lost a chat, a lane or a thread."""

from __future__ import annotations

import asyncio
import gc
import threading
import types
import warnings

import pytest
from support import WAIT_S, threads_inside, wait_until

import gemma_notebook as gn
from gemma_notebook import _reaper, _threads
from gemma_notebook.errors import ClosedError, ContextFullError, OptionTypeError, OptionValueError


def events_of(manager, handle):
    return [event.kind for event in manager.events if event.handle == handle]


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, WAIT_S)


# Streams


def test_nothing_is_told_of_a_handle_after_it_was_closed(fake, fake_manager):
    fake.set(gate="1", reply="one two")
    chat = fake_manager.create_chat()
    stream = chat.stream("Count.")
    fake.allow(1)
    next(stream)
    chat.reset()
    assert stream.reply.finish_reason == "cancelled"
    told = ["created", "sent", "cancelled", "ended", "spent", "turn", "closed"]
    assert events_of(fake_manager, 1) == told


def test_what_came_before_a_reset_is_still_in_the_old_stream(fake, fake_manager):
    fake.set(gate="1", reply="one two three")
    chat = fake_manager.create_chat()
    stream = chat.stream("Count.")
    fake.allow(2)
    fake.wait("token", 2)
    chat.reset()
    assert [delta.text for delta in stream] == ["one", " two"]


def test_a_stop_reaches_an_engine_that_generates_inside_the_send(fake, fake_manager, in_thread):
    fake.set(synchronous="1", gate="1", reply="one two three")
    chat = fake_manager.create_chat()
    sending = in_thread(chat.send, "Count.")
    fake.wait("generating", 1)
    chat.stop()
    assert sending.result(WAIT_S).finish_reason == "cancelled"


def test_a_reset_reaches_an_engine_that_generates_inside_the_send(fake, fake_manager, in_thread):
    fake.set(synchronous="1", gate="1", reply="one two three", strict="1")
    chat = fake_manager.create_chat()
    sending = in_thread(chat.send, "Count.")
    fake.wait("generating", 1)
    chat.reset()
    assert sending.result(WAIT_S).finish_reason == "cancelled"
    assert chat.messages == ()


def test_a_stop_while_the_message_is_being_sent_is_not_lost(fake, fake_manager, in_thread):
    fake.set(hold_conversation_send_message_stream="1", gate="1", reply="one two three")
    chat = fake_manager.create_chat()
    sending = in_thread(chat.send, "Count.")
    fake.wait("conversation_send_message_stream", 1)
    chat.stop()
    fake.set(hold_conversation_send_message_stream=None)
    assert sending.result(WAIT_S).finish_reason == "cancelled"


def test_a_close_reaches_an_engine_that_generates_inside_the_send(fake, fake_manager, in_thread):
    fake.set(synchronous="1", gate="1", reply="one two three", strict="1")
    chat = fake_manager.create_chat()
    sending = in_thread(chat.send, "Count.")
    fake.wait("generating", 1)
    chat.session._holding.conversation.close()
    assert sending.result(WAIT_S).finish_reason == "cancelled"


def test_a_stop_after_the_end_of_a_reply_that_was_not_read_keeps_the_handle(fake, fake_manager):
    chat = fake_manager.create_chat()
    stream = chat.stream("My name is Ada.")
    wait_until(lambda: chat.session.turns[0]._generation.wait_end(0))
    chat.stop()
    assert stream.reply.finish_reason == "stop"
    assert chat.send("Hello.").text
    assert fake_manager.handles == gn.HandleCounts(1, 0, 1, checkpoints=1)


def test_a_late_cancel_of_a_finished_turn_does_not_stop_the_next(fake, fake_manager):
    chat = fake_manager.create_chat()
    chat.send("My name is Ada.")
    conversation = chat.session._holding.conversation
    old = chat.session.turns[0]._generation
    fake.set(gate="1", reply="one two")
    stream = chat.stream("Count.")
    assert not conversation.cancel(old)
    assert not conversation.cancel(None)
    fake.allow(10)
    assert stream.reply.finish_reason == "stop"


@pytest.mark.parametrize("chunk", ["[1]", '"text"', '{"content": [1]}', '{"channels": {"a": 1}}', "{"])
def test_a_chunk_of_an_unknown_form_is_shown_and_ends_nobodys_turn(fake, fake_manager, chunk):
    fake.set(chunks=chunk)
    assert fake_manager.create_chat().send("x").text == chunk


# Async


def test_an_async_stream_of_a_chat_that_was_closed_meanwhile_raises(fake_manager):
    chat = fake_manager.create_chat()
    stream = chat.astream("Count.")
    chat.close()
    with pytest.raises(ClosedError):
        asyncio.run(soon(stream.areply()))


def test_a_task_cancelled_before_its_thread_has_begun_ends_and_records_the_turn(
    fake, fake_manager, monkeypatch
):
    chat = fake_manager.create_chat()
    begin = threading.Event()

    class LateThread(threading.Thread):
        def run(self):
            begin.wait(WAIT_S)
            super().run()

    monkeypatch.setattr(_threads, "threading", types.SimpleNamespace(Thread=LateThread))

    async def talk():
        sending = asyncio.create_task(chat.asend("Count."))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        sending.cancel()
        await asyncio.sleep(0)
        begin.set()
        with pytest.raises(asyncio.CancelledError):
            await soon(sending)

    asyncio.run(talk())
    assert chat.messages == (gn.Message("user", "Count."), gn.Message("assistant", "", "cancelled"))
    assert chat.send("Again.").finish_reason == "stop"


def test_a_task_cancelled_while_it_waits_its_turn_ends_and_leaves_the_other_alone(
    fake, fake_manager, in_thread
):
    fake.set(gate="1", reply="one two")
    talking, waiting = fake_manager.open_chat(), fake_manager.open_chat()
    first = in_thread(talking.send, "Count.")
    fake.wait("generating", 1)

    async def talk():
        sending = asyncio.create_task(waiting.asend("Count."))
        while not fake_manager._queue._waiting:
            await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await soon(sending)

    asyncio.run(talk())
    assert waiting.messages[-1].finish_reason == "cancelled"
    assert not fake_manager._queue._waiting
    fake.allow(10)
    assert first.result(WAIT_S).text == "one two"


def test_leaving_an_async_loop_cancels(fake, fake_manager):
    fake.set(gate="1", reply="one two three")
    chat = fake_manager.create_chat()
    fake.allow(1)

    async def talk():
        async for _ in chat.astream("Count."):
            break

    asyncio.run(talk())
    wait_until(lambda: fake.count("generating") == 0)
    assert chat.messages[-1] == gn.Message("assistant", "one", "cancelled")


def test_cancelling_an_edit_cancels_its_reply(fake, fake_manager):
    chat = fake_manager.create_chat()
    chat.send("My name is Ada.")
    fake.set(gate="1", reply="one two three")

    async def talk():
        editing = asyncio.create_task(chat.aedit(0, "My name is Bo."))
        while fake.count("generating") == 0:
            await asyncio.sleep(0)
        editing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await soon(editing)

    asyncio.run(talk())
    assert fake.count("generating") == 0
    assert chat.messages[-1].finish_reason == "cancelled"


def test_no_thread_is_left_when_an_async_stream_is_cancelled(fake, fake_manager):
    fake.set(gate="1")
    chat = fake_manager.create_chat()
    before = threading.active_count()

    async def talk():
        sending = asyncio.create_task(chat.asend("Count."))
        while fake.count("generating") == 0:
            await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await soon(sending)

    asyncio.run(talk())
    wait_until(lambda: threading.active_count() <= before)


def test_closing_the_manager_inside_a_loop_over_a_reply_ends_the_loop(fake, fake_manager):
    fake.set(gate="1", reply="one two three", strict="1")
    stream = fake_manager.create_chat().stream("Count.")
    fake.allow(1)
    for _ in stream:
        fake_manager.close()
    assert stream.reply.finish_reason == "cancelled"
    assert fake.log[-1] == "engine_delete 1"


def test_closing_the_manager_inside_an_async_loop_ends_the_loop(fake, fake_manager):
    fake.set(gate="1", reply="one two three", strict="1")
    stream = fake_manager.create_chat().astream("Count.")
    fake.allow(1)

    async def talk():
        async for _ in stream:
            await fake_manager.aclose()

    asyncio.run(soon(talk()))
    assert stream.reply.finish_reason == "cancelled"


# Going back


def test_an_undo_that_comes_too_late_does_not_bring_back_what_a_reset_has_forgotten(
    fake, fake_manager, in_thread
):
    chat = fake_manager.create_chat()
    chat.send("My name is Ada.")
    chat.send("Hello.")
    with chat.session._lock:
        undoing = in_thread(chat.undo)
        wait_until(lambda: threads_inside("_rewind_before") == 1)
        chat.reset()
    undoing.result(WAIT_S)
    assert chat.messages == ()
    assert "Ada" not in chat.send("What is my name?").text


def test_a_reset_after_a_message_does_not_join_one_from_before_it(fake, fake_manager, in_thread, monkeypatch):
    chat = fake_manager.create_chat()
    chat.send("Hello.")
    late, go_on = threading.Event(), threading.Event()
    see_off = gn.Session._see_off

    def slow_see_off(session, turns):
        late.set()
        go_on.wait(WAIT_S)
        see_off(session, turns)

    monkeypatch.setattr(gn.Session, "_see_off", slow_see_off)
    first = in_thread(chat.reset)
    assert late.wait(WAIT_S)
    monkeypatch.setattr(gn.Session, "_see_off", see_off)
    chat.send("My name is Ada.")
    second = in_thread(chat.reset)
    wait_until(lambda: not chat.messages or threads_inside("join") == 1)
    go_on.set()
    first.result(WAIT_S), second.result(WAIT_S)
    assert chat.messages == ()


@pytest.mark.parametrize(("message", "error"), [("", OptionValueError), (None, OptionTypeError)])
def test_an_edit_that_is_refused_forgets_nothing(fake_manager, message, error):
    chat = fake_manager.create_chat()
    chat.send("My name is Ada.")
    before = chat.messages
    with pytest.raises(error):
        chat.edit(0, message)
    with pytest.raises(OptionTypeError):
        chat.regenerate(max_output_tokens="many")
    assert chat.messages == before


def test_a_message_that_can_never_fit_drops_no_turns(fake, make_fake_manager):
    chat = make_fake_manager(context_tokens=64).create_chat(context_policy="trim")
    chat.send("My name is Ada.")
    before = chat.messages
    with pytest.raises(ContextFullError):
        chat.send("word " * 100)
    assert chat.messages == before
    assert "Ada" in chat.send("What is my name?").text


# Closing


def test_a_chat_closed_while_it_takes_its_lane_back_leaves_no_session(fake, fake_manager, in_thread):
    old, _new = fake_manager.create_chat(), fake_manager.create_chat()
    count = fake.count("conversation_create") + 1
    fake.set(hold_conversation_create="1")
    resetting = in_thread(old.reset)
    fake.wait("conversation_create", count)
    old.close()
    fake.set(hold_conversation_create=None)
    assert isinstance(resetting.exception(WAIT_S), ClosedError)
    assert fake_manager.handles.live == 0


def test_two_managers_in_one_process_do_not_wait_for_each_other(fake, make_fake_manager):
    fake.set(gate="1", reply="one two")
    one, two = make_fake_manager(), make_fake_manager()
    first = one.create_chat().stream("Count.")
    second = two.create_chat().stream("Count.")
    fake.allow(10)
    assert first.reply.text == second.reply.text == "one two"
    one.close()
    assert two.create_chat().send("Again.").text


# Forgotten sessions


@pytest.fixture
def told():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield caught


def test_a_forgotten_session_is_closed_with_a_resource_warning(fake, fake_manager, told):
    fake_manager.open_session().send("My name is Ada.")
    gc.collect()
    wait_until(lambda: fake_manager.handles.live == 0 and told)
    assert [str(warning.message) for warning in told] == [
        "Session(handle=1) was never closed; close it, or use it in a with statement"
    ]
    assert fake.log[-1] == "delete 1"
    assert fake_manager.sessions == ()


def test_a_forgotten_chat_that_generates_is_cancelled_and_closed(fake, fake_manager, told):
    fake.set(gate="1", strict="1")
    chat = fake_manager.open_chat()
    stream = chat.stream("Count.")
    del chat
    gc.collect()
    fake.allow(1)
    assert next(stream).text  # the stream keeps its session
    del stream
    wait_until(lambda: fake_manager.handles.live == 0)
    assert fake.count("generating") == 0


def test_a_closed_session_and_the_one_on_the_single_chat_lane_are_not_forgotten(fake_manager, told):
    fake_manager.open_session().close()
    fake_manager.create_chat()
    gc.collect()
    fake_manager.open_session().close()
    assert fake_manager.handles.live == 1
    assert fake_manager.session is not None
    assert not told


def test_the_reaper_closes_also_when_warnings_are_errors(fake, fake_manager):
    fake_manager.open_session()
    fake_manager.open_session()
    wait_until(lambda: fake_manager.handles.live == 0)
    assert _reaper._thread.is_alive()


def count_letters(text: str) -> int:
    return len(text)


def test_a_forgotten_chat_with_tools_is_closed_at_once(fake, fake_manager, told):
    fake.set(reply="Hello.")
    chat = fake_manager.open_chat(tools=[count_letters])
    chat.send("Hi")
    live = fake_manager.handles.live
    gc.disable()
    try:
        del chat
        wait_until(lambda: fake_manager.handles.live == live - 1)
    finally:
        gc.enable()


def test_a_forgotten_chat_whose_message_failed_does_not_keep_its_place_under_the_cap(make_fake_manager, told):
    manager = make_fake_manager(max_sessions=1)

    def ask(text: str) -> str:
        return manager.open_chat(context_policy="error").send(text).text

    for _ in range(2):
        with pytest.raises(ContextFullError):
            ask("word " * 20_000)
        assert ask("Hello")


def test_a_forgotten_session_does_not_keep_its_place_under_the_cap(make_fake_manager, told):
    manager = make_fake_manager(max_sessions=1)
    for _ in range(5):
        manager.open_session()
    wait_until(lambda: manager.handles.live == 0)


def test_a_loop_that_the_garbage_collector_finds_is_ended_on_another_thread(fake, fake_manager):
    fake.set(gate="1", reply="one two three", hold_conversation_cancel_process="1")
    chat = fake_manager.create_chat()
    loop = [iter(chat.stream("Count."))]
    fake.allow(1)
    next(loop[0])
    loop.append(loop)
    del loop
    gc.collect()  # would wait for the cancel, which is held
    fake.wait("conversation_cancel_process", 1)
    assert not chat.session.turns[0].done
    fake.set(hold_conversation_cancel_process=None)
    wait_until(lambda: chat.session.turns[0].done)
    assert chat.messages[-1].finish_reason == "cancelled"
    fake.let_go()
    assert chat.send("Hello").finish_reason == "stop"
