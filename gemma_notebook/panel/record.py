"""What a panel shows: the one place that a snapshot is taken from, and that deltas are counted in.

The messages are a tree: a prompt that is edited and a reply that is generated again stand beside what they
replace. What is shown is one path through it, and the model's context is made to be that path.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gemma_notebook.attachments.kinds import sniff
from gemma_notebook.errors import OptionValueError
from gemma_notebook.messages import Asked, Message, Reply, ToolResult
from gemma_notebook.panel.approval import STATES, arguments_json, result_text
from gemma_notebook.panel.protocol import (
    BranchMessage,
    Call,
    ChatMessage,
    DeltaMessage,
    File,
    Problem,
    Speaker,
    ToolMessage,
    TurnMessage,
    TurnState,
    timing_json,
    usage_json,
    utf16_length,
    well_formed,
)
from gemma_notebook.panel.requests import Attachment

__all__ = ["Record"]


@dataclass(eq=False)
class _Node:
    """A message and what was said after it. The root has no message of its own."""

    entry: ChatMessage
    parent: _Node | None = None
    attachments: tuple[Attachment, ...] = ()
    parts: tuple[dict[str, Any], ...] = ()  # what was attached to a prompt, as the model got it
    asked: Asked | None = None  # of the reply to a prompt
    said: tuple[Message, ...] = ()  # of a reply with calls: what was said before them, and what came of them
    is_remembered: bool = False  # a reply that failed, of which the chat has something all the same
    children: list[_Node] = field(default_factory=list)
    chosen: _Node | None = None

    def follow(self) -> Iterator[_Node]:
        """The path from here to its end, without this."""
        node = self.chosen
        while node is not None:
            yield node
            node = node.chosen

    def drop(self, child: _Node) -> None:
        self.children.remove(child)
        if self.chosen is child:
            self.chosen = None


@dataclass
class _Sound:
    """A reply's text, or its thinking, in the pieces in which it came."""

    pieces: list[str] = field(default_factory=list)
    length: int = 0

    def add(self, text: str) -> tuple[int, str]:
        """The offset of ``text``, and the text as it may go over the wire."""
        offset, piece = self.length, well_formed(text)
        self.pieces.append(piece)
        self.length += utf16_length(piece)
        return offset, piece

    @property
    def whole(self) -> str:
        return "".join(self.pieces)


@dataclass
class _Streaming:
    """A reply on its way."""

    node: _Node
    text: _Sound = field(default_factory=_Sound)
    thinking: _Sound = field(default_factory=_Sound)

    def write_down(self) -> None:
        entry = self.node.entry
        entry["text"] = self.text.whole
        if self.thinking.pieces:
            entry["thinking"] = self.thinking.whole


class Record:
    """The messages of the present epoch. Each change returns the wire message that tells of it.

    Not thread-safe: the controller's lock guards it.
    """

    def __init__(self, said: Iterable[Message] = ()) -> None:
        self.epoch = 1
        self._turns = 0
        self._streaming: _Streaming | None = None
        self._unanswered: dict[str, _Node] = {}  # prompts by the request whose answer stands below them
        self.clear()
        self.load(said)

    @property
    def messages(self) -> list[ChatMessage]:
        """Copies of the messages that are shown, with the reply on its way as far as it has come."""
        if self._streaming is not None:
            self._streaming.write_down()
        return [_shown(node) for node in self._root.follow()]

    @property
    def said(self) -> dict[int, tuple[Message, ...]]:
        """The messages that each reply with calls, of those shown, is made of, by its number."""
        return {node.entry["turn"]: node.said for node in self._root.follow() if _called(node)}

    @property
    def parts(self) -> dict[int, tuple[dict[str, Any], ...]]:
        """What was attached to each prompt, of those shown, as the model got it, by its number."""
        return {node.entry["turn"]: node.parts for node in self._root.follow() if node.parts}

    def clear(self) -> None:
        """Forget the messages; the epoch ends later, with the new chat."""
        self._root = _Node({"turn": 0, "role": "user", "text": "", "state": "done"})
        self._nodes: dict[int, _Node] = {}
        self._last = self._root
        self._streaming = None
        self._unanswered.clear()

    def begin_epoch(self) -> None:
        """A new chat, or the failure to make one."""
        self.clear()
        self.epoch += 1

    def load(self, said: Iterable[Message]) -> None:
        """Take over what was said elsewhere."""
        for message in said:
            if message.role == "tool":
                self._load_results(message)
            elif message.role == "assistant" and self._last.entry["role"] == "assistant":
                self._load_more(message)
            else:
                self._load_message(message.role, message)

    def _load_message(self, role: Speaker, message: Message) -> None:
        state: TurnState = "cancelled" if message.finish_reason == "cancelled" else "done"
        node = self._add(role, well_formed(message.text), state)
        node.said, node.parts, entry = (message,), message.parts, node.entry
        node.asked = message.asked
        if message.parts:
            node.attachments = tuple(_attachment(part) for part in message.parts)
            entry["files"] = [_file(one) for one in node.attachments]
        if message.finish_reason is not None:
            entry["finish_reason"] = message.finish_reason
        if message.thinking:
            entry["thinking"] = well_formed(message.thinking)

    def _load_results(self, message: Message) -> None:
        node = self._last
        node.said += (message,)
        calls = node.entry.get("tool_calls", [])
        shown = [
            _shown_call(result, str(len(calls) + place))
            for place, result in enumerate(message.tool_results, start=1)
        ]
        node.entry["tool_calls"] = [*calls, *shown]

    def _load_more(self, message: Message) -> None:
        """What the model said after a call belongs to the same reply."""
        self._last.said += (message,)
        entry = self._last.entry
        pieces = (entry["text"], well_formed(message.text))
        entry["text"] = "\n\n".join(piece for piece in pieces if piece)
        if message.thinking:
            thoughts = (entry.get("thinking"), well_formed(message.thinking))
            entry["thinking"] = "\n\n".join(piece for piece in thoughts if piece)
        entry["state"] = "cancelled" if message.finish_reason == "cancelled" else "done"
        if message.finish_reason is not None:
            entry["finish_reason"] = message.finish_reason

    # A prompt and its reply

    def add_prompt(self, text: str, request: str, attachments: Sequence[Attachment] = ()) -> TurnMessage:
        """The user said ``text``. What was attached is kept for when the prompt is answered again."""
        return self._told(self._add_prompt(text, request, attachments))

    def _add_prompt(self, text: str, request: str, attachments: Sequence[Attachment]) -> _Node:
        node = self._unanswered[request] = self._add("user", text, "done")
        node.entry["request"] = request
        node.attachments = tuple(attachments)
        if attachments:
            node.entry["files"] = [_file(one) for one in attachments]
        return node

    def attachments_of(self, turn: int) -> tuple[Attachment, ...]:
        """What was attached to the prompt ``turn``."""
        return self._nodes[turn].attachments

    def asked_with(self, turn: int) -> Asked | None:
        """What was asked of the reply to the prompt ``turn``, which came from a cell: a panel asks for nothing more."""
        return self._nodes[turn].asked

    def remove_prompt(self, request: str) -> BranchMessage | None:
        """The model will not read what the user said. A prompt that waits behind it, from another window, stays: then that moves
        up, which is to be told.
        """
        node = self._unanswered.pop(request, None)
        if node is None:
            return None
        parent, behind = self._parent(node), node.chosen
        if behind is not None:
            self._move(behind, parent)
        self._remove(node)
        if behind is None:
            return None
        parent.chosen = behind
        return self._branch(parent)

    def begin_reply(self, request: str) -> TurnMessage | BranchMessage:
        """The model begins to answer. The reply stands below its prompt, before one that waits from another window."""
        prompt = self._unanswered.pop(request, self._last)
        behind, last = prompt.chosen, self._last
        self._last = prompt
        node = self._add("assistant", "", "streaming")
        node.entry["request"] = request
        self._streaming = _Streaming(node)
        if behind is None:
            return self._told(node)
        self._move(behind, node)
        node.chosen, self._last = behind, last
        return {**self._branch(prompt), "request": request}

    def append(self, text: str) -> DeltaMessage | None:
        """More of the reply; None if there is none on its way."""
        return None if self._streaming is None else self._delta(self._streaming.text, text)

    def think(self, text: str) -> DeltaMessage | None:
        """More of what the model thinks before it answers."""
        told = None if self._streaming is None else self._delta(self._streaming.thinking, text)
        return None if told is None else {**told, "part": "thinking"}

    def call(self, call: Call) -> ToolMessage | None:
        """A call of a tool is new, or has come to something."""
        if self._streaming is None:
            return None
        entry = self._streaming.node.entry
        known = {one["id"]: one for one in entry.get("tool_calls", [])}
        entry["tool_calls"] = [*(known | {call["id"]: call}).values()]
        return {"type": "tool", "epoch": self.epoch, "turn": entry["turn"], "call": call}

    def end_reply(
        self,
        reply: Reply | Problem | None,
        said: Sequence[Message] = (),
        parts: Sequence[dict[str, Any]] = (),
    ) -> TurnMessage | None:
        """The reply is complete, or failed, or was stopped before it began (None).

        Args:
            reply: Which of these.
            said: The messages that a reply with calls is made of, or what the chat remembers of one that failed.
            parts: What was attached to the prompt, as the model got it.

        Returns:
            None if no reply was on its way.
        """
        streaming = self._streaming
        if streaming is None:
            return None
        streaming.write_down()
        self._streaming = None
        if parts:
            self._parent(streaming.node).parts = tuple(parts)
        entry, streamed = streaming.node.entry, streaming.text.whole
        if reply is None:
            entry["state"], entry["finish_reason"] = "cancelled", "cancelled"
        elif isinstance(reply, Reply):
            _write_reply(entry, reply)
            streaming.node.said = tuple(said)
        else:
            entry["state"], entry["error"] = "error", reply
            streaming.node.said, streaming.node.is_remembered = tuple(said), bool(said)
        told = self._told(streaming.node)
        if told["text"] == streamed:
            del told["text"]
        return told

    # Going back, and elsewhere

    def prompt_of(self, turn: int) -> ChatMessage | None:
        """The prompt that the reply ``turn``, of those shown, answers."""
        node = self._shown_node(turn)
        if node is None or node.entry["role"] != "assistant" or node.parent is None:
            return None
        return node.parent.entry

    def is_prompt(self, turn: int) -> bool:
        """Whether ``turn`` is a prompt that is shown."""
        node = self._shown_node(turn)
        return node is not None and node.entry["role"] == "user"

    def last_prompt(self) -> ChatMessage | None:
        """The latest prompt that is shown."""
        return next((n.entry for n in self._upwards(self._last) if n.entry["role"] == "user"), None)

    def before(self, turn: int) -> tuple[Message, ...]:
        """What the model has to know to go on before the message ``turn``."""
        path: list[_Node] = []
        for node in self._root.follow():
            if node.entry["turn"] == turn:
                break
            path.append(node)
        return _exchanges(path)

    @property
    def exchanges(self) -> tuple[Message, ...]:
        """What the model has to know to go on from what is shown."""
        return _exchanges(list(self._root.follow()))

    def take_back_reply(self, turn: int, request: str) -> BranchMessage:
        """Take the reply ``turn`` off the screen, so that that to ``request`` can stand in its place.

        It is kept as an alternative; one that failed is not.
        """
        node = self._nodes[turn]
        prompt = self._unanswered[request] = self._parent(node)
        if node.entry["state"] == "error":
            self._remove(node)
        return self._cut(prompt)

    def edit(self, turn: int, text: str, request: str) -> BranchMessage:
        """Put a new prompt beside the prompt ``turn``, with what was attached to that."""
        old = self._nodes[turn]
        before = self._parent(old)
        self._cut(before)
        self._add_prompt(text, request, old.attachments).asked = old.asked
        return self._branch(before)

    def undo(self, turn: int) -> BranchMessage:
        """Forget the prompt ``turn`` and what came of it. Of one that was edited the version before is shown again."""
        node = self._nodes[turn]
        before = self._parent(node)
        place = before.children.index(node)
        self._remove(node)
        if not before.children:
            return self._cut(before)
        return self._choose(before, max(0, place - 1))

    def switch(self, turn: int, index: int) -> BranchMessage | None:
        """Show the alternative ``index``, from 1, of the message ``turn``; None if there is no such."""
        node = self._shown_node(turn)
        siblings = [] if node is None else self._parent(node).children
        if node is None or not 1 <= index <= len(siblings):
            return None
        return self._choose(self._parent(node), index - 1)

    # Inside

    def _add(self, role: Speaker, text: str, state: TurnState) -> _Node:
        self._turns += 1
        node = _Node({"turn": self._turns, "role": role, "text": text, "state": state}, self._last)
        self._last.children.append(node)
        self._last.chosen = node
        self._last = self._nodes[self._turns] = node
        return node

    def _move(self, node: _Node, parent: _Node) -> None:
        """Hang ``node``, and all after it, below another message."""
        self._parent(node).drop(node)
        node.parent = parent
        parent.children.append(node)

    def _remove(self, node: _Node) -> None:
        """Take ``node`` and all after it out of the tree."""
        parent = self._parent(node)
        if any(known is node for known in self._upwards(self._last)):
            self._last = parent
        parent.drop(node)
        gone = [node]
        while gone:
            last = gone.pop()
            self._nodes.pop(last.entry["turn"], None)
            gone.extend(last.children)

    def _cut(self, last: _Node) -> BranchMessage:
        """End what is shown with ``last``."""
        last.chosen = None
        self._last = last
        return self._branch(last)

    def _choose(self, before: _Node, place: int) -> BranchMessage:
        """Show the alternative at ``place``, from 0, after the message ``before``, to its end."""
        before.chosen = before.children[place]
        self._last = next(iter(reversed(list(before.follow()))), before)
        return self._branch(before)

    def _branch(self, after: _Node) -> BranchMessage:
        return {
            "type": "branch",
            "epoch": self.epoch,
            "after": None if after is self._root else after.entry["turn"],
            "messages": [_shown(node) for node in after.follow()],
        }

    def _parent(self, node: _Node) -> _Node:
        return node.parent or self._root

    def _upwards(self, node: _Node) -> Iterator[_Node]:
        while node is not self._root:
            yield node
            node = self._parent(node)

    def _shown_node(self, turn: int) -> _Node | None:
        return next((node for node in self._upwards(self._last) if node.entry["turn"] == turn), None)

    def _delta(self, sound: _Sound, text: str) -> DeltaMessage | None:
        if self._streaming is None or not text:
            return None
        offset, piece = sound.add(text)
        turn = self._streaming.node.entry["turn"]
        return {"type": "delta", "epoch": self.epoch, "turn": turn, "offset": offset, "text": piece}

    def _told(self, node: _Node) -> TurnMessage:
        told: Any = {"type": "turn", "epoch": self.epoch, **_shown(node)}
        turn: TurnMessage = told
        return turn


def _shown(node: _Node) -> ChatMessage:
    """A copy of the node's message, which says where alternatives to it are."""
    entry = node.entry.copy()
    siblings = [node] if node.parent is None else node.parent.children
    if len(siblings) > 1:
        entry["branch"] = {"index": siblings.index(node) + 1, "count": len(siblings)}
    return entry


def _write_reply(entry: ChatMessage, reply: Reply) -> None:
    entry["text"] = well_formed(reply.text)
    entry["state"] = "cancelled" if reply.finish_reason == "cancelled" else "done"
    entry["finish_reason"] = reply.finish_reason
    entry["timing"] = timing_json(reply.timing)
    entry["usage"] = usage_json(reply.usage)
    if reply.thinking:
        entry["thinking"] = well_formed(reply.thinking)
    if reply.trimmed_turns:
        entry["trimmed_turns"] = reply.trimmed_turns


def _exchanges(path: Sequence[_Node]) -> tuple[Message, ...]:
    """The prompts that were answered, with their answers: chat templates want the roles to alternate."""
    messages: list[Message] = []
    for prompt, reply in itertools.pairwise(path):
        roles = prompt.entry["role"], reply.entry["role"]
        is_whole = reply.entry["state"] in ("done", "cancelled")
        answered = reply.entry["text"] or is_whole or reply.is_remembered
        if roles == ("user", "assistant") and answered:
            reason = reply.entry.get("finish_reason", "cancelled")
            messages.append(Message("user", prompt.entry["text"], parts=prompt.parts, asked=prompt.asked))
            thoughts = reply.entry.get("thinking", "")
            spoken = Message("assistant", reply.entry["text"], reason, thinking=thoughts)
            messages += reply.said if _called(reply) else [spoken]
    return tuple(messages)


def _called(reply: _Node) -> bool:
    return any(message.role == "tool" for message in reply.said)


def _attachment(part: Mapping[str, Any]) -> Attachment:
    """What was attached elsewhere, as if it had been here."""
    data = base64.b64decode(part["blob"])
    name = "image" if part["type"] == "image" else "sound"
    try:
        _, media_type = sniff(data, name)
    except OptionValueError:
        media_type = "application/octet-stream"
    return Attachment(name, media_type, data)


def _file(attachment: Attachment) -> File:
    return {"name": attachment.name, "type": attachment.media_type, "size": len(attachment.data)}


def _shown_call(result: ToolResult, number: str) -> Call:
    return {
        "id": f"saved-{number}",
        "name": well_formed(result.call.name),
        "arguments": arguments_json(result.call.arguments),
        "state": STATES[result.outcome],
        "result": well_formed(result_text(result)),
    }
