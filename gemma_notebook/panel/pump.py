"""The one thread that sends a panel's messages.

``comm.send`` may be called from any thread, ipywidgets' traits may not; and the notebook server limits a client
to about a thousand messages a second. So everything goes through this queue: the deltas of a reply are joined,
one message per 40 ms, and all else leaves at once and in order.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gemma_notebook.panel.protocol import DeltaMessage, KernelMessage

__all__ = ["DELTA_INTERVAL_S", "Pump", "Purged"]

DELTA_INTERVAL_S = 0.04
# Messages that hold something that was said.
_SAID = ("delta", "turn", "tool", "branch")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge has dropped that somebody waits for.

    Attributes:
        snapshot: A snapshot, for which a view may be waiting.
        requests: The requests that the dropped messages would have answered.
    """

    snapshot: bool
    requests: tuple[str, ...]


class Pump:
    """Sends messages in order from a thread of its own, each with the next ``seq``.

    Args:
        send: Hands one message to the front end. Called from the pump's thread only.
        interval_s: The shortest time between two deltas, in seconds.

    Thread-safe.
    """

    def __init__(
        self, send: Callable[[dict[str, Any]], None], *, interval_s: float = DELTA_INTERVAL_S
    ) -> None:
        self._send = send
        self._interval_s = interval_s
        self._queue: deque[KernelMessage] = deque()
        self._changed = threading.Condition()
        # Held while a message leaves, so that nothing of a purged epoch can leave after `purge` has returned.
        self._sending = threading.Lock()
        self._floor = 0
        self._seq = 0
        self._last_delta_s = float("-inf")
        self._closed = False
        self._thread: threading.Thread | None = None

    def post(self, message: KernelMessage) -> None:
        """Queue ``message``; a delta that follows another of its turn joins that."""
        with self._changed:
            if self._closed or self._is_purged(message):
                return
            if not self._join(message):
                self._queue.append(message)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="gemma-panel-pump", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def purge(self, epoch: int) -> Purged:
        """Drop what is queued of the chat up to ``epoch``, and every later delta and turn of it.

        When this has returned, nothing that was said in those epochs can leave any more.
        """
        with self._sending, self._changed:
            self._floor = max(self._floor, epoch)
            queued, self._queue = self._queue, deque()
            dropped_snapshot, requests = False, list[str]()
            for message in queued:
                if message["type"] == "snapshot" and message["epoch"] <= self._floor:
                    dropped_snapshot = True
                elif not self._is_purged(message):
                    self._queue.append(message)
                elif isinstance(request := message.get("request"), str):
                    requests.append(request)
        return Purged(dropped_snapshot, tuple(requests))

    def close(self, timeout_s: float = 1.0) -> None:
        """Send what is queued, for at most ``timeout_s`` seconds, and end the thread. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def _is_purged(self, message: KernelMessage) -> bool:
        return message["epoch"] <= self._floor and message["type"] in _SAID

    def _join(self, message: KernelMessage) -> bool:
        if message["type"] != "delta" or not self._queue:
            return False
        last = self._queue[-1]
        if (
            last["type"] != "delta"
            or last["turn"] != message["turn"]
            or last.get("part") != message.get("part")
        ):
            return False
        joined: DeltaMessage = {**last, "text": last["text"] + message["text"]}
        self._queue[-1] = joined
        return True

    def _run(self) -> None:
        while self._wait():
            with self._sending:
                message = self._take()
                if message is not None:
                    self._deliver(message)

    def _wait(self) -> bool:
        """Wait until the first message is due; False when there will be none."""
        with self._changed:
            while not self._closed:
                delay_s = self._delay_s()
                if delay_s is not None and delay_s <= 0:
                    return True
                self._changed.wait(delay_s)
            return bool(self._queue)

    def _delay_s(self) -> float | None:
        """Seconds until the first message is due; None when there is none."""
        if not self._queue:
            return None
        if self._queue[0]["type"] != "delta" or len(self._queue) > 1:
            return 0.0
        return self._last_delta_s + self._interval_s - time.monotonic()

    def _take(self) -> KernelMessage | None:
        with self._changed:
            return self._queue.popleft() if self._queue else None

    def _deliver(self, message: KernelMessage) -> None:
        if message["type"] == "delta":
            self._last_delta_s = time.monotonic()
        self._seq += 1
        try:
            self._send({**message, "seq": self._seq})
        except Exception:  # a front end that is gone must not end the thread: another may come
            _log.warning(
                "A message of type %r could not be sent to the panel.", message["type"], exc_info=True
            )
