"""A chat for the panel whose every step the test lets happen, and the other end of the wire."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from gemma_notebook.messages import (
    Context,
    Delta,
    HandleCounts,
    HandleEvent,
    Message,
    ModelInfo,
    Reply,
    Timing,
    ToolCall,
    Usage,
)
from gemma_notebook.options import SessionOptions
from gemma_notebook.panel.controller import Controller
from gemma_notebook.panel.interfaces import PanelStream
from gemma_notebook.panel.pump import Pump
from gemma_notebook.panel.worker import Worker

WAIT_S = 10.0
TIMING = Timing(0.05, 300.0, 50.0, 0.2)


class ScriptedManager:
    """Handles that are counted as a session manager counts them."""

    def __init__(self) -> None:
        self.handles = HandleCounts(1, 0, 1, 0)
        self.events: tuple[HandleEvent, ...] = ()
        self.open_error: Exception | None = None
        self.options = SessionOptions()
        self.model = ModelInfo(
            "tiny",
            "tiny.litertlm",
            1,
            1024,
            supports_thinking=False,
            supports_tools=False,
            modalities=("text",),
        )
        self.chats: list[ScriptedChat] = []

    def create_chat(self) -> ScriptedChat:
        self.chats.append(ScriptedChat(self))
        self.chats[-1].options = self.options
        return self.chats[-1]

    def open_chat(self, *, context_policy: str = "trim", **options: Any) -> ScriptedChat:
        if self.open_error is not None:
            raise self.open_error
        chat = self.create_chat()
        chat.options = SessionOptions.of(**options)
        chat.session = SimpleNamespace(context_policy=context_policy)
        return chat


class ScriptedStream:
    """A reply that comes when the test says so.

    Each piece is text, a delta, something to do, an error, or None for the end.
    """

    def __init__(self, chat: ScriptedChat, text: str, attachments: Sequence[Any] = ()) -> None:
        self.prompt = text
        self.attachments = attachments
        self.pieces: queue.Queue[str | Delta | Callable[[], None] | Exception | None] = queue.Queue()
        self._chat = chat
        self._reply: Reply | None = None

    def __iter__(self) -> Iterator[Delta]:
        text, thinking, reason = "", "", "stop"
        while (piece := self.pieces.get(timeout=WAIT_S)) is not None:
            if isinstance(piece, Exception):
                raise piece
            if piece == "<stopped>":
                reason = "cancelled"
                break
            if callable(piece):
                piece()
                continue
            delta = Delta(piece) if isinstance(piece, str) else piece
            text, thinking = text + delta.text, thinking + delta.thinking
            yield delta
        self._chat.context = Context(self._chat.context.tokens + 10, 1024)
        self._chat.messages += (Message("user", self.prompt), Message("assistant", text, reason))
        self._reply = Reply(text, reason, Usage(5, 5, 15, 1024), TIMING, thinking)

    @property
    def reply(self) -> Reply:
        assert self._reply is not None
        return self._reply


class ScriptedChat:
    """A chat whose every step the test lets happen."""

    def __init__(self, manager: ScriptedManager | None = None) -> None:
        self.manager = manager or ScriptedManager()
        self.messages: tuple[Message, ...] = ()
        self.dropped: tuple[Message, ...] = ()
        self.options = SessionOptions()
        self.session = SimpleNamespace(context_policy="trim")
        self.undos = 0
        self.again = False
        self.restored: list[tuple[Message, ...]] = []
        self.restore_error: Exception | None = None
        self.context = Context(5, 1024)
        self._forgotten_turns = 0
        self.handle_id: int | None = 1
        self.streams: queue.Queue[ScriptedStream] = queue.Queue()
        self.refusals: list[Exception] = []
        self.admit = threading.Event()
        self.admit.set()
        self.streaming: ScriptedStream | None = None
        self.stops = 0
        self.resets = 0
        self.reset_begun = threading.Event()
        self.reset_may_end = threading.Event()
        self.reset_may_end.set()
        self.reset_error: Exception | None = None
        self.closed = False
        self.closed_event = threading.Event()
        self._is_replying = False
        self.watchers: list[Callable[[], None]] = []
        self._askers: list[Callable[[ToolCall], bool | None]] = []

    @property
    def _resets(self) -> int:
        return self.resets

    def _watch(self, changed: Callable[[], None], /) -> None:
        self.watchers.append(changed)

    def _unwatch(self, changed: Callable[[], None], /) -> None:
        self.watchers.remove(changed)

    @property
    def _all_messages(self) -> tuple[Message, ...]:
        return self.dropped + self.messages

    def said_elsewhere(self, *messages: Message) -> None:
        """The chat remembers these now, because of somebody else than the panel."""
        self.messages = messages
        for changed in tuple(self.watchers):
            changed()

    def stream(self, text: str, /, *, attachments: Sequence[Any] = (), **asked: Any) -> PanelStream:
        assert self.admit.wait(WAIT_S)
        self.asked = asked
        if self.refusals:
            raise self.refusals.pop(0)
        self.streaming = ScriptedStream(self, text, attachments)
        self.streams.put(self.streaming)
        return self.streaming

    def stop(self) -> None:
        self.stops += 1
        if self.streaming is not None:
            self.streaming.pieces.put("<stopped>")

    def _take_back(self, *, again: bool) -> None:
        self.undos += 1
        self.again = again
        self.messages = self.messages[:-2]

    def _switch_to(self, messages: Sequence[Message], /, *, again: bool) -> None:
        self.again = again
        self.restore(messages)

    def _check_restore(self, messages: Sequence[Message], /) -> None:
        pass

    def restore(self, messages: Sequence[Message], /) -> None:
        if self.restore_error is not None:
            raise self.restore_error
        self.restored.append(tuple(messages))
        self.messages = tuple(messages)

    def _changed_options(self, changes: dict[str, Any], /) -> SessionOptions:
        return replace(self.options, **changes)

    def reset(self, **options: Any) -> None:
        self.resets += 1
        self.reset_begun.set()
        assert self.reset_may_end.wait(WAIT_S)
        was = self.manager.handles
        if self.reset_error is not None:
            self.handle_id = None
            self.manager.handles = HandleCounts(was.created, was.created, 0, 0)
            raise self.reset_error
        self.messages = ()
        self.options = replace(self.options, **options)
        self.handle_id = was.created + 1
        self.context = Context(5, 1024)
        self.manager.handles = HandleCounts(was.created + 1, was.created, 1, 0)

    def close(self) -> None:
        self.closed = True
        self.closed_event.set()

    def next_stream(self) -> ScriptedStream:
        return self.streams.get(timeout=WAIT_S)


class FrontEnd:
    """The other end of the wire: sends requests, waits for messages."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.changed = threading.Condition()
        self.take: Callable[[object], None] = lambda _: None
        self.controller: Any = None
        self._ids = 0

    def receive(self, message: dict[str, Any]) -> None:
        with self.changed:
            self.messages.append(message)
            self.changed.notify_all()

    def ask(self, kind: str, **fields: Any) -> str:
        self._ids += 1
        request = f"{kind}-{self._ids}"
        message = {"type": kind, "id": request, **fields}
        self.take(message)
        return request

    def send(self, text: str, epoch: int = 1) -> str:
        return self.ask("send", text=text, epoch=epoch)

    def wait(self, **expected: Any) -> dict[str, Any]:
        """The first message with these values."""

        def found() -> dict[str, Any] | None:
            items = expected.items()
            return next((m for m in self.messages if all(m.get(k, None) == v for k, v in items)), None)

        with self.changed:
            message = self.changed.wait_for(found, WAIT_S)
        assert message, (expected, self.messages)
        return message

    def clear(self) -> None:
        with self.changed:
            self.messages.clear()

    def settle(self) -> None:
        """Wait until the panel has nothing to do."""
        with self.changed:
            states = lambda: [m["status"] for m in self.messages if m["type"] == "state"]  # noqa: E731
            assert self.changed.wait_for(lambda: states()[-1:] == ["idle"], WAIT_S), self.messages

    def snapshot(self) -> dict[str, Any]:
        """The whole, as it is now."""
        return self.wait(type="snapshot", request=self.ask("snapshot_request"))

    def shown(self) -> list[str]:
        """What the messages that are shown say."""
        return self.texts(self.snapshot())

    @staticmethod
    def texts(snapshot: dict[str, Any]) -> list[str]:
        """What the messages in a snapshot say."""
        return [message["text"] for message in snapshot["messages"]]


@contextlib.contextmanager
def connected(chat: Any) -> Iterator[FrontEnd]:
    """The other end of the wire of a panel of ``chat``, which is closed whatever happens."""
    front = FrontEnd()
    pump = Pump(front.receive, interval_s=0.0)
    front.controller = Controller(chat, pump, Worker())
    front.take = front.controller.handle
    try:
        yield front
    finally:
        front.controller.close()
        pump.close(WAIT_S)


def said(*texts: str) -> tuple[Message, ...]:
    """Prompts and replies in turn, as messages."""
    return tuple(
        Message("assistant", text, "stop") if place % 2 else Message("user", text)
        for place, text in enumerate(texts)
    )


def streaming(front: FrontEnd, chat: ScriptedChat, *pieces: str, epoch: int = 1) -> ScriptedStream:
    """Send a prompt and let the reply begin."""
    request = front.send("Hello", epoch)
    stream = chat.next_stream()
    front.wait(type="turn", role="assistant", state="streaming", request=request)
    for piece in pieces:
        stream.pieces.put(piece)
        front.wait(type="delta", text=piece)
    return stream


def say(front: FrontEnd, chat: ScriptedChat, prompt: str, reply: str, epoch: int = 1) -> None:
    """One turn, to its end."""
    request = front.send(prompt, epoch)
    answer(front, chat, request, reply)


def answer(front: FrontEnd, chat: ScriptedChat, request: str, reply: str) -> ScriptedStream:
    """Let the chat answer what was asked for, to the end."""
    stream = chat.next_stream()
    stream.pieces.put(reply)
    stream.pieces.put(None)
    front.wait(type="turn", role="assistant", state="done", request=request)
    front.settle()
    return stream
