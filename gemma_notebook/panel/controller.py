"""What a panel does: requests come in from message handlers, work goes to the worker, messages go to the pump."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gemma_notebook.errors import GemmaNotebookError
from gemma_notebook.messages import Asked, Delta, Message, Reply, ToolCall
from gemma_notebook.panel.approval import ToolDesk
from gemma_notebook.panel.context import answered, go_back_to, not_shown, parts_sent, remembered_of, said_in
from gemma_notebook.panel.export import File
from gemma_notebook.panel.interfaces import PanelChat
from gemma_notebook.panel.problems import problem_of
from gemma_notebook.panel.protocol import BranchMessage, Call, Problem, Retry, Status
from gemma_notebook.panel.pump import Pump, Purged
from gemma_notebook.panel.requests import (
    BadRequestError,
    EditRequest,
    ExportRequest,
    HoodRequest,
    ImportRequest,
    OptionsRequest,
    RegenerateRequest,
    Request,
    ResetRequest,
    SendRequest,
    SnapshotRequest,
    StopRequest,
    SwitchRequest,
    ToolDecision,
    UndoRequest,
    parse_request,
)
from gemma_notebook.panel.teller import Teller
from gemma_notebook.panel.waiting import Turn, Waiting
from gemma_notebook.panel.worker import Worker

__all__ = ["Controller"]

_log = logging.getLogger(__name__)

_Obstacle = tuple[str, Retry | None]


@dataclass(frozen=True, slots=True)
class _Load:
    """A chat to go on from: its messages, what to change in the options for it, and what to tell of that."""

    said: tuple[Message, ...]
    changes: dict[str, Any]
    note: str


class Controller:
    """Runs one chat for one panel.

    Args:
        chat: The chat.
        pump: Takes the messages for the front end.
        worker: Runs the turns and the resets; exports are written on a thread of their own.
        prompts: What a user may begin with.
        tools: What "tools on" means for a chat that begins with them off.

    ``handle`` returns within milliseconds (an imported file takes as long as it takes to read it) and may be called on the main
    thread or on a subshell's. Everything is thread-safe. The lock is never held while the chat works or a file is written.
    """

    def __init__(
        self,
        chat: PanelChat,
        pump: Pump,
        worker: Worker,
        prompts: Sequence[str] = (),
        tools: Sequence[Any] = (),
    ) -> None:
        self._chat = chat
        self._pump = pump
        self._worker = worker
        self._exports = Worker()  # they take their time, and must not wait for a reply
        self._lock = threading.Lock()
        self._teller = Teller(chat, pump, prompts, tools)
        self._record = self._teller.record
        self._waiting = Waiting(self._teller, pump)
        self._restoring: str | None = None  # the request to go back that waits, or is carried out
        self._resets: list[str] = []
        self._known_resets = chat._resets  # those of the chat, here and elsewhere, that the screen knows of
        self._load: _Load | None = None
        self._astray = False  # going back failed: what the model remembers is not what is shown
        self._closed = False
        self._working: int | None = None  # the thread that works for this panel now
        self._behind = False  # the chat has changed elsewhere, when the panel was not idle
        self.tools = ToolDesk(self._tell_call)
        chat._askers.append(self._ask_about_tool)
        chat._watch(self._chat_changed)
        if self._teller.began_in_a_reply:
            self._put(self._catch_up)  # it may have ended before the chat was watched

    def handle(self, content: object, buffers: Sequence[Any] | None = ()) -> None:
        """Take one message from the front end."""
        try:
            self._take(parse_request(content, buffers))
        except BadRequestError as error:
            with self._lock:
                self._teller.refuse(error.request, "BadRequestError", str(error))

    def _take(self, request: Request) -> None:
        match request:
            case SendRequest():
                self._send(request)
            case StopRequest():
                self._stop(request)
            case ResetRequest():
                self._reset(request.id, request.epoch)
            case ImportRequest():
                self._import(request)
            case RegenerateRequest():
                self._regenerate(request)
            case EditRequest():
                self._edit(request)
            case UndoRequest():
                self._undo(request)
            case SwitchRequest():
                self._switch(request)
            case ToolDecision():
                self._decide(request)
            case OptionsRequest():
                self._want_options(request)
            case SnapshotRequest():
                with self._lock:
                    self._teller.tell_snapshot(self._status, request.id)
            case HoodRequest():
                with self._lock:
                    self._teller.tell_hood(request.id)
            case ExportRequest():
                self._export(request)

    def of_another_chat(self) -> tuple[dict[str, Any], Sequence[Any]]:
        """What a chat beside this one begins with, and what "tools on" means there."""
        with self._lock:
            return self._teller.options_of_next(), self._teller.next.tools

    def close(self) -> None:
        """Stop the panel's turn, refuse new ones, and tell the front end. Idempotent; the chat stays open."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._chat._unwatch(self._chat_changed)
            self._chat._askers.remove(self._ask_about_tool)
            self._waiting.clear()
            running = self._waiting.current is not None
            self._tell_state()
        if running:
            self._stop_chat()

    # Saying something

    def _send(self, request: SendRequest) -> None:
        with self._lock:
            obstacle = self._obstacle(request.epoch)
            if obstacle is not None:
                why, retry = obstacle
                self._teller.refuse(request.id, "Refused", why, retry=retry, text=request.text)
                return
            turn = Turn(request.text, request.id, request.attachments)
            self._waiting.add(turn)
            self._pump.post(self._record.add_prompt(turn.text, turn.request, turn.attachments))
            self._tell_state()
        self._put(lambda: self._run_turn(turn))

    def _obstacle(self, epoch: int) -> _Obstacle | None:
        """Why what was asked for in ``epoch`` cannot be done."""
        if self._closed:
            return "This panel is closed: make a new ChatPanel.", None
        if self._resets:
            return "The chat is being reset; send the message again when that is done.", "send"
        if self._teller.failure is not None:
            return (
                "The last reset failed, so that there is no chat to send to: reset the chat first.",
                "reset",
            )
        if epoch != self._record.epoch:
            return "The chat was reset before this message was sent; send it again.", "send"
        return None

    def _stop(self, request: StopRequest) -> None:
        with self._lock:
            stops = request.epoch == self._record.epoch and not self._resets
            current = self._waiting.stop() if stops else None
            self._tell_state(request.id)
        # What waits here may wait for a reply to a cell, or to a panel of this chat that is not shown any more.
        if current is not None or (stops and self._chat._is_replying):
            self._stop_chat()

    def _stop_chat(self) -> None:
        self.tools.deny()
        try:
            self._chat.stop()
        except GemmaNotebookError:
            _log.debug("The chat could not be stopped.", exc_info=True)

    def _decide(self, request: ToolDecision) -> None:
        known = self.tools.decide(request.call, allow=request.allow)
        with self._lock:
            if known:
                self._tell_state(request.id)
            else:
                self._teller.refuse(request.id, "Refused", "This call of a tool was decided already.")

    def _ask_about_tool(self, call: ToolCall) -> bool | None:
        """Ask here about a call in a reply to this panel; None about others, which other panels may show."""
        with self._lock:
            current = self._waiting.current
            here = not self._closed and current is not None and current.begun
        # The reply to a message from a cell is shown when it is complete: the panel cannot ask before.
        return self.tools.approve(call) if here else None

    # Going back

    def _regenerate(self, request: RegenerateRequest) -> None:
        with self._lock:
            prompt = self._record.prompt_of(request.turn)
            if self._cannot_go_back(request.id, request.epoch, known=prompt is not None) or prompt is None:
                return
            context = self._record.before(prompt["turn"])
            attached = self._record.attachments_of(prompt["turn"])
            asked = self._record.asked_with(prompt["turn"])
            turn = Turn(prompt["text"], request.id, attached, asked, context, again=True)
            self._answer_again(turn, self._record.take_back_reply(request.turn, request.id))
        self._put(lambda: self._run_turn(turn))

    def _edit(self, request: EditRequest) -> None:
        with self._lock:
            known = self._record.is_prompt(request.turn)
            if self._cannot_go_back(request.id, request.epoch, known=known):
                return
            context = self._record.before(request.turn)
            attached, asked = self._record.attachments_of(request.turn), self._record.asked_with(request.turn)
            turn = Turn(request.text, request.id, attached, asked, context, again=True)
            self._answer_again(turn, self._record.edit(request.turn, request.text, request.id))
        self._put(lambda: self._run_turn(turn))

    def _answer_again(self, turn: Turn, branch: BranchMessage) -> None:
        self._waiting.add(turn)
        self._pump.post({**branch, "request": turn.request})
        self._tell_state()

    def _undo(self, request: UndoRequest) -> None:
        with self._lock:
            prompt = self._record.last_prompt()
            if self._cannot_go_back(request.id, request.epoch, known=prompt is not None) or prompt is None:
                return
            self._restore(request.id, self._record.undo(prompt["turn"]))

    def _switch(self, request: SwitchRequest) -> None:
        with self._lock:
            if self._cannot_go_back(request.id, request.epoch):
                return
            branch = self._record.switch(request.turn, request.index)
            if branch is None:
                self._teller.refuse(request.id, "Refused", "This alternative does not exist any more.")
                return
            self._restore(request.id, branch)

    def _cannot_go_back(self, request: str, epoch: int, *, known: bool = True) -> bool:
        """Whether the chat's past cannot be changed now; then the front end has been told why."""
        why: str | None = None
        obstacle = self._obstacle(epoch)
        if obstacle is not None:
            why = obstacle[0]
        elif not self._waiting.idle or self._restoring is not None:
            why = "Wait for the reply, or stop it."
        elif self._chat._is_replying:
            why = "Wait for the reply that a cell or another panel has asked for, or press Stop there."
        elif not known:
            why = "This message is not in the chat any more."
        if why is not None:
            self._teller.refuse(request, "Refused", why)
        return why is not None

    def _restore(self, request: str, branch: BranchMessage) -> None:
        self._restoring = request
        self._pump.post({**branch, "request": request})
        self._tell_state()
        path = self._record.exchanges
        self._put(lambda: self._run_restore(request, path))

    # Files

    def _export(self, request: ExportRequest) -> None:
        with self._lock:
            write = self._teller.export_of(request)
        self._exports.put(lambda: self._write(request, write))

    def _write(self, request: ExportRequest, write: Callable[[], File]) -> None:
        try:
            file = write()
        except Exception as error:
            problem = problem_of(error)
            with self._lock:
                self._teller.refuse(request.id, problem["kind"], problem["message"])
            return
        with self._lock:
            self._teller.tell_exported(request.id, file)

    def _import(self, request: ImportRequest) -> None:
        try:
            said, options = self._teller.read_export(request.text)
            self._chat._check_restore(said)  # before the reset, which would lose the chat for nothing
            with self._lock:
                changes, refused = self._teller.next.of_file(self._chat, options)
        except Exception as error:
            with self._lock:
                self._teller.refuse(request.id, type(error).__name__, problem_of(error)["message"])
            return
        notes = []
        instruction = options.get("system_instruction")
        if instruction and changes.get("system_instruction") == instruction:
            notes.append("The file has a system instruction, which holds after a reset, too: see Settings.")
        if refused:
            notes.append(
                f"Options of the file that this chat cannot have were left out: {', '.join(refused)}."
            )
        self._reset(request.id, request.epoch, _Load(said, changes, " ".join(notes)))

    # A new chat

    def _reset(self, request: str, epoch: int, load: _Load | None = None) -> None:
        with self._lock:
            if self._closed:
                self._teller.refuse(request, "Refused", "This panel is closed: make a new ChatPanel.")
                return
            if self._resets and load is not None:
                self._teller.refuse(
                    request, "Refused", "The chat is being reset: import the file again when it is ready."
                )
                return
            if self._resets:
                self._load = None
                self._resets.append(request)
                return
            if epoch < self._record.epoch and load is not None:
                self._teller.refuse(
                    request, "Refused", "The chat was reset before this file was read: import it again."
                )
                return
            if epoch < self._record.epoch:
                self._tell_state(request)
                return
            self._resets.append(request)
            self._load = load
            self._teller.failure = None
            purged = self._pump.purge(self._record.epoch)
            self._waiting.reset()
            self._restoring = None
            self._record.clear()
            self._tell_state()
            self._answer_purged(purged)
            if purged.snapshot:
                self._teller.tell_snapshot(self._status, None)
        self._stop_chat()
        self._put(self._run_reset, first=True)

    def _answer_purged(self, purged: Purged) -> None:
        """Every request is answered: else its view takes the kernel for busy, for ever."""
        for request in purged.requests:
            self._tell_state(request)

    def _want_options(self, request: OptionsRequest) -> None:
        with self._lock:
            try:
                self._teller.next.want(self._chat, request.options)
            except GemmaNotebookError as error:
                self._teller.refuse(request.id, type(error).__name__, str(error))
                return
            self._teller.tell_settings(request.id)

    # What is said elsewhere

    def _chat_changed(self) -> None:
        """Somebody has said something to the chat, or had it forget."""
        if self._working != threading.get_ident():
            self._put(self._catch_up)

    def _catch_up(self) -> None:
        """Show what was said, or was forgotten, by others than this panel."""
        resets, said = self._chat._resets, tuple(self._chat.messages)
        with self._lock:
            forgotten = resets != self._known_resets
            self._behind = self._status != "idle" or (self._astray and not forgotten)
            if self._behind:
                return
            self._known_resets, self._astray = resets, False
            new = None if forgotten else not_shown(said, self._record.exchanges)
            if new is None:
                self._answer_purged(self._pump.purge(self._record.epoch))
                self._record.clear()
                self._record.begin_epoch()
                new = answered(self._chat._all_messages)
            elif not new:
                return
            self._record.load(new)
            self._teller.tell_snapshot(self._status, None)

    # Work, on the worker's thread

    def _put(self, job: Callable[[], None], *, first: bool = False) -> None:
        self._worker.put(lambda: self._work(job), first=first)

    def _work(self, job: Callable[[], None]) -> None:
        self._working = threading.get_ident()
        try:
            job()
        finally:
            self._working = None
        if self._behind and job != self._catch_up:
            self._catch_up()

    def _run_turn(self, turn: Turn) -> None:
        with self._lock:
            if turn not in self._waiting:
                return
            if turn.context is not None and self._is_forgotten():
                self._waiting.withdraw([turn], "The chat was reset before the model read this message.")
                self._tell_state()
                return
            self._waiting.current = turn
            if self._astray and turn.context is None and not self._is_forgotten():
                turn.context = self._record.exchanges
        self.tools.begin()
        outcome = self._answer(turn)
        if isinstance(outcome, Reply):
            said = said_in(self._chat, outcome)
        else:
            said = () if outcome is None else remembered_of(self._chat, turn.text)
        parts = parts_sent(self._chat, turn.text) if turn.attachments else ()
        with self._lock:
            self._waiting.current = None
            told = self._record.end_reply(outcome, said, parts)
            if told is not None:
                self._pump.post(told)
            if not self._resets:
                self._tell_state()

    def _answer(self, turn: Turn) -> Reply | Problem | None:
        """Let the chat answer; None when it refused before there was a reply."""
        try:
            if turn.context is not None:
                self._go_back(turn.context, again=turn.again)
            asked = turn.asked or Asked()
            stream = self._chat.stream(
                turn.text,
                attachments=turn.attachments,
                max_output_tokens=asked.max_output_tokens,
                response_format=asked.response_format,
            )
        except Exception as error:
            problem = problem_of(error)
            with self._lock:
                self._waiting.withdraw(
                    [turn], problem["message"], kind=problem["kind"], retry=problem["retry"]
                )
            return None
        with self._lock:
            if self._waiting.begin(turn):
                self._tell_state()
        try:
            # A stop may have come before there was a stream to stop.
            self._stop_if_asked(turn)
            for delta in stream:
                self._tell_delta(delta)
                self._stop_if_asked(turn)
            return stream.reply
        except Exception as error:
            return problem_of(error)

    def _go_back(self, path: tuple[Message, ...], *, again: bool = False) -> None:
        self._astray = True
        go_back_to(self._chat, path, again=again)
        self._astray = False

    def _stop_if_asked(self, turn: Turn) -> None:
        with self._lock:
            asked = turn.stopped or self._closed or bool(self._resets)
        if asked:
            self._stop_chat()

    def _tell_delta(self, delta: Delta) -> None:
        with self._lock:
            for told in (self._record.think(delta.thinking), self._record.append(delta.text)):
                if told is not None:
                    self._pump.post(told)
        if delta.tool_call is not None:
            self.tools.show(delta.tool_call)
        if delta.tool_result is not None:
            self.tools.settle(delta.tool_result)

    def _tell_call(self, call: Call) -> None:
        with self._lock:
            told = self._record.call(call)
            if told is not None:
                self._pump.post(told)

    def _is_forgotten(self) -> bool:
        """Whether the chat was reset since it was what is shown; then that is made up for as soon as can be."""
        forgotten = self._chat._resets != self._known_resets
        self._behind = self._behind or forgotten
        return forgotten

    def _run_restore(self, request: str, path: tuple[Message, ...]) -> None:
        with self._lock:
            if self._restoring != request or self._is_forgotten():  # a reset came first
                self._end_restore(request)
                return
        problem: Problem | None = None
        try:
            self._go_back(path)
        except Exception as error:
            problem = problem_of(error)
        with self._lock:
            self._end_restore(request)
            if problem is not None and not self._resets:
                self._teller.refuse(request, problem["kind"], problem["message"])

    def _end_restore(self, request: str) -> None:
        if self._restoring == request:
            self._restoring = None
        self._tell_state(request)

    def _run_reset(self) -> None:
        with self._lock:
            load, times_set = self._load, self._teller.next.times_set
            changes = self._teller.next.changes if load is None else load.changes
        failure: str | None = None
        try:
            self._chat.reset(**changes)
            if load is not None and load.said:
                self._chat.restore(load.said)
        except Exception as error:
            failure = problem_of(error)["message"]
        with self._lock:
            if self._load is not load:  # an empty chat is asked for meanwhile
                self._put(self._run_reset, first=True)
                return
            requests, self._resets = self._resets, []
            self._teller.failure = failure
            self._record.begin_epoch()
            self._astray, self._known_resets = False, self._chat._resets
            if failure is None and load is not None:
                self._record.load(load.said)
            for request in requests:
                self._tell_state(request)
            if (changes or load is not None) and failure is None:
                self._teller.next.taken(self._chat, times_set)
                self._teller.tell_settings(None)
            if load is not None:
                self._teller.tell_snapshot(self._status, None)
                if load.note and failure is None:
                    self._teller.refuse(None, "Note", load.note)
            if failure is not None:
                self._teller.refuse(requests[0], "ResetFailed", failure, retry="reset")

    # Messages; the lock is held

    @property
    def _status(self) -> Status:
        if self._closed:
            return "closed"
        if self._resets:
            return "resetting"
        if self._teller.failure is not None:
            return "failed"
        if self._waiting.current is None and self._restoring is not None:
            return "restoring"
        return self._waiting.status

    def _tell_state(self, request: str | None = None) -> None:
        self._teller.tell_state(self._status, request)
