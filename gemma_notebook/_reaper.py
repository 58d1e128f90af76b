"""Closes what was forgotten, on a thread of its own.

The garbage collector runs finalizers on whatever thread allocates next, inside whatever lock that thread
holds. Closing an engine or a handle waits for native threads, so it is only handed over here.
"""

from __future__ import annotations

import functools
import gc
import logging
import queue
import threading
import warnings
from collections.abc import Callable
from typing import Protocol

__all__ = ["close_later", "in_collection", "run_later", "start"]

_log = logging.getLogger(__name__)

# SimpleQueue.put is reentrant, so a finalizer may call it at any moment.
_jobs: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
_start_lock = threading.Lock()
_thread: threading.Thread | None = None
_collecting = threading.local()


class Closable(Protocol):
    """What can be closed, and says in its repr what it is."""

    @property
    def closed(self) -> bool: ...

    def close(self) -> None: ...


def start() -> None:
    """Start the thread, unless it runs. To be called before anything is forgotten: a finalizer must not."""
    global _thread  # noqa: PLW0603
    with _start_lock:
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_reap, name="gemma_notebook-reaper", daemon=True)
            _thread.start()
        if _note_collection not in gc.callbacks:
            gc.callbacks.append(_note_collection)


def close_later(forgotten: Closable, remedy: str) -> None:
    """Have something that nobody holds any more closed soon, with a ResourceWarning."""
    if not forgotten.closed:
        run_later(functools.partial(_close, forgotten, remedy))


def in_collection() -> bool:
    """Whether this thread is inside the garbage collector, and so perhaps inside any lock: nothing may wait."""
    return getattr(_collecting, "now", False)


def _note_collection(phase: str, _info: object) -> None:
    _collecting.now = phase == "start"


def run_later(job: Callable[[], object]) -> None:
    """Have ``job`` run soon. May be called by a finalizer, inside any lock."""
    _jobs.put(job)


def _close(forgotten: Closable, remedy: str) -> None:
    if forgotten.closed:
        return
    try:
        warnings.warn(f"{forgotten!r} was never closed; {remedy}", ResourceWarning, stacklevel=1)
    finally:  # where warnings are errors, too
        forgotten.close()


def _reap() -> None:
    while True:
        job = _jobs.get()
        try:
            job()
        except Exception:  # a warning that is an error, a handle that is lost: the next one waits
            _log.warning("Something that was forgotten could not be closed.", exc_info=True)
        del job
