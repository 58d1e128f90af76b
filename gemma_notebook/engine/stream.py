"""One generation: the chunks that C has collected, taken in batches."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from gemma_notebook.engine.library import Library

__all__ = ["WAIT_SLICE_S", "Generation", "GenerationStats"]

# The longest single wait in C: Ctrl-C is noticed between two of them.
WAIT_SLICE_S = 0.1

# The shortest time between two takes: a screen shows nothing faster.
GATHER_S = 0.004


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
        # Freed with this object, when no thread can be inside one of its calls any more.
        self._pointer = library.ffi.gc(pointer, library.lib.gn_stream_release)
        self._batch = library.ffi.new("gn_batch *")
        self._reading = threading.Lock()
        self._ended = False
        self._error = ""
        self._taken_s = float("-inf")

    def take(self, timeout_s: float = WAIT_SLICE_S) -> list[bytes]:
        """All chunks that have arrived, waiting up to ``timeout_s`` seconds for the first.

        An empty list means that nothing came in time, or that the generation has ended: see :attr:`ended`.
        """
        with self._reading:
            if self._ended:
                return []
            self._let_chunks_gather()
            if not self._lib.gn_stream_take(self._pointer, timeout_s, self._batch):
                return []
            self._taken_s = time.monotonic()
            batch = self._batch
            chunks = (
                self._library.ffi.buffer(batch.data, batch.size)[:].split(b"\0")[:-1] if batch.size else []
            )
            if batch.ended:
                self._error = self._library.text(batch.error)
                self._ended = True
            return chunks

    def _let_chunks_gather(self) -> None:
        # The first chunk is taken at once, and so is any that comes slower than this. A model of a thousand
        # tokens a second would else wake this thread for each of them.
        pause_s = self._taken_s + GATHER_S - time.monotonic()
        if pause_s > 0:
            self._lib.gn_stream_wait_end(self._pointer, pause_s)

    @property
    def ended(self) -> bool:
        """The terminal event has been taken, and every chunk before it."""
        return self._ended

    @property
    def error(self) -> str:
        """The engine's ``"CODE: message"`` once ended, or ``""``."""
        return self._error

    def wait_end(self, timeout_s: float) -> bool:
        """Wait up to ``timeout_s`` seconds for the terminal event, without taking anything."""
        return bool(self._lib.gn_stream_wait_end(self._pointer, timeout_s))

    @property
    def stats(self) -> GenerationStats:
        """The clocks so far."""
        stats = self._library.ffi.new("gn_stream_stats *")
        self._lib.gn_stream_get_stats(self._pointer, stats)
        return GenerationStats(
            stats.sent_s, stats.first_chunk_s, stats.last_chunk_s, stats.ended_s, int(stats.chunks)
        )
