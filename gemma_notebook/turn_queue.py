"""Who may use the engine: one turn at a time, in the order in which they came."""

from __future__ import annotations

import threading
from collections import deque

from gemma_notebook.turns import Turn

__all__ = ["TurnQueue"]

_WAIT_S = 0.1


class TurnQueue:
    """Lets one turn at a time into the engine, in the order in which they came.

    Two decodes at once on one engine give wrong text, and natively the second would wait out of the
    reach of its own Stop. Here it can be cancelled while it waits. Safe to use from any thread.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Turn] = deque()
        self._active: Turn | None = None

    def join(self, turn: Turn) -> None:
        """Take a place in the queue, to be followed by :meth:`wait`."""
        with self._changed:
            self._waiting.append(turn)

    def wait(self, turn: Turn) -> bool:
        """Wait for the engine. False when the turn was cancelled meanwhile, and so must not start.

        The turn at the head sees to it that the active one comes to its end, also when nobody reads it.
        """
        try:
            while True:
                with self._changed:
                    if turn.cancel_requested:
                        turn.finish_unstarted()  # before the turn behind looks at what it has to tell the model
                        return False
                    active = self._active
                    at_head = self._waiting[0] is turn
                    if at_head and (active is None or active.done):
                        self._active = turn
                        return True
                    if not at_head:
                        self._changed.wait(_WAIT_S)
                        continue
                assert active is not None
                active.wait_end(_WAIT_S)
        finally:
            self.leave(turn)

    def holds(self, turn: Turn) -> bool:
        """Whether the engine is this turn's, as it was when :meth:`wait` ended."""
        with self._changed:
            return self._active is turn

    def renew_lock(self) -> None:
        """Have a new lock in a forked child."""
        self._changed = threading.Condition()

    def abandon_active(self) -> None:
        """Let the next turn in, whatever has become of the active one: its engine is given up."""
        with self._changed:
            self._active = None
            self._changed.notify_all()

    def leave(self, turn: Turn) -> None:
        """Give the place in the queue up. Idempotent.

        A turn that is done is forgotten as well: its error would keep the chat that it was raised in.
        """
        with self._changed:
            if turn in self._waiting:
                self._waiting.remove(turn)
            if self._active is turn and turn.done:
                self._active = None
            self._changed.notify_all()
