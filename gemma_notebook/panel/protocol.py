"""The wire between the kernel and the panel's front end.

JSON custom messages. ``tests/wire_messages.json`` holds this file and ``js/src/protocol`` together. Offsets and
lengths of text count UTF-16 code units, as JavaScript's ``String.length`` does.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, NotRequired, TypedDict

from gemma_notebook.messages import Context, FinishReason, HandleCounts, Role, Timing, Usage

__all__ = [
    "BadRequestError",
    "ChatMessage",
    "DeltaMessage",
    "ErrorMessage",
    "KernelMessage",
    "Model",
    "PanelError",
    "Problem",
    "Request",
    "ResetRequest",
    "Retry",
    "SendRequest",
    "SnapshotMessage",
    "SnapshotRequest",
    "StateMessage",
    "Status",
    "StopRequest",
    "TurnMessage",
    "TurnState",
    "context_json",
    "handles_json",
    "parse_request",
    "timing_json",
    "usage_json",
    "utf16_length",
    "well_formed",
]

Status = Literal["idle", "queued", "generating", "stopping", "resetting", "failed", "closed"]
TurnState = Literal["streaming", "done", "cancelled", "error"]
Retry = Literal["send", "reset"]


# From the kernel to the front end. The pump adds `seq` when it sends.


class Model(TypedDict):
    """The model behind the chat."""

    name: str
    context_limit: int


class Problem(TypedDict):
    """What went wrong with one turn, in words for the user, and what to try."""

    kind: str
    message: str
    retry: Retry | None


class PanelError(TypedDict):
    """What is wrong with the panel as a whole."""

    message: str
    remedy: Literal["reset"] | None


class ChatMessage(TypedDict):
    """One message of the chat, as a snapshot tells it."""

    turn: int
    role: Role
    text: str
    state: TurnState
    request: NotRequired[str]
    finish_reason: NotRequired[FinishReason]
    error: NotRequired[Problem]
    timing: NotRequired[dict[str, Any]]
    usage: NotRequired[dict[str, Any]]
    trimmed_turns: NotRequired[int]


class SnapshotMessage(TypedDict):
    """The whole of the panel, for a view that is new or missed something."""

    type: Literal["snapshot"]
    epoch: int
    status: Status
    model: Model
    messages: list[ChatMessage]
    context: dict[str, Any]
    handles: dict[str, Any]
    handle: int | None
    request: NotRequired[str]
    error: NotRequired[PanelError]


class StateMessage(TypedDict):
    """What the panel is doing, and the numbers it shows; ``request`` is what this acknowledges."""

    type: Literal["state"]
    epoch: int
    status: Status
    context: dict[str, Any]
    handles: dict[str, Any]
    handle: int | None
    request: NotRequired[str]


class TurnMessage(TypedDict):
    """A message of the chat begins, or ends; ``request`` is the send that it belongs to."""

    type: Literal["turn"]
    epoch: int
    turn: int
    role: Role
    state: TurnState
    text: NotRequired[str]
    request: NotRequired[str]
    finish_reason: NotRequired[FinishReason]
    error: NotRequired[Problem]
    timing: NotRequired[dict[str, Any]]
    usage: NotRequired[dict[str, Any]]
    trimmed_turns: NotRequired[int]


class DeltaMessage(TypedDict):
    """Text that follows the first ``offset`` UTF-16 code units of a streaming reply."""

    type: Literal["delta"]
    epoch: int
    turn: int
    offset: int
    text: str


class ErrorMessage(TypedDict):
    """A request failed; ``text`` gives a prompt back that the model has not read."""

    type: Literal["error"]
    epoch: int
    kind: str
    message: str
    retry: Retry | None
    request: NotRequired[str]
    turn: NotRequired[int]
    text: NotRequired[str]


KernelMessage = SnapshotMessage | StateMessage | TurnMessage | DeltaMessage | ErrorMessage


# From the front end to the kernel.


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Say ``text`` to the model."""

    id: str
    epoch: int
    text: str


@dataclass(frozen=True, slots=True)
class StopRequest:
    """Stop the reply."""

    id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class ResetRequest:
    """End the chat, free its memory, and begin another."""

    id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """Tell the whole."""

    id: str


Request = SendRequest | StopRequest | ResetRequest | SnapshotRequest


class BadRequestError(ValueError):
    """A message from the front end that this version cannot read; ``request`` is its id, where it has one."""

    def __init__(self, message: str, request: str | None) -> None:
        super().__init__(message)
        self.request = request


def parse_request(content: object) -> Request:
    """Read a message from the front end.

    Raises:
        BadRequestError: It is of an unknown type, or a field is missing or of the wrong type.
    """
    fields: dict[Any, Any] = content if isinstance(content, dict) else {}
    request = fields.get("id")
    if not isinstance(request, str):
        raise BadRequestError("A message without an id reached the kernel.", None)
    match fields:
        case {"type": "send", "epoch": int(epoch), "text": str(text)} if text.strip():
            return SendRequest(request, epoch, well_formed(text))
        case {"type": "stop", "epoch": int(epoch)}:
            return StopRequest(request, epoch)
        case {"type": "reset", "epoch": int(epoch)}:
            return ResetRequest(request, epoch)
        case {"type": "snapshot_request"}:
            return SnapshotRequest(request)
    kind = fields.get("type")
    raise BadRequestError(f"The kernel does not understand the panel's message of type {kind!r}.", request)


def well_formed(text: str) -> str:
    """Replace halves of surrogate pairs: JavaScript's strings may hold them, and UTF-8 on the wire may not."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def utf16_length(text: str) -> int:
    """Count the UTF-16 code units of well-formed ``text``."""
    return len(text.encode("utf-16-le")) // 2


def context_json(context: Context) -> dict[str, Any]:
    """``context`` as it goes over the wire."""
    return {"tokens": context.tokens, "limit": context.limit}


def handles_json(handles: HandleCounts) -> dict[str, Any]:
    """``handles`` as they go over the wire."""
    return asdict(handles)


def timing_json(timing: Timing) -> dict[str, Any]:
    """``timing`` as it goes over the wire."""
    return asdict(timing)


def usage_json(usage: Usage) -> dict[str, Any]:
    """``usage`` as it goes over the wire."""
    return asdict(usage)
