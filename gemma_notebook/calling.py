"""The calls of one reply, carried out: at once, each with an answer whatever happens."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import inspect
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gemma_notebook.errors import ToolError
from gemma_notebook.messages import ToolCall, ToolOutcome, ToolResult
from gemma_notebook.tools import Tool, jsonable

__all__ = ["MOST_CALLS", "Calls", "Desk", "answered", "inside_a_tool"]

_log = logging.getLogger(__name__)

# More in one reply than anyone asks for on purpose; each has a thread.
MOST_CALLS = 32

# The calls in one of which, or in what one of which has begun, the code runs: from the outermost on.
inside_a_tool: contextvars.ContextVar[tuple[Calls, ...]] = contextvars.ContextVar("inside_a_tool", default=())

_NOBODY_TO_ASK = "this tool needs the user's approval, and nobody can be asked here: give the chat an approve_tool, or send from a panel"


@dataclass(frozen=True, slots=True)
class Desk:
    """Who is asked before a tool is called.

    Attributes:
        approve: Is asked before each call, sync or async; None: calls need no approval but their tool's.
        ask: Is asked for tools with ``needs_approval`` when there is no ``approve``; None, or an answer of None: there is
            nobody to ask, and they are denied.
    """

    approve: Callable[[ToolCall], Any] | None = None
    ask: Callable[[ToolCall], Any] | None = None


@dataclass(eq=False, slots=True)
class _Pending:
    call: ToolCall
    result: ToolResult | None = None
    overdue_at: float | None = None
    timeout_s: float = 0.0
    cancel: Callable[[], object] | None = None


class Calls:
    """The calls of one reply on their way. Thread-safe.

    A call that is not answered when it is stopped, or in time, is answered in its place: what it comes to
    later is dropped. Async functions are cancelled then, others run on in a thread of their own.

    Args:
        calls: The calls.
        tools: The tools by name.
        desk: Who is asked.
        loop: The event loop that async functions run on; None for one of their own.
        owner: Whatever a tool must not wait for.
        context: Of who sent the message; the tools run in copies of it. None for that of the caller.
    """

    def __init__(
        self,
        calls: Sequence[ToolCall],
        tools: Mapping[str, Tool],
        desk: Desk,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        owner: object = None,
        context: contextvars.Context | None = None,
    ) -> None:
        self._tools = tools
        self._desk = desk
        self._loop = loop
        self.owner = owner
        self._on_loop = 0  # of the calls, and questions about them, those that wait for the loop
        self._changed = threading.Condition()
        self._asking = threading.Lock()
        self._stopped = False
        self._pending = [_Pending(call) for call in calls]
        self._told: list[ToolResult] = []
        self._context = contextvars.copy_context() if context is None else context.copy()
        self._context.run(inside_a_tool.set, (*self._context.get(inside_a_tool, ()), self))

    def begin(self) -> None:
        """Carry them out; call it once. Whoever has to know of them before a tool runs knows by then."""
        for place, pending in enumerate(self._pending):
            if place >= MOST_CALLS:
                self._fail(pending, f"not called: {MOST_CALLS} calls at once are the most")
                continue
            own = self._context.copy()
            name = f"gemma_notebook tool {pending.call.name}"
            threading.Thread(target=own.run, args=(self._carry_out, pending), name=name, daemon=True).start()

    @property
    def results(self) -> tuple[ToolResult, ...] | None:
        """What came of the calls, in their order; None while one has no answer."""
        results = tuple(one.result for one in self._pending if one.result is not None)
        return results if len(results) == len(self._pending) else None

    def waits_for(self, loop: asyncio.AbstractEventLoop) -> bool:
        """A call cannot end before that loop runs on."""
        return self._loop is loop and self._on_loop > 0 and self.results is None

    def wait(self, timeout_s: float) -> list[ToolResult]:
        """The results that came since the last time, after waiting for one for up to ``timeout_s`` seconds."""
        with self._changed:
            if not self._told and self.results is None:
                self._changed.wait(min(timeout_s, self._until_overdue()))
            self._end_overdue()
            told, self._told = self._told, []
            return told

    def stop(self) -> None:
        """Answer what has no answer yet: the user stopped the reply. Returns at once."""
        with self._changed:
            self._stopped = True
            for pending in self._pending:
                self._end(pending, "stopped before there was a result", "stopped")

    # On a thread for each call

    def _carry_out(self, pending: _Pending) -> None:
        call = pending.call
        try:
            tool = self._tools.get(call.name)
            if tool is None:
                names = ", ".join(self._tools) or "none"
                self._fail(pending, f"there is no tool {call.name!r}; there are: {names}")
                return
            arguments = tool.checked(call.arguments)
            allowed = self._allowed(pending, tool)
            if not allowed:
                why = _NOBODY_TO_ASK if allowed is None else "the user did not allow this call"
                self._fail(pending, why, "denied")
                return
            self._answer(pending, ToolResult(call, jsonable(self._call(pending, tool, arguments))))
        except BaseException as error:  # whatever a tool does, its call gets an answer
            self._fail(pending, _said_by(error))
            _log.info("The tool %s failed.", call.name, exc_info=error)

    def _allowed(self, pending: _Pending, tool: Tool) -> bool | None:
        """Whether it may be called; None where that would have to be asked, and there is nobody."""
        who = self._desk.approve or (self._desk.ask if tool.needs_approval else None)
        if who is None:
            return None if tool.needs_approval else True
        with self._asking:  # one question at a time
            if self._stopped:
                return False
            answer = who(pending.call)
            answer = self._awaited(answer, pending) if inspect.isawaitable(answer) else answer
        if isinstance(answer, str):  # of input(), and "no" is as true as "yes"
            raise ToolError(f"approve_tool answered {answer!r} and not True or False, so this was not called")
        return None if answer is None and self._desk.approve is None else bool(answer)

    def _call(self, pending: _Pending, tool: Tool, arguments: dict[str, Any]) -> Any:
        with self._changed:
            if pending.result is not None:  # stopped while the user was asked
                raise ToolError("stopped")
            pending.timeout_s = tool.timeout_s
            pending.overdue_at = time.monotonic() + tool.timeout_s
            self._changed.notify_all()  # whoever waits has to wait no longer than this
        value = tool.function(**arguments)
        return self._awaited(value, pending) if inspect.isawaitable(value) else value

    def _awaited(self, awaitable: Any, pending: _Pending) -> Any:
        if self._loop is not None and self._loop.is_running():
            with self._changed:  # before it begins: what it wakes may look at once
                self._on_loop += 1
            try:
                future = asyncio.run_coroutine_threadsafe(_of(awaitable), self._loop)
                self._cancel_by(pending, future.cancel)
                return future.result()
            except concurrent.futures.CancelledError:
                raise ToolError("cancelled") from None
            finally:
                with self._changed:
                    self._on_loop -= 1
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            task = loop.create_task(_of(awaitable))
            self._cancel_by(pending, lambda: loop.call_soon_threadsafe(task.cancel))
            try:
                return loop.run_until_complete(task)
            except asyncio.CancelledError:
                raise ToolError("cancelled") from None

    def _cancel_by(self, pending: _Pending, cancel: Callable[[], object]) -> None:
        with self._changed:
            pending.cancel = cancel
            if pending.result is not None:  # it was stopped a moment ago
                cancel()

    # Answers; the condition is held

    def _answer(self, pending: _Pending, result: ToolResult) -> None:
        with self._changed:
            pending.cancel = None
            if pending.result is None:
                pending.result = result
                self._told.append(result)
                self._changed.notify_all()

    def _fail(self, pending: _Pending, why: str, outcome: ToolOutcome = "error") -> None:
        self._answer(pending, answered(pending.call, why, outcome))

    def _end(self, pending: _Pending, why: str, outcome: ToolOutcome) -> None:
        cancel = pending.cancel
        unanswered = pending.result is None
        self._fail(pending, why, outcome)
        if unanswered and cancel is not None:
            try:
                cancel()
            except RuntimeError:  # its loop has just closed
                _log.debug("A tool ended while it was being cancelled.", exc_info=True)

    def _until_overdue(self) -> float:
        deadlines = [
            one.overdue_at for one in self._pending if one.result is None and one.overdue_at is not None
        ]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else 3600.0

    def _end_overdue(self) -> None:
        now = time.monotonic()
        for one in self._pending:
            if one.overdue_at is not None and one.result is None and now >= one.overdue_at:
                self._end(one, f"it took longer than {one.timeout_s:g} s", "error")


def answered(call: ToolCall, why: str, outcome: ToolOutcome) -> ToolResult:
    """The result of a call that came to nothing."""
    # Half of a surrogate pair, which an error may quote, would cost the whole message: the engine refuses it.
    return ToolResult(call, {"error": why.encode("utf-8", "replace").decode()}, outcome)


def _said_by(error: BaseException) -> str:
    name = type(error).__name__
    try:
        said = str(error)
    except Exception:  # of somebody else's class
        return name
    if isinstance(error, ToolError):
        return said
    return f"{name}: {said}" if said else name


def _of(awaitable: Any) -> Coroutine[Any, Any, Any]:
    async def wait() -> Any:
        try:
            return await awaitable
        except (
            SystemExit,
            KeyboardInterrupt,
        ) as error:  # they would end the loop, and it may be the kernel's
            raise ToolError(_said_by(error)) from error

    return wait()
