"""What can be closed is a context manager, of both kinds."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

from gemma_notebook._threads import in_thread

__all__ = ["Closable"]


class Closable:
    """A base of what has :meth:`close`: ``with`` and ``async with`` close it at their end."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Give back what it holds. Idempotent; everything else then raises."""

    async def aclose(self) -> None:
        """:meth:`close` without blocking the event loop."""
        await in_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
