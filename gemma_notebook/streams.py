"""What ``stream`` and ``astream`` return: a turn's reply as it arrives, for ``for`` and for ``async for``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Protocol, Self

from gemma_notebook import _reaper
from gemma_notebook._threads import in_thread
from gemma_notebook.errors import ClosedError, GemmaNotebookError
from gemma_notebook.messages import Delta, Reply

__all__ = ["AsyncReplyStream", "ReplyStream"]


class Source(Protocol):
    """What a stream reads: a turn, or an exchange of several. Its reader drives it."""

    deltas: list[Delta]
    reply: Reply | None
    error: GemmaNotebookError | None

    @property
    def done(self) -> bool: ...

    def drive(self) -> None: ...

    def parse(self) -> None: ...

    def cancel(self) -> None: ...

    def drain(self) -> None: ...

    def finish_unstarted(self) -> None: ...


def _bring_to_an_end(turn: Source) -> None:
    turn.cancel()
    turn.drain()


class ReplyStream:
    """A reply as it arrives: iterate for :class:`~gemma_notebook.messages.Delta`, then read ``reply``.

    Leaving the loop early, by ``break`` or an exception, cancels the generation and waits for its end, so
    that the engine is free again; the turn is kept as cancelled. One reader; any thread.

    Example:
        >>> for delta in chat.stream("Hello"):
        ...     print(delta.text, end="")
    """

    def __init__(self, turn: Source, session: object = None) -> None:
        self._turn = turn
        self._session = session  # a session that nobody holds is closed, and this one is in use
        self._next = 0
        self._closed = False

    def __repr__(self) -> str:
        return f"ReplyStream({'done' if self._turn.done else 'under way'})"

    def __iter__(self) -> Iterator[Delta]:
        deltas = self._turn.deltas
        try:
            while self._next < len(deltas) or self._wait_for_more():
                delta = deltas[self._next]
                self._next += 1
                yield delta
        finally:
            self.close()

    def __next__(self) -> Delta:
        deltas = self._turn.deltas
        if self._next >= len(deltas) and not self._wait_for_more():
            raise StopIteration
        delta = deltas[self._next]
        self._next += 1
        return delta

    def _wait_for_more(self) -> bool:
        """Drive the turn until there is a delta that was not read; False at the end."""
        turn = self._turn
        try:
            while self._next >= len(turn.deltas):
                if turn.done or self._closed:
                    if self._next < len(turn.deltas):  # the last ones came between the two looks
                        break
                    self._closed = True
                    turn.parse()
                    if turn.error is not None:
                        raise turn.error
                    self.close()
                    return False
                turn.drive()
        except BaseException:  # an error, or a Ctrl-C
            self.close()
            raise
        return True

    @property
    def reply(self) -> Reply:
        """The finished reply; reads the stream to its end first.

        Raises:
            EngineError: The engine broke off the reply.
        """
        turn = self._turn
        try:
            while not turn.done:
                turn.drive()
        except BaseException:  # a Ctrl-C
            self.close()
            raise
        turn.parse()
        if turn.error is not None:
            raise turn.error
        assert turn.reply is not None
        return turn.reply

    def close(self) -> None:
        """Stop the generation if it still runs, and wait for its end. Idempotent.

        The garbage collector, which closes a loop that was left and is part of a cycle, does not wait.
        """
        self._closed = True
        if self._turn.done:
            return
        if _reaper.in_collection():
            _reaper.run_later(self._end)
        else:
            self._end()

    def _end(self) -> None:
        _bring_to_an_end(self._turn)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Forgotten without a loop. Not from here: the garbage collector may run this inside any lock.
        if not self._turn.done:
            _reaper.run_later(partial(_bring_to_an_end, self._turn))


class AsyncReplyStream:
    """:class:`ReplyStream` for ``async for``. Never blocks the event loop, any loop.

    The message is sent at the first ``async for`` step. Leaving the loop early cancels the generation once the loop's
    iterator is closed, which Python leaves to the garbage collector; leaving ``async with`` does so at once. Cancelling
    the task that reads cancels the generation.

    Example:
        >>> async with chat.astream("Hello") as stream:
        ...     async for delta in stream:
        ...         print(delta.text, end="")
    """

    def __init__(
        self,
        turn: Source,
        start: Callable[[], None],
        session: object = None,
        announce: Callable[[], None] = lambda: None,
    ) -> None:
        self._turn = turn
        self._session = session  # a session that nobody holds is closed, and this one is in use
        self._start: Callable[[], None] | None = start
        self._announce = announce
        self._next = 0

    def __repr__(self) -> str:
        state = "done" if self._turn.done else "under way" if self._start is None else "not sent yet"
        return f"AsyncReplyStream({state})"

    def __aiter__(self) -> AsyncIterator[Delta]:
        return self._iterate()

    async def __anext__(self) -> Delta:
        delta = await self._take()
        if delta is None:
            raise StopAsyncIteration
        return delta

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _iterate(self) -> AsyncIterator[Delta]:
        try:
            while (delta := await self._take()) is not None:
                yield delta
        finally:
            await self.aclose()

    async def _take(self) -> Delta | None:
        turn = self._turn
        await self._ensure_started()
        while self._next >= len(turn.deltas):
            if turn.done:
                if self._next < len(turn.deltas):
                    break
                await in_thread(turn.parse)
                if turn.error is not None:
                    raise turn.error
                return None
            await self._cancelling(in_thread(turn.drive))
        delta = turn.deltas[self._next]
        self._next += 1
        return delta

    async def _ensure_started(self) -> None:
        start, self._start = self._start, None
        if start is None:
            return
        began = False

        def begin() -> None:
            nonlocal began
            began = True
            start()

        self._announce()  # a stop that comes before the thread does is meant for this message
        try:
            await self._cancelling(in_thread(begin))
        except RuntimeError:
            if not began:  # no thread could be had
                self._turn.finish_unstarted()
            raise

    async def _cancelling(self, step: Awaitable[Any]) -> None:
        try:
            await step
        except BaseException:
            self._turn.cancel()
            raise

    async def areply(self) -> Reply:
        """Read to the end and return the finished reply.

        Raises:
            EngineError: The engine broke off the reply.
        """
        async for _ in self:
            pass
        return self.reply

    @property
    def reply(self) -> Reply:
        """The finished reply, after the last delta.

        Raises:
            EngineError: The engine broke off the reply.
            ClosedError: It has not been read to its end yet.
        """
        if self._turn.done:
            self._turn.parse()
        if self._turn.error is not None:
            raise self._turn.error
        if self._turn.reply is None:
            raise ClosedError(
                "the reply is not finished; read the stream to its end first, or await areply()"
            )
        return self._turn.reply

    def __del__(self) -> None:
        # Forgotten in mid-reply. Not from here: the garbage collector may run this inside any lock.
        if self._start is None and not self._turn.done:
            _reaper.run_later(partial(_bring_to_an_end, self._turn))

    async def aclose(self) -> None:
        """Stop the generation if it still runs, and wait for its end. Idempotent."""
        if self._start is not None:  # never sent
            self._start = None
            self._turn.finish_unstarted()
        elif not self._turn.done:
            self._turn.cancel()
            await in_thread(self._turn.drain)
