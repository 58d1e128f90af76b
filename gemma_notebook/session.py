"""A session: one conversation with the model, its turns, and the native handle that they live in.

Locks, outermost first: a session's lock guards its handle and list of turns, a manager's condition guards
who is created and closed, the engine's lock guards native calls. Nothing waits for a generation while it
holds the manager's condition or the engine's lock, and a Stop takes none of the three.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gemma_notebook._closing import Closable
from gemma_notebook._shared import Shared
from gemma_notebook._threads import in_thread
from gemma_notebook.conversations import Conversations
from gemma_notebook.displays import Table, TableDisplay
from gemma_notebook.engine import Conversation, Engine
from gemma_notebook.errors import (
    ClosedError,
    EngineError,
    GemmaNotebookError,
    OptionTypeError,
    OptionValueError,
)
from gemma_notebook.formats import ResponseFormat
from gemma_notebook.history import History, TakenBack
from gemma_notebook.messages import Context, Message, Reply, Timing, ToolResult
from gemma_notebook.options import ContextPolicy, SendOptions, SessionOptions, whole_number
from gemma_notebook.prompted import calls_format
from gemma_notebook.prompts import check_message, turn_json, turns_of
from gemma_notebook.rendering import Rendered, rendered
from gemma_notebook.streams import AsyncReplyStream, ReplyStream
from gemma_notebook.tools import Tool, jsonable
from gemma_notebook.turns import Turn

if TYPE_CHECKING:
    from gemma_notebook.sessions import SessionManager

__all__ = ["Session"]


class Session(TableDisplay, Closable):
    """One conversation with the model. Safe to use from any thread and any event loop.

    Made by :meth:`SessionManager.create_session` or :meth:`SessionManager.open_session`. A session has one
    native handle at a time. When that is spent, after a stop, an error or a reply cut by a limit, the next
    send opens a new one and replays the turns, so a session goes on where it was. Close it when you are
    done: one from ``open_session`` that is only forgotten is closed with a ResourceWarning.

    Example:
        >>> session = manager.create_session()
        >>> session.send("My name is Ada.").text
        'Nice to meet you, Ada.'
    """

    def __init__(
        self,
        manager: SessionManager,
        options: SessionOptions,
        history: Iterable[Turn] = (),
        begin: Callable[[], Conversation | None] | None = None,
    ) -> None:
        self.manager = manager
        self.context_policy: ContextPolicy = "error"
        self.keeps_checkpoints = False
        self._lock = threading.RLock()
        self._history = History(history)
        self._conversations = Conversations(lambda: manager._engine, options, self._history)
        self._holding = self._conversations.holding
        self._closing = False
        self._closed = False
        self._resetting: Shared | None = None
        self._resetting_lock = threading.Lock()
        self._resets = 0
        self._coming: set[Turn] = set()  # to be sent, and not in the history yet
        self._forgotten: weakref.finalize[..., Session] | None = None
        begun = None if begin is None else begin()
        if begun is None:
            self._conversations.create()
        else:
            self._holding.conversation = begun

    def __repr__(self) -> str:
        if self._closed:
            return "Session(closed)"
        return f"Session(handle={self.handle_id}, turns={len(self.turns)}, {self.context})"

    def _table(self) -> Table:
        context, closed = self.context, self.closed
        rows = (
            ("session with", self.manager.model.name),
            ("turns", len(self.turns)),
            ("context", f"{context.tokens:,} of {context.limit:,} tokens"),
            ("handle", self.handle_id or "none"),
        )
        return Table((), (("session", "closed"),) if closed else rows)

    # What it is

    @property
    def closed(self) -> bool:
        """It was closed, or superseded by a newer session on the single-chat lane."""
        return self._closed or self._closing

    @property
    def options(self) -> SessionOptions:
        """The options that its handles are created with."""
        return self._conversations.options

    @property
    def _tools(self) -> dict[str, Tool]:
        return self._conversations.tools

    @property
    def _engine(self) -> Engine:
        return self.manager._engine

    @property
    def handle_id(self) -> int | None:
        """The number of the native handle, as in ``manager.events``; None when there is none just now."""
        conversation = self._holding.conversation
        return None if conversation is None else conversation.number

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages so far, the unfinished turn's user message included, without those that were dropped to make room."""
        return self._history.messages

    @property
    def context(self) -> Context:
        """Tokens in the KV cache after the last turn, and the limit. Never waits."""
        return Context(self._history.context_tokens, self._engine.model.context_limit)

    @property
    def metrics(self) -> tuple[Timing, ...]:
        """The timings of its finished turns, in order; not of those that :meth:`restore` brought."""
        return self._history.timings

    # Sending

    def send(self, message: str, *, max_output_tokens: int | None = None) -> Reply:
        """Send a message and wait for the whole reply.

        Args:
            message: Text. Control tokens of the chat template in it, such as ``<end_of_turn>``, are
                defused by a space after the ``<``.
            max_output_tokens: A limit for this reply, in tokens; None for the session's.

        Returns:
            The reply. A limit that was reached and a stop are a ``finish_reason``, not an error.

        Raises:
            ClosedError: The session is closed.
            ContextFullError: The message does not fit; nothing was sent.
            EngineError: The engine refused, or broke off the reply.
            OptionValueError: The message is empty or cannot be encoded. A ``ValueError``.
        """
        with self.stream(message, max_output_tokens=max_output_tokens) as stream:
            return stream.reply

    def stream(self, message: str, *, max_output_tokens: int | None = None) -> ReplyStream:
        """Send a message and iterate over the reply as it comes.

        Returns when the engine has begun; while another chat generates it waits its turn, and
        :meth:`stop` ends that wait. Leaving the loop cancels. Raises as :meth:`send`.
        """
        return self._stream(self._new_turn(message, max_output_tokens))

    def _stream(self, turn: Turn) -> ReplyStream:
        try:
            self._start(turn)
            return ReplyStream(turn, self)
        except BaseException:  # a Ctrl-C: there is no stream that could stop it
            turn.cancel()
            raise

    def send_tool_results(self, results: Iterable[ToolResult]) -> Reply:
        """Tell the model what came of the calls that its latest reply asks for, and wait for the next reply.

        A session calls nothing by itself; a chat does. Raises as :meth:`send`.

        Args:
            results: One for each of the reply's ``tool_calls``, in their order.

        Raises:
            OptionValueError: The latest reply asks for other calls, or for none.

        Example:
            >>> reply = session.send("What is the weather in Paris?")
            >>> session.send_tool_results([gn.ToolResult(call, "sun") for call in reply.tool_calls]).text
            'The answer is sun.'
        """
        with self._stream(self._new_results(results)) as stream:
            return stream.reply

    async def asend_tool_results(self, results: Iterable[ToolResult]) -> Reply:
        """:meth:`send_tool_results` without blocking the event loop."""
        turn = self._new_results(results)
        return await self._astream(turn).areply()

    async def asend(self, message: str, *, max_output_tokens: int | None = None) -> Reply:
        """:meth:`send` without blocking the event loop; cancelling the task stops the reply."""
        return await self.astream(message, max_output_tokens=max_output_tokens).areply()

    def astream(self, message: str, *, max_output_tokens: int | None = None) -> AsyncReplyStream:
        """:meth:`stream` for ``async for``."""
        return self._astream(self._new_turn(message, max_output_tokens))

    def _astream(self, turn: Turn) -> AsyncReplyStream:
        return AsyncReplyStream(turn, partial(self._start, turn), self, partial(self._announce, turn))

    def stop(self) -> None:
        """Stop the reply that is being generated and those that wait. Returns at once; safe at any time.

        Other sessions are not touched. What had come of the reply stays in the history.
        """
        for turn in (*self.turns, *tuple(self._coming)):
            turn.cancel()

    async def astop(self) -> None:
        """:meth:`stop`, for symmetry: it never blocks."""
        self.stop()

    # Starting over

    def reset(self) -> None:
        """Forget everything: cancel, wait for the terminal event, delete the handle, create a new one.

        A reset during a reset joins it. When the new handle cannot be created the old one is gone all
        the same, the error is raised, and the next reset or send tries again.

        Raises:
            ClosedError: The session is closed.
            EngineError: The engine refused the new handle.
        """
        self._forget_coming()
        self._reset()

    def _reset(self, options: SessionOptions | None = None) -> None:
        """:meth:`reset`, of what came before :meth:`_forget_coming`. One to other options joins none."""
        if options is not None:
            self._restart(keep=0, options=options, everything=True)
            return
        while not self._reset_or_join():
            pass  # the one that was joined was interrupted (Ctrl-C), which is no answer for us

    def _reset_or_join(self) -> bool:
        self._require_open()
        mine = Shared()
        try:
            with self._resetting_lock:
                running = self._resetting = self._resetting or mine
            if running is mine:
                self._restart(keep=0, reset=mine, everything=True)
                return True
        except BaseException as error:
            mine.error = error
            raise
        finally:
            self._end_reset(mine)
            mine.done.set()
        running.join()
        return running.error is None

    def _end_reset(self, reset: Shared) -> None:
        with self._resetting_lock:
            if self._resetting is reset:
                self._resetting = None

    async def areset(self) -> None:
        """:meth:`reset` without blocking the event loop."""
        await in_thread(self.reset)

    def rewind(self, turns: int) -> None:
        """Keep the first ``turns`` turns and forget the rest, as if they had never been said.

        Raises:
            ClosedError: The session is closed.
            OptionTypeError: It is no whole number.
            OptionValueError: There are fewer turns.
        """
        self._restart(keep=whole_number("turns", turns))

    async def arewind(self, turns: int) -> None:
        """:meth:`rewind` without blocking the event loop."""
        await in_thread(self.rewind, turns)

    def restore(self, messages: Iterable[Message]) -> None:
        """Forget what was said, and go on from ``messages``, as from a saved chat or another branch.

        The model reads them with the next message that is sent.

        Args:
            messages: The user's and the assistant's in turn, as :attr:`messages` gives them; a reply may
                be missing where there was none, and the model then does not read the message either.

        Raises:
            ClosedError: The session is closed.
            OptionTypeError, OptionValueError: They are no messages of a chat; nothing is forgotten then.
        """
        self._go_on_from(messages)

    def _go_on_from(self, messages: Iterable[Message], *, attempt: int = 0) -> None:
        """:meth:`restore`, where replies were asked for again so many times."""
        self._require_open()
        turns = turns_of(messages, self._engine)
        self._forget_coming()
        self._restart(keep=0, then=turns, everything=True, attempt=attempt)

    def _switch_to(self, messages: Iterable[Message], *, again: bool = False) -> None:
        """Go on from another branch of this chat: a sampler does not begin with the seeds again that it has used.

        With ``again`` it begins with the next one.
        """
        self._go_on_from(messages, attempt=self._conversations.attempt + again)

    async def arestore(self, messages: Iterable[Message]) -> None:
        """:meth:`restore` without blocking the event loop."""
        await in_thread(self.restore, messages)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns so far, the unfinished one last, without those that were dropped to make room."""
        return self._history.turns

    @property
    def dropped_turns(self) -> tuple[Turn, ...]:
        """The oldest turns, which were dropped from the context to make room. A reset and :meth:`restore` forget them."""
        return self._history.dropped

    @property
    def all_turns(self) -> tuple[Turn, ...]:
        """All turns so far, those that were dropped to make room first. Never waits."""
        return self._history.all_turns

    # Ending

    def close(self) -> None:
        """Cancel what runs, wait for its end, delete the handle. Idempotent; everything but :meth:`stop` then raises.

        Raises:
            EngineError: The engine never ended the generation; the handle is given up.
        """
        if self._closed:  # also by a reload, which could not have the lock
            return
        self._closing = True
        turns = self.turns
        for turn in turns:
            turn.cancel()
        try:
            with self._lock:
                if not self._closed:
                    self._drain(turns)
                    self._close_held()
        finally:
            self._see_off(turns)

    def _close_held(self) -> None:
        try:
            self._holding.close()
        finally:
            if self._holding.closed:  # else a Ctrl-C came, and the next close goes on
                self._closed = True
                if self._forgotten is not None:
                    self._forgotten.detach()
                self.manager._forget(self)

    # Inside

    def _new_turn(
        self,
        message: str,
        max_output_tokens: int | None,
        *,
        parts: Sequence[dict[str, Any]] = (),
        response_format: ResponseFormat | None = None,
    ) -> Turn:
        self._require_open()
        check_message(message)
        options = SendOptions(max_output_tokens=max_output_tokens)
        if response_format is not None:
            options = replace(
                options, constraint_type=response_format.kind, constraint=response_format.constraint
            )
        return Turn(
            message,
            options,
            max_output_tokens=options.max_output_tokens or self.options.max_output_tokens,
            parts=parts,
            response_format=response_format,
            prompted=self._conversations.prompted and response_format is None,
        )

    def _new_results(self, results: Iterable[ToolResult]) -> Turn:
        """The turn that answers the calls of the latest reply."""
        self._require_open()
        asked = self._history.last_done
        calls = asked.tool_calls if asked is not None else ()
        if asked is None or not calls:
            raise OptionValueError("the latest reply asks for no calls; send a message instead")
        if not isinstance(results, Iterable) or isinstance(results, str):
            raise OptionTypeError(f"results must be a list of ToolResult, not {results!r}")
        given = tuple(results)
        for one in given:
            if not isinstance(one, ToolResult):
                raise OptionTypeError(f"results must be of ToolResult, not {type(one).__name__}")
        given = tuple(replace(one, value=jsonable(one.value)) for one in given)
        if [one.call for one in given] != list(calls):
            raise OptionValueError(
                f"the latest reply asks for {len(calls)} calls; give one ToolResult for each, in their order"
            )
        return Turn.follow_up(asked, given)

    def _held_to_call(self, turn: Turn) -> Turn:
        """``turn``, whose reply can be nothing but a call of one of the tools, if a grammar can spell them out. Reads what is
        attached.
        """
        turn.read_attachments()
        wanted = calls_format(self._tools)
        if not wanted.is_ascii and not self._engine.can_constrain_beyond_ascii:
            wanted = calls_format(self._tools, spells_ascii=True)
            if not wanted.is_ascii:
                return turn
        options = replace(turn.options, constraint_type=wanted.kind, constraint=wanted.constraint)
        held = Turn(
            turn.message,
            options,
            max_output_tokens=turn._max_output_tokens,
            parts=turn.parts,
            prompted=self._conversations.prompted,
            held_to_call=True,
        )
        held.trimmed_turns = turn.trimmed_turns
        return held

    def _rendered(self, message: str | None) -> Rendered:
        """The chat as the template writes it, and what ``message`` would add to it."""
        if message is not None:
            check_message(message)
        for turn in self.turns:
            if turn.started:
                turn.drain()
        with self._lock:
            self._require_open()
            return rendered(self._engine, self._conversations.creation_options(), message)

    def _announce(self, turn: Turn) -> None:
        """From here on a stop or a reset is meant for this turn too, though a thread has yet to start it. Never waits."""
        if turn.resets_before is None:
            turn.resets_before = self._resets
            self._coming.add(turn)

    def _forget_coming(self) -> None:
        """What was announced until now is part of what a reset forgets. Never waits."""
        self._resets += 1

    def _start(self, turn: Turn) -> None:
        """Wait for the engine and send; afterwards the turn runs, or is done."""
        try:
            self._announce(turn)
            self._send(turn)
        finally:
            self._coming.discard(turn)

    def _send(self, turn: Turn) -> None:
        queue = self.manager._queue
        try:
            turn.read_attachments()
            with self._lock:
                self._require_open()
                if turn.resets_before != self._resets or not self._history.take_in(turn):
                    turn.finish_unstarted()
                    return
                queue.join(turn)  # under the lock: the order of the turns is that in which they are answered
            while not self._send_in_turn(turn):
                with self._lock:
                    queue.join(turn)
        except BaseException as error:
            queue.leave(turn)
            if turn.started:  # a Ctrl-C, when the engine had accepted the message
                turn.cancel()
                turn.drain()
                raise
            with self._lock:
                self._history.remove(turn)
            turn.finish_unstarted(error if isinstance(error, GemmaNotebookError) else None)
            queue.leave(turn)
            raise

    def _send_in_turn(self, turn: Turn) -> bool:
        """Wait for the engine and send. False when a reload has let others in, while this waited for the lock."""
        queue, conversations = self.manager._queue, self._conversations
        if not queue.wait(turn):
            turn.finish_unstarted()
            return True
        with self._lock:
            if turn.cancel_requested or turn not in self.turns:
                turn.finish_unstarted()
                return True
            if not queue.holds(turn):
                return False
            self._require_open()
            with conversations.undropped_unless_started(turn):
                conversation, used, prompt = conversations.with_room(turn, self.context_policy)
                limit = self._engine.model.context_limit
                if self.keeps_checkpoints:
                    conversations.keep_checkpoint(turn)
                turn.start(
                    conversation,
                    turn_json(turn),
                    used=used,
                    prompt=prompt,
                    limit=limit,
                    call_start=conversations.call_start,
                )
            return True

    def _note(self, turn: Turn) -> None:
        """Add results that the model is told with the next message only: the history has no call without an answer."""
        with self._lock:
            self._history.take_in(turn)
            turn.finish_unsent()

    def _rewind_before(self, turn: Turn, *, again: bool = False) -> TakenBack:
        """Forget ``turn`` and all after it; nothing when it was forgotten meanwhile, as by a reset.

        With ``again`` a sampler that is not greedy begins with the next seed, for another reply.
        """
        self._cancel_after(turn)  # before the lock: one that is just starting holds it
        with self._lock:
            turns, attempt = self.turns, self._conversations.attempt
            try:
                return self._restart(keep=turn, attempt=attempt + again)
            except BaseException:  # nothing is forgotten then, and the next send replays it
                if len(self.turns) < len(turns):
                    self._conversations.retire("put back")
                    self._history.turns = tuple(one for one in turns if one.done)
                    self._conversations.attempt = attempt
                raise

    def _put_back(self, taken: TakenBack, *, again: bool = False) -> None:
        """Go on from what was taken back, ``again`` or not, unless something was sent or forgotten meanwhile."""
        with self._lock:
            before = self.turns
            try:
                if not self.closed and self._history.put_back(taken):
                    self._conversations.attempt -= again
            finally:  # also at a Ctrl-C
                if self.turns != before:
                    self._conversations.retire("put back")  # the next send replays them: this must not wait

    def _clone(self, turns: Sequence[Turn]) -> Conversation | None:
        """A clone of the handle, if that holds exactly ``turns`` and its answers are those of a replay."""
        with self._lock:
            return self._conversations.clone(turns)

    def _stand_still(self, locks: contextlib.ExitStack, timeout_s: float) -> bool:
        """For a reload: stop the turns and take the lock, which goes to ``locks``.

        False when that cannot be had in time, since a call into the engine never returns: the session is
        closed then, and what it held is left to the engine.
        """
        self.stop()
        if not self._lock.acquire(timeout=timeout_s):
            self._closed = True
            self.manager._forget(self)
            return False
        locks.callback(self._lock.release)
        return not self._closed

    def _renew_locks(self) -> None:
        """In a forked child, where whoever held them is not."""
        self._lock, self._resetting_lock = threading.RLock(), threading.Lock()
        for turn in (*self.all_turns, *tuple(self._coming)):
            turn.renew_locks()

    def _begin_again(self) -> None:
        """After a reload: a handle on the new engine. The caller has the lock."""
        self._see_off(self.turns)
        self._holding.close()
        with contextlib.suppress(EngineError):  # the next send tries again
            self._conversations.create()

    def _restart(
        self,
        keep: int | Turn,
        *,
        then: Sequence[Turn] = (),
        options: SessionOptions | None = None,
        reset: Shared | None = None,
        everything: bool = False,
        attempt: int = 0,
    ) -> TakenBack:
        """Go back to the turns before ``keep`` and on from ``then``, on another handle.

        With ``everything`` the turns that were dropped to make room are forgotten, too.
        """
        stopped: tuple[Turn, ...] = ()
        try:
            self._cancel_after(keep)  # before the lock: one that is just starting holds it
            with self._lock:
                self._require_open()
                kept = self._history.place(keep)
                stopped = self.turns[kept:]
                if not stopped and isinstance(keep, Turn):
                    return TakenBack((), kept, -1)
                self._cancel_after(keep)
                self._drain(stopped)
                try:
                    taken = self._history.go_back(kept, then)
                    if everything:
                        self._history.dropped = ()
                    self._conversations.attempt = attempt
                    if options is not None:
                        self._conversations.change(options)
                    self._conversations.go_back()
                except BaseException:  # a Ctrl-C: the handle may remember what is forgotten here
                    self._conversations.retire("gone back")
                    raise
                if reset is not None:
                    # What is sent from here on is not part of it: the next reset must not join this one.
                    self._end_reset(reset)
                return taken
        finally:
            self._see_off(stopped)

    def _cancel_after(self, keep: int | Turn) -> None:
        for turn in self.turns[self._history.place(keep) :]:
            turn.cancel()

    @staticmethod
    def _drain(turns: Iterable[Turn]) -> None:
        """Wait for the end of those that run, so that their numbers are known before the handle is closed."""
        for turn in turns:
            if turn.started:
                turn.drain()

    def _see_off(self, turns: Iterable[Turn]) -> None:
        # Their generations have ended with the handle; take the rest so that their readers see the end.
        # Not in a forked child: the engine's thread may have held a stream's lock at the fork.
        if self._engine.in_this_process:
            for turn in turns:
                turn.wait_end(0)

    def _require_open(self) -> None:
        if self.closed:
            raise ClosedError(
                "this session is closed, or a newer session took its place; create a new one with "
                "manager.create_session(), or use manager.open_session() to keep several"
            )
        if not self.manager.reloading:
            self._engine.require_open()
