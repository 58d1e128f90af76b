"""What a panel shows: the one place that a snapshot is taken from, and that deltas are counted in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gemma_notebook.messages import Message, Reply, Role
from gemma_notebook.panel.protocol import (
    ChatMessage,
    DeltaMessage,
    Problem,
    TurnMessage,
    TurnState,
    timing_json,
    usage_json,
    utf16_length,
    well_formed,
)

__all__ = ["Record"]


@dataclass
class _Streaming:
    """A reply on its way, in the pieces in which it came."""

    message: ChatMessage
    pieces: list[str] = field(default_factory=list)
    length: int = 0


class Record:
    """The messages of the present epoch. Each change returns the wire message that tells of it.

    Not thread-safe: the controller's lock guards it.
    """

    def __init__(self, said: Iterable[Message] = ()) -> None:
        self.epoch = 1
        self._turns = 0
        self._messages: list[ChatMessage] = []
        self._streaming: _Streaming | None = None
        for message in said:
            state: TurnState = "cancelled" if message.finish_reason == "cancelled" else "done"
            entry = self._add(message.role, message.text, state)
            if message.finish_reason is not None:
                entry["finish_reason"] = message.finish_reason

    @property
    def messages(self) -> list[ChatMessage]:
        """Copies of the messages, with the reply on its way as far as it has come."""
        if self._streaming is not None:
            self._streaming.message["text"] = "".join(self._streaming.pieces)
        return [message.copy() for message in self._messages]

    def clear(self) -> None:
        """Forget the messages; the epoch ends later, with the new chat."""
        self._messages = []
        self._streaming = None

    def begin_epoch(self) -> None:
        """A new chat, or the failure to make one."""
        self.clear()
        self.epoch += 1

    def add_prompt(self, text: str, request: str) -> TurnMessage:
        """The user said ``text``."""
        entry = self._add("user", text, "done")
        entry["request"] = request
        return self._told(entry)

    def remove_prompt(self, request: str) -> None:
        """The model will not read what the user said."""
        self._messages = [m for m in self._messages if m.get("request") != request]

    def begin_reply(self, request: str) -> TurnMessage:
        """The model begins to answer."""
        entry = self._add("assistant", "", "streaming")
        entry["request"] = request
        self._streaming = _Streaming(entry)
        return self._told(entry)

    def append(self, text: str) -> DeltaMessage | None:
        """More of the reply; None if there is none on its way."""
        streaming = self._streaming
        if streaming is None or not text:
            return None
        piece = well_formed(text)
        offset = streaming.length
        streaming.pieces.append(piece)
        streaming.length += utf16_length(piece)
        turn = streaming.message["turn"]
        return {"type": "delta", "epoch": self.epoch, "turn": turn, "offset": offset, "text": piece}

    def end_reply(self, reply: Reply | Problem | None) -> TurnMessage | None:
        """The reply is complete, or failed, or was stopped before it began (None).

        Returns:
            None if no reply was on its way.
        """
        if self._streaming is None:
            return None
        entry, streamed = self._streaming.message, "".join(self._streaming.pieces)
        self._streaming = None
        entry["text"] = streamed
        if reply is None:
            entry["state"], entry["finish_reason"] = "cancelled", "cancelled"
        elif isinstance(reply, Reply):
            entry["text"] = well_formed(reply.text)
            entry["state"] = "cancelled" if reply.finish_reason == "cancelled" else "done"
            entry["finish_reason"] = reply.finish_reason
            entry["timing"] = timing_json(reply.timing)
            entry["usage"] = usage_json(reply.usage)
            if reply.trimmed_turns:
                entry["trimmed_turns"] = reply.trimmed_turns
        else:
            entry["state"], entry["error"] = "error", reply
        told = self._told(entry)
        if told["text"] == streamed:
            del told["text"]
        return told

    def _add(self, role: Role, text: str, state: TurnState) -> ChatMessage:
        self._turns += 1
        entry: ChatMessage = {"turn": self._turns, "role": role, "text": text, "state": state}
        self._messages.append(entry)
        return entry

    def _told(self, entry: ChatMessage) -> TurnMessage:
        return {"type": "turn", "epoch": self.epoch, **entry}
