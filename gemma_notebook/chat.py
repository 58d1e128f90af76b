"""A chat: turns over a session, with what people do to them: stop, reset, undo, regenerate, edit, branch."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemma_notebook._closing import Closable
from gemma_notebook._threads import in_thread
from gemma_notebook.displays import Table, TableDisplay
from gemma_notebook.errors import ClosedError, GemmaNotebookError, OptionValueError, UnsupportedError
from gemma_notebook.exchange import Exchange, Line, ToolPolicy
from gemma_notebook.formats import ResponseFormat
from gemma_notebook.messages import Context, Message, Reply, Timing, ToolCall
from gemma_notebook.options import SendOptions, SessionOptions, checked_context_policy
from gemma_notebook.prompts import check_history
from gemma_notebook.rendering import Rendered
from gemma_notebook.streams import AsyncReplyStream, ReplyStream
from gemma_notebook.turns import copies_of

if TYPE_CHECKING:
    from gemma_notebook.sessions import Session, SessionManager
    from gemma_notebook.transcript import Transcript
    from gemma_notebook.turns import Turn

__all__ = ["Chat", "ToolPolicy"]


class Chat(TableDisplay, Closable):
    """Turns over a session. Safe to use from any thread and any event loop.

    Made by :meth:`SessionManager.create_chat` (on the single-chat lane) or
    :meth:`SessionManager.open_chat` (on a lane of its own).

    Talk with ``send`` and ``stream``; ``stop`` stops a reply. ``reset`` forgets everything, in the model's memory
    too; ``undo``, ``regenerate``, ``edit`` and ``restore`` go back, and ``fork`` branches. ``messages``, ``context``
    and ``rendered()`` tell where it stands, ``transcript()`` and ``export`` keep it. Each verb has an async twin
    that begins with an a, as ``asend``.

    Example:
        >>> chat = manager.create_chat()
        >>> chat.send("My name is Ada.").text
        'Nice to meet you, Ada.'
        >>> chat.reset()
    """

    def __init__(
        self,
        manager: SessionManager,
        options: SessionOptions,
        *,
        own_lane: bool,
        context_policy: str = "trim",
        tool_policy: ToolPolicy | None = None,
        session: Session | None = None,
        joined: Any = None,
    ) -> None:
        self.manager = manager
        self._own_lane = own_lane
        self._policy = checked_context_policy(context_policy)
        self._tool_policy = tool_policy or ToolPolicy()
        self._askers: list[Callable[[ToolCall], bool | None]] = []  # each for what is said with it alone
        self._resets = 0  # so that what waits does not bring back what is forgotten by then
        self._watchers: list[Callable[[], None]] = []
        # Without the chat: the turns keep it, and would keep the chat from being forgotten.
        self._tell_watchers = partial(_tell_all, self._watchers)
        self._line = Line()
        self._lock = threading.Lock()
        self._closed = False
        self._session = self._set_up(session or self._new_session(self._first_options(options), joined))

    def __repr__(self) -> str:
        if self._closed:
            return "Chat(closed)"
        return f"Chat(turns={len(self._session.turns)}, {self.context})"

    def _table(self) -> Table:
        if self.closed:
            return Table((), (("chat", "closed"),))
        context = self.context
        rows = (
            ("chat with", self.manager.model.name),
            ("turns", len(self._session.turns)),
            ("context", f"{context.tokens:,} of {context.limit:,} tokens"),
            ("handle", self.handle_id or "none"),
        )
        return Table((), rows)

    # What it is

    @property
    def session(self) -> Session:
        """The session it runs on."""
        return self._session

    @property
    def options(self) -> SessionOptions:
        """The options of its session; :meth:`reset` changes them."""
        return self._session.options

    @property
    def closed(self) -> bool:
        """It was closed. A chat whose session was superseded is not: :meth:`reset` starts it again."""
        return self._closed

    @property
    def handle_id(self) -> int | None:
        """The number of the native handle, as in ``manager.events``."""
        return self._session.handle_id

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages so far, as the model remembers them: without those that were dropped to make room, which
        :meth:`transcript` has.
        """
        return self._session.messages

    @property
    def _all_messages(self) -> tuple[Message, ...]:
        """The messages so far, those that were dropped to make room first. Never waits."""
        return tuple(message for turn in self._session.all_turns for message in turn.messages)

    @property
    def context(self) -> Context:
        """Tokens in the KV cache after the last turn, and the limit. Never waits."""
        return self._session.context

    @property
    def metrics(self) -> tuple[Timing, ...]:
        """The timings of its finished turns, in order."""
        return self._session.metrics

    @property
    def _forgotten_turns(self) -> int:
        """How many of the oldest messages of the user's the model has forgotten, with what was said to them, to make room."""
        return sum(turn.follows is None for turn in self._session.dropped_turns)

    @property
    def _is_replying(self) -> bool:
        """A reply is on its way or waits, whoever asked for it. Never waits."""
        return self._line.busy or any(turn.under_way for turn in self._session.turns)

    # Sending

    def send(
        self,
        message: str,
        *,
        attachments: Sequence[Any] = (),
        max_output_tokens: int | None = None,
        response_format: Any = None,
    ) -> Reply:
        """Send a message and wait for the whole reply.

        Args:
            message: Text; see :meth:`Session.send`.
            attachments: Images or audio, for models that take them.
            max_output_tokens: A limit for this reply, in tokens; None for the session's.
            response_format: What the reply shall be: a JSON schema, a pydantic model, a type such as
                ``list[int]``, or a regular expression. An object has no properties but those that the schema
                names, unless it sets ``additionalProperties``, and an integer without bounds 18 digits at most.
                The value is in ``reply.parsed``, None when the reply was cut off. Such a reply comes without
                thinking.

        Raises:
            ClosedError: The chat is closed, or a newer one took its place.
            ContextFullError: The message does not fit, and the policy is ``"error"`` or nothing is left to drop.
            EngineError: The engine refused, or broke off the reply.
            ResponseFormatError: The reply does not fit ``response_format``, or the engine cannot hold one to it.
            ToolError: ``tool_choice="required"``, and the model calls nothing, or the engine cannot hold it to the
                arguments of the tools.
            UnsupportedError: The model cannot do what was asked; nothing was sent.
        """
        with self.stream(
            message,
            attachments=attachments,
            max_output_tokens=max_output_tokens,
            response_format=response_format,
        ) as stream:
            return stream.reply

    def stream(
        self,
        message: str,
        *,
        attachments: Sequence[Any] = (),
        max_output_tokens: int | None = None,
        response_format: Any = None,
    ) -> ReplyStream:
        """Send a message and iterate over the reply; leaving the loop cancels. As :meth:`send`."""
        return self._stream(*self._new_turn(message, attachments, max_output_tokens, response_format))

    def _stream(self, session: Session, turn: Turn) -> ReplyStream:
        if not session._tools:
            turn.ended = self._tell_watchers
            self._check_constraint(session, turn)
            return session._stream(turn)
        exchange = self._exchange(session, turn)
        try:
            exchange.start()
            return ReplyStream(exchange, self)
        except BaseException:  # a Ctrl-C: there is no stream that could stop it
            exchange.cancel()
            raise

    async def asend(
        self,
        message: str,
        *,
        attachments: Sequence[Any] = (),
        max_output_tokens: int | None = None,
        response_format: Any = None,
    ) -> Reply:
        """:meth:`send` without blocking the event loop; cancelling the task stops the reply."""
        stream = self.astream(
            message,
            attachments=attachments,
            max_output_tokens=max_output_tokens,
            response_format=response_format,
        )
        return await stream.areply()

    def astream(
        self,
        message: str,
        *,
        attachments: Sequence[Any] = (),
        max_output_tokens: int | None = None,
        response_format: Any = None,
    ) -> AsyncReplyStream:
        """:meth:`stream` for ``async for``."""
        session, turn = self._new_turn(message, (), max_output_tokens, response_format)
        if _are_given(attachments):  # read where the turn is started, off the loop
            turn.attach = partial(self._parts, attachments)
        return self._astream(session, turn)

    def _astream(
        self,
        session: Session,
        turn: Turn,
        within: contextlib.AbstractContextManager[None] | None = None,
    ) -> AsyncReplyStream:
        if not session._tools:
            turn.ended = self._tell_watchers
            start = partial(self._start, session, turn)
            return AsyncReplyStream(
                turn, partial(_within, within, start), session, partial(session._announce, turn)
            )
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # read later, on whichever loop
            loop = None
        exchange = self._exchange(session, turn, loop)
        return AsyncReplyStream(exchange, partial(_within, within, exchange.start), self, exchange.announce)

    def _start(self, session: Session, turn: Turn) -> None:
        try:
            self._check_constraint(session, turn)
        except BaseException:
            turn.finish_unstarted()
            session._coming.discard(turn)
            raise
        session._start(turn)

    def stop(self) -> None:
        """Stop the reply that is being generated. Returns at once; what has come of it is kept.

        Raises:
            ClosedError: The chat is closed.
        """
        self._require_open()
        self._session.stop()
        self._line.stop()

    async def astop(self) -> None:
        """:meth:`stop`, for symmetry: it never blocks."""
        self.stop()

    # Starting over

    def reset(self, **changes: Any) -> None:
        """Forget everything: the old handle is deleted before a new one is created.

        A chat whose place a newer one has taken on the single-chat lane takes it back.

        Args:
            **changes: Options of :meth:`SessionManager.create_session` that the new chat shall have
                instead of the old one's. They are checked before anything is forgotten.

        Raises:
            ClosedError: The chat or the model is closed.
            EngineError: The engine refused the new handle; the old one is gone all the same.
            UnsupportedError, OptionValueError, OptionTypeError: A change cannot be made.

        Example:
            >>> chat.reset(system_instruction="Answer in upper case.", top_k=40)
        """
        self._begin_reset(changes)()

    def _begin_reset(self, changes: dict[str, Any]) -> Callable[[], None]:
        """Begin a reset, which never waits: what was said, and is being sent, is to be forgotten. And the rest of it."""
        self._require_open()
        options, session = self._changed_options(changes), self._session
        self._resets += 1
        session._forget_coming()
        return partial(self._finish_reset, session, options, changed=bool(changes))

    def _finish_reset(self, session: Session, options: SessionOptions, *, changed: bool) -> None:
        try:
            session._reset(options if changed else None)
        except ClosedError:
            if not session.closed:  # the engine is, or belongs to another process
                raise
            self._replace_closed_session(options)
        self._tell_watchers()

    async def areset(self, **changes: Any) -> None:
        """:meth:`reset` without blocking the event loop."""
        await in_thread(self._begin_reset(changes))

    def restore(self, messages: Iterable[Message]) -> None:
        """Forget what was said, and go on from ``messages``: a saved chat, or another branch of this one.

        The model reads them with the next message that is sent.

        Args:
            messages: The user's and the assistant's in turn, as :attr:`messages` gives them. A message without a reply
                is shown and not read: chat templates want the two to alternate.

        Raises:
            ClosedError: The chat is closed, or a newer one took its place.
            OptionTypeError, OptionValueError: They are no messages of a chat; nothing is forgotten then.

        Example:
            >>> chat.restore([gn.Message("user", "I am Bo."), gn.Message("assistant", "Hello, Bo!")])
        """
        self._usable_session().restore(messages)
        self._tell_watchers()

    def _switch_to(self, messages: Iterable[Message], *, again: bool = False) -> None:
        """:meth:`restore` another branch of this chat, whose next reply is said once more with ``again``."""
        self._usable_session()._switch_to(messages, again=again)
        self._tell_watchers()

    def _check_restore(self, messages: Iterable[Message]) -> None:
        """Raise where :meth:`restore` would. Changes nothing, and never waits."""
        check_history(messages, self.manager.model)

    async def arestore(self, messages: Iterable[Message]) -> None:
        """:meth:`restore` without blocking the event loop."""
        await in_thread(self.restore, messages)

    # Going back

    def undo(self) -> Message:
        """Take back the last turn, message and reply, and return the message.

        Raises:
            OptionValueError: There is nothing to undo.
        """
        return self._take_back().messages[0]

    def _take_back(self, *, again: bool = False) -> Turn:
        """Take back the last turn; the one with its message."""
        session = self._usable_session()
        said = session._history.last_said
        session._rewind_before(said, again=again)
        self._tell_watchers()
        return said

    async def aundo(self) -> Message:
        """:meth:`undo` without blocking the event loop."""
        return await in_thread(self.undo)

    def regenerate(self, *, max_output_tokens: int | None = None) -> Reply:
        """Take back the last reply and answer its message again, with all that was sent with it.

        Greedy (``top_k=1``, the default), that gives the same reply; else the sampler begins with the next
        seed, and the replies that come of it are the same each time this is done. A message that cannot be sent
        again leaves the chat as it was.

        Args:
            max_output_tokens: A limit for the reply, in tokens; None for the one that the message was sent with.

        Raises:
            OptionValueError: There is no reply yet.
            ContextFullError, EngineError: As :meth:`send`; nothing is forgotten where it cannot be sent.
        """
        with self._stream_again(max_output_tokens) as stream:
            return stream.reply

    def _stream_again(self, max_output_tokens: int | None = None) -> ReplyStream:
        session = self._before_again(max_output_tokens)
        said = session._history.last_said
        turn = self._turn_like(session, said, said.message, max_output_tokens)
        with self._taken_back(session, said, again=True):
            return self._stream(session, turn)

    async def aregenerate(self, *, max_output_tokens: int | None = None) -> Reply:
        """:meth:`regenerate` without blocking the event loop."""
        session = self._before_again(max_output_tokens, blocking=False)
        said = session._history.last_said
        turn = self._turn_like(session, said, said.message, max_output_tokens)
        return await self._astream(session, turn, within=self._taken_back(session, said, again=True)).areply()

    def edit(self, index: int, message: str, *, max_output_tokens: int | None = None) -> Reply:
        """Replace the text of one of the user's messages, forget all that came after it, and answer.

        Args:
            index: Its place in :attr:`messages`.
            message: The new text.
            max_output_tokens: A limit for the reply, in tokens; None for the one that the message was sent with.

        Raises:
            OptionValueError: There is no message of the user's at ``index``.
            ContextFullError, EngineError: As :meth:`send`; nothing is forgotten where it cannot be sent.
        """
        session = self._before_again(max_output_tokens)
        said = session._history.said_at(index)
        turn = self._turn_like(session, said, message, max_output_tokens)
        with self._taken_back(session, said):
            stream = self._stream(session, turn)
        with stream:
            return stream.reply

    async def aedit(self, index: int, message: str, *, max_output_tokens: int | None = None) -> Reply:
        """:meth:`edit` without blocking the event loop."""
        session = self._before_again(max_output_tokens, blocking=False)
        said = session._history.said_at(index)
        turn = self._turn_like(session, said, message, max_output_tokens)
        return await self._astream(session, turn, within=self._taken_back(session, said)).areply()

    def _before_again(self, max_output_tokens: int | None, *, blocking: bool = True) -> Session:
        """The session. Raises for what cannot be sent, before anything is forgotten for it."""
        SendOptions(max_output_tokens=max_output_tokens)
        self._line.require_outside()
        if blocking:
            self._line.require_free_loop()
        return self._usable_session()

    @contextlib.contextmanager
    def _taken_back(self, session: Session, said: Turn, *, again: bool = False) -> Iterator[None]:
        """Take back ``said`` and all after it, and put that back when what follows is not sent: it cannot be, was stopped while
        it waited, or is interrupted.
        """
        taken = session._rewind_before(said, again=again)
        self._tell_watchers()
        try:
            yield
        finally:
            with contextlib.suppress(GemmaNotebookError):
                session._put_back(taken, again=again)
            self._tell_watchers()

    def fork(self) -> Chat:
        """A second chat, on a lane of its own, that goes on from where this one stands: after the last whole reply.

        Raises:
            SessionLimitError: ``max_sessions`` are open already.
        """
        parent = self._usable_session()
        under_way = self._line.said
        turns = [turn for turn in parent.turns if turn.done and turn.first not in under_way]
        dropped = parent.dropped_turns
        # Copies: a turn that is stopped in one of the two goes on in the other.
        session = self.manager._open(parent.options, copies_of(turns), lambda: parent._clone(turns))
        session._history.dropped = tuple(turn for turn in dropped if turn not in turns)
        return Chat(
            self.manager,
            self.options,
            own_lane=True,
            context_policy=self._policy,
            tool_policy=self._tool_policy,
            session=session,
        )

    async def afork(self) -> Chat:
        """:meth:`fork` without blocking the event loop."""
        return await in_thread(self.fork)

    # Looking inside

    def rendered(self, message: str | None = None) -> Rendered:
        """What the model sees: the chat as the chat template writes it, control tokens and all.

        Thoughts that are not kept in the context are not in it, and calls that have no answer yet are shown as a message
        that came now would find them, not answered. Nothing is sent; while a reply is being
        generated this waits for its end.

        Args:
            message: Also what sending this would add, up to where the model begins to reply.

        Raises:
            ClosedError: The chat is closed, or a newer one took its place.
            EngineError: The engine refused.

        Example:
            >>> print(chat.rendered())
            <start_of_turn>user
            My name is Ada.<end_of_turn>
            …
        """
        return self._usable_session()._rendered(message)

    async def arendered(self, message: str | None = None) -> Rendered:
        """:meth:`rendered` without blocking the event loop."""
        return await in_thread(self.rendered, message)

    # Keeping

    def transcript(self) -> Transcript:
        """The chat as it stands, to show as an output that stays in the notebook, or to export. Never waits."""
        from gemma_notebook.transcript import Transcript

        return Transcript.of(self)

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        format: str | None = None,  # noqa: A002
        overwrite: bool = False,
    ) -> Path:
        """Write the chat to a file: ``.md``, ``.html``, or ``.json`` for :meth:`Transcript.from_json`.

        Args:
            path: Where; its ending says as what.
            format: ``"markdown"``, ``"html"`` or ``"json"``, whatever the name ends in.
            overwrite: Replace a file that is there.

        Returns:
            The path.

        Raises:
            ExportExistsError: There is a file, and ``overwrite`` is not set.
            ExportError: The file cannot be written.
            OptionValueError: The name's ending, or ``format``, is none of the three.

        Example:
            >>> chat.export("chat.md")
        """
        return self.transcript().export(path, format=format, overwrite=overwrite)

    async def aexport(
        self,
        path: str | os.PathLike[str],
        *,
        format: str | None = None,  # noqa: A002
        overwrite: bool = False,
    ) -> Path:
        """:meth:`export` without blocking the event loop."""
        return await in_thread(self.export, path, format=format, overwrite=overwrite)

    # Ending

    def close(self) -> None:
        """Close the chat and its session. Idempotent; what was said can still be read and exported, and all else then raises."""
        self._closed = True
        self._session.close()

    # Inside

    def _new_turn(
        self,
        message: str,
        attachments: Sequence[Any],
        max_output_tokens: int | None,
        response_format: Any,
    ) -> tuple[Session, Turn]:
        session = self._usable_session()
        wanted = ResponseFormat.of(response_format)
        if wanted is not None and session._tools:
            raise UnsupportedError(
                "response_format and tools do not go together: a reply that is held to a format cannot call. "
                "Ask in two steps: with the tools first, then in a chat of manager.open_chat(), without them, which goes on "
                "from here after other_chat.restore(chat.messages)"
            )
        parts = self._parts(attachments) if _are_given(attachments) else ()
        return session, session._new_turn(message, max_output_tokens, parts=parts, response_format=wanted)

    def _turn_like(self, session: Session, said: Turn, message: str, max_output_tokens: int | None) -> Turn:
        """A turn with what was sent with another one."""
        turn = session._new_turn(
            message,
            max_output_tokens or said.options.max_output_tokens,
            parts=said.parts,
            response_format=None if session._tools else said.response_format,  # of a chat that was restored
        )
        turn.trimmed_turns = said.trimmed_turns  # they stay dropped
        return turn

    def _check_constraint(self, session: Session, turn: Turn) -> None:
        """Raise where the engine would break off a reply that is held to a format. May wait for the engine."""
        if turn.constrained and not session._engine.can_constrain:
            raise UnsupportedError(
                f"the tokenizer of the model {self.manager.model.name!r} does not go with constrained decoding (its "
                "pieces carry marks for spaces or bytes that the engine's grammar cannot match); leave "
                "response_format out and ask for the format in words"
            )
        wanted = turn.response_format
        if wanted is not None and not wanted.is_ascii and not session._engine.can_constrain_beyond_ascii:
            raise UnsupportedError(
                f"the tokenizer of the model {self.manager.model.name!r} writes letters that are not ASCII, and tabs, "
                "byte by byte, which the engine's grammar cannot match; spell out nothing but printable ASCII in response_format "
                "(what it leaves open, such as a string, may be anything)"
            )

    def _parts(self, attachments: Sequence[Any]) -> Sequence[dict[str, Any]]:
        from gemma_notebook.attachments import content_parts

        options, model = self.options, self.manager.model
        parts = content_parts(
            attachments,
            model=model,
            vision=options.enable_vision_modality is not False,
            audio=options.enable_audio_modality is not False,
        )
        return [part.as_json() for part in parts]

    def _exchange(
        self, session: Session, turn: Turn, loop: asyncio.AbstractEventLoop | None = None
    ) -> Exchange:
        return Exchange(
            session,
            turn,
            self._tool_policy,
            ask=partial(_ask_each, self._askers) if self._askers else None,  # without the chat, as above
            loop=loop,
            line=self._line,
            prepare=partial(_with_required_call, self._tool_policy.choice, session),
            ended=self._tell_watchers,
        )

    def _watch(self, changed: Callable[[], None]) -> None:
        """Have ``changed`` called when something was said or forgotten, on any thread; it must not wait."""
        self._watchers.append(changed)

    def _unwatch(self, changed: Callable[[], None]) -> None:
        """Have it called no more."""
        self._watchers.remove(changed)

    def _new_session(self, options: SessionOptions, joined: Any = None) -> Session:
        if self._own_lane:
            return self.manager._open(options)
        return self.manager._create(options, (self._policy, self._tool_policy), joined)

    def _set_up(self, session: Session) -> Session:
        session.context_policy = self._policy
        session.keeps_checkpoints = True
        return session

    def _changed_options(self, changes: dict[str, Any]) -> SessionOptions:
        if not changes:
            return self.options
        if changes.get("enable_thinking") is False:  # what belongs to thinking goes with it
            changes = {"thinking_token_budget": None, "keep_thinking": False, **changes}
        return self._as_tools_are_used(self.manager._checked(**{**self.options.as_keywords(), **changes}))

    def _first_options(self, options: SessionOptions) -> SessionOptions:
        """Of a new chat. One that is reset to no tools has nothing to call until it has some again."""
        if self._tool_policy.choice == "required" and not options.tools:
            raise OptionValueError(
                "tool_choice='required' without tools leaves nothing to call; give tools=[…], or leave tool_choice out"
            )
        return self._as_tools_are_used(options)

    def _as_tools_are_used(self, options: SessionOptions) -> SessionOptions:
        return replace(options, tools=()) if self._tool_policy.choice == "none" else options

    def _replace_closed_session(self, options: SessionOptions) -> None:
        with self._lock:
            self._require_open()
            if self._session.closed:
                self._session = self._set_up(self._new_session(options))
            if self._closed:  # meanwhile: the closer has closed the session before this one
                self._session.close()
                self._require_open()

    def _usable_session(self) -> Session:
        self._require_open()
        self.manager._require_open()
        if self._session.closed and self._own_lane:
            raise ClosedError("this chat's session was closed; reset the chat to begin again")
        if self._session.closed:
            raise ClosedError(
                "a newer chat took this one's place on the single-chat lane; reset this chat to take it back, which forgets what "
                "was said (keep chat.messages before that, for chat.restore()), or use manager.open_chat() to keep several"
            )
        return self._session

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError("this chat is closed; create a new one with manager.create_chat()")


def _with_required_call(choice: str, session: Session, turn: Turn) -> Turn:
    """The turn, held to a call of a tool where that is required and can be. May wait for the engine."""
    if choice != "required" or not session._tools or not session._engine.can_constrain:
        return turn
    return session._held_to_call(turn)


def _ask_each(askers: list[Callable[[ToolCall], bool | None]], call: ToolCall) -> bool | None:
    """The answer of the latest of ``askers`` that has one; None if none has."""
    return next((answer for ask in reversed(tuple(askers)) if (answer := ask(call)) is not None), None)


def _tell_all(watchers: list[Callable[[], None]]) -> None:
    for changed in tuple(watchers):
        changed()


def _within(context: contextlib.AbstractContextManager[None] | None, call: Callable[[], None]) -> None:
    with context or contextlib.nullcontext():
        call()


def _are_given(attachments: object) -> bool:
    """Whether there are any. What is no list is looked at later: an array has no truth, and an empty text is a mistake."""
    return attachments is not None and not (isinstance(attachments, list | tuple) and not attachments)
