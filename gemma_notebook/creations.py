"""The creations of sessions that are under way, of one manager.

Those on the single-chat lane stand in line, in order of arrival; one that asks for the same as the last in line joins it,
and shares its session and its error. Those on lanes of their own only hold a place among the sessions.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from gemma_notebook._shared import Shared
from gemma_notebook._threads import in_thread
from gemma_notebook.errors import EngineError
from gemma_notebook.options import SessionOptions
from gemma_notebook.session import Session

__all__ = ["Creation", "Creations", "Joined"]

_Made = TypeVar("_Made")

_WAIT_S = 0.1

# How long a creation on an event loop waits for others that were begun with it.
_TOGETHER_S = 0.5


class Creation(Shared):
    """One creation on the single-chat lane.

    Args:
        options: The session's.
        use: How the session will be used; who uses it otherwise has another one.
    """

    def __init__(self, options: SessionOptions, use: tuple[Any, ...]) -> None:
        super().__init__()
        self.options = options
        self.use = use
        self.session: Session | None = None


# A creation of one's own, and the one of somebody else with whose result one is served, if there is one.
Joined = tuple[Creation, Creation | None]


class Creations:
    """Those under way: a line of those on the single-chat lane, and all who hold a place among the sessions.

    Safe to use from any thread. Its length is that of the line.

    Args:
        changed: The condition of the manager, which tells of all that changes here; who holds it may call all of this.
    """

    def __init__(self, changed: threading.Condition) -> None:
        self.changed = changed
        self._line: deque[Creation] = deque()
        self._places: set[object] = set()

    def __len__(self) -> int:
        return len(self._line)

    @property
    def under_way(self) -> bool:
        """One is in line, or is being made."""
        return bool(self._line or self._places)

    @property
    def places(self) -> int:
        """How many sessions are being made that are not among the sessions yet."""
        return len(self._places)

    # The line

    def join(
        self, options: SessionOptions, use: tuple[Any, ...], wait_until_open: Callable[[], None]
    ) -> Joined:
        """Take a place in line, and find the one before with whose result the caller is served as well.

        Args:
            options: The session's.
            use: How the session will be used; who uses it otherwise has another one.
            wait_until_open: Is called under the condition before; what it raises is raised.
        """
        mine = Creation(options, use)
        try:
            with self.changed:
                wait_until_open()
                last = self._line[-1] if self._line else None
                if last is not None and (last.options, last.use) == (options, use):
                    return mine, last
                self._line.append(mine)
                return mine, None
        except BaseException:  # a Ctrl-C, when it stood in line
            self.end(mine)
            raise

    def wait_for_turn(self, creation: Creation) -> bool:
        """Wait, under the condition, until a creation is the first in line; false where a reload has given up all of them."""
        while self._line and self._line[0] is not creation:
            self.changed.wait(_WAIT_S)
        return bool(self._line)

    def leave(self, creation: Creation) -> None:
        """Take a creation out of the line: it is the next one's turn."""
        with self.changed:
            if creation in self._line:
                self._line.remove(creation)
                self.changed.notify_all()

    def end(self, creation: Creation) -> None:
        """Take a creation out of the line, and wake those who wait for its result."""
        self.leave(creation)
        creation.done.set()

    async def make(self, joined: Joined | None, make: Callable[[Joined | None], _Made]) -> _Made:
        """Have something made on a thread, of what was joined on the event loop: those that a ``gather`` begins share it."""
        others_joined = threading.Event()
        asyncio.get_running_loop().call_soon(others_joined.set)

        def work() -> _Made:
            others_joined.wait(_TOGETHER_S)  # no longer: what blocks the loop may wait for this
            with self._ending(joined):
                return make(joined)

        try:
            return await in_thread(work)
        except RuntimeError:  # no thread could be had
            with self._ending(joined):
                raise

    @contextlib.contextmanager
    def _ending(self, joined: Joined | None) -> Iterator[None]:
        """See to it that a creation that was joined is over, also where nobody came to it."""
        try:
            yield
        except BaseException as error:
            if joined is not None and joined[0].session is None:
                joined[0].error = joined[0].error or error
            raise
        finally:
            if joined is not None:
                self.end(joined[0])

    # Places among the sessions

    def hold_place(self, creation: object) -> None:
        """Hold a place for a session that is about to be made. The condition is held."""
        self._places.add(creation)

    def free_place(self, creation: object) -> None:
        """Free the place of a session that is made, or that failed."""
        with self.changed:
            self._places.discard(creation)
            self.changed.notify_all()

    def holds(self, creation: object) -> bool:
        """It is under way; not so one that a reload has given up."""
        return creation in self._line or creation in self._places

    # A reload

    def give_time(self, patience_s: float) -> None:
        """Wait for those under way; those that hang in the engine are given up, and their callers told."""
        deadline = time.monotonic() + patience_s
        with self.changed:
            while self.under_way and time.monotonic() < deadline:
                self.changed.wait(_WAIT_S)
            for creation in self._line:
                creation.error = EngineError(
                    "the engine did not create the session, and the model was reloaded; try again",
                    operation="create conversation",
                )
                creation.done.set()
            self._line.clear()
            self._places.clear()
