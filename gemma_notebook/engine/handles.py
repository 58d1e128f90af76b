"""The state machine of a native handle, and the ledger of what happened to all of them.

A handle is known by its number, counted from 1 in the order of creation, never by its address: the
allocator hands the same address out again.
"""

from __future__ import annotations

import enum
import threading
import time
from collections import deque

from gemma_notebook._determinism import clock_is_fixed
from gemma_notebook.errors import ClosedError, EngineError
from gemma_notebook.messages import HandleCounts, HandleEvent, HandleEventKind, Timing, Usage

__all__ = ["HandleLedger", "HandleLife", "HandleState"]

# Enough for thousands of resets, 3 MB at most; the counts are exact whatever falls off the front of the list.
_EVENTS_KEPT = 16_384


class HandleState(enum.Enum):
    """Where a handle is in its life."""

    OPEN = "open"
    GENERATING = "generating"
    SPENT = "spent"
    CLOSING = "closing"
    CLOSED = "closed"


class HandleLedger:
    """Counts and events of every conversation handle of one engine. Safe to use from any thread."""

    def __init__(self) -> None:
        # Reentrant: the garbage collector may cancel a forgotten stream on a thread that holds it.
        self._lock = threading.RLock()
        self._opened_at = time.monotonic()
        self._events: deque[HandleEvent] = deque(maxlen=_EVENTS_KEPT)
        self._last_number = 0
        self._live: set[int] = set()
        self._last_checkpoint = 0
        self._checkpoints: dict[int, int] = {}  # and the handle that each is a clone of
        self._lost: set[int] = set()

    def renew_lock(self) -> None:
        """Have a new lock in a forked child."""
        self._lock = threading.RLock()

    def created(self, detail: str = "") -> int:
        """Number and count a new handle that a session runs on."""
        with self._lock:
            self._last_number += 1
            self._live.add(self._last_number)
            self._append(self._last_number, "created", detail)
            return self._last_number

    def closed(self, handle: int, detail: str = "") -> None:
        """Count a handle as deleted, once however often it is told."""
        with self._lock:
            if handle in self._live:
                self._append(handle, "closed", detail)
                self._live.remove(handle)

    def checkpoint(self, handle: int) -> int:
        """Number and count a clone of a handle, kept to go back to; these have numbers of their own."""
        with self._lock:
            self._last_checkpoint += 1
            self._checkpoints[self._last_checkpoint] = handle
            self._append(handle, "checkpoint", f"checkpoint {self._last_checkpoint}")
            return self._last_checkpoint

    def checkpoint_closed(self, checkpoint: int) -> None:
        """Count a checkpoint as deleted, once however often it is told."""
        with self._lock:
            if checkpoint in self._checkpoints:
                handle = self._checkpoints[checkpoint]
                self._append(handle, "checkpoint_closed", f"checkpoint {checkpoint}")
                del self._checkpoints[checkpoint]

    def promoted(self, checkpoint: int) -> int:
        """Count a checkpoint as a handle that a session runs on from now on; its number as such."""
        with self._lock:
            del self._checkpoints[checkpoint]
            return self.created(f"from checkpoint {checkpoint}")

    def lost(self, handle: int, why: str) -> None:
        """Note that a handle was given up without being deleted; it stays counted as live."""
        with self._lock:
            self._lost.add(handle)
            self._append(handle, "lost", why)

    def write_off(self) -> None:
        """Count lost handles as closed: their engine is given up, and no session can meet them again."""
        with self._lock:
            for handle in sorted(self._lost):
                self.closed(handle, "given up with its engine")
            self._lost.clear()

    def record(self, handle: int, kind: HandleEventKind, detail: str = "") -> None:
        """Note anything else that happened to a handle."""
        with self._lock:
            self._append(handle, kind, detail)

    def turn(self, handle: int, finish_reason: str, usage: Usage, timing: Timing) -> None:
        """Note the numbers of a turn that has ended."""
        with self._lock:
            self._append(handle, "turn", finish_reason, usage, timing)

    @property
    def counts(self) -> HandleCounts:
        """The counts at this moment."""
        with self._lock:
            created, live = self._last_number, len(self._live)
            return HandleCounts(created, created - live, live, len(self._checkpoints))

    @property
    def events(self) -> tuple[HandleEvent, ...]:
        """The latest events, oldest first."""
        with self._lock:
            return tuple(self._events)

    def _append(
        self,
        handle: int,
        kind: HandleEventKind,
        detail: str,
        usage: Usage | None = None,
        timing: Timing | None = None,
    ) -> None:
        at_s = 0.0 if clock_is_fixed() else time.monotonic() - self._opened_at
        self._events.append(HandleEvent(handle, kind, detail, at_s, usage, timing))


class HandleLife:
    """One handle's state: OPEN → GENERATING → (OPEN | SPENT) → CLOSING → CLOSED.

    ``lock`` is held only around state changes and calls that return at once, never while waiting for the
    engine. It is reentrant because the garbage collector may cancel a forgotten stream on a thread that
    holds it.
    """

    def __init__(self, ledger: HandleLedger, *, detail: str = "", checkpoint_of: int | None = None) -> None:
        self.lock = threading.RLock()
        self.state = HandleState.OPEN
        self.lost = ""
        self._ledger = ledger
        self._closed = threading.Event()
        self._closer: int | None = None  # the thread that closes it
        self._checkpoint = None if checkpoint_of is None else ledger.checkpoint(checkpoint_of)
        self.number = ledger.created(detail) if checkpoint_of is None else checkpoint_of

    def renew_lock(self) -> None:
        """Have a new lock, and an event with one, in a forked child."""
        self.lock = threading.RLock()
        self._closed = threading.Event()
        if self.state is HandleState.CLOSED:
            self._closed.set()
        elif self.state is HandleState.CLOSING:  # whoever closes it stayed behind
            self.state = HandleState.SPENT

    def begin_generation(self) -> None:
        """OPEN → GENERATING.

        Raises:
            ClosedError: The handle is closed or closing.
            EngineError: It is generating or spent: the engine would take the send and answer nothing.
        """
        with self.lock:
            self.require_open("send", "take a message")
            self.state = HandleState.GENERATING
            self._ledger.record(self.number, "sent")

    def end_generation(self, *, spent: bool, detail: str = "") -> None:
        """GENERATING → OPEN, or SPENT after a cancel or an error."""
        with self.lock:
            self._ledger.record(self.number, "ended", detail)
            if self.state is HandleState.GENERATING:
                self.state = HandleState.OPEN
                if spent:
                    self.retire(detail)

    def end_turn(self, finish_reason: str, usage: Usage, timing: Timing) -> None:
        """Note a turn's numbers, unless the handle is closed: its life is told to the end then."""
        with self.lock:
            if self.state is not HandleState.CLOSED:
                self._ledger.turn(self.number, finish_reason, usage, timing)

    def retire(self, detail: str = "") -> None:
        """OPEN → SPENT: it must not be sent to again, for the reason given."""
        with self.lock:
            if self.state is HandleState.OPEN:
                self.state = HandleState.SPENT
                self._ledger.record(self.number, "spent", detail)

    def begin_close(self) -> bool:
        """Any → CLOSING. True for the one caller who must close; the others :meth:`wait_closed`, and try
        again when it was interrupted.
        """
        with self.lock:
            if self.state in (HandleState.CLOSING, HandleState.CLOSED):
                return False
            self._closer = threading.get_ident()
            self.state = HandleState.CLOSING
            return True

    def abort_close(self) -> None:
        """CLOSING → SPENT: the closer, which is this thread, was interrupted, and the next one must finish the work. Nothing on
        another thread.
        """
        with self.lock:
            if self.state is HandleState.CLOSING and self._closer == threading.get_ident():
                self.state = HandleState.SPENT

    def end_close(self, *, lost: str = "") -> None:
        """CLOSING → CLOSED: deleted or, with a reason in ``lost``, given up. Idempotent: it may be given up while it is closed."""
        with self.lock:
            if self.state is HandleState.CLOSED:
                return
            # First: a closer that is interrupted here closes again, and the ledger counts it once.
            if self._checkpoint is not None:
                self._ledger.checkpoint_closed(self._checkpoint)
            elif lost:
                self._ledger.lost(self.number, lost)
            else:
                self._ledger.closed(self.number)
            self.lost = lost
            self.state = HandleState.CLOSED
        self._closed.set()

    def wait_closed(self, timeout_s: float) -> bool:
        """Wait for whoever closes the handle."""
        return self.state is HandleState.CLOSED or self._closed.wait(timeout_s)

    def promote(self) -> None:
        """Note that a checkpoint became a handle that a session runs on."""
        with self.lock:
            self.require_open("go back", "be gone back to")
            if self._checkpoint is not None:
                self.number = self._ledger.promoted(self._checkpoint)
                self._checkpoint = None

    def require_open(self, operation: str, to_do: str) -> None:
        """Raise unless the handle is OPEN: neither closed, nor generating or spent.

        Raises:
            ClosedError: The handle is closed or closing.
            EngineError: It is generating or spent: the engine would do it and give nothing.
        """
        self.require_usable()
        if self.state is not HandleState.OPEN:
            raise EngineError(
                f"conversation handle {self.number} is {self.state.value} and cannot {to_do}",
                operation=operation,
            )

    def require_usable(self) -> None:
        """Raise ClosedError unless the handle can still be asked something."""
        if self.state in (HandleState.CLOSING, HandleState.CLOSED):
            raise ClosedError(f"conversation handle {self.number} is closed; create a session for a new one")
