"""A chat: turns over a session, with what people do to them: stop, reset, undo, regenerate, edit, branch."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gemma_notebook._threads import in_thread
from gemma_notebook.displays import Table, TableDisplay
from gemma_notebook.errors import ClosedError, OptionTypeError, OptionValueError, UnsupportedError
from gemma_notebook.messages import Context, Message, Reply, Timing
from gemma_notebook.options import SendOptions, SessionOptions, checked_context_policy
from gemma_notebook.streams import AsyncReplyStream, ReplyStream

if TYPE_CHECKING:
    from gemma_notebook.sessions import Session, SessionManager
    from gemma_notebook.transcript import Transcript

__all__ = ["Chat"]

_TOOL_CHOICES = ("auto", "required", "none")


class Chat(TableDisplay):
    """Turns over a session. Safe to use from any thread and any event loop.

    Made by :meth:`SessionManager.create_chat` (on the single-chat lane) or
    :meth:`SessionManager.open_chat` (on a lane of its own).

    Example:
        >>> chat = manager.create_chat(system_instruction="Be brief.")
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
        tool_choice: str = "auto",
        max_tool_turns: int = 8,
        session: Session | None = None,
    ) -> None:
        self.manager = manager
        self._own_lane = own_lane
        self._policy = checked_context_policy(context_policy)
        if tool_choice not in _TOOL_CHOICES:
            raise OptionValueError(
                f"unknown tool_choice {tool_choice!r}; use one of {', '.join(_TOOL_CHOICES)}"
            )
        if isinstance(max_tool_turns, bool) or not isinstance(max_tool_turns, int):
            raise OptionTypeError(f"max_tool_turns must be a whole number, not {max_tool_turns!r}")
        if max_tool_turns < 1:
            raise OptionValueError(
                f"max_tool_turns={max_tool_turns} leaves no turn for a tool; use 1 or more"
            )
        self._lock = threading.Lock()
        self._closed = False
        self._session = self._set_up(session or self._new_session(options))

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
        """The messages so far."""
        return self._session.messages

    @property
    def context(self) -> Context:
        """Tokens in the KV cache after the last turn, and the limit. Never waits."""
        return self._session.context

    @property
    def metrics(self) -> tuple[Timing, ...]:
        """The timings of its finished turns, in order."""
        return self._session.metrics

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
            response_format: A schema that the reply must match.

        Raises:
            ClosedError: The chat is closed, or a newer one took its place.
            ContextFullError: The message does not fit, and the policy is ``"error"`` or nothing is left to drop.
            EngineError: The engine refused, or broke off the reply.
            UnsupportedError: The model or this version cannot do what was asked.
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
        _refuse_unsupported(attachments, response_format)
        return self._usable_session().stream(message, max_output_tokens=max_output_tokens)

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
        _refuse_unsupported(attachments, response_format)
        return self._usable_session().astream(message, max_output_tokens=max_output_tokens)

    def stop(self) -> None:
        """Stop the reply that is being generated. Returns at once; what has come of it is kept.

        Raises:
            ClosedError: The chat is closed.
        """
        self._require_open()
        self._session.stop()

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
        self._require_open()
        options = self._changed_options(changes)
        try:
            if changes:
                self._session._reset_to(options)
            else:
                self._session.reset()
        except ClosedError:
            if not self._session.closed:  # the engine is, or belongs to another process
                raise
            self._replace_closed_session(options)

    async def areset(self, **changes: Any) -> None:
        """:meth:`reset` without blocking the event loop."""
        await in_thread(self.reset, **changes)

    def restore(self, messages: Iterable[Message]) -> None:
        """Forget what was said, and go on from ``messages``: a saved chat, or another branch of this one.

        The model reads them with the next message that is sent.

        Args:
            messages: The user's and the assistant's in turn, as :attr:`messages` gives them.

        Raises:
            ClosedError: The chat is closed, or a newer one took its place.
            OptionTypeError, OptionValueError: They are no messages of a chat; nothing is forgotten then.

        Example:
            >>> chat.restore([gn.Message("user", "I am Bo."), gn.Message("assistant", "Hello, Bo!")])
        """
        self._usable_session().restore(messages)

    async def arestore(self, messages: Iterable[Message]) -> None:
        """:meth:`restore` without blocking the event loop."""
        await in_thread(self.restore, tuple(messages))

    # Going back

    def undo(self) -> Message:
        """Take back the last turn, message and reply, and return the message.

        Raises:
            OptionValueError: There is nothing to undo.
        """
        return self._take_back()

    def _take_back(self, *, again: bool = False) -> Message:
        session = self._usable_session()
        turns = session.turns
        if not turns:
            raise OptionValueError("there is no turn to take back; the chat is empty")
        session._rewind_before(turns[-1], again=again)
        return turns[-1].messages[0]

    async def aundo(self) -> Message:
        """:meth:`undo` without blocking the event loop."""
        return await in_thread(self.undo)

    def regenerate(self, *, max_output_tokens: int | None = None) -> Reply:
        """Take back the last reply and answer its message again.

        Greedy (``top_k=1``, the default), that gives the same reply; else the sampler begins with the next
        seed, and the replies that come of it are the same each time this is done.

        Raises:
            OptionValueError: There is no reply yet.
        """
        SendOptions(max_output_tokens=max_output_tokens)  # raises before anything is forgotten for it
        return self.send(self._take_back(again=True).text, max_output_tokens=max_output_tokens)

    async def aregenerate(self, *, max_output_tokens: int | None = None) -> Reply:
        """:meth:`regenerate` without blocking the event loop."""
        SendOptions(max_output_tokens=max_output_tokens)
        message = await in_thread(self._take_back, again=True)
        return await self.asend(message.text, max_output_tokens=max_output_tokens)

    def edit(self, index: int, message: str, *, max_output_tokens: int | None = None) -> Reply:
        """Replace one of the user's messages, forget all that came after it, and answer.

        Args:
            index: Its place in :attr:`messages`.
            message: The new text.
            max_output_tokens: A limit for the reply, in tokens.

        Raises:
            OptionValueError: There is no message of the user's at ``index``.
        """
        self._rewind_to(index, message, max_output_tokens)
        return self.send(message, max_output_tokens=max_output_tokens)

    async def aedit(self, index: int, message: str, *, max_output_tokens: int | None = None) -> Reply:
        """:meth:`edit` without blocking the event loop."""
        await in_thread(self._rewind_to, index, message, max_output_tokens)
        return await self.asend(message, max_output_tokens=max_output_tokens)

    def _rewind_to(self, index: int, message: str, max_output_tokens: int | None) -> None:
        session = self._usable_session()
        session._new_turn(message, max_output_tokens)  # raises before anything is forgotten for it
        place = 0
        for turn in session.turns:
            if place == index:
                session._rewind_before(turn)
                return
            place += len(turn.messages)
        raise OptionValueError(f"message {index!r} is not one of the user's; see chat.messages")

    def fork(self) -> Chat:
        """A second chat, on a lane of its own, that goes on from where this one stands.

        Raises:
            SessionLimitError: ``max_sessions`` are open already.
        """
        parent = self._usable_session()
        turns = [turn for turn in parent.turns if turn.done]
        session = self.manager._open(parent.options, turns, lambda: parent._clone(turns))
        return Chat(self.manager, self.options, own_lane=True, context_policy=self._policy, session=session)

    async def afork(self) -> Chat:
        """:meth:`fork` without blocking the event loop."""
        return await in_thread(self.fork)

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
        """Close the chat and its session. Idempotent; everything else then raises."""
        self._closed = True
        self._session.close()

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

    def _new_session(self, options: SessionOptions) -> Session:
        create = self.manager._open if self._own_lane else self.manager._create
        return create(options)

    def _set_up(self, session: Session) -> Session:
        session.context_policy = self._policy
        session.keeps_checkpoints = True
        return session

    def _changed_options(self, changes: dict[str, Any]) -> SessionOptions:
        if not changes:
            return self.options
        return self.manager._checked(**{**self.options.as_keywords(), **changes})

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
        if self._session.closed and not self.manager.closed:
            raise ClosedError(
                "a newer chat took this one's place on the single-chat lane; reset this chat to take it back, "
                "or use manager.open_chat() to keep several"
            )
        return self._session

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError("this chat is closed; create a new one with manager.create_chat()")


def _refuse_unsupported(attachments: Sequence[Any], response_format: Any) -> None:
    if attachments:
        raise UnsupportedError("this version of gemma_notebook sends text only; leave attachments out")
    if response_format is not None:
        raise UnsupportedError(
            "this version of gemma_notebook has no structured output; leave response_format out"
        )
