"""Closes what was forgotten, on a thread of its own.

The garbage collector runs finalizers on whatever thread allocates next, inside whatever lock that thread
holds. Closing an engine waits for native threads, so it is only handed over here.
"""

from __future__ import annotations

import queue
import threading
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gemma_notebook.engine import Engine

__all__ = ["close_later"]

# SimpleQueue.put is reentrant, so a finalizer may call it at any moment.
_forgotten: queue.SimpleQueue[Engine] = queue.SimpleQueue()
_start_lock = threading.Lock()
_thread: threading.Thread | None = None


def close_later(engine: Engine) -> None:
    """Have an engine that nobody holds any more closed soon, with a ResourceWarning."""
    if not engine.closed:
        _forgotten.put(engine)
        _ensure_thread()


def _ensure_thread() -> None:
    global _thread  # noqa: PLW0603
    # Not waited for: whoever holds the lock is starting the thread, and the queue is read from its start.
    if _start_lock.acquire(blocking=False):
        try:
            if _thread is None or not _thread.is_alive():
                _thread = threading.Thread(target=_reap, name="gemma_notebook-reaper", daemon=True)
                _thread.start()
        finally:
            _start_lock.release()


def _reap() -> None:
    while True:
        engine = _forgotten.get()
        warnings.warn(f"{engine!r} was never closed; close its manager", ResourceWarning, stacklevel=1)
        engine.close()
        del engine
