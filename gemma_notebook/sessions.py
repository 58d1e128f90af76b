"""The session manager: who may hold a native conversation handle, and when it is deleted.

A *session* is one conversation with the model and owns its handle. The *single-chat lane* holds at most one
session: :meth:`SessionManager.create_session` closes the previous one before it opens the next, so that no
KV state of an old conversation is alive beside the new one. :meth:`SessionManager.open_session` gives a
session a lane of its own.

Locks, outermost first: a session's lock guards its handle and list of turns, a manager's condition guards
who is created and closed, the engine's lock guards native calls. Nothing waits for a generation while it
holds the manager's condition or the engine's lock, and a Stop takes none of the three.

A session on a lane of its own is held by its user alone: the manager only knows it. When it is forgotten,
its handle is closed on the reaper's thread, with a ResourceWarning. The single-chat lane holds its session.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import weakref
from collections import deque
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from gemma_notebook import _reaper
from gemma_notebook._threads import in_thread
from gemma_notebook.engine import Conversation, ConversationOptions, Engine, HandleState
from gemma_notebook.errors import (
    ClosedError,
    ContextFullError,
    EngineError,
    GemmaNotebookError,
    OptionTypeError,
    OptionValueError,
    SessionLimitError,
    UnsupportedError,
)
from gemma_notebook.messages import Context, HandleCounts, HandleEvent, Message, ModelInfo, Reply, Timing
from gemma_notebook.options import ContextPolicy, SendOptions, SessionOptions, encodable_text
from gemma_notebook.turns import AsyncReplyStream, ReplyStream, Turn, TurnQueue

if TYPE_CHECKING:
    from gemma_notebook.chat import Chat

__all__ = ["Session", "SessionManager"]

_WAIT_S = 0.1

# The markers of Gemma's chat templates. Typed by a user they would end the turn or open another one.
_CONTROL_TOKENS = re.compile(
    r"<(?=\|?/?(?:start_of_turn|end_of_turn|turn|channel|bos|eos|pad|unk|mask|start_of_image|end_of_image|"
    r"image_soft_token|start_of_audio|end_of_audio|tool_call|tool_response|tool|think)\|?>)"
)


class _Held:
    """The handle that a session holds just now. It outlives a session that is forgotten."""

    def __init__(self) -> None:
        self.conversation: Conversation | None = None

    def __repr__(self) -> str:
        return (
            "Session(closed)" if self.conversation is None else f"Session(handle={self.conversation.number})"
        )

    @property
    def closed(self) -> bool:
        conversation = self.conversation
        return conversation is None or conversation.state is HandleState.CLOSED

    def close(self) -> None:
        """Close the handle; an interrupted close can be tried again."""
        conversation = self.conversation
        if conversation is None:
            return
        try:
            conversation.close()
        finally:
            if conversation.state is HandleState.CLOSED:
                self.conversation = None


class Session:
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
        self, manager: SessionManager, options: SessionOptions, history: Iterable[Turn] = ()
    ) -> None:
        self.manager = manager
        self.options = options
        self.context_policy: ContextPolicy = "error"
        self._engine = manager._engine
        self._lock = threading.RLock()
        self._turns: list[Turn] = list(history)
        self._closing = False
        self._closed = False
        self._resetting: _Shared | None = None
        self._resetting_lock = threading.Lock()
        self._held = _Held()
        self._forgotten: weakref.finalize[..., Session] | None = None
        self._held.conversation = self._create_conversation()

    def __repr__(self) -> str:
        if self._closed:
            return "Session(closed)"
        return f"Session(handle={self.handle_id}, turns={len(self._turns)}, {self.context})"

    # What it is

    @property
    def closed(self) -> bool:
        """It was closed, or superseded by a newer session on the single-chat lane."""
        return self._closed or self._closing

    @property
    def handle_id(self) -> int | None:
        """The number of the native handle, as in ``manager.events``; None when there is none just now."""
        conversation = self._held.conversation
        return None if conversation is None else conversation.number

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages so far, the unfinished turn's user message included."""
        return tuple(message for turn in tuple(self._turns) for message in turn.messages)

    @property
    def context(self) -> Context:
        """Tokens in the KV cache after the last turn, and the limit. Never waits."""
        used = next((n for turn in reversed(tuple(self._turns)) if (n := turn.context_tokens) is not None), 0)
        return Context(used, self._engine.model.context_limit)

    @property
    def metrics(self) -> tuple[Timing, ...]:
        """The timings of its finished turns, in order."""
        return tuple(turn.reply.timing for turn in tuple(self._turns) if turn.reply is not None)

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
        turn = self._new_turn(message, max_output_tokens)
        try:
            self._start(turn)
            return ReplyStream(turn, self)
        except BaseException:  # a Ctrl-C: there is no stream that could stop it
            turn.cancel()
            raise

    async def asend(self, message: str, *, max_output_tokens: int | None = None) -> Reply:
        """:meth:`send` without blocking the event loop; cancelling the task stops the reply."""
        return await self.astream(message, max_output_tokens=max_output_tokens).areply()

    def astream(self, message: str, *, max_output_tokens: int | None = None) -> AsyncReplyStream:
        """:meth:`stream` for ``async for``."""
        return AsyncReplyStream(self._new_turn(message, max_output_tokens), self._start, self)

    def stop(self) -> None:
        """Stop the reply that is being generated and those that wait. Returns at once; safe at any time.

        Other sessions are not touched. What had come of the reply stays in the history.
        """
        for turn in tuple(self._turns):
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
        while not self._reset_or_join():
            pass  # the one that was joined was interrupted (Ctrl-C), which is no answer for us

    def _reset_or_join(self) -> bool:
        mine = _Shared()
        try:
            with self._resetting_lock:
                running = self._resetting = self._resetting or mine
            if running is mine:
                self._restart(keep=0, reset=mine)
                return True
        except BaseException as error:
            mine.error = error
            raise
        finally:
            self._end_reset(mine)
            mine.done.set()
        running.join()
        return running.error is None

    def _end_reset(self, reset: _Shared) -> None:
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
            OptionValueError: There are fewer turns.
        """
        self._restart(keep=turns)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns so far, the unfinished one last."""
        return tuple(self._turns)

    # Ending

    def close(self) -> None:
        """Cancel what runs, wait for its end, delete the handle. Idempotent; everything else then raises.

        Raises:
            EngineError: The engine never ended the generation; the handle is given up.
        """
        self._closing = True
        turns = tuple(self._turns)
        for turn in turns:
            turn.cancel()
        try:
            with self._lock:
                if not self._closed:
                    self._close_held()
        finally:
            self._see_off(turns)

    def _close_held(self) -> None:
        try:
            self._held.close()
        finally:
            if self._held.closed:  # else a Ctrl-C came, and the next close goes on
                self._closed = True
                if self._forgotten is not None:
                    self._forgotten.detach()
                self.manager._forget(self)

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

    # Inside

    def _new_turn(self, message: str, max_output_tokens: int | None) -> Turn:
        self._require_open()
        _check_message(message)
        options = SendOptions(max_output_tokens=max_output_tokens)
        return Turn(message, options, max_output_tokens=max_output_tokens or self.options.max_output_tokens)

    def _start(self, turn: Turn) -> None:
        """Wait for the engine and send; afterwards the turn runs, or is done."""
        try:
            with self._lock:
                self._require_open()
                self._turns.append(turn)
            if not self.manager._queue.enter(turn):
                turn.finish_unstarted()
                return
            with self._lock:
                if turn.cancel_requested or turn not in self._turns:
                    turn.finish_unstarted()
                    return
                self._require_open()
                conversation, used, prompt = self._conversation_with_room(turn)
                limit = self._engine.model.context_limit
                turn.start(conversation, _message_json(turn.message), used=used, prompt=prompt, limit=limit)
        except BaseException as error:
            if turn.started:  # a Ctrl-C, when the engine had accepted the message
                turn.cancel()
                turn.drain()
                raise
            with self._lock:
                if turn in self._turns:
                    self._turns.remove(turn)
            turn.finish_unstarted(error if isinstance(error, GemmaNotebookError) else None)
            raise

    def _rewind_before(self, turn: Turn) -> None:
        """Forget ``turn`` and all after it; nothing when it was forgotten meanwhile, as by a reset."""
        self._restart(keep=turn)

    def _restart(self, keep: int | Turn, reset: _Shared | None = None) -> None:
        stopped: list[Turn] = []
        try:
            self._cancel_after(keep)  # before the lock: one that is just starting holds it
            with self._lock:
                self._require_open()
                kept = self._place(keep)
                if kept == len(self._turns) and isinstance(keep, Turn):
                    return
                stopped = self._turns[kept:]
                self._cancel_after(keep)
                self._turns = self._turns[:kept]
                self._held.close()
                self._held.conversation = self._create_conversation()
                if reset is not None:
                    # What is sent from here on is not part of it: the next reset must not join this one.
                    self._end_reset(reset)
        finally:
            self._see_off(stopped)

    def _cancel_after(self, keep: int | Turn) -> None:
        for turn in self._turns[self._place(keep) :]:
            turn.cancel()

    def _place(self, keep: int | Turn) -> int:
        turns = tuple(self._turns)
        if isinstance(keep, Turn):
            return turns.index(keep) if keep in turns else len(turns)
        if not 0 <= keep <= len(turns):
            raise OptionValueError(f"cannot go back to turn {keep}: the chat has {len(turns)} turns")
        return keep

    def _see_off(self, turns: Iterable[Turn]) -> None:
        # Their generations have ended with the handle; take the rest so that their readers see the end.
        # Not in a forked child: the engine's thread may have held a stream's lock at the fork.
        if self._engine.in_this_process:
            for turn in turns:
                turn.wait_end(0)

    def _create_conversation(self) -> Conversation:
        options = self.options
        history = _history_json(self._turns)
        return self._engine.create_conversation(
            ConversationOptions(
                system_message_json=json.dumps(options.system_instruction)
                if options.system_instruction
                else None,
                messages_json=history,
                lora_path=str(options.lora_path) if options.lora_path else None,
                temperature=options.temperature,
                random_seed=options.random_seed,
                top_k=options.top_k,
                top_p=options.top_p,
                max_output_tokens=options.max_output_tokens,
                enable_thinking=options.enable_thinking or None,
            )
        )

    def _usable_conversation(self) -> Conversation:
        """The handle, or a fresh one with the turns replayed when it can take no more messages."""
        conversation = self._held.conversation
        if conversation is None or conversation.state is not HandleState.OPEN:
            self._held.close()  # before the next is created: one KV cache at a time
            conversation = self._held.conversation = self._create_conversation()
        return conversation

    def _conversation_with_room(self, turn: Turn) -> tuple[Conversation, int, int]:
        """A handle on which the turn fits, the tokens in its KV cache now, and those that the turn adds.

        A full context is silent in the engine: the reply stops in mid-sentence and later sends give
        nothing at all, so it is counted here before the send.

        Raises:
            ContextFullError: It does not fit, and nothing may or can be dropped.
        """
        limit = self._engine.model.context_limit
        reserve = _reserve(turn.options.max_output_tokens or self.options.max_output_tokens, limit)
        turns = self._turns
        while True:
            conversation = self._usable_conversation()
            used = conversation.token_count()
            prompt = self._prompt_tokens(conversation, turn.message)
            needed = prompt + reserve
            if limit <= 0 or used + needed <= limit:
                return conversation, used, prompt
            droppable = [other for other in self._turns if other is not turn]
            if self.context_policy == "error" or not droppable:
                if turns is not self._turns:  # dropped for nothing
                    self._turns = turns
                    conversation.retire("not trimmed")
                raise _context_full(needed, reserve, used, limit)
            # Down to three quarters: each trim costs a prefill of all that is kept.
            drop = _turns_to_drop(droppable, used + needed - limit * 3 // 4)
            turn.trimmed_turns += drop
            self._turns = [*droppable[drop:], turn]
            conversation.retire("trimmed")

    def _prompt_tokens(self, conversation: Conversation, message: str) -> int:
        # On a fresh handle the rendering holds the replayed turns as well: they are not in the KV cache yet.
        rendered = conversation.render(_message_json(message))
        begin = 1 if conversation.fresh else 0  # the begin-of-sequence token
        return len(self._engine.tokenize(rendered)) + begin

    def _require_open(self) -> None:
        if self.closed:
            raise ClosedError(
                "this session is closed, or a newer session took its place; create a new one with "
                "manager.create_session(), or use manager.open_session() to keep several"
            )
        self._engine.require_open()


class SessionManager:
    """A loaded model and the sessions on it. Safe to use from any thread and any event loop.

    Made by :func:`gemma_notebook.load`; usable in ``with`` and ``async with``.

    Args:
        engine: The engine to run sessions on; closed with the manager.
        max_sessions: How many sessions may be open at once; None for no limit of ours.

    Example:
        >>> with gn.load() as manager:
        ...     chat = manager.create_chat()
        ...     chat.send("Hello").text
    """

    def __init__(self, engine: Engine, *, max_sessions: int | None = None) -> None:
        if max_sessions is not None and (isinstance(max_sessions, bool) or not isinstance(max_sessions, int)):
            raise OptionTypeError(f"max_sessions must be a whole number or None, not {max_sessions!r}")
        if max_sessions is not None and max_sessions < 1:
            raise OptionValueError(f"max_sessions={max_sessions} leaves no session to talk to; use 1 or more")
        self._engine = engine
        self._max_sessions = max_sessions
        self._queue = TurnQueue()
        self._changed = threading.Condition()
        self._creations: deque[_Creation] = deque()  # on the single-chat lane, in order of arrival
        self._opening: set[object] = set()
        self._sessions: list[weakref.ref[Session]] = []
        self._session: Session | None = None
        self._state = "open"
        # A manager that is forgotten, as when a cell with gn.load() runs again, gives its memory back.
        _reaper.start()
        self._finalizer = weakref.finalize(self, _reaper.close_later, engine, "close its manager")
        self._finalizer.atexit = False

    def __repr__(self) -> str:
        counts = self.handles
        return f"SessionManager({self.model.name!r}, {self._state}, live={counts.live})"

    # What it is

    @property
    def model(self) -> ModelInfo:
        """What is known of the model."""
        return self._engine.model

    @property
    def active_backend(self) -> str:
        """The backend that the model runs on."""
        return self._engine.backend

    @property
    def refused_backends(self) -> dict[str, str]:
        """With ``backend="auto"``: the backends that were tried in vain, each with the reason."""
        return dict(self._engine.refused_backends)

    @property
    def closed(self) -> bool:
        """It is closed or closing."""
        return self._state != "open"

    @property
    def session(self) -> Session | None:
        """The live session of the single-chat lane."""
        return self._session

    @property
    def sessions(self) -> tuple[Session, ...]:
        """All live sessions, oldest first."""
        return tuple(session for known in tuple(self._sessions) if (session := known()) is not None)

    @property
    def handles(self) -> HandleCounts:
        """How many native handles were created and closed, and are live."""
        return self._engine.counts

    @property
    def events(self) -> tuple[HandleEvent, ...]:
        """What happened to the native handles, in order; the latest 4,096."""
        return self._engine.ledger.events

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text`` by the model's own tokenizer, without the markers of the chat template.

        Raises:
            ClosedError: The manager is closed.
            OptionValueError: The text cannot be encoded.
        """
        self._require_open()
        return len(self._engine.tokenize(encodable_text("text", text)))

    # The single-chat lane

    def create_session(
        self,
        temperature: float = 0.8,
        random_seed: int = 1,
        top_k: int = 1,
        top_p: float | None = None,
        lora_path: str | None = None,
        enable_vision_modality: bool | None = None,
        enable_audio_modality: bool | None = None,
        system_instruction: str | None = None,
        enable_thinking: bool = False,
        tools: Iterable[Any] = (),
        max_output_tokens: int | None = None,
    ) -> Session:
        """A fresh session on the single-chat lane; the previous one is closed before this one is created.

        Callers that arrive together with equal options share one creation, its session and its error;
        callers with different options queue, each closing the one before. A failure leaves the lane empty
        and does not block the next call.

        Args:
            temperature: Randomness, 0 and up; only matters with ``top_k`` above 1.
            random_seed: Seed of the sampler, 0 to 2³¹ - 1.
            top_k: How many of the likeliest tokens to choose from; 1 is greedy.
            top_p: Choose among the likeliest tokens that together have this probability, above 0 to 1.
            lora_path: A LoRA file; the model must have been loaded with ``lora_rank``.
            enable_vision_modality: True to need image input, False to refuse it, None for the model's.
            enable_audio_modality: The same for audio.
            system_instruction: What the model should know or how it should behave, in this session.
            enable_thinking: Let the model think before it answers, where it can.
            tools: Functions that the model may call.
            max_output_tokens: The longest reply, in tokens.

        Raises:
            ClosedError: The manager is closed.
            EngineError: The engine refused.
            UnsupportedError: The model cannot do what was asked.
            OptionValueError, OptionTypeError: An option is wrong. ``ValueError`` and ``TypeError``.
        """
        return self._create(
            self._checked(
                temperature=temperature,
                random_seed=random_seed,
                top_k=top_k,
                top_p=top_p,
                lora_path=lora_path,
                enable_vision_modality=enable_vision_modality,
                enable_audio_modality=enable_audio_modality,
                system_instruction=system_instruction,
                enable_thinking=enable_thinking,
                tools=tools,
                max_output_tokens=max_output_tokens,
            )
        )

    async def acreate_session(self, **options: Any) -> Session:
        """:meth:`create_session` without blocking the event loop."""
        return await in_thread(self.create_session, **options)

    def open_session(self, **options: Any) -> Session:
        """A session on a lane of its own, beside the others; options as :meth:`create_session`.

        Raises:
            SessionLimitError: ``max_sessions`` are open already.
            ClosedError, EngineError, UnsupportedError, ValueError, TypeError: As :meth:`create_session`.
        """
        return self._open(self._checked(**options))

    async def aopen_session(self, **options: Any) -> Session:
        """:meth:`open_session` without blocking the event loop."""
        return await in_thread(self.open_session, **options)

    # Chats

    def create_chat(
        self,
        *,
        context_policy: str = "trim",
        tool_choice: str = "auto",
        max_tool_turns: int = 8,
        **options: Any,
    ) -> Chat:
        """A chat on the single-chat lane; options as :meth:`create_session`.

        Args:
            context_policy: When the context is full: ``"trim"`` drops the oldest turns and says so in the
                reply's ``trimmed_turns``; ``"error"`` raises ContextFullError and sends nothing.
            tool_choice: ``"auto"``, ``"required"`` or ``"none"``.
            max_tool_turns: How often the model may call tools before it must answer.
            **options: The session's.
        """
        from gemma_notebook.chat import Chat

        return Chat(self, self._checked(**options), own_lane=False, context_policy=context_policy,
                    tool_choice=tool_choice, max_tool_turns=max_tool_turns)  # fmt: skip

    async def acreate_chat(self, **options: Any) -> Chat:
        """:meth:`create_chat` without blocking the event loop."""
        return await in_thread(self.create_chat, **options)

    def open_chat(
        self,
        *,
        context_policy: str = "trim",
        tool_choice: str = "auto",
        max_tool_turns: int = 8,
        **options: Any,
    ) -> Chat:
        """A chat on a lane of its own; options as :meth:`create_chat`."""
        from gemma_notebook.chat import Chat

        return Chat(self, self._checked(**options), own_lane=True, context_policy=context_policy,
                    tool_choice=tool_choice, max_tool_turns=max_tool_turns)  # fmt: skip

    async def aopen_chat(self, **options: Any) -> Chat:
        """:meth:`open_chat` without blocking the event loop."""
        return await in_thread(self.open_chat, **options)

    # Ending

    def close(self) -> None:
        """Refuse new sessions, wait for those being created, close all, then the engine. Idempotent.

        Raises:
            EngineError: A generation never ended; its handle, and so the engine, is given up.
        """
        with self._changed:
            while self._state == "closing":
                self._changed.wait(_WAIT_S)
            if self._state == "closed":
                return
            try:
                self._state = "closing"
                while self._creations or self._opening:
                    self._changed.wait(_WAIT_S)
            except BaseException:
                self._state = "open"
                raise
        try:
            for session in self.sessions:
                with contextlib.suppress(EngineError):  # the engine tells of a handle that is lost
                    session.close()
            self._engine.close()
        finally:
            with self._changed:
                self._state = "closed" if self._engine.closed else "open"
                self._changed.notify_all()

    async def aclose(self) -> None:
        """:meth:`close` without blocking the event loop."""
        await in_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # Inside

    def _create(self, options: SessionOptions) -> Session:
        while True:
            mine = _Creation(options)
            try:
                with self._changed:
                    self._require_open()
                    last = self._creations[-1] if self._creations else None
                    shared = last if last is not None and last.options == options else None
                    if shared is None:
                        self._creations.append(mine)
                if shared is None:
                    return self._create_first(mine)
            except BaseException as error:
                mine.error = error
                raise
            finally:
                self._end_creation(mine)
                mine.done.set()
            shared.join()
            if shared.session is not None:
                return shared.session
            # Its maker was interrupted (Ctrl-C), which is no answer for us: try ourselves.

    def _create_first(self, creation: _Creation) -> Session:
        """Make the session that every caller of this creation gets, when it is its turn."""
        with self._changed:
            while self._creations[0] is not creation:
                self._changed.wait(_WAIT_S)
            self._require_open()
            previous = self._session
        if previous is not None:
            previous.close()
        self._check_limit()
        session = Session(self, creation.options)
        self._admit(session, creation)
        return session

    def _end_creation(self, creation: _Creation) -> None:
        with self._changed:
            if creation in self._creations:
                self._creations.remove(creation)
                self._changed.notify_all()

    def _open(self, options: SessionOptions, history: Iterable[Turn] = ()) -> Session:
        opening = object()
        try:
            with self._changed:
                self._require_open()
                self._check_limit()
                self._opening.add(opening)
            session = Session(self, options, history)
            session._forgotten = weakref.finalize(
                session, _reaper.close_later, session._held, "close it, or use it in a with statement"
            )
            session._forgotten.atexit = False
            self._admit(session)
            return session
        finally:
            with self._changed:
                self._opening.discard(opening)
                self._changed.notify_all()

    def _admit(self, session: Session, creation: _Creation | None = None) -> None:
        try:
            with self._changed:
                if self._state != "open":
                    raise ClosedError(
                        "the model was closed while the session was being created; load it again"
                    )
                self._sessions = [known for known in self._sessions if known() is not None]
                self._sessions.append(weakref.ref(session))
                if creation is not None:
                    self._session = creation.session = session
                    # At once: who has this session already and asks for another must not get it again.
                    self._end_creation(creation)
        except BaseException:
            session.close()
            raise

    def _forget(self, session: Session) -> None:
        with self._changed:
            self._sessions = [known for known in self._sessions if known() not in (None, session)]
            if self._session is session:
                self._session = None

    def _check_limit(self) -> None:
        count = len(self.sessions) + len(self._opening)
        if self._max_sessions is not None and count >= self._max_sessions:
            raise SessionLimitError(
                f"{count} sessions are open and max_sessions={self._max_sessions}; close one, "
                "or load the model with a higher max_sessions"
            )

    def _checked(self, **options: Any) -> SessionOptions:
        self._require_open()
        checked = SessionOptions.of(**options)
        model, name = self.model, self.model.name
        if checked.enable_thinking and not model.supports_thinking:
            raise UnsupportedError(f"the model {name!r} has no thinking; leave enable_thinking out")
        for modality, wanted in (
            ("vision", checked.enable_vision_modality),
            ("audio", checked.enable_audio_modality),
        ):
            if wanted and modality not in model.modalities:
                raise UnsupportedError(
                    f"the model {name!r} was not loaded with a {modality} encoder; load one that has it "
                    f"with {modality}_backend='cpu', or leave enable_{modality}_modality out"
                )
        if checked.tools:
            raise UnsupportedError("this version of gemma_notebook does not call tools yet; leave tools out")
        if checked.lora_path is not None and self._engine.options.lora_rank is None:
            raise UnsupportedError(
                f"lora_path={str(checked.lora_path)!r} needs a model loaded for it; load it with lora_rank=…"
            )
        return checked

    def _require_open(self) -> None:
        if self._state != "open":
            raise ClosedError("this model is closed; load it again with gemma_notebook.load()")


class _Shared:
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


class _Creation(_Shared):
    """One creation on the single-chat lane."""

    def __init__(self, options: SessionOptions) -> None:
        super().__init__()
        self.options = options
        self.session: Session | None = None


def _check_message(message: object) -> None:
    text = encodable_text("the message", message)
    if not text.strip():
        raise OptionValueError("the message is empty; write something to send")
    if "\0" in text:
        raise OptionValueError(
            "the message contains a NUL character, which the engine would cut it at; remove it"
        )


def _message_json(text: str, role: str = "user") -> str:
    return json.dumps({"role": role, "content": [{"type": "text", "text": _CONTROL_TOKENS.sub("< ", text)}]})


def _history_json(turns: Iterable[Turn]) -> str | None:
    """Finished turns as the messages to start a conversation from.

    A turn without reply text is left out, with its message: chat templates want the roles to alternate.
    """
    messages = [
        _message_json(text, role)
        for turn in turns
        if turn.done and turn.text
        for text, role in ((turn.message, "user"), (turn.text, "assistant"))
    ]
    return f"[{', '.join(messages)}]" if messages else None


def _reserve(max_output_tokens: int | None, limit: int) -> int:
    """Tokens to keep free for the reply: what was asked for, within half the context."""
    return min(max_output_tokens or 64, limit // 2)


def _turns_to_drop(turns: list[Turn], tokens: int) -> int:
    """How many of the oldest turns hold at least ``tokens``; one at least."""
    dropped = 0
    for count, turn in enumerate(turns, start=1):
        if turn.reply is not None:
            dropped += turn.reply.usage.prompt_tokens + turn.reply.usage.output_tokens
        if dropped >= tokens:
            return count
    return max(1, len(turns))


def _context_full(needed: int, reserve: int, used: int, limit: int) -> ContextFullError:
    return ContextFullError(
        f"the message needs {needed} tokens ({reserve} of them for the reply) and {used} of the context's "
        f"{limit} are in use; nothing was sent: shorten it, reset the chat, or use context_policy='trim'",
        needed_tokens=needed,
        context_tokens=used,
        context_limit=limit,
    )
