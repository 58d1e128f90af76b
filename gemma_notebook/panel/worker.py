"""The threads on which panels make their models work, never in a message handler."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from weakref import WeakKeyDictionary

__all__ = ["Worker", "worker_of"]

_log = logging.getLogger(__name__)


class Worker:
    """Runs jobs one after another on a thread that lives while there are jobs.

    Thread-safe.
    """

    def __init__(self) -> None:
        self._jobs: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._busy = False

    def put(self, job: Callable[[], None], *, first: bool = False) -> None:
        """Queue ``job``; with ``first``, ahead of all that has not begun."""
        with self._lock:
            if first:
                self._jobs.appendleft(job)
            else:
                self._jobs.append(job)
            if self._busy:
                return
            self._busy = True
        try:
            threading.Thread(target=self._run, name="gemma-panel-worker", daemon=True).start()
        except RuntimeError:  # no thread can be had now: the next job tries again
            with self._lock:
                self._busy = False
            raise

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception:  # one panel's job must not end another's
                _log.exception("A job of the chat panel failed.")

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            if not self._jobs:
                self._busy = False
                return None
            return self._jobs.popleft()


_workers: WeakKeyDictionary[object, Worker] = WeakKeyDictionary()
_workers_lock = threading.Lock()


def worker_of(chat: object) -> Worker:
    """The one worker of ``chat``.

    Not one for its manager: the manager's queue lets one turn at a time into the engine anyway, and a reset must
    not wait for another chat's reply.
    """
    with _workers_lock:
        return _workers.setdefault(chat, Worker())
