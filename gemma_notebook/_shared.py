"""Work that several callers ask for at once and one does."""

from __future__ import annotations

import threading

__all__ = ["Shared"]

_WAIT_S = 0.1


class Shared:
    """Work that one caller does and others wait for."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.error: BaseException | None = None

    def join(self) -> None:
        """Wait for the work; raise its error, if that is one of ours to share."""
        while not self.done.wait(_WAIT_S):
            pass
        if isinstance(self.error, Exception):
            raise self.error
