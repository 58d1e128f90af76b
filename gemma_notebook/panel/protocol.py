"""What the kernel tells the panel's front end. What comes back is in ``requests.py``.

JSON custom messages. ``tests/wire_messages.json`` holds this file and ``js/src/protocol`` together. Offsets and
lengths of text count UTF-16 code units, as JavaScript's ``String.length`` does. A message belongs to one chat of
the panel: to the one that ``chat`` names, and without it to the first.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal, NotRequired, TypedDict

from gemma_notebook.messages import Context, FinishReason, HandleCounts, ModelInfo, Timing, Usage

__all__ = [
    "Branch",
    "BranchMessage",
    "Call",
    "CallState",
    "ChatMessage",
    "ChatsMessage",
    "DeltaMessage",
    "ErrorMessage",
    "ExportedMessage",
    "File",
    "HandleLife",
    "HoodMessage",
    "KernelMessage",
    "Model",
    "OptionValues",
    "PanelError",
    "Problem",
    "Retry",
    "Settings",
    "SettingsMessage",
    "SnapshotMessage",
    "Speaker",
    "StateMessage",
    "Status",
    "Tab",
    "ToolMessage",
    "TurnMessage",
    "TurnState",
    "context_json",
    "handles_json",
    "model_json",
    "timing_json",
    "usage_json",
    "utf16_length",
    "well_formed",
]

Status = Literal["idle", "queued", "restoring", "generating", "stopping", "resetting", "failed", "closed"]
TurnState = Literal["streaming", "done", "cancelled", "error"]
Speaker = Literal["user", "assistant"]
CallState = Literal["asking", "running", "done", "denied", "stopped", "error"]
Retry = Literal["send", "reset"]


# From the kernel to the front end. The pump adds `seq` when it sends.


class Model(TypedDict):
    """The model behind the chat, and what it can do."""

    name: str
    context_limit: int
    supports_thinking: bool
    supports_tools: bool
    modalities: list[str]


class Problem(TypedDict):
    """What went wrong with one turn, in words for the user, and what to try."""

    kind: str
    message: str
    retry: Retry | None


class PanelError(TypedDict):
    """What is wrong with the panel as a whole."""

    message: str
    remedy: Literal["reset"] | None


class Branch(TypedDict):
    """Which of the alternatives at this place a message is; ``index`` counts from 1."""

    index: int
    count: int


class File(TypedDict):
    """A file that was sent with a prompt. Its content stays where it was chosen, and with the model."""

    name: str
    type: str
    size: int


class Call(TypedDict):
    """A call of a tool: what the model asked for, and what came of it."""

    id: str
    name: str
    arguments: Any
    state: CallState
    result: NotRequired[str]


class ChatMessage(TypedDict):
    """One message of the chat, as a snapshot tells it."""

    turn: int
    role: Speaker
    text: str
    state: TurnState
    thinking: NotRequired[str]
    tool_calls: NotRequired[list[Call]]
    files: NotRequired[list[File]]
    branch: NotRequired[Branch]
    request: NotRequired[str]
    finish_reason: NotRequired[FinishReason]
    error: NotRequired[Problem]
    timing: NotRequired[dict[str, Any]]
    usage: NotRequired[dict[str, Any]]
    trimmed_turns: NotRequired[int]


class OptionValues(TypedDict):
    """A session's options, as far as the panel shows them; ``tools`` says whether the chat's tools are on."""

    system_instruction: str | None
    temperature: float
    top_k: int
    top_p: float | None
    random_seed: int
    max_output_tokens: int | None
    enable_thinking: bool
    tools: bool


class Settings(TypedDict):
    """The options of this chat, those of the next where they differ, the chat's tools by name, and what happens
    when the context is full.
    """

    options: OptionValues
    pending: OptionValues | None
    tools: list[str]
    context_policy: Literal["trim", "error"]


class SnapshotMessage(TypedDict):
    """The whole of the panel, for a view that is new or missed something."""

    type: Literal["snapshot"]
    chat: NotRequired[str]
    epoch: int
    status: Status
    model: Model
    settings: Settings
    prompts: list[str]
    messages: list[ChatMessage]
    context: dict[str, Any]
    handles: dict[str, Any]
    handle: int | None
    request: NotRequired[str]
    error: NotRequired[PanelError]


class StateMessage(TypedDict):
    """What the panel is doing, and the numbers it shows; ``request`` is what this acknowledges."""

    type: Literal["state"]
    chat: NotRequired[str]
    epoch: int
    status: Status
    context: dict[str, Any]
    handles: dict[str, Any]
    handle: int | None
    request: NotRequired[str]


class TurnMessage(TypedDict):
    """A message of the chat begins, or ends; ``request`` is the send that it belongs to."""

    type: Literal["turn"]
    chat: NotRequired[str]
    epoch: int
    turn: int
    role: Speaker
    state: TurnState
    text: NotRequired[str]
    thinking: NotRequired[str]
    tool_calls: NotRequired[list[Call]]
    files: NotRequired[list[File]]
    branch: NotRequired[Branch]
    request: NotRequired[str]
    finish_reason: NotRequired[FinishReason]
    error: NotRequired[Problem]
    timing: NotRequired[dict[str, Any]]
    usage: NotRequired[dict[str, Any]]
    trimmed_turns: NotRequired[int]


class DeltaMessage(TypedDict):
    """Text, or thinking, that follows the first ``offset`` UTF-16 code units of it in a streaming reply."""

    type: Literal["delta"]
    chat: NotRequired[str]
    epoch: int
    turn: int
    part: NotRequired[Literal["thinking"]]
    offset: int
    text: str


class ToolMessage(TypedDict):
    """A call of a tool in a streaming reply is new, or has come to something."""

    type: Literal["tool"]
    chat: NotRequired[str]
    epoch: int
    turn: int
    call: Call


class BranchMessage(TypedDict):
    """What follows the message ``after`` (None: from the beginning) is now this."""

    type: Literal["branch"]
    chat: NotRequired[str]
    epoch: int
    after: int | None
    messages: list[ChatMessage]
    request: NotRequired[str]


class SettingsMessage(TypedDict):
    """The options have changed, or shall change with the next chat."""

    type: Literal["settings"]
    chat: NotRequired[str]
    epoch: int
    settings: Settings
    request: NotRequired[str]


class HandleLife(TypedDict):
    """The life of one native handle. Times are seconds since the engine was opened; None: not yet.

    ``checkpoints`` are the clones of it that are kept for undo.
    """

    handle: int
    created_s: float
    spent_s: float | None
    closed_s: float | None
    tokens: int | None
    sends: int
    checkpoints: int
    current: bool
    end: str


class HoodMessage(TypedDict):
    """The lives of the latest handles, oldest first, at the time ``now_s``."""

    type: Literal["hood"]
    chat: NotRequired[str]
    epoch: int
    request: NotRequired[str]
    now_s: float
    earlier: int
    handles: dict[str, Any]
    lives: list[HandleLife]


class ExportedMessage(TypedDict):
    """A chat as a file's text; ``name`` is the file's name."""

    type: Literal["exported"]
    chat: NotRequired[str]
    epoch: int
    request: NotRequired[str]
    name: str
    media_type: str
    text: str


class ErrorMessage(TypedDict):
    """A request failed; ``text`` gives a prompt back that the model has not read."""

    type: Literal["error"]
    chat: NotRequired[str]
    epoch: int
    kind: str
    message: str
    retry: Retry | None
    request: NotRequired[str]
    text: NotRequired[str]


class Tab(TypedDict):
    """One chat of a panel."""

    id: str
    name: str


class ChatsMessage(TypedDict):
    """The chats of the panel; ``show`` is one that was asked for and shall be seen now.

    It has neither epoch nor ``seq``: it always tells the whole.
    """

    type: Literal["chats"]
    chats: list[Tab]
    request: NotRequired[str]
    show: NotRequired[str]
    error: NotRequired[str]


KernelMessage = (
    SnapshotMessage
    | StateMessage
    | TurnMessage
    | DeltaMessage
    | ToolMessage
    | BranchMessage
    | SettingsMessage
    | HoodMessage
    | ExportedMessage
    | ErrorMessage
)


def well_formed(text: str) -> str:
    """Replace halves of surrogate pairs: JavaScript's strings may hold them, and UTF-8 on the wire may not."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def utf16_length(text: str) -> int:
    """Count the UTF-16 code units of well-formed ``text``."""
    return len(text.encode("utf-16-le")) // 2


def model_json(model: ModelInfo, context_limit: int) -> Model:
    """``model`` as it goes over the wire."""
    return {
        "name": model.name,
        "context_limit": context_limit,
        "supports_thinking": model.supports_thinking,
        "supports_tools": model.supports_tools,
        "modalities": list(model.modalities),
    }


def context_json(context: Context, forgotten_turns: int) -> dict[str, Any]:
    """``context`` as it goes over the wire, with the number of turns that were dropped from it, if there are any."""
    told = {"tokens": context.tokens, "limit": context.limit}
    return {**told, "forgotten_turns": forgotten_turns} if forgotten_turns else told


def handles_json(handles: HandleCounts) -> dict[str, Any]:
    """``handles`` as they go over the wire."""
    return asdict(handles)


def timing_json(timing: Timing) -> dict[str, Any]:
    """``timing`` as it goes over the wire."""
    return asdict(timing)


def usage_json(usage: Usage) -> dict[str, Any]:
    """``usage`` as it goes over the wire."""
    return asdict(usage)
