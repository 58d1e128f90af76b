"""What the panel's front end asks of the kernel, read from its messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gemma_notebook.panel.protocol import well_formed
from gemma_notebook.transcript.record import Format

__all__ = [
    "Attachment",
    "BadRequestError",
    "ChatsRequest",
    "CloseChat",
    "EditRequest",
    "ExportRequest",
    "HoodRequest",
    "ImportRequest",
    "OpenChat",
    "OptionsRequest",
    "RegenerateRequest",
    "Request",
    "ResetRequest",
    "SendRequest",
    "SnapshotRequest",
    "StopRequest",
    "SwitchRequest",
    "ToolDecision",
    "UndoRequest",
    "parse_request",
]

# A WebSocket message of the notebook server holds 10 MiB.
MOST_BYTES = 8 * 1024 * 1024
MEDIA = ("image/", "audio/")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that was sent with a prompt.

    Attributes:
        name: The file's name, as the user's browser told it.
        media_type: For instance ``"image/png"``.
        data: Its content.
    """

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Say ``text`` to the model."""

    id: str
    epoch: int
    text: str
    attachments: tuple[Attachment, ...] = ()


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
class RegenerateRequest:
    """Answer the prompt of the reply ``turn`` again."""

    id: str
    epoch: int
    turn: int


@dataclass(frozen=True, slots=True)
class EditRequest:
    """Say ``text`` in place of the prompt ``turn``."""

    id: str
    epoch: int
    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """Take the last prompt back, and its reply."""

    id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class SwitchRequest:
    """Go on with the alternative ``index``, counted from 1, of the message ``turn``."""

    id: str
    epoch: int
    turn: int
    index: int


@dataclass(frozen=True, slots=True)
class ToolDecision:
    """Whether the model may call the tool that it asked for."""

    id: str
    epoch: int
    call: str
    allow: bool


@dataclass(frozen=True, slots=True)
class OptionsRequest:
    """Use these options for the next chat; None takes back what was asked for."""

    id: str
    epoch: int
    options: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class HoodRequest:
    """Tell the lives of the handles."""

    id: str


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Write the chat down; with ``messages``, a chat that was reset and that the front end has kept, with the options that it had."""

    id: str
    format: Format
    messages: list[dict[str, Any]] | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """Begin a new chat with what an exported JSON says."""

    id: str
    epoch: int
    text: str


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """Tell the whole."""

    id: str


@dataclass(frozen=True, slots=True)
class ChatsRequest:
    """Tell which chats the panel has."""

    id: str


@dataclass(frozen=True, slots=True)
class OpenChat:
    """Open another chat beside the others, with the options of the chat ``like``."""

    id: str
    like: str | None = None


@dataclass(frozen=True, slots=True)
class CloseChat:
    """Close a chat."""

    id: str
    chat: str


Request = (
    SendRequest
    | StopRequest
    | ResetRequest
    | RegenerateRequest
    | EditRequest
    | UndoRequest
    | SwitchRequest
    | ToolDecision
    | OptionsRequest
    | HoodRequest
    | ExportRequest
    | ImportRequest
    | SnapshotRequest
    | ChatsRequest
    | OpenChat
    | CloseChat
)


class BadRequestError(ValueError):
    """A message from the front end that this version cannot read; ``request`` is its id, where it has one."""

    def __init__(self, message: str, request: str | None) -> None:
        super().__init__(message)
        self.request = request


def parse_request(content: object, buffers: Sequence[Any] | None = ()) -> Request:
    """Read a message from the front end, with the binary buffers that came with it.

    Raises:
        BadRequestError: It is of an unknown type, or a field is missing or of the wrong type.
    """
    fields: dict[Any, Any] = content if isinstance(content, dict) else {}
    request = fields.get("id")
    if not isinstance(request, str):
        raise BadRequestError("A message without an id reached the kernel.", None)
    read = _of_the_chat(request, fields, buffers or ()) or _of_the_panel(request, fields)
    if read is None:
        kind = fields.get("type")
        raise BadRequestError(
            f"The kernel does not understand the panel's message of type {kind!r}.", request
        )
    return read


def _of_the_chat(request: str, fields: dict[Any, Any], buffers: Sequence[Any]) -> Request | None:
    """What changes the chat of one epoch."""
    match fields:
        case {"type": "send", "epoch": int(epoch), "text": str(text)} if text.strip():
            files = _attachments(request, fields.get("files", []), buffers)
            return SendRequest(request, epoch, well_formed(text), files)
        case {"type": "stop", "epoch": int(epoch)}:
            return StopRequest(request, epoch)
        case {"type": "reset", "epoch": int(epoch)}:
            return ResetRequest(request, epoch)
        case {"type": "regenerate", "epoch": int(epoch), "turn": int(turn)}:
            return RegenerateRequest(request, epoch, turn)
        case {"type": "edit", "epoch": int(epoch), "turn": int(turn), "text": str(text)} if text.strip():
            return EditRequest(request, epoch, turn, well_formed(text))
        case {"type": "undo", "epoch": int(epoch)}:
            return UndoRequest(request, epoch)
        case {"type": "switch", "epoch": int(epoch), "turn": int(turn), "index": int(index)}:
            return SwitchRequest(request, epoch, turn, index)
        case {"type": "tool_decision", "epoch": int(epoch), "call": str(call), "allow": bool(allow)}:
            return ToolDecision(request, epoch, call, allow)
        case {"type": "options", "epoch": int(epoch), "options": dict() | None as options}:
            return OptionsRequest(request, epoch, options)
        case {"type": "import", "epoch": int(epoch), "text": str(text)}:
            return ImportRequest(request, epoch, text)
    return None


def _of_the_panel(request: str, fields: dict[Any, Any]) -> Request | None:
    """What only asks, or is about chats as a whole."""
    simple: dict[Any, Callable[[str], Request]] = {
        "snapshot_request": SnapshotRequest,
        "hood_request": HoodRequest,
        "chats_request": ChatsRequest,
    }
    match fields:
        case {"type": "export", "format": "markdown" | "html" | "json" as kind}:
            messages = fields.get("messages")
            options = fields.get("options")
            return ExportRequest(
                request,
                kind,
                messages if isinstance(messages, list) else None,
                options if isinstance(options, dict) else {},
            )
        case {"type": "open_chat", **more}:
            like = more.get("like")
            return OpenChat(request, like if isinstance(like, str) else None)
        case {"type": "close_chat", "close": str(chat)}:
            return CloseChat(request, chat)
        case {"type": str(kind)} if kind in simple:
            return simple[kind](request)
    return None


def _attachments(request: str, files: object, buffers: Sequence[Any]) -> tuple[Attachment, ...]:
    if not isinstance(files, list) or len(files) != len(buffers):
        raise BadRequestError("The files and their contents do not match; attach them again.", request)
    read = tuple(_attachment(request, file, data) for file, data in zip(files, buffers, strict=True))
    size = sum(len(file.data) for file in read)
    if size > MOST_BYTES:
        raise BadRequestError(
            f"The files have {size:,} bytes and {MOST_BYTES:,} can be sent at once; attach smaller ones.",
            request,
        )
    return read


def _attachment(request: str, file: object, data: Any) -> Attachment:
    match file:
        case {"name": str(name), "type": str(media)} if media.startswith(MEDIA):
            return Attachment(well_formed(name), media, bytes(data))
    raise BadRequestError("Only images and audio can be attached.", request)
