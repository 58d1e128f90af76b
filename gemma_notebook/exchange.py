"""One message of the user's and all that comes of it: replies, the calls in them, their results, the answer.

An :class:`Exchange` looks to its reader as a :class:`~gemma_notebook.turns.Turn` does, and is made of turns. Whoever
reads it drives it: what a reader has left is stopped, and nothing runs on by itself.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gemma_notebook.calling import Calls, Desk, answered, inside_a_tool
from gemma_notebook.errors import (
    ClosedError,
    ContextFullError,
    GemmaNotebookError,
    OptionTypeError,
    OptionValueError,
    ToolError,
)
from gemma_notebook.messages import Delta, Reply, Timing, ToolCall, ToolOutcome, ToolResult, Usage
from gemma_notebook.options import whole_number
from gemma_notebook.room import results_do_not_fit
from gemma_notebook.session import Session
from gemma_notebook.turns import Turn

__all__ = ["Exchange", "Line", "ToolPolicy"]

_WAIT_S = 0.1
_CHOICES = ("auto", "required", "none")


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """How a chat uses its tools.

    Attributes:
        choice: ``"auto"``, ``"required"`` or ``"none"``.
        max_turns: Rounds of calls that one message may lead to.
        approve: Is asked before each call.
    """

    choice: str = "auto"
    max_turns: int = 8
    approve: Callable[[ToolCall], Any] | None = None

    def __post_init__(self) -> None:
        if self.choice not in _CHOICES:
            raise OptionValueError(f"unknown tool_choice {self.choice!r}; use one of {', '.join(_CHOICES)}")
        object.__setattr__(self, "max_turns", whole_number("max_tool_turns", self.max_turns))
        if self.max_turns < 1:
            raise OptionValueError(
                f"max_tool_turns={self.max_turns} leaves no turn for a tool; use 1 or more"
            )
        if self.approve is not None and not callable(self.approve):
            raise OptionTypeError(f"approve_tool must be a function, not {self.approve!r}")

    def as_keywords(self) -> dict[str, Any]:
        """As :meth:`SessionManager.create_chat` takes it."""
        return {"tool_choice": self.choice, "max_tool_turns": self.max_turns, "approve_tool": self.approve}


class Exchange:
    """A message, and turns until the model has answered it. Safe to use from any thread.

    Args:
        session: Where the turns are sent.
        first: The turn with the user's message.
        policy: How tools are used.
        ask: Who is asked for tools that need approval, when ``policy`` names nobody.
        loop: The event loop that async tools run on; None for one of their own.
        line: The exchanges of the chat, which follow each other. A tool of the chat cannot send to it.
        prepare: Gives the first turn as it is sent. Called when that starts, as it may wait for the engine.
        ended: Is told when there is a reply, on whichever thread that comes; must not wait.
    """

    def __init__(
        self,
        session: Session,
        first: Turn,
        policy: ToolPolicy,
        *,
        ask: Callable[[ToolCall], Any] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        line: Line | None = None,
        prepare: Callable[[Turn], Turn] = lambda turn: turn,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self._prepare = prepare
        self._ended = ended
        self._line = line or Line()
        self._line.require_outside()
        self.deltas: list[Delta] = []
        self.reply: Reply | None = None
        self.error: GemmaNotebookError | None = None
        self._session = session
        self._policy = policy
        self._desk = Desk(policy.approve, ask)
        self._loop = loop
        self._context = contextvars.copy_context()  # whichever thread will drive it
        self._turns = [first]
        self._taken = 0  # deltas of the latest turn that are in ours
        self._speaks = self._thinks = False  # the latest turn has said something, and thought something
        self._results: list[ToolResult] = []
        self._calls: Calls | None = None
        self._cancelled = False
        self._before: Exchange | None = None
        self._announced = False
        self._driving = threading.RLock()
        self._done = threading.Event()

    @property
    def done(self) -> bool:
        """It has a reply or an error, and nothing more will come."""
        return self._done.is_set()

    def announce(self) -> None:
        """From here on a stop or a reset is meant for this exchange too, though a thread has yet to start it. Never waits."""
        if not self._announced:
            self._announced = True
            self._turns[0].resets_before = self._session._resets
            self._before = self._line.join(self)

    def start(self) -> None:
        """Wait for the exchange before and for the engine, and send. Raises as :meth:`Session.send`."""
        try:
            self.announce()
            before, self._before = self._before, None
            while before is not None and not before.done and not self._cancelled:
                self._line.require_free_loop()
                before.drive()
            first = self._turns[0]
            if first.resets_before != self._session._resets:
                self.finish_unstarted()
                return
            if not self._cancelled:
                self._turns[0] = self._prepare(first)
                self._turns[0].resets_before = first.resets_before
            if self._cancelled:  # meanwhile
                self._turns[0].cancel()
            self._session._start(self._turns[0])
        except BaseException:
            self.cancel()
            self._turns[0].finish_unstarted()
            self._end()
            raise

    def cancel(self) -> None:
        """Ask it to stop. Returns at once; does nothing to one that is done."""
        self._cancelled = True
        self._turns[-1].cancel()
        calls = self._calls
        if calls is not None:
            calls.stop()

    def finish_unstarted(self) -> None:
        """End an exchange that was never sent."""
        self._turns[0].finish_unstarted()
        self.reply = self._turns[0].reply
        self._end()

    def parse(self) -> None:
        """Nothing: a reply in a chat with tools is held to no format."""

    def drain(self) -> None:
        """Drive it to its end."""
        while not self.done:
            self.drive()

    def drive(self, timeout_s: float = _WAIT_S) -> None:
        """Take what has come, waiting up to ``timeout_s`` seconds for it, and do what is to be done next."""
        if not self._session._engine.in_this_process:
            self._end_forked()
            return
        with self._driving:
            if self.done:
                return
            try:
                if self._calls is not None:
                    self._drive_calls(self._calls, timeout_s)
                else:
                    self._drive_turn(self._turns[-1], timeout_s)
            except GemmaNotebookError as error:
                self._fail(error)
                self._ended()

    def _drive_turn(self, turn: Turn, timeout_s: float) -> None:
        if turn.started:
            turn.drive(timeout_s)
        else:  # it waits for the engine
            turn.wait_end(timeout_s)
        done = turn.done  # before the deltas are taken: those are all then
        new = turn.deltas[self._taken :]
        self._taken += len(new)
        if not self._speaks and any(delta.text for delta in new):
            self._speaks = True
            if self._said and not self._said.endswith("\n"):  # before the calls
                place = next(place for place, delta in enumerate(new) if delta.text)
                new.insert(place, Delta(text="\n\n"))
        if not self._thinks and any(delta.thinking for delta in new):
            self._thinks = True
            if any(delta.thinking for delta in self.deltas):
                place = next(place for place, delta in enumerate(new) if delta.thinking)
                new.insert(place, Delta(thinking="\n\n"))
        self.deltas += new
        if not done:
            return
        if turn.tool_calls and (turn.reply is None or turn.reply.finish_reason != "tool_calls"):
            self._answer(turn, "the reply was broken off before it was called", "stopped")
        if turn.error is not None:
            raise turn.error
        assert turn.reply is not None
        if turn.reply.finish_reason == "tool_calls":
            self._begin_calls(turn.reply)
        elif (
            self._policy.choice == "required" and len(self._turns) == 1 and turn.reply.finish_reason == "stop"
        ):
            raise ToolError(
                f"the model answered {turn.reply.text[:80]!r} without calling a tool, though tool_choice='required', "
                "which could not be enforced: for that its tokenizer must have pieces for ASCII characters, and the names of "
                "arguments must be ASCII; use tool_choice='auto', or another model"
            )
        else:
            self._finish(turn.reply)

    @property
    def _said(self) -> str:
        return next((delta.text for delta in reversed(self.deltas) if delta.text), "")

    # Calls

    def _begin_calls(self, reply: Reply) -> None:
        turn = self._turns[-1]
        if self._cancelled or turn.cancel_requested:
            self._answer(turn, "stopped before it was called", "stopped")
            self._finish(reply)
        elif len(self._turns) > self._policy.max_turns:
            self._answer(turn, f"not called: {self._policy.max_turns} rounds of calls are the most")
            self._finish(reply)
        else:
            calls = Calls(
                reply.tool_calls,
                self._session._tools,
                self._desk,
                loop=self._loop,
                owner=self._line,
                context=self._context,
            )
            self._calls = calls
            calls.begin()
            if self._cancelled:  # meanwhile
                calls.stop()

    def _answer(self, turn: Turn, why: str, outcome: ToolOutcome = "error") -> None:
        """Answer the calls of ``turn``, none of which is carried out."""
        results = tuple(answered(call, why, outcome) for call in turn.tool_calls)
        self._tell(results)
        self._session._note(Turn.follow_up(turn, results))

    def _drive_calls(self, calls: Calls, timeout_s: float) -> None:
        turn = self._turns[-1]
        if turn.cancel_requested or self._session.closed:  # a reset, or a stop of the session
            self._cancelled = True
            calls.stop()
        self._tell(calls.wait(timeout_s))
        results = calls.results
        if results is None:
            return
        self._tell(calls.wait(0))  # what came between the two looks
        self._calls = None
        if self._cancelled or turn.cancel_requested:
            follow_up = Turn.follow_up(turn, results)
            self._session._note(follow_up)
            assert turn.reply is not None
            self._finish(turn.reply)
            return
        self._send_what_fits(turn, list(results))

    def _send_what_fits(self, asked: Turn, results: list[ToolResult]) -> None:
        """Send the results, the longest of them shortened to an error until the message fits into the context."""
        lengths = {place: len(json.dumps(result.value)) for place, result in enumerate(results)}
        too_long = "the result is too long for the context"
        # An error in the place of a result that is shorter yet makes no room.
        shortest = len(json.dumps(answered(results[0].call, too_long, "error").value))
        by_length = sorted((place for place in lengths if lengths[place] > shortest), key=lengths.__getitem__)
        while True:
            try:
                self._send(asked, results, again=not by_length)
                return
            except ContextFullError as error:
                if not by_length:
                    raise results_do_not_fit(error) from error
                place = by_length.pop()
                longest = results[place]
                results[place] = shorter = answered(longest.call, too_long, "error")
                self._results = [one for one in self._results if one is not longest]
                self._tell([shorter])  # that is what the model is told

    def _tell(self, results: Any) -> None:
        self._results += results
        self.deltas += [Delta(tool_result=one) for one in results]

    def _send(self, asked: Turn, results: Sequence[ToolResult], *, again: bool) -> None:
        """Send the results of the calls of ``asked``. What cannot be sent is kept for the next message."""
        turn = Turn.follow_up(asked, results)
        self._turns.append(turn)
        self._taken, self._speaks, self._thinks = 0, False, False
        if self._cancelled:
            turn.cancel()
        try:
            self._session._start(turn)
        except BaseException as error:  # a Ctrl-C too
            shorter_is_left = isinstance(error, ContextFullError) and not again
            if turn not in self._session.turns and not shorter_is_left:
                self._session._note(Turn.follow_up(asked, results))
            if isinstance(error, GemmaNotebookError):
                self._turns.pop()
            raise

    # The end

    def _end_forked(self) -> None:
        # Without the lock, and without the calls: their threads do not exist here.
        try:
            self._session._engine.require_open()
        except ClosedError as error:
            self.error = error
            self._done.set()

    def _end(self) -> None:
        self._done.set()
        self._line.leave(self)

    def _fail(self, error: GemmaNotebookError) -> None:
        self.error = error
        self._end()

    def _finish(self, last: Reply) -> None:
        replies = [turn.reply for turn in self._turns if turn.reply is not None]
        stopped = last.finish_reason == "tool_calls" and (self._cancelled or self._turns[-1].cancel_requested)
        calls = tuple(call for reply in replies for call in reply.tool_calls)
        order = {id(call): place for place, call in enumerate(calls)}
        self.reply = Reply(
            text="".join(delta.text for delta in self.deltas),
            finish_reason="cancelled" if stopped else last.finish_reason,
            usage=_usage([reply.usage for reply in replies]),
            timing=_timing(replies),
            thinking="".join(delta.thinking for delta in self.deltas),
            tool_calls=calls,
            tool_results=tuple(sorted(self._results, key=lambda one: order.get(id(one.call), 0))),
            trimmed_turns=sum(reply.trimmed_turns for reply in replies),
        )
        self._end()
        self._ended()


class Line:
    """The exchanges of one chat, each after the one before. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[Exchange] = []

    def require_outside(self) -> None:
        """Raise in a tool of the chat, which would wait for itself.

        Raises:
            ToolError: The caller is one.
        """
        if any(calls.owner is self and calls.results is None for calls in inside_a_tool.get()):
            raise ToolError(
                "a tool cannot send to the chat that called it; use another chat, made with manager.open_chat() (one of "
                "create_chat() would take its place)"
            )

    def require_free_loop(self) -> None:
        """Raise where the caller blocks the event loop that a tool, or a question about one, in an exchange before needs.

        Raises:
            ToolError: It does, and would wait for ever.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        with self._lock:
            calls = [one._calls for one in self._pending]
        if any(one is not None and one.waits_for(loop) for one in calls):
            raise ToolError(
                "an asend or astream of this chat still waits for a tool on this event loop, which a blocking send would "
                "hold up; await that first, or use asend (aregenerate, aedit)"
            )

    @property
    def said(self) -> tuple[Turn, ...]:
        """The turns whose messages are being answered, or wait for that."""
        with self._lock:
            return tuple(one._turns[0] for one in self._pending if not one.done)

    @property
    def busy(self) -> bool:
        """An exchange is under way: a tool may run, and no turn."""
        with self._lock:
            return any(not one.done and not one._cancelled for one in self._pending)

    def join(self, exchange: Exchange) -> Exchange | None:
        """Stand in line; the one before, if it may still be under way."""
        with self._lock:
            self._pending = [one for one in self._pending if not one.done]
            before = self._pending[-1] if self._pending else None
            self._pending.append(exchange)
            return before

    def leave(self, exchange: Exchange) -> None:
        """Forget one that is done: it would keep its chat's session."""
        with self._lock:
            self._pending = [one for one in self._pending if one is not exchange]

    def stop(self) -> None:
        """Stop all of them. Returns at once."""
        with self._lock:
            pending = tuple(self._pending)
        for one in pending:
            one.cancel()


def _usage(each: list[Usage]) -> Usage:
    return Usage(
        sum(one.prompt_tokens for one in each),
        sum(one.output_tokens for one in each),
        each[-1].context_tokens,
        each[-1].context_limit,
    )


def _timing(replies: list[Reply]) -> Timing:
    """Rates over all turns; the time of the tools is in none of them."""
    if len(replies) == 1:
        return replies[0].timing
    timings = [reply.timing for reply in replies]
    return Timing(
        time_to_first_token_s=timings[0].time_to_first_token_s,
        prefill_tokens_per_s=_rate(
            [(reply.usage.prompt_tokens, reply.timing.prefill_tokens_per_s) for reply in replies]
        ),
        decode_tokens_per_s=_rate(
            [(reply.usage.output_tokens, reply.timing.decode_tokens_per_s) for reply in replies]
        ),
        total_s=sum(timing.total_s for timing in timings),
    )


def _rate(parts: list[tuple[int, float | None]]) -> float | None:
    """The rate of all parts together, of those whose rate is known."""
    known = [(tokens, rate) for tokens, rate in parts if rate]
    seconds = sum(tokens / rate for tokens, rate in known)
    return sum(tokens for tokens, _ in known) / seconds if seconds else None
