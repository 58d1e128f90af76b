"""An engine that no longer answers: seen, told, and loaded again in place without restarting the kernel.

What is lost cannot be deleted, and the stub ends a process that leaves it: those tests run in one of their own.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support import WAIT_S, threads_inside, wait_until

import gemma_notebook as gn
from gemma_notebook import sessions
from gemma_notebook.errors import ClosedError, ModelLoadError
from gemma_notebook.turn_queue import TurnQueue

TESTS = str(Path(__file__).parents[1])


def run(library, model, script):
    """Run a script on the stub, in a process of its own."""
    model.write_bytes(b"the stub reads nothing")
    start = f"""
import sys
sys.path.insert(0, {TESTS!r})
import fake_engine, gemma_notebook as gn
from gemma_notebook import sessions
from gemma_notebook.engine import conversation
conversation.TERMINAL_TIMEOUT_S = conversation.STALL_TIMEOUT_S = conversation.SILENCE_TIMEOUT_S = 0.3
sessions.RELOAD_PATIENCE_S = 0.3
fake = fake_engine.FakeEngine({str(library)!r})

def failure(verb, *arguments):
    try:
        verb(*arguments)
    except gn.errors.EngineError as error:
        return str(error)

manager = gn.load({str(model)!r}, backend="cpu", check=False)
"""
    child = subprocess.run(
        [sys.executable, "-c", start + script],
        env={**os.environ, "GEMMA_NOTEBOOK_ENGINE_LIBRARY": str(library)},
        capture_output=True,
        timeout=60,
        check=False,
        text=True,
    )
    assert child.returncode == 0, child.stderr
    return child.stdout.splitlines()


def forget(managers, fake):
    managers.clear()
    wait_until(lambda: fake.count("live_engines") == 1)


# A reload of what works


def test_chats_go_on_where_they_were_after_a_reload(manager):
    lane, own = manager.create_chat(), manager.open_chat()
    lane.send("My name is Ada.")
    own.send("My name is Bo.")
    old = lane.handle_id, own.handle_id
    manager.reload()
    assert manager.handles == gn.HandleCounts(4, 2, 2, 0)
    assert not {lane.handle_id, own.handle_id} & {*old, None}
    assert "Ada" in lane.send("What is my name?").text
    assert "Bo" in own.send("What is my name?").text
    assert manager.session is lane.session


def test_a_reload_deletes_the_old_engine_before_it_loads_the_new(fake, fake_manager):
    fake_manager.create_chat().send("My name is Ada.")
    fake_manager.reload()
    assert [line for line in fake.log if line.split()[0] in ("delete", "engine_delete", "engine_create")] == [
        "engine_create 1",
        "delete 1",
        "engine_delete 1",
        "engine_create 2",
    ]


def test_a_reload_stops_the_reply_that_runs_and_keeps_what_came(fake, fake_manager):
    fake.set(gate="1", reply="one two three")
    chat = fake_manager.create_chat()
    stream = chat.stream("Count.")
    fake.allow(1)
    next(stream)
    fake_manager.reload()
    assert stream.reply.finish_reason == "cancelled"
    assert [message.text for message in chat.messages] == ["Count.", "one"]
    fake.let_go()
    assert chat.send("Hello").finish_reason == "stop"


def test_a_model_keeps_its_name_and_its_events_through_a_reload(real_manager):
    chat = real_manager.create_chat()
    model = real_manager.model
    real_manager.reload()
    assert real_manager.model == model
    kinds = [(event.kind, event.handle) for event in real_manager.events]
    assert kinds == [("created", 1), ("closed", 1), ("created", chat.handle_id)]


def test_who_sends_or_creates_during_a_reload_waits_for_it(fake, fake_manager, in_thread):
    chat = fake_manager.create_chat()
    chat.send("My name is Ada.")
    fake.set(hold_engine_create="1")
    reloading = in_thread(fake_manager.reload)
    fake.wait("engine_create", 2)
    sending = in_thread(chat.send, "What is my name?")
    creating = in_thread(fake_manager.open_session)
    wait_until(lambda: threads_inside("_send") == 1 == threads_inside("_wait_while"))
    assert not (sending.done() or creating.done())
    fake.set(hold_engine_create=None)
    reloading.result(WAIT_S)
    assert "Ada" in sending.result(WAIT_S).text
    assert not creating.result(WAIT_S).closed


def test_two_reloads_at_once_are_done_one_after_the_other(fake, fake_manager, in_thread):
    chat = fake_manager.create_chat()
    fake.set(hold_engine_create="1")
    reloads = [in_thread(fake_manager.reload) for _ in range(2)]
    fake.wait("engine_create", 2)
    fake.set(hold_engine_create=None)
    for reload in reloads:
        reload.result(WAIT_S)
    assert [line for line in fake.log if line.startswith("engine_create")] == [
        "engine_create 1",
        "engine_create 2",
        "engine_create 3",
    ]
    assert chat.send("Hello").finish_reason == "stop"


def test_a_reload_that_fails_says_why_and_can_be_tried_again(fake, fake_manager):
    chat = fake_manager.create_chat()
    chat.send("My name is Ada.")
    fake.set(fail_engine_create="1:5:the file is gone")
    with pytest.raises(ModelLoadError, match="the file is gone"):
        fake_manager.reload()
    assert fake_manager.handles.live == 0
    with pytest.raises(ClosedError, match=r"manager\.reload"):
        chat.send("What is my name?")
    fake_manager.reload()
    assert "Ada" in chat.send("What is my name?").text


def test_a_closed_manager_is_not_reloaded(manager):
    manager.close()
    with pytest.raises(ClosedError):
        manager.reload()


def test_a_reload_does_not_block_the_event_loop(fake, fake_manager):
    async def reload_and_count():
        fake.set(hold_engine_create="1")
        reloading = asyncio.create_task(fake_manager.areload())
        while fake.count("engine_create") < 2:
            await asyncio.sleep(0)
        fake.set(hold_engine_create=None)
        await reloading

    asyncio.run(reload_and_count())
    assert fake_manager.create_chat().send("Hello").text


def test_a_reloaded_manager_that_is_forgotten_gives_its_engine_back(fake, make_fake_manager):
    from gemma_notebook.engine import load_library
    from gemma_notebook.loading import open_manager
    from gemma_notebook.options import EngineOptions

    options = EngineOptions(make_fake_manager()._engine.options.model_path)
    managers = [open_manager(options, check=False, library=load_library(fake.library))]
    managers[0].reload()
    with pytest.warns(ResourceWarning, match="never closed"):
        forget(managers, fake)


# What is broken


def test_a_reply_that_stands_still_is_stopped_and_its_reader_told(fake, fake_manager, monkeypatch):
    from gemma_notebook.engine import conversation

    monkeypatch.setattr(conversation, "STALL_TIMEOUT_S", 0.2)
    fake.set(gate="1", reply="one two three")
    chat = fake_manager.create_chat()
    fake.allow(1)
    with pytest.raises(gn.errors.EngineError, match=r"stood still.*manager\.reload"):
        chat.send("Count.")
    assert chat.messages[-1].text == "one"
    fake.let_go()
    assert chat.send("Hello").finish_reason == "stop"


def test_a_long_prefill_is_no_standstill(fake, fake_manager, in_thread, monkeypatch):
    from gemma_notebook.engine import conversation

    monkeypatch.setattr(conversation, "STALL_TIMEOUT_S", 0.0)
    fake.set(gate="1", reply="one")
    chat = fake_manager.create_chat()
    sending = in_thread(chat.send, "Count.")
    wait_until(lambda: chat.session.turns and chat.session.turns[0].started)
    chat.session._holding.conversation.watch()
    fake.let_go()
    assert sending.result(WAIT_S).finish_reason == "stop"


def test_the_silence_of_a_tool_call_is_no_standstill_also_after_words(
    fake, make_fake_manager, in_thread, monkeypatch
):
    from gemma_notebook.engine import conversation

    def look_up(word: str) -> str:
        """Look a word up."""
        return word

    monkeypatch.setattr(conversation, "STALL_TIMEOUT_S", 0.0)
    fake.set(gate="1", reply="one two", info_supports_function_calling=1)
    session = make_fake_manager().create_session(tools=[look_up])
    sending = in_thread(session.send, "Count.")
    fake.allow(1)
    wait_until(lambda: session.turns and session.turns[0].deltas)
    session._holding.conversation.watch()
    fake.let_go()
    assert sending.result(WAIT_S).finish_reason == "stop"


def test_a_reply_without_an_end_is_given_up_and_a_reload_brings_the_chat_back(fake_engine_path, tmp_path):
    told = run(
        fake_engine_path,
        tmp_path / "stub.litertlm",
        """
fake.set(never_finish="1", strict="1")
chat = manager.create_chat()
print(failure(chat.send, "My name is Ada."))
fake.set(never_finish=None)
manager.reload()
print(manager.handles)
print(chat.send("What is my name?").text)
manager.close()
print(manager.handles.live, manager.closed)
""",
    )
    assert "is lost" in told[0]
    assert "manager.reload()" in told[0]
    assert told[1] == "HandleCounts(created=2, closed=1, live=1, checkpoints=0)"
    assert "Ada" in told[2]
    assert told[3] == "0 True"


def test_a_call_that_never_returns_does_not_keep_a_reload_from_its_work(fake_manager, in_thread, monkeypatch):
    monkeypatch.setattr(sessions, "RELOAD_PATIENCE_S", 0.2)
    stuck, well = fake_manager.create_chat(), fake_manager.open_chat()
    well.send("My name is Ada.")
    inside, returns = threading.Event(), threading.Event()

    def never_returns():  # what a native call in mid-send holds
        with stuck.session._lock, fake_manager._engine.lock:
            inside.set()
            returns.wait(WAIT_S)

    calling = in_thread(never_returns)
    inside.wait(WAIT_S)
    engine = fake_manager._engine
    library, pointer = engine.library, engine._pointer
    left = [conversation._pointer for conversation in engine._conversations]
    fake_manager.reload()
    assert "Ada" in well.send("What is my name?").text
    assert stuck.session.closed
    stuck.reset()
    assert "Bo" in stuck.send("My name is Bo.").text
    assert fake_manager.handles.live == 2
    returns.set()
    calling.result(WAIT_S)
    for conversation in left:  # the stub counts what nobody will ever delete
        library.lib.gn_conversation_delete(library.api, conversation)
    library.lib.gn_engine_delete(library.api, pointer)


def test_a_handle_that_is_given_up_while_it_is_closed_is_counted_once(fake_engine_path, tmp_path):
    script = """
import threading
chat = manager.open_chat()
for words in ("one", "two", "three"):
    chat.send(words)
fake.set(hold_engine_tokenize="1")
held = threading.Thread(target=manager._engine.tokenize, args=("x",))
held.start()
fake.wait("engine_tokenize", fake.count("engine_tokenize") or 1)
closing = threading.Thread(target=lambda: print(failure(chat.session.close)))
closing.start()
while not any(one.state.value == "closing" for one in tuple(manager._engine._conversations)):
    pass
manager.reload()
fake.set(hold_engine_tokenize=None)
held.join()
closing.join()
print(manager.handles, [event.kind for event in manager.events].count("closed"))
"""
    assert run(fake_engine_path, tmp_path / "stub.litertlm", script) == [
        "None",
        "HandleCounts(created=1, closed=1, live=0, checkpoints=0) 1",
    ]


def test_watchers_are_told_of_a_reply_that_is_given_up(fake_engine_path, tmp_path):
    script = """
chat = manager.open_chat()
told = []
chat._watch(lambda: told.append(chat.session.turns[-1].done))
fake.set(never_finish="1")
print("lost" in failure(chat.send, "Hello"))
print(told)
"""
    assert run(fake_engine_path, tmp_path / "stub.litertlm", script) == ["True", "[True]"]


def test_a_send_that_a_reload_has_overtaken_waits_for_its_turn_again(
    fake, fake_manager, monkeypatch, in_thread
):
    first, second = fake_manager.open_session(), fake_manager.open_session()
    let_in, go_on = threading.Event(), threading.Event()
    wait, stop = TurnQueue.wait, first.stop
    sent = []

    def wait_and_be_overtaken(queue, turn):
        waited = wait(queue, turn)
        if turn.message == "One" and not let_in.is_set():
            let_in.set()
            assert go_on.wait(WAIT_S)
        return waited

    def stop_before_a_send():  # as the reload does first
        stop()
        sent.append(in_thread(first.send, "One"))
        assert let_in.wait(WAIT_S)

    monkeypatch.setattr(TurnQueue, "wait", wait_and_be_overtaken)
    monkeypatch.setattr(first, "stop", stop_before_a_send)
    fake_manager.reload()
    fake.set(gate="1")
    other = in_thread(second.send, "Two")
    fake.wait("generating", 1)
    go_on.set()
    wait_until(lambda: threads_inside("wait_end") > 0)
    assert fake.count("generating") == 1
    fake.set(gate=None)
    fake.allow(1000)
    assert other.result(WAIT_S).text and sent[0].result(WAIT_S).text
