"""Waiting without sleeping, and the model that the tests run with."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

import pytest

import gemma_notebook as gn

# What the tests with the real engine load; `make test-gemma` names a real Gemma.
TEST_MODEL = os.environ.get("GEMMA_NOTEBOOK_TEST_MODEL", "tiny")
IS_TINY = TEST_MODEL == "tiny"

# For what only the bundled model was taught: a pretrained one loses the thread of such chats.
tiny_only = pytest.mark.skipif(not IS_TINY, reason="asks what only the bundled model was taught")

# Longer than anything takes on two busy cores: a test that waits this long has failed.
WAIT_S = 30.0 if IS_TINY else 120.0


def load_test_model(**options: object) -> gn.SessionManager:
    """The model of the tests, on the CPU; a large one keeps its compiled weights where that variable says."""
    cache_dir = os.environ.get("GEMMA_NOTEBOOK_TEST_CACHE")
    return gn.load(TEST_MODEL, **{"backend": "cpu", "check": False, "cache_dir": cache_dir, **options})


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
