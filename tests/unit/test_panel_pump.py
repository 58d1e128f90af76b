"""The one sending thread, and the thread that works."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gemma_notebook.panel.protocol import (
    DeltaMessage,
    ErrorMessage,
    SnapshotMessage,
    StateMessage,
    TurnMessage,
)
from gemma_notebook.panel.pump import Pump
from gemma_notebook.panel.worker import Worker, worker_of

WAIT_S = 10.0
NEVER_S = 3600.0


def delta(text: str, *, offset: int = 0, turn: int = 2, epoch: int = 1) -> DeltaMessage:
    return {"type": "delta", "epoch": epoch, "turn": turn, "offset": offset, "text": text}


def turn(state: Any = "done", *, epoch: int = 1) -> TurnMessage:
    return {"type": "turn", "epoch": epoch, "turn": 2, "role": "assistant", "state": state}


def error(text: str = "Hello", *, epoch: int = 1) -> ErrorMessage:
    return {"type": "error", "epoch": epoch, "kind": "K", "message": "m", "retry": "send", "text": text}


NUMBERS: Any = {"context": {}, "handles": {}, "handle": 1}


def state(status: Any = "idle", *, epoch: int = 1) -> StateMessage:
    return {"type": "state", "epoch": epoch, "status": status, **NUMBERS}


def snapshot(*, epoch: int = 1) -> SnapshotMessage:
    model: Any = {"name": "tiny", "context_limit": 1}
    return {"type": "snapshot", "epoch": epoch, "status": "idle", "model": model, "messages": [], **NUMBERS}


class Outbox:
    """Where a pump sends to; it can be held in the middle of a send."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.threads: set[int] = set()
        self.changed = threading.Condition()
        self.sending = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.error: Exception | None = None

    def send(self, message: dict[str, Any]) -> None:
        self.sending.set()
        assert self.go_on.wait(WAIT_S)
        if self.error is not None:
            failed, self.error = self.error, None
            raise failed
        with self.changed:
            self.messages.append(message)
            self.threads.add(threading.get_ident())
            self.changed.notify_all()

    def hold(self) -> None:
        self.sending.clear()
        self.go_on.clear()

    def wait(self, count: int) -> list[dict[str, Any]]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.messages) >= count, WAIT_S), self.messages
            return list(self.messages)

    @property
    def told(self) -> list[tuple[Any, ...]]:
        return [(m["type"], m.get("text", m.get("status", m.get("state")))) for m in self.messages]


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def start(outbox: Outbox) -> Iterator[Callable[..., Pump]]:
    pumps = []

    def make(interval_s: float = 0.0) -> Pump:
        pump = Pump(outbox.send, interval_s=interval_s)
        pumps.append(pump)
        return pump

    yield make
    outbox.go_on.set()
    for pump in pumps:
        pump.close(WAIT_S)


def hold_in_first_send(pump: Pump, outbox: Outbox) -> None:
    """Hold the pump's thread, so that what is posted next stays in the queue."""
    outbox.hold()
    pump.post(state("generating"))
    assert outbox.sending.wait(WAIT_S)


def test_messages_leave_in_order_with_consecutive_seq_from_one_thread(
    start: Callable[..., Pump], outbox: Outbox
) -> None:
    pump = start()
    for message in (snapshot(), turn("streaming"), state("generating"), turn("done"), state()):
        pump.post(message)
    sent = outbox.wait(5)
    assert [m["seq"] for m in sent] == [1, 2, 3, 4, 5]
    assert [m["type"] for m in sent] == ["snapshot", "turn", "state", "turn", "state"]
    assert len(outbox.threads) == 1
    assert threading.get_ident() not in outbox.threads


def test_deltas_of_one_reply_are_joined_while_they_wait(start: Callable[..., Pump], outbox: Outbox) -> None:
    pump = start()
    hold_in_first_send(pump, outbox)
    pump.post(delta("Ni"))
    pump.post(delta("ce ", offset=2))
    pump.post(delta("👋", offset=5))
    outbox.go_on.set()
    assert outbox.wait(2)[1] == {**delta("Nice 👋"), "seq": 2}


def test_deltas_of_different_replies_are_not_joined(start: Callable[..., Pump], outbox: Outbox) -> None:
    pump = start()
    hold_in_first_send(pump, outbox)
    pump.post(delta("one", turn=2))
    pump.post(delta("two", turn=4))
    outbox.go_on.set()
    assert [m["text"] for m in outbox.wait(3)[1:]] == ["one", "two"]


def test_a_delta_waits_for_its_interval_and_all_else_does_not(
    start: Callable[..., Pump], outbox: Outbox
) -> None:
    pump = start(interval_s=NEVER_S)
    pump.post(delta("first"))
    outbox.wait(1)
    pump.post(delta("second", offset=5))
    pump.post(delta("third", offset=11))
    assert len(outbox.messages) == 1
    pump.post(turn("done"))
    outbox.wait(3)
    assert outbox.told == [("delta", "first"), ("delta", "secondthird"), ("turn", "done")]


def test_a_delta_leaves_when_its_interval_is_over(start: Callable[..., Pump], outbox: Outbox) -> None:
    pump = start(interval_s=0.02)
    pump.post(delta("first"))
    outbox.wait(1)
    pump.post(delta("second", offset=5))
    outbox.wait(2)
    assert outbox.told == [("delta", "first"), ("delta", "second")]


def test_a_purge_drops_what_was_said_and_keeps_what_is_told(
    start: Callable[..., Pump], outbox: Outbox
) -> None:
    pump = start()
    hold_in_first_send(pump, outbox)
    for message in (delta("late"), turn(), snapshot(), error(), state("resetting")):
        pump.post(message)
    purging = threading.Thread(target=pump.purge, args=(1,))
    purging.start()
    outbox.go_on.set()
    purging.join(WAIT_S)
    # The purge may come after some of them have left, never in between: see the next test.
    pump.post(delta("later"))
    pump.post(turn())
    pump.post(state(epoch=2))
    pump.post(delta("new", epoch=2))
    pump.close(WAIT_S)
    after = outbox.told[outbox.told.index(("state", "resetting")) + 1 :]
    assert after == [("state", "idle"), ("delta", "new")]
    assert ("error", "Hello") in outbox.told


def test_nothing_of_a_purged_epoch_leaves_after_the_purge_has_returned(
    start: Callable[..., Pump], outbox: Outbox
) -> None:
    pump = start()
    outbox.hold()
    pump.post(delta("on its way"))
    assert outbox.sending.wait(WAIT_S)
    pump.post(delta("queued", offset=10))
    returned = threading.Event()

    def purge() -> None:
        pump.purge(1)
        returned.set()

    purging = threading.Thread(target=purge)
    purging.start()
    assert not returned.is_set()  # the message that is being sent keeps the purge waiting
    outbox.go_on.set()
    assert returned.wait(WAIT_S)
    left = len(outbox.messages)
    pump.post(delta("late"))
    pump.post(state("resetting"))
    pump.close(WAIT_S)
    assert outbox.told[left:] == [("state", "resetting")]


def test_a_purge_says_whether_a_view_waits_for_a_snapshot(start: Callable[..., Pump], outbox: Outbox) -> None:
    pump = Pump(outbox.send)
    assert pump.purge(1).snapshot is False
    with pump._changed:  # without its thread, the queue stands still
        pump._queue.append(snapshot())
    assert pump.purge(1).snapshot is True
    assert pump.purge(1).snapshot is False


def test_a_purge_tells_which_requests_it_leaves_without_an_answer(outbox: Outbox) -> None:
    pump = Pump(outbox.send)
    with pump._changed:  # without its thread, the queue stands still
        pump._queue.extend(({**turn(), "request": "a"}, turn(), {**error(), "request": "b"}))
    assert pump.purge(1).requests == ("a",)
    assert pump.purge(1).requests == ()


def test_a_snapshot_of_the_purged_epoch_that_is_made_afterwards_leaves(
    start: Callable[..., Pump], outbox: Outbox
) -> None:
    pump = start()
    pump.purge(1)
    pump.post(snapshot())
    assert outbox.wait(1)[0]["type"] == "snapshot"


def test_a_send_that_fails_does_not_end_the_pump(
    start: Callable[..., Pump], outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    pump = start()
    outbox.error = OSError("no front end")
    pump.post(state("generating"))
    pump.post(state("idle"))
    assert outbox.wait(1)[0]["seq"] == 2  # the gap tells a front end that it missed something
    assert "could not be sent" in caplog.text


def test_closing_sends_what_is_queued_ends_the_thread_and_refuses_more(
    start: Callable[..., Pump], outbox: Outbox
) -> None:
    pump = start(interval_s=NEVER_S)
    pump.post(delta("first"))
    outbox.wait(1)
    pump.post(delta("second", offset=5))
    pump.close(WAIT_S)
    pump.close(WAIT_S)
    pump.post(state())
    assert outbox.told == [("delta", "first"), ("delta", "second")]
    assert not any(t.name == "gemma-panel-pump" for t in threading.enumerate())


def test_a_pump_that_never_sent_has_no_thread_and_closes(outbox: Outbox) -> None:
    pump = Pump(outbox.send)
    pump.close(WAIT_S)
    assert outbox.messages == []


def test_a_worker_runs_one_job_at_a_time_and_first_goes_ahead() -> None:
    worker, order, done, go = Worker(), [], threading.Event(), threading.Event()

    def running() -> None:
        assert go.wait(WAIT_S)
        order.append("running")

    worker.put(running)
    worker.put(lambda: order.append("waiting"))
    worker.put(done.set)
    worker.put(lambda: order.append("first"), first=True)
    go.set()
    assert done.wait(WAIT_S)
    assert order == ["running", "first", "waiting"]


def test_a_job_that_fails_does_not_keep_the_next_from_running(caplog: pytest.LogCaptureFixture) -> None:
    worker, done = Worker(), threading.Event()
    with caplog.at_level(logging.ERROR):
        worker.put(lambda: 1 / 0)  # type: ignore[arg-type,return-value]
        worker.put(done.set)
        assert done.wait(WAIT_S)
    assert "ZeroDivisionError" in caplog.text


def test_a_worker_has_a_thread_only_while_it_has_jobs() -> None:
    worker, threads, done = Worker(), [], threading.Event()
    for last in (False, True):
        done.clear()
        worker.put(lambda: threads.append(threading.current_thread()))
        worker.put(done.set)
        assert done.wait(WAIT_S)
        threads[-1].join(WAIT_S)
        assert not threads[-1].is_alive(), last
    assert len(threads) == 2


def test_each_chat_has_one_worker_for_as_long_as_it_lives() -> None:
    class Chat:
        pass

    one, two = Chat(), Chat()
    assert worker_of(one) is worker_of(one)
    assert worker_of(one) is not worker_of(two)


def test_a_worker_that_gets_no_thread_tries_again_with_the_next_job(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, done = Worker(), threading.Event()

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="new thread"):
        patch.setattr(threading.Thread, "start", no_thread)
        worker.put(lambda: None)
    worker.put(done.set)
    assert done.wait(WAIT_S)
