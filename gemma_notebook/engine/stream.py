"""One generation: the chunks that C has collected, taken in batches."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gemma_notebook.engine.library import Library
from gemma_notebook.errors import ClosedError

__all__ = ["WAIT_SLICE_S", "Generation", "GenerationStats"]

# The longest single wait in C: Ctrl-C is noticed between two of them.
WAIT_SLICE_S = 0.1

# The shortest time between two takes: text that grows thirty times a second looks smooth, and on two cores each take
# holds up the engine, which uses both.
GATHER_S = 0.033


@dataclass(frozen=True, slots=True)
class GenerationStats:
    """Clocks of one generation, ``CLOCK_MONOTONIC`` seconds read in C; 0.0 for what has not happened."""

    sent_s: float
    first_chunk_s: float
    last_chunk_s: float
    ended_s: float
    chunks: int


class Generation:
    """The stream of one send. Safe to use from any thread.

    The buffer belongs to C and has one reader at a time, which :meth:`take` sees to. It is independent of
    the conversation and the engine, so a generation may be read after both are gone.
    """

    def __init__(self, library: Library, pointer: Any) -> None:
        self._lib = library.lib
        self._library = library
        self._pid = os.getpid()
        # Freed with this object, when no thread can be inside one of its calls any more.
        self._pointer = library.ffi.gc(pointer, self._releaser())
        self._batch = library.ffi.new("gn_batch *")
        self._batch_unread = False
        self._reading = threading.Lock()
        self._chunks: list[bytes] = []
        self._ended = False
        self._error = ""
        self._taken_s = float("-inf")

    def take(self, timeout_s: float = WAIT_SLICE_S) -> list[bytes]:
        """All chunks that have arrived, waiting up to ``timeout_s`` seconds for the first.

        An empty list means that nothing came in time, or that the generation has ended: see :attr:`ended`.

        Raises:
            ClosedError: This process was forked from the one that generates; the end would never come.
        """
        if not self.in_this_process:
            raise ClosedError(
                "this reply was begun before the process was forked, and its generation stayed behind; "
                "load the model again in this process with gemma_notebook.load()"
            )
        with self._reading:
            if not self._chunks and not self._ended:
                self._collect(timeout_s, self._pause_s())
                self._taken_s = time.monotonic() if self._chunks else self._taken_s
            chunks, self._chunks = self._chunks, []
            return chunks

    def keep_rest(self) -> None:
        """Once the terminal event has come: note it, and keep what is left of the chunks for the reader."""
        with self._reading:
            self._collect(0)

    def _collect(self, timeout_s: float, pause_s: float = 0.0) -> None:
        if self._ended:
            return
        batch = self._batch
        if not self._batch_unread:
            # Set first: a Ctrl-C during the call is raised right after it, and the chunks wait in the batch.
            self._batch_unread = True
            self._lib.gn_stream_gather(self._pointer, pause_s, timeout_s, batch)
        if batch.size:
            self._chunks += self._library.ffi.buffer(batch.data, batch.size)[:].split(b"\0")[:-1]
        self._batch_unread = False
        if batch.ended:
            self._error = self._library.text(batch.error)
            self._ended = True

    def _pause_s(self) -> float:
        # The first chunk is taken at once, and so is any that comes slower than this. A model of a thousand
        # tokens a second would else wake this thread for each of them.
        return max(0.0, self._taken_s + GATHER_S - time.monotonic())

    @property
    def ended(self) -> bool:
        """The terminal event has been taken, and every chunk before it."""
        return self._ended and not self._chunks

    @property
    def over(self) -> bool:
        """The terminal event is noted; there may be chunks left to take."""
        return self._ended

    @property
    def error(self) -> str:
        """The engine's ``"CODE: message"`` once over, or ``""``."""
        return self._error

    def wait_end(self, timeout_s: float) -> bool:
        """Wait up to ``timeout_s`` seconds for the terminal event, without taking anything."""
        if not self.in_this_process:
            return False
        return bool(self._lib.gn_stream_wait_end(self._pointer, timeout_s))

    @property
    def in_this_process(self) -> bool:
        """False in a forked child, where the engine's threads do not exist and may have left locks locked."""
        return os.getpid() == self._pid

    @property
    def silent_s(self) -> float:
        """Seconds since its last sign of life: a chunk, else the send. 0.0 once it is over."""
        stats = self.stats
        last_s = stats.last_chunk_s or stats.sent_s
        return 0.0 if stats.ended_s else time.clock_gettime(time.CLOCK_MONOTONIC) - last_s

    def _releaser(self) -> Callable[[Any], None]:
        release, pid, getpid = self._lib.gn_stream_release, self._pid, os.getpid
        return lambda pointer: release(pointer) if getpid() == pid else None

    @property
    def stats(self) -> GenerationStats:
        """The clocks so far."""
        if self._ended:  # they came with the terminal event, and no call has to wait for the GIL
            stats = self._batch.stats
        else:
            stats = self._library.ffi.new("gn_stream_stats *")
            self._lib.gn_stream_get_stats(self._pointer, stats)
        return GenerationStats(
            stats.sent_s, stats.first_chunk_s, stats.last_chunk_s, stats.ended_s, int(stats.chunks)
        )
