"""Waiting without sleeping."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

# Longer than anything takes on two busy cores: a test that waits this long has failed.
WAIT_S = 30.0


def wait_until(condition: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
    """Look again and again, for what gives no event to wait for."""
    tick = threading.Event()
    for _ in range(int(timeout_s / 0.002)):
        if condition():
            return
        tick.wait(0.002)
    raise AssertionError("the condition never held")


def threads_inside(function_name: str) -> int:
    """How many threads are inside a function of that name."""
    count = 0
    for frame in sys._current_frames().values():
        inner = frame
        while inner is not None:
            if inner.f_code.co_name == function_name:
                count += 1
                break
            inner = inner.f_back
    return count
