"""Ctrl-C in a cell: whatever it hits, nothing native is lost, no lane stays taken, and the next cell works.

Python raises KeyboardInterrupt right after the C call that it arrived in, so that is where these strike.
"""

from __future__ import annotations

import signal
import threading

import pytest
from support import WAIT_S, threads_inside, wait_until

import gemma_notebook as gn
from gemma_notebook.conversations import Conversations
from gemma_notebook.engine.handles import HandleLedger, HandleLife
from gemma_notebook.errors import ClosedError
from gemma_notebook.session import Session


def interrupt_main():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


@pytest.fixture
def interrupt_inside(fake, in_thread):
    """Ctrl-C while the main thread is inside its next call of a native function."""

    def arm(function):
        count = fake.count(function) + 1
        fake.set(**{f"hold_{function}": "1"})

        def strike():
            fake.wait(function, count)
            interrupt_main()
            fake.set(**{f"hold_{function}": None})

        in_thread(strike)

    return arm


def test_a_model_whose_loading_is_interrupted_gives_its_memory_back(
    fake, make_fake_manager, interrupt_inside
):
    interrupt_inside("engine_create")
    with pytest.raises(KeyboardInterrupt):
        make_fake_manager()
    assert fake.count("live_engines") == 0


def test_a_creation_that_is_interrupted_leaves_no_handle(fake, fake_manager, interrupt_inside):
    interrupt_inside("conversation_create")
    with pytest.raises(KeyboardInterrupt):
        fake_manager.create_session()
    assert fake.count("live_conversations") == 0
    assert fake_manager.handles.live == 0
    assert fake_manager.create_session().send("My name is Ada.").text


def test_an_opening_that_is_interrupted_leaves_no_handle(fake, fake_manager, interrupt_inside):
    interrupt_inside("conversation_create")
    with pytest.raises(KeyboardInterrupt):
        fake_manager.open_chat()
    assert fake.count("live_conversations") == 0
    assert fake_manager.sessions == ()


def test_a_send_that_is_interrupted_is_cancelled_drained_and_recorded(fake, fake_manager, interrupt_inside):
    chat = fake_manager.create_chat()
    fake.set(gate="1", reply="one two three", strict="1")
    interrupt_inside("conversation_send_message_stream")
    with pytest.raises(KeyboardInterrupt):
        chat.send("Count.")
    assert fake.count("generating") == 0
    assert chat.messages == (gn.Message("user", "Count."), gn.Message("assistant", "", "cancelled"))
    fake.set(gate=None)
    assert chat.send("Again.").finish_reason == "stop"


@pytest.mark.parametrize("function", ["conversation_render_message_to_string", "engine_tokenize"])
def test_a_send_that_is_interrupted_before_the_engine_has_it_leaves_no_turn(
    fake, fake_manager, interrupt_inside, function
):
    chat = fake_manager.create_chat()
    interrupt_inside(function)
    with pytest.raises(KeyboardInterrupt):
        chat.send("Count.")
    assert chat.messages == ()
    assert chat.send("Again.").finish_reason == "stop"


def test_a_reply_that_is_interrupted_has_no_hole(fake, fake_manager, in_thread):
    chat = fake_manager.create_chat()
    fake.set(gate="1", reply="one two three")

    def strike():
        fake.wait("generating", 1)
        wait_until(lambda: threads_inside("take") == 1)
        interrupt_main()
        fake.allow(1)  # the token comes in the same native wait as the Ctrl-C
        fake.wait("token", 1)

    striking = in_thread(strike)
    stream = chat.stream("Count.")
    with pytest.raises(KeyboardInterrupt):
        list(stream)
    striking.result(WAIT_S)
    assert chat.messages[-1].text == "".join(["one", " two"][: fake.count("token")])


@pytest.mark.parametrize("function", ["conversation_cancel_process", "conversation_delete"])
def test_a_close_that_is_interrupted_can_be_finished(fake, fake_manager, interrupt_inside, function):
    fake.set(gate="1", strict="1")
    session = fake_manager.create_session()
    stream = session.stream("Count.")
    interrupt_inside(function)
    with pytest.raises(KeyboardInterrupt):
        session.close()
    session.close()
    assert fake_manager.handles == gn.HandleCounts(1, 1, 0, 0)
    assert fake.log.count("delete 1") == 1
    assert stream.reply.finish_reason == "cancelled"


def test_another_thread_finishes_a_close_that_was_interrupted(fake, fake_manager, in_thread):
    session = fake_manager.create_session()
    conversation = session._holding.conversation
    fake.set(hold_conversation_delete="1")

    def strike():
        fake.wait("conversation_delete", 1)
        other = in_thread(conversation.close)
        wait_until(lambda: threads_inside("wait_closed") == 1)
        interrupt_main()
        fake.set(hold_conversation_delete=None)
        other.result(WAIT_S)

    striking = in_thread(strike)
    with pytest.raises(KeyboardInterrupt):
        conversation.close()
    striking.result(WAIT_S)
    assert fake_manager.handles == gn.HandleCounts(1, 1, 0, 0)
    assert fake.log.count("delete 1") == 1


def test_after_an_interrupted_create_there_are_never_two_live_handles(fake, fake_manager, interrupt_inside):
    fake.set(gate="1", strict="1")
    _stream = fake_manager.create_session().stream("Count.")
    interrupt_inside("conversation_cancel_process")
    with pytest.raises(KeyboardInterrupt):
        fake_manager.create_session()
    fake.set(gate=None)
    assert fake_manager.create_session().send("My name is Ada.").text
    order = [line for line in fake.log if line.split()[0] in ("create", "delete")]
    assert order == ["create 1", "delete 1", "create 2"]
    assert fake_manager.handles.live == 1


def test_a_reset_that_is_interrupted_is_done_by_the_one_that_had_joined_it(
    fake, fake_manager, in_thread, interrupt_inside
):
    chat = fake_manager.create_chat()
    chat.send("My name is Ada.")
    count = fake.count("conversation_create") + 1
    fake.set(hold_conversation_create="1")

    def strike():
        fake.wait("conversation_create", count)
        joined = in_thread(chat.reset)
        wait_until(lambda: threads_inside("join") == 1)
        interrupt_main()
        fake.set(hold_conversation_create=None)
        joined.result(WAIT_S)

    striking = in_thread(strike)
    with pytest.raises(KeyboardInterrupt):
        chat.reset()
    striking.result(WAIT_S)
    assert chat.handle_id is not None
    assert fake_manager.handles.live == fake.count("live_conversations") == 1
    assert "Ada" not in chat.send("What is my name?").text


def test_a_manager_whose_close_is_interrupted_can_be_closed_again(fake, fake_manager, in_thread):
    fake.set(hold_conversation_create="1")
    creating = in_thread(fake_manager.create_session)
    fake.wait("conversation_create", 1)
    in_thread(lambda: (wait_until(lambda: fake_manager.closed), interrupt_main()))
    with pytest.raises(KeyboardInterrupt):
        fake_manager.close()
    fake.set(hold_conversation_create=None)
    creating.exception(WAIT_S)
    fake_manager.close()
    assert fake_manager.closed
    assert fake.log[-1] == "engine_delete 1"
    with pytest.raises(ClosedError):
        fake_manager.create_session()


def test_a_rendering_that_is_interrupted_leaves_no_conversation_behind(fake, fake_manager, interrupt_inside):
    chat = fake_manager.create_chat()
    interrupt_inside("conversation_create")
    with pytest.raises(KeyboardInterrupt):
        chat._session._engine.render(
            chat._session._conversations.creation_options(), '{"role": "user", "content": "Hello"}'
        )
    assert fake.count("live_conversations") == fake_manager.handles.live == 1


def test_two_interrupts_of_who_waits_for_the_engine_keep_nobody_from_sending(
    fake, fake_manager, in_thread, monkeypatch
):
    first, second = fake_manager.open_chat(), fake_manager.open_chat()
    engine = fake_manager._engine
    fake.set(gate="1", reply="one two")
    stream = first.stream("Count.")

    class Struck:
        def __enter__(self):
            raise KeyboardInterrupt  # the second one, while the lock is waited for

        def __exit__(self, *_):
            pass

    def strike(_timeout_s):
        monkeypatch.setattr(engine, "lock", Struck())
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(
            stream._turn._generation, "wait_end", lambda timeout_s: timeout_s and strike(timeout_s)
        )
        with pytest.raises(KeyboardInterrupt):
            fake_manager.open_chat()
    monkeypatch.undo()
    fake.let_go()
    assert stream.reply.finish_reason == "stop"
    assert in_thread(second.send, "Hello").result(WAIT_S).finish_reason == "stop"


def _told_to_the_engine(fake):
    """What the conversation of the latest send holds."""
    return [
        turn.split(": ", 1)[1]
        for turn in fake.turns([int(line.split()[1]) for line in fake.log if line.startswith("send")][-1])
    ]


def _once(monkeypatch, where, name, *, after):
    """Ctrl-C at the next call of a method, before it or after it."""
    real = getattr(where, name)

    def strike(*arguments, **named):
        monkeypatch.setattr(where, name, real)
        if after:
            real(*arguments, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(where, name, strike)


@pytest.mark.parametrize("verb", ["reset", "undo", "rewind", "edit", "regenerate"])
@pytest.mark.parametrize(
    ("where", "name", "after"),
    [(Conversations, "go_back", False), (Conversations, "go_back", True), (Session, "_see_off", True)],
    ids=["before the handle is changed", "when it was", "at the end"],
)
def test_an_interrupt_in_going_back_leaves_the_engine_knowing_what_the_chat_shows(
    fake, fake_manager, monkeypatch, verb, where, name, after
):
    chat = fake_manager.create_chat()
    for message in ("My name is Ada.", "Two.", "Three."):
        chat.send(message)
    verbs = {
        "reset": chat.reset,
        "undo": chat.undo,
        "rewind": lambda: chat.session.rewind(1),
        "edit": lambda: chat.edit(2, "Zwei."),
        "regenerate": chat.regenerate,
    }
    _once(monkeypatch, where, name, after=after)
    with pytest.raises(KeyboardInterrupt):
        verbs[verb]()
    chat.send("After.")
    assert _told_to_the_engine(fake) == [message.text for message in chat.messages]
    assert fake_manager.handles.live == 1


@pytest.mark.parametrize(
    ("where", "name"),
    [(HandleLife, "begin_close"), (HandleLedger, "closed"), (HandleLedger, "checkpoint_closed")],
)
def test_an_interrupt_between_the_steps_of_a_close_keeps_no_lane(fake_manager, monkeypatch, where, name):
    chat = fake_manager.create_chat()
    for message in ("My name is Ada.", "Two.", "Three."):
        chat.send(message)
    assert fake_manager.handles.checkpoints
    _once(monkeypatch, where, name, after=True)
    with pytest.raises(KeyboardInterrupt):
        chat.close()
    chat.close()
    fake_manager.create_chat()
    assert fake_manager.handles == gn.HandleCounts(2, 1, 1, 0)
