"""What a panel says of its chat: the messages that tell of state, settings, handles and files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from gemma_notebook.messages import Message
from gemma_notebook.panel import export
from gemma_notebook.panel.context import without_last_turn
from gemma_notebook.panel.hood import lives
from gemma_notebook.panel.interfaces import PanelChat
from gemma_notebook.panel.protocol import (
    ErrorMessage,
    PanelError,
    Retry,
    Settings,
    SettingsMessage,
    SnapshotMessage,
    StateMessage,
    Status,
    context_json,
    handles_json,
    model_json,
)
from gemma_notebook.panel.pump import Pump
from gemma_notebook.panel.record import Record
from gemma_notebook.panel.requests import ExportRequest
from gemma_notebook.panel.settings import NextOptions

__all__ = ["Teller"]


class Teller:
    """Writes the messages that are not turns.

    Not thread-safe: the controller's lock guards it.

    Attributes:
        began_in_a_reply: Whether the chat was replying to somebody else: what is said there is shown when it is complete.
        failure: Why the last reset failed; None when it did not.
    """

    def __init__(
        self, chat: PanelChat, pump: Pump, prompts: Sequence[str], tools: Sequence[Any] = ()
    ) -> None:
        self._chat = chat
        self._pump = pump
        self._prompts = list(prompts)
        self.began_in_a_reply = chat._is_replying
        said = chat._all_messages
        self.record = Record(without_last_turn(said) if self.began_in_a_reply else said)
        self.next = NextOptions(chat.options, tools)
        self.failure: str | None = None

    def tell_state(self, status: Status, request: str | None) -> None:
        """What the panel is doing, and the numbers; acknowledges ``request``."""
        message: StateMessage = {
            "type": "state",
            "epoch": self.record.epoch,
            "status": status,
            "context": context_json(self._chat.context, self._chat._forgotten_turns),
            "handles": handles_json(self._chat.manager.handles),
            "handle": self._chat.handle_id,
        }
        if request is not None:
            message["request"] = request
        self._pump.post(message)

    def tell_snapshot(self, status: Status, request: str | None) -> None:
        """The whole."""
        context = self._chat.context
        message: SnapshotMessage = {
            "type": "snapshot",
            "epoch": self.record.epoch,
            "status": status,
            "model": model_json(self._chat.manager.model, context.limit),
            "settings": self._settings(),
            "prompts": self._prompts,
            "messages": self.record.messages,
            "context": context_json(context, self._chat._forgotten_turns),
            "handles": handles_json(self._chat.manager.handles),
            "handle": self._chat.handle_id,
        }
        if request is not None:
            message["request"] = request
        if self.failure is not None:
            message["error"] = PanelError(message=self.failure, remedy="reset")
        self._pump.post(message)

    def tell_settings(self, request: str | None) -> None:
        """The options of this chat and of the next."""
        message: SettingsMessage = {
            "type": "settings",
            "epoch": self.record.epoch,
            "settings": self._settings(),
        }
        if request is not None:
            message["request"] = request
        self._pump.post(message)

    def tell_hood(self, request: str) -> None:
        """The lives of the handles."""
        manager = self._chat.manager
        events = manager.events
        earlier, latest = lives(events, self._chat.handle_id)
        self._pump.post(
            {
                "type": "hood",
                "epoch": self.record.epoch,
                "request": request,
                "now_s": events[-1].at_s if events else 0.0,
                "earlier": earlier,
                "handles": handles_json(manager.handles),
                "lives": list(latest),
            }
        )

    def export_of(self, request: ExportRequest) -> Callable[[], export.File]:
        """Writes the chat as it stands now, or the one that the front end has kept, as the text of a file. Takes its time, and
        needs no lock.
        """
        model = self._chat.manager.model.name
        if request.messages is not None:
            return partial(export.write, request.format, request.messages, model, request.options)
        record, options = self.record, self.next.shown(self._chat.options)
        return partial(
            export.write, request.format, record.messages, model, options, record.said, record.parts
        )

    def tell_exported(self, request: str, file: export.File) -> None:
        """The text of a file to save."""
        self._pump.post(
            {
                "type": "exported",
                "epoch": self.record.epoch,
                "request": request,
                "name": file.name,
                "media_type": file.media_type,
                "text": file.text,
            }
        )

    def read_export(self, text: str) -> tuple[tuple[Message, ...], dict[str, Any]]:
        """What an exported JSON says, and the options that its chat had."""
        return export.read(text, self._chat.manager.model)

    def refuse(
        self, request: str | None, kind: str, why: str, *, retry: Retry | None = None, text: str | None = None
    ) -> None:
        """A request failed; ``text`` gives a prompt back."""
        message: ErrorMessage = {
            "type": "error",
            "epoch": self.record.epoch,
            "kind": kind,
            "message": why,
            "retry": retry,
        }
        if request is not None:
            message["request"] = request
        if text is not None:
            message["text"] = text
        self._pump.post(message)

    def options_of_next(self) -> dict[str, Any]:
        """What the next chat begins with, for ``SessionManager.open_chat``."""
        options = self._chat._changed_options(self.next.changes)
        tool_options = self._tool_options if options.tools else {}
        return {**options.as_keywords(), "context_policy": self._context_policy, **tool_options}

    def _settings(self) -> Settings:
        return self.next.json(self._chat.options, self._context_policy)

    @property
    def _tool_options(self) -> dict[str, Any]:
        policy = getattr(self._chat, "_tool_policy", None)
        return {} if policy is None else policy.as_keywords()

    @property
    def _context_policy(self) -> str:
        return getattr(getattr(self._chat, "session", None), "context_policy", "trim")
