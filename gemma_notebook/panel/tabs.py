"""The chats of one panel, each with its own controller, pump and numbering."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gemma_notebook.errors import GemmaNotebookError
from gemma_notebook.panel.controller import Controller
from gemma_notebook.panel.interfaces import PanelChat, PanelManager
from gemma_notebook.panel.problems import problem_of
from gemma_notebook.panel.protocol import ChatsMessage
from gemma_notebook.panel.pump import Pump
from gemma_notebook.panel.requests import BadRequestError, ChatsRequest, CloseChat, OpenChat, parse_request
from gemma_notebook.panel.worker import Worker, worker_of

__all__ = ["FIRST", "Tabs"]

# The chat that a message without a name of its own is about.
FIRST = "1"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Tab:
    chat: PanelChat
    pump: Pump
    controller: Controller

    def end(self) -> None:
        """Stop what the panel does with the chat."""
        self.controller.close()
        self.pump.close()


class Tabs:
    """Passes each message to the chat that it is about, opens chats and closes them.

    Args:
        chats: Those to begin with, one at least.
        send: Hands a message to the front end; called from several threads.
        prompts: What a user may begin a chat with.

    Thread-safe.
    """

    def __init__(
        self, chats: Iterable[PanelChat], send: Callable[[dict[str, Any]], None], prompts: Sequence[str] = ()
    ) -> None:
        self._send = send
        self._prompts = prompts
        self._lock = threading.Lock()
        self._telling = threading.Lock()  # so that the latest list is told last
        self._numbers = itertools.count(1)
        self._tabs: dict[str, _Tab] = {}
        self._worker = Worker()
        self._opens = 0  # how many chats are being opened
        self._closed = False
        for chat in chats:
            self._add(chat)

    @property
    def chats(self) -> tuple[PanelChat, ...]:
        """The chats, in the order of their tabs."""
        with self._lock:
            return tuple(tab.chat for tab in self._tabs.values())

    def handle(self, content: object, buffers: Sequence[Any] | None = ()) -> None:
        """Take one message from the front end. Returns as :meth:`Controller.handle`."""
        fields: dict[Any, Any] = content if isinstance(content, dict) else {}
        if fields.get("type") in ("chats_request", "open_chat", "close_chat"):  # which may be a list, too
            self._take(fields)
            return
        name = fields.get("chat", FIRST)
        with self._lock:
            tab = self._tabs.get(name) if isinstance(name, str) else None
        if tab is None:
            self._tell()  # the front end shows a chat that is closed
        else:
            tab.controller.handle(content, buffers)

    def close(self) -> None:
        """Stop everything; the chats stay open. Idempotent."""
        with self._lock:
            self._closed = True
            tabs = list(self._tabs.values())
        for tab in tabs:
            tab.end()

    def _take(self, fields: dict[Any, Any]) -> None:
        try:
            request = parse_request(fields)
        except BadRequestError as error:
            self._tell(error.request, error=str(error))
            return
        match request:
            case OpenChat():
                with self._lock:
                    self._opens += 1
                self._worker.put(lambda: self._open(request))
            case CloseChat():
                self._close_chat(request)
            case ChatsRequest():
                self._tell_in_turn(request)
            case _:
                pass

    def _add(self, chat: PanelChat, tools: Sequence[Any] = ()) -> str:
        name = str(next(self._numbers))
        pump = Pump(self._send if name == FIRST else lambda message: self._send({**message, "chat": name}))
        tab = _Tab(chat, pump, Controller(chat, pump, worker_of(chat), self._prompts, tools))
        with self._lock:
            self._tabs[name] = tab
        return name

    def _open(self, request: OpenChat) -> None:
        try:
            with self._lock:
                like = self._tabs.get(request.like or FIRST) or next(iter(self._tabs.values()))
            manager: PanelManager = like.chat.manager
            options, tools = like.controller.of_another_chat()
            chat = manager.open_chat(**options)
            name = self._add(chat, tools)
        except Exception as error:
            self._tell(request.id, error=problem_of(error)["message"])
        else:
            self._tell(request.id, show=name)
        with self._lock:
            self._opens -= 1
        if self._closed:
            self.close()

    def _tell_in_turn(self, request: ChatsRequest) -> None:
        """Tell the chats once those that were asked for before are there, so that it shows what was lost."""
        with self._lock:
            opening = self._opens > 0
        if opening:
            self._worker.put(lambda: self._tell(request.id))
        else:
            self._tell(request.id)

    def _close_chat(self, request: CloseChat) -> None:
        with self._lock:
            last = len(self._tabs) == 1
            tab = None if last else self._tabs.pop(request.chat, None)
        if last:
            self._tell(request.id, error="This is the panel's only chat: reset it instead.")
            return
        self._tell(request.id)
        if tab is not None:
            self._worker.put(lambda: _end(tab))

    def _tell(self, request: str | None = None, *, show: str | None = None, error: str | None = None) -> None:
        with self._telling:
            with self._lock:
                names = list(self._tabs)
            message: ChatsMessage = {
                "type": "chats",
                "chats": [{"id": name, "name": f"Chat {name}"} for name in names],
            }
            if request is not None:
                message["request"] = request
            if show is not None:
                message["show"] = show
            if error is not None:
                message["error"] = error
            try:
                self._send({**message})
            except Exception:
                _log.warning("The panel's chats could not be told.", exc_info=True)


def _end(tab: _Tab) -> None:
    tab.end()
    try:
        tab.chat.close()
    except GemmaNotebookError:
        _log.warning("A chat could not be closed.", exc_info=True)
