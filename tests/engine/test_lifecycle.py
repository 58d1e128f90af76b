"""The lifecycle rules of handles, on the real SessionManager: with the real engine and with the stub."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import warnings

import pytest
from support import WAIT_S, threads_inside, wait_until

import gemma_notebook as gn
from gemma_notebook.engine import Conversation, ConversationOptions, load_library
from gemma_notebook.errors import ClosedError, EngineError, OptionValueError, SessionLimitError
from gemma_notebook.loading import open_manager
from gemma_notebook.options import EngineOptions, SendOptions


def kinds(manager, *wanted):
    return [(event.kind, event.handle) for event in manager.events if event.kind in wanted]


def order(fake, *wanted):
    """What the engine was told and told; a cancel that is asked for again counts once."""
    told = [line.split()[0] for line in fake.log if line.split()[0] in wanted]
    return [kind for kind, _ in itertools.groupby(told)]


def tally(count: int) -> int:
    return count


# Creating


def test_a_second_create_gives_a_fresh_handle(manager):
    first, second = manager.create_session(), manager.create_session()
    assert first is not second
    assert first.closed and not second.closed
    assert manager.session is second and manager.sessions == (second,)
    assert manager.handles == gn.HandleCounts(created=2, closed=1, live=1, checkpoints=0)


def test_the_old_handle_is_closed_before_the_new_one_is_created(manager):
    for _ in range(3):
        manager.create_session().send("My name is Ada.")
    expected = [("created", 1), ("closed", 1), ("created", 2), ("closed", 2), ("created", 3)]
    assert kinds(manager, "created", "closed") == expected


def test_natively_too_the_old_handle_is_deleted_before_the_new_one_is_created(fake, fake_manager):
    fake_manager.create_session()
    fake_manager.create_session()
    assert [line for line in fake.log if line.split()[0] in ("create", "delete")] == [
        "create 1",
        "delete 1",
        "create 2",
    ]


def test_concurrent_equal_creates_share_one_handle(fake, fake_manager, in_thread):
    fake.set(hold_conversation_create="1")
    futures = [in_thread(fake_manager.create_session, temperature=0.5) for _ in range(8)]
    wait_until(lambda: threads_inside("join") == 7)
    fake.set(hold_conversation_create=None)
    sessions = {id(future.result(WAIT_S)) for future in futures}
    assert len(sessions) == 1
    assert fake_manager.handles.created == 1


def test_concurrent_equal_creates_share_the_error(fake, fake_manager, in_thread):
    fake.set(hold_conversation_create="1", fail_conversation_create="1:13:no memory left")
    futures = [in_thread(fake_manager.create_session) for _ in range(4)]
    wait_until(lambda: threads_inside("join") == 3)
    fake.set(hold_conversation_create=None)
    for future in futures:
        error = future.exception(WAIT_S)
        assert isinstance(error, EngineError)
        assert error.code == 13
        assert "no memory left" in str(error)
    assert fake.count("conversation_create") == 1


def test_a_creation_under_way_counts_among_the_sessions(fake, make_fake_manager, in_thread):
    manager = make_fake_manager(max_sessions=1)
    before = fake.count("conversation_create")
    fake.set(hold_conversation_create="1")
    made = in_thread(manager.create_session)
    fake.wait("conversation_create", before + 1)
    with pytest.raises(SessionLimitError):
        in_thread(manager.open_session).result(WAIT_S)
    fake.set(hold_conversation_create=None)
    assert not made.result(WAIT_S).closed
    assert manager.handles.live == 1


@pytest.mark.parametrize("tools", [(), (tally,)], ids=["without tools", "with tools"])
def test_an_asend_for_which_no_thread_can_be_had_says_so_and_the_chat_goes_on(
    fake_manager, monkeypatch, tools
):
    chat = fake_manager.create_chat(tools=tools)

    def start(_):
        monkeypatch.undo()
        raise RuntimeError("can't start new thread")

    async def send():
        monkeypatch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="new thread"):
            await asyncio.wait_for(chat.asend("Hello"), WAIT_S)

    asyncio.run(send())
    assert chat.send("My name is Ada.").text
    assert len(chat.messages) == 2


@pytest.mark.parametrize("tools", [(), (tally,)], ids=["without tools", "with tools"])
def test_creates_that_one_gather_begins_share_one_handle(fake_manager, tools):
    async def gather():
        for created in range(1, 21):
            made = await asyncio.gather(*(fake_manager.acreate_session(tools=tools) for _ in range(6)))
            assert len(set(map(id, made))) == 1
            assert not made[0].closed
            assert fake_manager.handles.created == created
        for choice, known in (("auto", tools), ("none", ())):
            made = (fake_manager.acreate_chat(tools=tools, tool_choice=choice) for _ in range(2))
            chats = await asyncio.gather(*made)
            assert chats[0].session is chats[1].session
            assert chats[0].options.tools == known

    asyncio.run(gather())


def test_an_async_create_that_is_cancelled_or_refused_blocks_no_other(fake_manager):
    async def begin_and_cancel():
        task = asyncio.create_task(fake_manager.acreate_session())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(OptionValueError):
            await fake_manager.acreate_chat(context_policy="forget")
        return await fake_manager.acreate_session()

    assert not asyncio.run(begin_and_cancel()).closed
    assert not fake_manager._creations


def test_a_blocking_create_or_close_on_the_loop_waits_for_no_async_create_for_ever(make_fake_manager):
    async def begin_and_block(then):
        manager = make_fake_manager()
        task = asyncio.create_task(manager.acreate_session(temperature=0.5))
        await asyncio.sleep(0)
        then(manager)
        return await asyncio.gather(task, return_exceptions=True)

    asyncio.run(begin_and_block(lambda manager: manager.create_session()))
    asyncio.run(begin_and_block(lambda manager: manager.close()))


def test_concurrent_creates_of_chats_that_differ_in_the_chats_options_share_nothing(
    fake, fake_manager, in_thread
):
    fake.set(hold_conversation_create="1")
    strict = in_thread(fake_manager.create_chat, context_policy="error")
    fake.wait("conversation_create", 1)
    others = [
        in_thread(fake_manager.create_chat),
        in_thread(fake_manager.create_chat, tool_choice="none"),
        in_thread(fake_manager.create_session),
    ]
    wait_until(lambda: len(fake_manager._creations) == 4)
    fake.set(hold_conversation_create=None)
    sessions = [one.result(WAIT_S) for one in (strict, *others)]
    assert len({id(getattr(one, "session", one)) for one in sessions}) == 4
    assert strict.result().session.context_policy == "error"


def test_concurrent_different_creates_queue_and_share_nothing(fake, fake_manager, in_thread):
    fake.set(hold_conversation_create="1")
    first = in_thread(fake_manager.create_session, temperature=0.1)
    fake.wait("conversation_create", 1)
    second = in_thread(fake_manager.create_session, temperature=0.2)
    wait_until(lambda: len(fake_manager._creations) == 2)
    fake.set(hold_conversation_create=None)
    assert first.result(WAIT_S) is not second.result(WAIT_S)
    assert fake_manager.session is second.result()
    assert kinds(fake_manager, "created", "closed") == [("created", 1), ("closed", 1), ("created", 2)]


def test_a_failed_creation_does_not_block_the_next(fake, fake_manager):
    fake_manager.create_session()
    fake.set(fail_conversation_create="1:8:out of memory")
    with pytest.raises(EngineError, match=r"create conversation failed: .*out of memory.*code 8"):
        fake_manager.create_session()
    assert fake_manager.session is None
    assert fake_manager.handles.live == 0
    assert fake_manager.create_session().send("My name is Ada.").text


def test_a_session_created_while_the_manager_closes_is_deleted_and_its_caller_told(
    fake, fake_manager, in_thread
):
    fake.set(hold_conversation_create="1")
    creating = in_thread(fake_manager.create_session)
    fake.wait("conversation_create", 1)
    closing = in_thread(fake_manager.close)
    wait_until(lambda: fake_manager.closed)
    with pytest.raises(ClosedError):
        fake_manager.create_session(top_k=2)
    fake.set(hold_conversation_create=None)
    closing.result(WAIT_S)
    assert isinstance(creating.exception(WAIT_S), ClosedError)
    assert fake_manager.handles == gn.HandleCounts(1, 1, 0, 0)
    assert fake.log[-2:] == ["delete 1", "engine_delete 1"]


def test_a_shutdown_waits_until_a_creation_in_flight_has_told_its_caller(
    fake_manager, in_thread, monkeypatch
):
    admit, hold = gn.SessionManager._admit, threading.Lock()

    def late_admit(*arguments):
        with hold:
            admit(*arguments)

    monkeypatch.setattr(gn.SessionManager, "_admit", late_admit)
    with hold:
        creating = in_thread(fake_manager.create_session)
        wait_until(lambda: threads_inside("late_admit") == 1)
        closing = in_thread(fake_manager.close)
        wait_until(lambda: closing.done() or (fake_manager.closed and fake_manager._changed._waiters))
        assert not closing.done()
    closing.result(WAIT_S)
    assert isinstance(creating.exception(WAIT_S), ClosedError)


def test_a_chat_of_a_closed_model_says_that_and_not_to_make_another(fake_manager):
    chat = fake_manager.create_chat()
    fake_manager.close()
    for use in (lambda: chat.send("Hi"), chat.rendered):
        with pytest.raises(ClosedError, match="this model is closed"):
            use()


def test_a_chat_of_its_own_lane_whose_session_was_closed_says_so_and_begins_again_with_a_reset(fake_manager):
    chat = fake_manager.open_chat()
    chat.session.close()
    with pytest.raises(ClosedError, match="reset the chat to begin again"):
        chat.send("Hi")
    chat.reset()
    assert chat.send("Hi").text


def test_create_on_a_closed_manager_raises_before_any_native_call(fake, fake_manager):
    fake_manager.close()
    calls = fake.count("conversation_config_create")
    for create in (fake_manager.create_session, fake_manager.open_session, fake_manager.create_chat):
        with pytest.raises(ClosedError, match="load it again"):
            create()
    assert fake.count("conversation_config_create") == calls


def test_the_cap_raises_with_its_number(make_fake_manager):
    manager = make_fake_manager(max_sessions=2)
    first, _second = manager.open_session(), manager.open_session()
    with pytest.raises(SessionLimitError, match="max_sessions=2"):
        manager.open_session()
    first.close()
    manager.open_session().close()


# Closing


def test_a_late_close_of_a_superseded_session_leaves_the_live_one_alone(manager):
    old = manager.create_session()
    live = manager.create_session()
    old.close()
    assert manager.session is live
    assert live.send("My name is Ada.").finish_reason == "stop"
    assert manager.handles.live == 1


def test_close_is_idempotent_and_counted_once(manager):
    chat = manager.create_chat()
    session = chat.session
    for _ in range(2):
        chat.close()
        session.close()
    assert manager.handles == gn.HandleCounts(1, 1, 0, 0)
    manager.close()
    manager.close()
    assert kinds(manager, "closed") == [("closed", 1)]


@pytest.mark.parametrize(
    "verb",
    [
        lambda chat: chat.send("x"),
        lambda chat: chat.stream("x"),
        lambda chat: asyncio.run(chat.asend("x")),
        lambda chat: asyncio.run(chat.areset()),
        lambda chat: chat.reset(),
        lambda chat: chat.stop(),
        lambda chat: chat.undo(),
        lambda chat: chat.regenerate(),
        lambda chat: chat.edit(0, "x"),
        lambda chat: chat.fork(),
        lambda chat: chat.session.send("x"),
        lambda chat: chat.session.reset(),
        lambda chat: chat.session.rewind(0),
    ],
)
def test_every_verb_raises_after_close(fake_manager, verb):
    chat = fake_manager.create_chat()
    chat.send("hello")
    chat.close()
    with pytest.raises(ClosedError):
        verb(chat)


def test_a_closed_manager_answers_no_more(manager):
    chat = manager.create_chat()
    manager.close()
    for verb in (lambda: chat.send("x"), chat.reset, lambda: manager.count_tokens("x")):
        with pytest.raises(ClosedError):
            verb()


def test_closing_one_session_leaves_its_peer_usable(manager):
    ada, bo = manager.open_chat(), manager.open_chat()
    ada.send("My name is Ada.")
    bo.send("My name is Bo.")
    ada.close()
    assert "Bo" in bo.send("What is my name?").text
    assert manager.handles == gn.HandleCounts(2, 1, 1, checkpoints=1)


def test_conversations_are_deleted_before_the_engine(fake, fake_manager):
    _beside = fake_manager.open_session()
    fake_manager.create_session()
    fake_manager.close()
    assert sorted(fake.log[-3:-1]) == ["delete 1", "delete 2"]
    assert fake.log[-1] == "engine_delete 1"
    assert fake.count("dangling") == 0


def test_a_generating_handle_is_cancelled_before_it_is_deleted(fake, fake_manager):
    fake.set(gate="1", strict="1")
    session = fake_manager.create_session()
    stream = session.stream("one two three")
    fake.allow(1)
    next(stream)
    session.close()
    assert order(fake, "cancel", "end", "delete") == ["cancel", "end", "delete"]
    assert stream.reply.finish_reason == "cancelled"


def test_close_in_mid_generation_leaves_peers_usable(manager):
    talking, other = manager.open_chat(), manager.open_chat()
    stream = talking.stream("My name is Ada.")
    next(stream)
    talking.close()
    assert "Bo" in other.send("My name is Bo.").text


def test_a_cell_that_loads_again_and_again_keeps_few_engines(make_fake_manager, fake):
    options = make_fake_manager()._engine.options
    engines = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(8):
            manager = open_manager(options, check=False, library=load_library(fake.library))
            manager.create_session()
            engines.append(manager._engine)
            wait_until(lambda: sum(not engine.closed for engine in engines) <= 3)
        del manager
        gc.collect()
        wait_until(lambda: fake.count("live_engines") == 1)


def test_the_engine_is_not_left_with_a_handle_when_a_manager_is_forgotten(make_fake_manager, fake):
    manager = make_fake_manager()
    options = EngineOptions(manager._engine.options.model_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        forgotten = open_manager(options, check=False, library=load_library(fake.library))
        forgotten.create_session()
        del forgotten
        gc.collect()
        wait_until(lambda: fake.count("live_engines") == 1)  # the other is deleted, and not only about to be
    assert fake.count("dangling") == 0


# Stopping


def test_send_after_stop_answers_with_the_history(manager):
    chat = manager.create_chat()
    chat.send("My name is Ada.")
    stream = chat.stream("What is my name?")
    next(stream)
    chat.stop()
    stopped = stream.reply
    assert chat.messages[-1].text == stopped.text
    reply = chat.send("What is my name?")
    assert "Ada" in reply.text
    assert reply.finish_reason == "stop"
    assert manager.handles.live == 1


def test_the_partial_reply_is_replayed_to_the_fresh_handle(fake, fake_manager):
    chat = fake_manager.create_chat()
    chat.send("My name is Ada.")
    fake.set(gate="1", reply="one two three")
    stream = chat.stream("Count.")
    fake.allow(2)
    next(stream), next(stream)
    chat.stop()
    assert stream.reply.text == "one two"
    assert stream.reply.finish_reason == "cancelled"
    fake.set(gate=None, reply=None)
    chat.send("What is my name?")
    lane = [line for line in fake.log if line.split()[0] in ("create", "delete")]
    assert lane[:2] == ["create 1", "delete 1"]
    assert len(lane) == 3
    turns = fake.turns(int(lane[2].split()[1]))
    assert turns[0] == "user: My name is Ada."
    assert turns[2:4] == ["user: Count.", "assistant: one two"]
    assert kinds(fake_manager, "created", "closed") == [("created", 1), ("closed", 1), ("created", 2)]


def test_a_message_that_was_stopped_before_the_first_word_is_remembered(real_manager):
    chat = real_manager.create_chat()
    stream = chat.stream("My name is Ada.")
    chat.stop()
    assert stream.reply.finish_reason in ("cancelled", "stop")  # a short reply may have been complete
    assert "Ada" in chat.send("What is my name?").text


def test_a_message_that_failed_before_the_first_word_is_not_told_again(fake, fake_manager):
    chat = fake_manager.create_chat()
    chat.send("Hello.")
    fake.set(reply="", end_error="INTERNAL: the backend broke")
    with pytest.raises(EngineError):
        chat.send("My name is Ada.")
    fake.set(reply=None, end_error=None)
    chat.send("My name is Ada.")
    created = max(int(line.split()[1]) for line in fake.log if line.startswith("create "))
    assert fake.turns(created).count("user: My name is Ada.") == 1
    assert [message.role for message in chat.messages] == ["user", "assistant", "user", "user", "assistant"]


def test_a_message_that_was_stopped_while_it_waited_is_told_with_the_next(fake, fake_manager, in_thread):
    chat, other = fake_manager.open_chat(), fake_manager.open_chat()
    chat.send("Hello.")
    fake.set(gate="1", reply="one two")
    busy = other.stream("Count.")
    told_of = []
    chat._watch(lambda: told_of.append(chat.messages))
    waiting = in_thread(chat.send, "My name is Ada.")
    wait_until(lambda: len(chat.session.turns) == 2)
    chat.stop()
    assert waiting.result(WAIT_S).finish_reason == "cancelled"
    assert [len(messages) for messages in told_of] == [4]
    fake.let_go()
    assert busy.reply.finish_reason == "stop"
    chat.send("What is my name?")
    told = fake.turns(int(chat.handle_id))
    assert "user: My name is Ada." in told
    assert chat.messages[2:4] == (
        gn.Message("user", "My name is Ada."),
        gn.Message("assistant", "", "cancelled"),
    )


def test_a_late_stop_is_a_no_op_and_keeps_the_handle(manager):
    chat = manager.create_chat()
    chat.send("My name is Ada.")
    chat.stop()
    assert "Ada" in chat.send("What is my name?").text
    assert manager.handles == gn.HandleCounts(1, 0, 1, checkpoints=1)


@pytest.mark.parametrize("verb", ["stop", "reset", "close", "leave"])
def test_a_cancel_that_the_engine_loses_is_asked_for_again(fake, fake_manager, monkeypatch, verb):
    lost = []
    cancel = Conversation._native_cancel

    def lose_the_first(conversation):
        if lost:
            cancel(conversation)
        lost.append(conversation)

    monkeypatch.setattr(Conversation, "_native_cancel", lose_the_first)
    fake.set(gate="1", reply="one two three")
    chat = fake_manager.create_chat()
    stream = chat.stream("Count.")
    fake.allow(1)
    next(stream)
    stream.close() if verb == "leave" else getattr(chat, verb)()
    assert stream.reply.finish_reason == "cancelled"
    assert len(lost) > 1


def test_stopping_one_chat_never_stops_another(fake, fake_manager, in_thread):
    fake.set(gate="1", reply="one two three")
    talking, other = fake_manager.open_chat(), fake_manager.open_chat()
    sending = in_thread(talking.send, "Count.")
    fake.wait("generating", 1)
    other.stop()
    fake.allow(10)
    assert sending.result(WAIT_S).text == "one two three"


def test_a_cancelled_queued_turn_neither_starts_nor_cancels_another(fake, fake_manager, in_thread):
    fake.set(gate="1", reply="one two three")
    first, queued, third = (fake_manager.open_chat() for _ in range(3))
    replies = [in_thread(first.send, "first")]
    fake.wait("generating", 1)
    for number, chat in enumerate((queued, third), start=1):
        replies.append(in_thread(chat.send, "next"))
        wait_until(lambda number=number: len(fake_manager._queue._waiting) == number)
    queued.stop()
    assert replies[1].result(WAIT_S).finish_reason == "cancelled"
    fake.allow(20)
    assert [reply.result(WAIT_S).finish_reason for reply in replies] == ["stop", "cancelled", "stop"]
    assert "send 2" not in fake.log
    assert [message.text for message in queued.messages] == ["next", ""]


def test_turns_that_wait_are_served_in_the_order_of_their_arrival(fake, fake_manager, in_thread):
    fake.set(gate="1", reply="one")
    chats = [fake_manager.open_chat() for _ in range(4)]
    replies = [in_thread(chats[0].send, "x")]
    fake.wait("generating", 1)
    for number in (1, 2, 3):
        replies.append(in_thread(chats[number].send, "x"))
        wait_until(lambda number=number: len(fake_manager._queue._waiting) == number)
    fake.allow(100)
    for reply in replies:
        reply.result(WAIT_S)
    assert [line for line in fake.log if line.startswith("send")] == ["send 1", "send 2", "send 3", "send 4"]


# Abandoned streams


def test_leaving_the_loop_cancels_and_frees_the_lane(manager):
    chat = manager.create_chat()
    for _ in chat.stream("My name is Ada."):
        break
    assert chat.messages[-1].finish_reason in ("cancelled", "stop")  # a short reply may have been complete
    assert chat.send("What is my name?").text


def test_leaving_the_loop_cancels_natively(fake, fake_manager):
    fake.set(gate="1", reply="one two three")
    chat = fake_manager.create_chat()
    fake.allow(1)
    for _ in chat.stream("Count."):
        break
    assert "cancel 1" in fake.log
    assert fake.count("generating") == 0
    assert chat.messages[-1] == gn.Message("assistant", "one", "cancelled")


def test_a_stream_that_nobody_reads_does_not_block_the_next_send(manager):
    chat = manager.create_chat()
    unread = chat.stream("My name is Ada.")
    assert "Ada" in chat.send("What is my name?").text
    assert "Ada" in unread.reply.text


def test_a_forgotten_stream_is_cancelled(fake, fake_manager):
    fake.set(gate="1", reply="one two three")
    chat = fake_manager.create_chat()
    chat.stream("Count.")
    fake.wait("end", 1)
    fake.set(gate=None)
    assert chat.send("Again.").finish_reason == "stop"
    assert chat.messages[1].finish_reason == "cancelled"


def test_an_interrupt_while_a_reply_is_awaited_cancels_and_keeps_the_turn(fake, fake_manager, in_thread):
    import signal
    import threading

    fake.set(gate="1", reply="one two three")
    chat = fake_manager.create_chat()
    main = threading.get_ident()

    def interrupt():
        fake.allow(2)
        fake.wait("token", 2)
        wait_until(lambda: "two" in "".join(turn.text for turn in chat.session.turns))
        signal.pthread_kill(main, signal.SIGINT)

    in_thread(interrupt)
    with pytest.raises(KeyboardInterrupt):
        chat.send("Count.")
    assert chat.messages[-1] == gn.Message("assistant", "one two", "cancelled")
    assert fake.count("generating") == 0


# Errors and limits


def test_an_error_in_mid_reply_is_raised_with_the_engines_words_and_the_next_send_answers(fake, fake_manager):
    chat = fake_manager.create_chat()
    fake.set(reply="one two", end_error="INTERNAL: the backend broke")
    stream = chat.stream("Count.")
    with pytest.raises(EngineError, match="INTERNAL: the backend broke") as caught:
        list(stream)
    assert caught.value.code == 13
    fake.set(reply=None, end_error=None)
    assert chat.send("My name is Ada.").text
    assert fake_manager.handles == gn.HandleCounts(2, 1, 1, 0)


def test_a_send_that_the_engine_refuses_leaves_no_turn_behind(fake, fake_manager):
    chat = fake_manager.create_chat()
    fake.set(fail_conversation_send_message_stream="1:3:no such message")
    with pytest.raises(EngineError, match=r"no such message.*code 3"):
        chat.send("x")
    assert chat.messages == ()
    assert chat.send("My name is Ada.").text


def test_exactly_one_terminal_event_counts_per_stream(fake, fake_manager):
    fake.set(late_events="3")
    chat = fake_manager.create_chat()
    for _ in range(3):
        chat.send("x")
    fake.wait("late", 3)
    assert kinds(fake_manager, "sent", "ended") == [("sent", 1), ("ended", 1)] * 3


def test_an_empty_reply_is_recorded_with_its_reason(fake, fake_manager):
    fake.set(reply="")
    chat = fake_manager.create_chat()
    assert chat.send("x").finish_reason == "stop"
    assert chat.messages[-1] == gn.Message("assistant", "", "stop")


# Resetting


def test_reset_deletes_the_old_handle_and_forgets(manager):
    chat = manager.create_chat()
    chat.send("My name is Ada.")
    chat.reset()
    assert manager.handles == gn.HandleCounts(created=2, closed=1, live=1, checkpoints=0)
    assert chat.messages == ()
    assert chat.context.tokens == 0
    assert "Ada" not in chat.send("What is my name?").text


def test_reset_in_mid_reply_ends_the_old_stream_as_cancelled(fake, fake_manager):
    fake.set(gate="1", reply="one two three")
    chat = fake_manager.create_chat()
    stream = chat.stream("Count.")
    fake.allow(1)
    next(stream)
    chat.reset()
    assert stream.reply.finish_reason == "cancelled"
    told = order(fake, "cancel", "end", "delete", "create")
    assert told == ["create", "cancel", "end", "delete", "create"]


def test_a_reset_during_a_reset_joins_it(fake, fake_manager, in_thread):
    chat = fake_manager.create_chat()
    fake.set(hold_conversation_create="1")
    first = in_thread(chat.reset)
    fake.wait("conversation_create", 2)
    second = in_thread(chat.reset)
    wait_until(lambda: threads_inside("join") == 1)
    fake.set(hold_conversation_create=None)
    first.result(WAIT_S), second.result(WAIT_S)
    assert fake_manager.handles == gn.HandleCounts(2, 1, 1, 0)


def test_a_failed_reset_still_frees_the_old_handle_and_can_be_tried_again(fake, fake_manager):
    chat = fake_manager.create_chat()
    chat.send("My name is Ada.")
    fake.set(fail_conversation_create="1:8:no memory")
    with pytest.raises(EngineError, match="no memory"):
        chat.reset()
    assert fake_manager.handles == gn.HandleCounts(1, 1, 0, 0)
    assert chat.handle_id is None
    chat.reset()
    assert fake_manager.handles == gn.HandleCounts(2, 1, 1, 0)
    assert "Ada" not in chat.send("What is my name?").text


def test_reset_takes_the_lane_back_from_a_newer_chat(manager):
    old = manager.create_chat()
    new = manager.create_chat()
    with pytest.raises(ClosedError, match="reset this chat to take it back"):
        old.send("x")
    old.reset()
    assert old.send("My name is Ada.").text
    with pytest.raises(ClosedError):
        new.send("x")
    assert manager.handles.live == 1


def test_after_many_resets_in_mid_reply_created_minus_closed_is_one(manager):
    chat = manager.create_chat()
    for number in range(50):
        stream = chat.stream("My name is Ada.")
        for _ in range(number % 4):
            next(stream, None)
        chat.reset()
    counts = manager.handles
    assert (counts.created, counts.closed, counts.live) == (51, 50, 1)


# Event loops


def test_async_verbs_work_on_any_event_loop(manager):
    chat = asyncio.run(manager.acreate_chat())

    async def talk():
        deltas = [delta.text async for delta in chat.astream("My name is Ada.")]
        return "".join(deltas), (await chat.asend("What is my name?")).text

    told, asked = asyncio.run(talk())
    assert "Ada" in told
    assert "Ada" in asked
    asyncio.run(chat.areset())
    assert "Ada" not in asyncio.run(chat.asend("What is my name?")).text
    asyncio.run(manager.aclose())
    assert manager.handles.live == 0


def test_async_verbs_do_not_block_the_loop(fake, fake_manager):
    fake.set(gate="1", reply="one two")
    chat = fake_manager.create_chat()

    async def talk():
        sending = asyncio.create_task(chat.asend("Count."))
        while fake.count("generating") == 0 and not sending.done():
            await asyncio.sleep(0)  # the loop turns while the reply is awaited
        fake.allow(10)
        return await sending

    assert asyncio.run(talk()).text == "one two"


def test_cancelling_the_task_cancels_the_generation(fake, fake_manager):
    fake.set(gate="1", reply="one two three")
    chat = fake_manager.create_chat()

    async def talk():
        sending = asyncio.create_task(chat.asend("Count."))
        while fake.count("generating") == 0 and not sending.done():
            await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

    asyncio.run(talk())
    assert "cancel 1" in fake.log
    fake.set(gate=None)
    assert chat.send("Again.").finish_reason == "stop"


def test_a_close_leaves_what_has_come_to_the_reader(fake, make_fake_manager):
    engine = make_fake_manager()._engine
    fake.set(gate=1, reply="one two three")
    conversation = engine.create_conversation(ConversationOptions())
    generation = conversation.send('{"role": "user", "content": "Count."}', SendOptions())
    fake.allow(2)
    fake.wait("token", 2)
    conversation.close()
    assert b"one" in b"".join(generation.take(0))


@pytest.fixture
def slow_threads(monkeypatch):
    """Threads for async verbs that begin only when they are let go."""
    from gemma_notebook import _threads

    let_go = threading.Event()

    class Slow(threading.Thread):
        def run(self):
            assert let_go.wait(WAIT_S)
            super().run()

    monkeypatch.setattr(_threads.threading, "Thread", Slow)
    yield let_go
    let_go.set()


@pytest.mark.parametrize("tools", [False, True])
def test_a_stop_right_after_an_asend_stops_it_though_its_thread_has_not_begun(
    fake, fake_manager, slow_threads, tools
):
    fake.set(info_supports_function_calling=1)
    chat = fake_manager.create_chat(tools=[print_nothing] if tools else ())

    async def send_and_stop():
        sending = asyncio.create_task(chat.asend("Count."))
        await asyncio.sleep(0)
        chat.stop()
        slow_threads.set()
        return await sending

    assert asyncio.run(send_and_stop()).finish_reason == "cancelled"
    assert [message.text for message in chat.messages] == ["Count.", ""]
    assert fake.count("conversation_send_message_stream") == 0


@pytest.mark.parametrize("tools", [False, True])
def test_a_reset_right_after_an_asend_forgets_it_though_its_thread_has_not_begun(
    fake, fake_manager, slow_threads, tools
):
    fake.set(info_supports_function_calling=1)
    chat = fake_manager.create_chat(tools=[print_nothing] if tools else ())

    async def send_and_reset():
        sending = asyncio.create_task(chat.asend("Count."))
        await asyncio.sleep(0)
        chat.reset()
        slow_threads.set()
        reply = await sending
        return reply, await chat.asend("Hello")

    forgotten, answered = asyncio.run(send_and_reset())
    assert (forgotten.finish_reason, answered.finish_reason) == ("cancelled", "stop")
    assert [message.role for message in chat.messages] == ["user", "assistant"]
    assert fake.count("conversation_send_message_stream") == 1


def print_nothing() -> str:
    """Print nothing."""
    return ""


def test_a_stream_that_is_forgotten_is_recorded_as_cancelled_without_another_send(fake, fake_manager):
    chat = fake_manager.create_chat()
    fake.set(gate="1", reply="one two three")
    stream = chat.stream("Count.")
    fake.allow(1)
    next(stream)
    del stream
    wait_until(lambda: chat.messages[-1].finish_reason == "cancelled")
    assert kinds(fake_manager, "cancelled", "ended") == [("cancelled", 1), ("ended", 1)]
    assert len(chat.metrics) == 1
    fake.let_go()


def test_leaving_an_async_stream_stops_it_and_anext_reads_one_step(fake, fake_manager):
    chat = fake_manager.create_chat()
    fake.set(gate="1", reply="one two three")

    async def read_one():
        async with chat.astream("Count.") as stream:
            fake.allow(1)
            first = await anext(stream)
        with pytest.raises(StopAsyncIteration):
            while True:
                await anext(stream)
        return first

    assert asyncio.run(read_one()).text == "one"
    assert chat.messages[-1].finish_reason == "cancelled"
    fake.let_go()
