"""Run blocking work off the event loop.

A thread of its own for each call: the loop's default executor has six workers on a two-core machine, and a
Stop must not wait behind six replies. Nothing here remembers a loop, so any number of them may call.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["in_thread"]

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Await ``function(*args, **kwargs)`` on a thread of its own.

    Cancelling the await leaves the thread running to its end; its result is dropped.
    """
    future: concurrent.futures.Future[T] = concurrent.futures.Future()
    # From here on it cannot be cancelled: what was begun for a turn must be brought to its end.
    future.set_running_or_notify_cancel()

    def work() -> None:
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    name = getattr(function, "__name__", "work")  # a partial has none
    threading.Thread(target=work, name=f"gemma_notebook-{name}", daemon=True).start()
    return await asyncio.wrap_future(future)
