"""The session manager: who may hold a native conversation handle, and when it is deleted.

A *session* is one conversation with the model and owns its handle. The *single-chat lane* holds at most one
session: :meth:`SessionManager.create_session` closes the previous one before it opens the next, so that no
KV state of an old conversation is alive beside the new one. :meth:`SessionManager.open_session` gives a
session a lane of its own.

A session on a lane of its own is held by its user alone: the manager only knows it. When it is forgotten,
its handle is closed on the reaper's thread, with a ResourceWarning. The single-chat lane holds its session.
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from gemma_notebook import _reaper
from gemma_notebook._closing import Closable
from gemma_notebook._threads import in_thread
from gemma_notebook.creations import Creation, Creations, Joined
from gemma_notebook.displays import Table, TableDisplay
from gemma_notebook.engine import Conversation, Engine
from gemma_notebook.errors import (
    ClosedError,
    EngineError,
    OptionTypeError,
    OptionValueError,
    SessionLimitError,
    UnsupportedError,
)
from gemma_notebook.messages import HandleCounts, HandleEvents, ModelInfo
from gemma_notebook.options import SessionOptions, encodable_text, whole_number
from gemma_notebook.session import Session
from gemma_notebook.tools import tools_of
from gemma_notebook.turn_queue import TurnQueue
from gemma_notebook.turns import Turn

if TYPE_CHECKING:
    from gemma_notebook.chat import Chat
    from gemma_notebook.messages import ToolCall

__all__ = ["Session", "SessionManager"]

_Made = TypeVar("_Made")

_WAIT_S = 0.1

# How long a reload waits for each thing that the old engine still does before it gives that up.
RELOAD_PATIENCE_S = 5.0


class SessionManager(TableDisplay, Closable):
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
        if max_sessions is not None:
            max_sessions = whole_number("max_sessions", max_sessions, " or None")
            if max_sessions < 1:
                raise OptionValueError(
                    f"max_sessions={max_sessions} leaves no session to talk to; use 1 or more"
                )
        self._engine = engine
        self._max_sessions = max_sessions
        self._queue = TurnQueue()
        self._changed = threading.Condition()
        self._creations = Creations(self._changed)
        self._sessions: list[weakref.ref[Session]] = []
        self._session: Session | None = None
        self._state = "open"
        self._finalizer: weakref.finalize[..., SessionManager] | None = None
        _reaper.start()
        self._close_engine_when_forgotten()
        _managers.add(self)

    def __repr__(self) -> str:
        counts = self.handles
        return f"SessionManager({self.model.name!r}, {self._state}, live={counts.live})"

    def _table(self) -> Table:
        counts = self.handles
        rows = (
            ("model", self.model.name),
            ("state", self._state),
            ("backend", self.active_backend),
            ("context", f"{self.model.context_limit:,} tokens"),
            ("handles", f"{counts.live} live, {counts.created} created, {counts.closed} closed"),
        )
        return Table((), rows)

    # What it is

    @property
    def model(self) -> ModelInfo:
        """What is known of the model."""
        return self._engine.model

    @property
    def active_backend(self) -> str:
        """The backend that the engine accepted for the model; see :func:`gemma_notebook.load`."""
        return self._engine.backend

    @property
    def refused_backends(self) -> dict[str, str]:
        """With ``backend="auto"``: the backends that were tried in vain, each with the reason."""
        return dict(self._engine.refused_backends)

    @property
    def closed(self) -> bool:
        """It is closed or closing."""
        return self._state in {"closing", "closed"}

    @property
    def reloading(self) -> bool:
        """A reload is under way; who sends or creates waits for it."""
        return self._state == "reloading"

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
    def events(self) -> HandleEvents:
        """What happened to the native handles, in order; the latest 16,384. A tuple, shown as a table."""
        return HandleEvents(self._engine.ledger.events)

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text`` by the model's own tokenizer, without the markers of the chat template.

        Raises:
            ClosedError: The manager is closed.
            OptionValueError: The text cannot be encoded.
        """
        with self._changed:
            self._wait_until_open()
        return len(self._engine.tokenize(encodable_text("text", text)))

    async def acount_tokens(self, text: str) -> int:
        """:meth:`count_tokens` without blocking the event loop: it waits where the engine makes a handle."""
        return await in_thread(self.count_tokens, text)

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
        tools: Sequence[Any] = (),
        max_output_tokens: int | None = None,
        *,
        thinking_token_budget: int | None = None,
        keep_thinking: bool = False,
    ) -> Session:
        """A fresh session on the single-chat lane; the previous one is closed before this one is created.

        Callers that arrive together with equal options share one creation, its session and its error;
        callers with different options queue, each closing the one before. A failure leaves the lane empty
        and does not block the next call.

        Args:
            temperature: Randomness, 0 and up; only matters with ``top_k`` above 1.
            random_seed: Seed of the sampler, 0 to 2³¹ - 1.
            top_k: How many of the likeliest tokens to choose from; 1 is greedy.
            top_p: Choose among the likeliest tokens that together have this probability, above 0 to 1; only
                matters with ``top_k`` above 1.
            lora_path: A LoRA file; the model must have been loaded with ``lora_rank``. After one that does not
                fit, the engine answers no session without one either (measured); :meth:`reload` ends that.
            enable_vision_modality: True to need image input, False to refuse it, None for the model's.
            enable_audio_modality: The same for audio.
            system_instruction: What the model should know or how it should behave, in this session.
            enable_thinking: Let the model think before it answers, where it can.
            tools: Functions that the model may call, sync or async; see :func:`gemma_notebook.tool`.
            max_output_tokens: The longest reply, in tokens.
            thinking_token_budget: The longest thought, in tokens; the model then answers with what it has.
            keep_thinking: Leave thoughts in the context of later turns. Without, they are taken out before
                the next turn, which costs a prefill of the last reply.

        Raises:
            ClosedError: The manager is closed.
            EngineError: The engine refused.
            ToolError: A tool cannot be declared.
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
                thinking_token_budget=thinking_token_budget,
                keep_thinking=keep_thinking,
            )
        )

    async def acreate_session(self, *arguments: Any, **options: Any) -> Session:
        """:meth:`create_session` without blocking the event loop."""
        options = _named(arguments, options)
        return await self._acreate(
            options, (), lambda joined: self._create(self._checked(**options), joined=joined)
        )

    def open_session(self, *arguments: Any, **options: Any) -> Session:
        """A session on a lane of its own, beside the others; options as :meth:`create_session`.

        Raises:
            SessionLimitError: ``max_sessions`` are open already.
            ClosedError, EngineError, UnsupportedError, ValueError, TypeError: As :meth:`create_session`.
        """
        return self._open(self._checked(**_named(arguments, options)))

    async def aopen_session(self, *arguments: Any, **options: Any) -> Session:
        """:meth:`open_session` without blocking the event loop."""
        return await in_thread(self.open_session, *arguments, **options)

    # Chats

    def create_chat(
        self,
        *,
        context_policy: str = "trim",
        tool_choice: str = "auto",
        max_tool_turns: int = 8,
        approve_tool: Callable[[ToolCall], Any] | None = None,
        **options: Any,
    ) -> Chat:
        """A chat on the single-chat lane: one at a time, and the one before is closed.

        Args:
            context_policy: When the context is full: ``"trim"`` drops the oldest turns and says so in the
                reply's ``trimmed_turns``; ``"error"`` raises ContextFullError and sends nothing.
            tool_choice: ``"auto"``: the model calls a tool or answers, as it likes; ``"required"``: its first
                reply to each message has to be a call; ``"none"``: it is told of no tools.
            max_tool_turns: How many rounds of calls one message may lead to; after them the calls are answered
                with an error, and the reply has the finish reason ``"tool_calls"``.
            approve_tool: Is asked before each call, with the :class:`~gemma_notebook.messages.ToolCall`, on a thread
                of its own; sync or async; a false answer denies the call, and the model is told.
            **options: ``temperature``, ``random_seed``, ``top_k``, ``top_p``, ``system_instruction``, ``tools``,
                ``max_output_tokens``, ``enable_thinking``, ``thinking_token_budget``, ``keep_thinking``,
                ``enable_vision_modality``, ``enable_audio_modality``, ``lora_path``: see :meth:`create_session`.

        Returns:
            The chat. :meth:`Chat.reset` begins it anew, with other options if wanted.

        Raises:
            ClosedError, EngineError, ToolError, UnsupportedError, OptionValueError, OptionTypeError: As
                :meth:`create_session`.

        Example:
            >>> chat = manager.create_chat(tools=[get_weather])
            >>> chat.send("What is the weather in Paris?").text
            'The answer is sunny.'
        """
        from gemma_notebook.chat import Chat, ToolPolicy

        return Chat(
            self,
            self._checked(**options),
            own_lane=False,
            context_policy=context_policy,
            tool_policy=ToolPolicy(tool_choice, max_tool_turns, approve_tool),
        )

    async def acreate_chat(
        self,
        *,
        context_policy: str = "trim",
        tool_choice: str = "auto",
        max_tool_turns: int = 8,
        approve_tool: Callable[[ToolCall], Any] | None = None,
        **options: Any,
    ) -> Chat:
        """:meth:`create_chat` without blocking the event loop."""
        from gemma_notebook.chat import Chat, ToolPolicy

        policy = ToolPolicy(tool_choice, max_tool_turns, approve_tool)

        def make(joined: Joined | None) -> Chat:
            return Chat(
                self,
                self._checked(**options),
                own_lane=False,
                context_policy=context_policy,
                tool_policy=policy,
                joined=joined,
            )

        shared = {**options, "tools": ()} if policy.choice == "none" else options
        return await self._acreate(shared, (context_policy, policy), make)

    def open_chat(
        self,
        *,
        context_policy: str = "trim",
        tool_choice: str = "auto",
        max_tool_turns: int = 8,
        approve_tool: Callable[[ToolCall], Any] | None = None,
        **options: Any,
    ) -> Chat:
        """A chat on a lane of its own, beside the others; close it to give its memory back.

        Args:
            context_policy: As in :meth:`create_chat`, like all others.
            tool_choice: ``"auto"``, ``"required"`` or ``"none"``.
            max_tool_turns: How many rounds of calls one message may lead to.
            approve_tool: Is asked before each call.
            **options: The session's; see :meth:`create_session`.

        Raises:
            SessionLimitError: ``max_sessions`` are open already.
            ClosedError, EngineError, ToolError, UnsupportedError, OptionValueError, OptionTypeError: As
                :meth:`create_session`.

        Example:
            >>> with manager.open_chat() as chat:
            ...     chat.send("Hello").text
            'Hello! What can I do for you?'
        """
        from gemma_notebook.chat import Chat, ToolPolicy

        return Chat(
            self,
            self._checked(**options),
            own_lane=True,
            context_policy=context_policy,
            tool_policy=ToolPolicy(tool_choice, max_tool_turns, approve_tool),
        )

    async def aopen_chat(self, **options: Any) -> Chat:
        """:meth:`open_chat` without blocking the event loop."""
        return await in_thread(self.open_chat, **options)

    # Reloading

    def reload(self) -> None:
        """Load the model again, in place: for an engine that no longer answers.

        Replies that run are stopped. The sessions stay, with what was said: each gets a handle on the new
        engine, and its next message replays the turns. What the old engine does not give back in seconds,
        a lost handle or a call that never returns, is given up with its memory. Sessions that are caught
        inside such a call are closed; reset their chats to go on.

        Raises:
            ClosedError: The manager is closed.
            ModelLoadError, LibraryLoadError: The model can no longer be loaded; the next reload tries again.
        """
        with self._changed:
            self._wait_until_open()
            self._state = "reloading"
        try:
            self._creations.give_time(RELOAD_PATIENCE_S)
            with contextlib.ExitStack() as locks:
                sessions = [one for one in self.sessions if one._stand_still(locks, RELOAD_PATIENCE_S)]
                old = self._engine
                if not old.closed:
                    old.dispose(RELOAD_PATIENCE_S)
                self._queue.abandon_active()
                self._engine = old.reopened()
                self._close_engine_when_forgotten()
                for session in sessions:
                    session._begin_again()
        finally:
            with self._changed:
                self._state = "open"
                self._changed.notify_all()

    async def areload(self) -> None:
        """:meth:`reload` without blocking the event loop."""
        await in_thread(self.reload)

    def _close_engine_when_forgotten(self) -> None:
        # A manager that is forgotten, as when a cell with gn.load() runs again, gives its memory back.
        if self._finalizer is not None:
            self._finalizer.detach()
        self._finalizer = weakref.finalize(self, _reaper.close_later, self._engine, "close its manager")
        self._finalizer.atexit = False

    def _wait_while(self, state: str) -> None:
        while self._state == state:
            self._changed.wait(_WAIT_S)

    def _wait_until_open(self) -> None:
        self._wait_while("reloading")
        self._require_open()

    # Ending

    def close(self) -> None:
        """Refuse new sessions, wait for those being created, close all, then the engine. Idempotent.

        Raises:
            EngineError: A generation never ended; its handle, and so the engine, is given up.
        """
        with self._changed:
            self._wait_while("reloading")
            self._wait_while("closing")
            if self._state == "closed":
                return
            try:
                self._state = "closing"
                while self._creations.under_way:
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

    # Inside

    def _create(
        self, options: SessionOptions, use: tuple[Any, ...] = (), joined: Joined | None = None
    ) -> Session:
        """The session of a creation: one that was joined already, or that is joined now.

        Args:
            options: The session's.
            use: How the session will be used; who uses it otherwise has another one.
            joined: What :meth:`.Creations.join` gave.
        """
        while True:
            mine, shared = joined or self._creations.join(options, use, self._wait_until_open)
            joined = None
            try:
                if shared is None:
                    return self._create_first(mine)
            except BaseException as error:
                mine.error = error
                raise
            finally:
                self._creations.end(mine)
            shared.join()
            if shared.session is not None:
                return shared.session
            # Its maker was interrupted (Ctrl-C), which is no answer for us: try ourselves.

    async def _acreate(
        self, options: dict[str, Any], use: tuple[Any, ...], make: Callable[[Joined | None], _Made]
    ) -> _Made:
        joined: Joined | None = None
        if not self.reloading:  # which takes its time
            # Whether the model can do it is seen on the thread: to read tools takes its time, too.
            joined = self._creations.join(SessionOptions.of(**options), use, self._wait_until_open)
        return await self._creations.make(joined, make)

    def _create_first(self, creation: Creation) -> Session:
        """Make the session that every caller of this creation gets, when it is its turn."""
        with self._changed:
            if not self._creations.wait_for_turn(creation):
                self._raise_reloaded()
            self._require_open()
            previous = self._session
        if previous is not None:
            previous.close()
        try:
            with self._changed:
                self._check_limit()
                self._creations.hold_place(creation)
            session = Session(self, creation.options)
            self._admit(session, creation)
            return session
        finally:
            self._creations.free_place(creation)

    def _open(
        self,
        options: SessionOptions,
        history: Iterable[Turn] = (),
        begin: Callable[[], Conversation | None] | None = None,
    ) -> Session:
        opening = object()
        try:
            with self._changed:
                self._wait_until_open()
                self._check_limit()
                self._creations.hold_place(opening)
            session = Session(self, options, history, begin)
            session._forgotten = weakref.finalize(
                session, _reaper.close_later, session._holding, "close it, or use it in a with statement"
            )
            session._forgotten.atexit = False
            self._admit(session, opening)
            return session
        finally:
            self._creations.free_place(opening)

    def _admit(self, session: Session, creation: object) -> None:
        try:
            with self._changed:
                if self.closed:
                    raise ClosedError(
                        "the model was closed while the session was being created; load it again"
                    )
                if not self._creations.holds(creation):
                    self._raise_reloaded()
                self._sessions = [known for known in self._sessions if known() is not None]
                self._sessions.append(weakref.ref(session))
                self._creations.free_place(creation)  # at once, not to be counted twice
                if isinstance(creation, Creation):
                    self._session = creation.session = session
                    # At once: who has this session already and asks for another must not get it again.
                    self._creations.leave(creation)
        except BaseException:
            session.close()
            raise

    def _forget(self, session: Session) -> None:
        with self._changed:
            self._sessions = [known for known in self._sessions if known() not in (None, session)]
            if self._session is session:
                self._session = None

    def _check_limit(self) -> None:
        if self._max_sessions is None:
            return
        count = len(self.sessions) + self._creations.places
        if count >= self._max_sessions:
            gc.collect()  # nobody may hold one of them but an error that was raised in it
            count = len(self.sessions) + self._creations.places
        if count >= self._max_sessions:
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
        if not checked.enable_thinking and (checked.thinking_token_budget or checked.keep_thinking):
            option = "thinking_token_budget" if checked.thinking_token_budget else "keep_thinking"
            raise OptionValueError(f"{option} is for a model that thinks; set enable_thinking=True with it")
        for modality, wanted in (
            ("vision", checked.enable_vision_modality),
            ("audio", checked.enable_audio_modality),
        ):
            if wanted and modality not in model.modalities:
                raise UnsupportedError(
                    f"the model {name!r} has no {modality} encoder, or was loaded without it; load one that has it "
                    f"without {modality}_backend='off', or leave enable_{modality}_modality out"
                )
        if checked.tools:
            tools_of(checked)  # raises for one that cannot be declared
        if checked.lora_path is not None and self._engine.options.lora_rank is None:
            raise UnsupportedError(
                f"lora_path={str(checked.lora_path)!r} needs a model loaded for it; load it with lora_rank=…"
            )
        return checked

    def _renew_locks(self) -> None:
        self._changed = self._creations.changed = threading.Condition()
        self._queue.renew_lock()
        for session in self.sessions:
            session._renew_locks()

    @staticmethod
    def _raise_reloaded() -> NoReturn:
        raise ClosedError("the model was reloaded while the session was being created; try again")

    def _require_open(self) -> None:
        if self.closed:
            raise ClosedError("this model is closed; load it again with gemma_notebook.load()")


_managers: weakref.WeakSet[SessionManager] = weakref.WeakSet()


def _renew_locks() -> None:
    """In a forked child: a lock that another thread held at the fork would be held for ever."""
    for manager in tuple(_managers):
        manager._renew_locks()


os.register_at_fork(after_in_child=_renew_locks)

_SESSION_OPTIONS = inspect.signature(SessionManager.create_session).parameters


def _named(arguments: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Options by their names, those too that were given by their places in :meth:`SessionManager.create_session`."""
    bound = inspect.signature(SessionManager.create_session).bind_partial(None, *arguments).arguments
    twice = bound.keys() & options.keys()
    if twice:
        raise OptionTypeError(f"{min(twice)} is given twice, by its place and by its name")
    return {name: value for name, value in bound.items() if name != "self"} | options


def _show_options() -> None:
    """Have ``?``, ``help`` and completion show the options that ``**options`` stands for."""
    for name in ("open_session", "acreate_session", "aopen_session"):
        verb = getattr(SessionManager, name)
        verb.__signature__ = inspect.signature(verb).replace(parameters=[*_SESSION_OPTIONS.values()])
    for name in ("create_chat", "open_chat", "acreate_chat", "aopen_chat"):
        verb = getattr(SessionManager, name)
        of_the_session = [
            one.replace(kind=one.KEYWORD_ONLY) for one in _SESSION_OPTIONS.values() if one.name != "self"
        ]
        own = [*inspect.signature(SessionManager.open_chat).parameters.values()]
        of_the_chat = [
            one for one in own if one.kind is not one.VAR_KEYWORD and one.name not in _SESSION_OPTIONS
        ]
        shown = [_SESSION_OPTIONS["self"], *of_the_chat, *of_the_session]
        verb.__signature__ = inspect.signature(verb).replace(parameters=shown)


_show_options()
