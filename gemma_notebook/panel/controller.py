"""What a panel does: requests come in from message handlers, work goes to the worker, messages go to the pump."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from gemma_notebook.errors import ClosedError, ContextFullError, GemmaNotebookError, UnsupportedError
from gemma_notebook.messages import Context, Delta, HandleCounts, Message, ModelInfo, Reply
from gemma_notebook.panel.protocol import (
    BadRequestError,
    ErrorMessage,
    PanelError,
    Problem,
    ResetRequest,
    Retry,
    SendRequest,
    SnapshotMessage,
    SnapshotRequest,
    StateMessage,
    Status,
    StopRequest,
    context_json,
    handles_json,
    parse_request,
)
from gemma_notebook.panel.pump import Pump
from gemma_notebook.panel.record import Record
from gemma_notebook.panel.worker import Worker

__all__ = ["Controller", "PanelChat", "PanelManager", "PanelStream"]

_log = logging.getLogger(__name__)


class PanelStream(Protocol):
    """What the panel needs of a streaming reply."""

    def __iter__(self) -> Iterator[Delta]: ...

    @property
    def reply(self) -> Reply: ...


class PanelManager(Protocol):
    """What the panel needs of a session manager."""

    @property
    def handles(self) -> HandleCounts: ...

    @property
    def model(self) -> ModelInfo: ...


class PanelChat(Protocol):
    """What the panel needs of a chat. ``stop``, ``reset`` and the properties are called from any thread."""

    def stream(self, text: str, /) -> PanelStream: ...

    def stop(self) -> None: ...

    def reset(self) -> None: ...

    @property
    def messages(self) -> Sequence[Message]: ...

    @property
    def context(self) -> Context: ...

    @property
    def handle_id(self) -> int | None: ...

    @property
    def manager(self) -> PanelManager: ...


@dataclass(eq=False, slots=True)
class _Turn:
    """A prompt on its way through the worker."""

    text: str
    request: str
    begun: bool = False
    stopped: bool = False


class Controller:
    """Runs one chat for one panel.

    Args:
        chat: The chat.
        pump: Takes the messages for the front end.
        worker: Runs the turns and the resets.

    ``handle`` returns within milliseconds and may be called on the main thread or on a subshell's. Everything is
    thread-safe. The lock is never held while the chat works.
    """

    def __init__(self, chat: PanelChat, pump: Pump, worker: Worker) -> None:
        self._chat = chat
        self._pump = pump
        self._worker = worker
        self._lock = threading.Lock()
        self._record = Record(chat.messages)
        self._waiting: list[_Turn] = []  # also the current one, until its reply begins
        self._current: _Turn | None = None
        self._resets: list[str] = []
        self._failure: str | None = None
        self._closed = False

    def handle(self, content: object) -> None:
        """Take one message from the front end."""
        try:
            request = parse_request(content)
        except BadRequestError as error:
            with self._lock:
                self._refuse(error.request, "BadRequestError", str(error))
            return
        match request:
            case SendRequest():
                self._send(request)
            case StopRequest():
                self._stop(request)
            case ResetRequest():
                self._reset(request)
            case SnapshotRequest():
                with self._lock:
                    self._pump.post(self._snapshot(request.id))

    def close(self) -> None:
        """Stop the panel's turn, refuse new ones, and tell the front end. Idempotent; the chat stays open."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._waiting.clear()
            running = self._current is not None
            self._tell_state()
        if running:
            self._stop_chat()

    # Requests

    def _send(self, request: SendRequest) -> None:
        with self._lock:
            obstacle = self._obstacle(request.epoch)
            if obstacle is not None:
                why, retry = obstacle
                self._refuse(request.id, "Refused", why, retry=retry, text=request.text)
                return
            turn = _Turn(request.text, request.id)
            self._waiting.append(turn)
            self._pump.post(self._record.add_prompt(turn.text, turn.request))
            self._tell_state()
        self._worker.put(lambda: self._run_turn(turn))

    def _obstacle(self, epoch: int) -> tuple[str, Retry | None] | None:
        """Why a prompt written in ``epoch`` cannot be sent."""
        if self._closed:
            return "This panel is closed: make a new ChatPanel.", None
        if self._resets:
            return "The chat is being reset; send the message again when that is done.", "send"
        if self._failure is not None:
            return (
                "The last reset failed, so that there is no chat to send to: reset the chat first.",
                "reset",
            )
        if epoch != self._record.epoch:
            return "The chat was reset before this message was sent; send it again.", "send"
        return None

    def _stop(self, request: StopRequest) -> None:
        with self._lock:
            current = self._current
            stops = request.epoch == self._record.epoch and not self._resets
            if stops:
                behind = [turn for turn in self._waiting if turn is not current]
                self._withdraw(behind, "Stopped before the model read this message.")
                if current is not None:
                    current.stopped = True
            self._tell_state(request.id)
        if stops and current is not None:
            self._stop_chat()

    def _reset(self, request: ResetRequest) -> None:
        with self._lock:
            if self._closed:
                self._refuse(request.id, "Refused", "This panel is closed: make a new ChatPanel.")
                return
            if self._resets:
                self._resets.append(request.id)
                return
            if request.epoch < self._record.epoch:
                self._tell_state(request.id)
                return
            self._resets.append(request.id)
            self._failure = None
            view_waits = self._pump.purge(self._record.epoch)
            self._withdraw(
                self._waiting, "The chat was reset before the model read this message; send it again."
            )
            self._record.clear()
            self._tell_state()
            if view_waits:
                self._pump.post(self._snapshot(None))
        self._stop_chat()
        self._worker.put(self._run_reset, first=True)

    def _withdraw(
        self, turns: Iterable[_Turn], why: str, *, kind: str = "Withdrawn", retry: Retry | None = "send"
    ) -> None:
        """Take prompts off the screen that the model has not read, and give their text back."""
        for turn in tuple(turns):
            if turn in self._waiting:
                self._waiting.remove(turn)
                self._record.remove_prompt(turn.request)
                self._refuse(turn.request, kind, why, retry=retry, text=turn.text)

    def _stop_chat(self) -> None:
        try:
            self._chat.stop()
        except GemmaNotebookError:
            _log.debug("The chat could not be stopped.", exc_info=True)

    # Work, on the worker's thread

    def _run_turn(self, turn: _Turn) -> None:
        with self._lock:
            if turn not in self._waiting:
                return
            self._current = turn
        outcome = self._answer(turn)
        with self._lock:
            self._current = None
            told = self._record.end_reply(outcome)
            if told is not None:
                self._pump.post(told)
            if not self._resets:
                self._tell_state()

    def _answer(self, turn: _Turn) -> Reply | Problem | None:
        """Let the chat answer; None when it refused before there was a reply."""
        try:
            stream = self._chat.stream(turn.text)
        except Exception as error:
            problem = _problem(error)
            with self._lock:
                self._withdraw([turn], problem["message"], kind=problem["kind"], retry=problem["retry"])
            return None
        with self._lock:
            self._begin(turn)
        try:
            # A stop may have come before there was a stream to stop.
            self._stop_if_asked(turn)
            for delta in stream:
                self._tell_delta(delta)
                self._stop_if_asked(turn)
            return stream.reply
        except Exception as error:
            return _problem(error)

    def _begin(self, turn: _Turn) -> None:
        if turn not in self._waiting:
            return
        self._waiting.remove(turn)
        turn.begun = True
        self._pump.post(self._record.begin_reply(turn.request))
        self._tell_state()

    def _stop_if_asked(self, turn: _Turn) -> None:
        with self._lock:
            asked = turn.stopped or self._closed or bool(self._resets)
        if asked:
            self._stop_chat()

    def _tell_delta(self, delta: Delta) -> None:
        with self._lock:
            told = self._record.append(delta.text)
            if told is not None:
                self._pump.post(told)

    def _run_reset(self) -> None:
        failure: str | None = None
        try:
            self._chat.reset()
        except Exception as error:
            failure = _problem(error)["message"]
        with self._lock:
            requests, self._resets = self._resets, []
            self._failure = failure
            self._record.begin_epoch()
            for request in requests:
                self._tell_state(request)
            if failure is not None:
                self._refuse(requests[0], "ResetFailed", failure, retry="reset")

    # Messages; the lock is held

    @property
    def _status(self) -> Status:
        if self._closed:
            return "closed"
        if self._resets:
            return "resetting"
        if self._failure is not None:
            return "failed"
        if self._current is not None:
            return "stopping" if self._current.stopped else "generating" if self._current.begun else "queued"
        return "queued" if self._waiting else "idle"

    def _tell_state(self, request: str | None = None) -> None:
        message: StateMessage = {
            "type": "state",
            "epoch": self._record.epoch,
            "status": self._status,
            "context": context_json(self._chat.context),
            "handles": handles_json(self._chat.manager.handles),
            "handle": self._chat.handle_id,
        }
        if request is not None:
            message["request"] = request
        self._pump.post(message)

    def _snapshot(self, request: str | None) -> SnapshotMessage:
        context = self._chat.context
        message: SnapshotMessage = {
            "type": "snapshot",
            "epoch": self._record.epoch,
            "status": self._status,
            "model": {"name": self._chat.manager.model.name, "context_limit": context.limit},
            "messages": self._record.messages,
            "context": context_json(context),
            "handles": handles_json(self._chat.manager.handles),
            "handle": self._chat.handle_id,
        }
        if request is not None:
            message["request"] = request
        if self._failure is not None:
            message["error"] = PanelError(message=self._failure, remedy="reset")
        return message

    def _refuse(
        self, request: str | None, kind: str, why: str, *, retry: Retry | None = None, text: str | None = None
    ) -> None:
        message: ErrorMessage = {
            "type": "error",
            "epoch": self._record.epoch,
            "kind": kind,
            "message": why,
            "retry": retry,
        }
        if request is not None:
            message["request"] = request
        if text is not None:
            message["text"] = text
        self._pump.post(message)


def _problem(error: Exception) -> Problem:
    """``error`` in words for the user: our own errors say what to do, others get a sentence around them."""
    kind = type(error).__name__
    if not isinstance(error, GemmaNotebookError):
        _log.error("The chat panel met an unexpected error.", exc_info=error)
        return {
            "kind": kind,
            "message": f"Something unexpected failed ({kind}: {error}); try again.",
            "retry": "send",
        }
    hopeless = isinstance(error, ClosedError | ContextFullError | UnsupportedError)
    return {"kind": kind, "message": str(error), "retry": None if hopeless else "send"}
