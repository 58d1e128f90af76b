"""A chat as it stands, to look at, to save, and to go on from: Markdown, HTML and JSON.

What was said is untrusted, whoever said it: all three forms carry it as text. A JSON file that comes back is checked
field by field.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from gemma_notebook._paths import expanded
from gemma_notebook.errors import ExportError, ExportExistsError, OptionTypeError, OptionValueError
from gemma_notebook.messages import (
    FinishReason,
    Message,
    Role,
    Timing,
    ToolCall,
    ToolOutcome,
    ToolResult,
    Usage,
)

if TYPE_CHECKING:
    from gemma_notebook.options import SessionOptions
    from gemma_notebook.turns import Turn

__all__ = ["FORMATS", "Entry", "ToolUse", "Transcript", "use_of"]

Format = Literal["markdown", "html", "json"]

FORMATS: dict[str, Format] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".json": "json",
}

# Of the chat's options, beside its system instruction: those that a reader can use.
KEPT_OPTIONS = ("temperature", "random_seed", "top_k", "top_p", "enable_thinking", "max_output_tokens")


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A call of a tool, and what came of it as far as it is known.

    Attributes:
        name: The tool's name.
        arguments: What the model gave.
        result: What the model was told.
        outcome: As in :class:`~gemma_notebook.messages.ToolResult`; None while there is none.
    """

    name: str
    arguments: Any = None
    result: Any = None
    outcome: ToolOutcome | None = None

    def __post_init__(self) -> None:
        if self.result is not None and self.outcome is None:  # as older files have it
            object.__setattr__(self, "outcome", "done")


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of a transcript.

    Attributes:
        role: ``"user"`` or ``"assistant"``. What tools returned stands with the calls, in the reply.
        text: What was said; of a reply that was cut off, as far as it came.
        thinking: What the model thought.
        parts: The images and sounds that went with a user's message, as in :class:`~gemma_notebook.messages.Message`.
        tool_calls: The tools that it called.
        finish_reason: Why a reply ended; None for the user's messages and for a reply that failed.
        error: What went wrong with a reply.
        trimmed_turns: Oldest turns that were dropped from the context to make room.
        usage: Its token counts, where they are known.
        timing: Its seconds and rates, where they are known.
    """

    role: Role
    text: str
    thinking: str = ""
    tool_calls: tuple[ToolUse, ...] = ()
    finish_reason: FinishReason | None = None
    error: str | None = None
    trimmed_turns: int = 0
    usage: Usage | None = field(default=None, repr=False)
    timing: Timing | None = field(default=None, repr=False, compare=False)
    parts: tuple[dict[str, Any], ...] = field(default=(), repr=False)


class _Session(Protocol):
    @property
    def all_turns(self) -> tuple[Turn, ...]: ...


class _Manager(Protocol):
    @property
    def model(self) -> Any: ...


class TranscribedChat(Protocol):
    """What a transcript is made from."""

    @property
    def manager(self) -> _Manager: ...
    @property
    def session(self) -> _Session: ...
    @property
    def options(self) -> SessionOptions: ...


@dataclass(frozen=True, slots=True)
class Transcript:
    """A chat as it stood at one moment. Immutable; it needs no model and no kernel to be shown.

    As the last line of a cell it is an ordinary output, which stays in the saved notebook: HTML, Markdown and text
    that are the same each time the same is said (no date, no timings), so that nbval can compare them.

    Attributes:
        entries: The messages with all that belongs to them.
        model: The model's name.
        system_instruction: What the model was told at first.
        options: How it sampled: ``temperature``, ``top_k``, …; and the names of its ``tools``.
        date: When the transcript was taken, with a time zone.

    Example:
        >>> chat.transcript()
        Transcript('tiny', 2 messages)
        >>> gn.Transcript.from_json(Path("chat.json").read_bytes()).messages
        (Message(role='user', text='My name is Ada.', finish_reason=None), ...)
    """

    entries: tuple[Entry, ...]
    model: str
    system_instruction: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    date: datetime | None = field(default=None, compare=False)

    @classmethod
    def of(cls, chat: TranscribedChat) -> Transcript:
        """The transcript of ``chat`` as it stands; of a reply on its way what has come of it.

        What was dropped from the context to make room is in it.
        """
        options = chat.options
        sampling = {name: getattr(options, name) for name in KEPT_OPTIONS}
        tools = [
            str(getattr(tool, "name", None) or getattr(tool, "__name__", type(tool).__name__))
            for tool in options.tools
        ]
        return cls(
            entries=_entries(chat.session.all_turns),
            model=chat.manager.model.name,
            system_instruction=options.system_instruction,
            options=sampling | ({"tools": tools} if tools else {}),
            date=datetime.now(UTC).replace(microsecond=0),
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Transcript:
        """Read what :meth:`to_json` wrote, from whomever it comes.

        Raises:
            TranscriptError: It is no JSON, no chat, of a newer version, or a field is wrong; it says which.
        """
        from gemma_notebook.transcript.as_json import read

        return read(text)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages as :meth:`Chat.restore` takes them; a reply of which nothing came is left out."""
        return tuple(message for entry in self.entries for message in _messages(entry))

    def to_json(self) -> str:
        """As JSON, which :meth:`from_json` reads back."""
        from gemma_notebook.transcript.as_json import fields

        return json.dumps(fields(self), ensure_ascii=False, indent=2, default=str) + "\n"

    def to_markdown(self) -> str:
        """As Markdown: each message a quotation below its speaker's heading, so that no text can forge one."""
        from gemma_notebook.transcript.as_markdown import document

        return document(self)

    def to_html(self) -> str:
        """As a page of its own: no script, nothing fetched, and a policy that forbids both."""
        from gemma_notebook.transcript.as_html import page

        return page(self)

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        format: str | None = None,  # noqa: A002
        overwrite: bool = False,
    ) -> Path:
        """Write it to a file, at once and whole or not at all.

        Args:
            path: Where; ``.md``, ``.html`` or ``.json`` says as what.
            format: ``"markdown"``, ``"html"`` or ``"json"``, whatever the name ends in.
            overwrite: Replace a file that is there.

        Returns:
            The path.

        Raises:
            ExportExistsError: There is a file, and ``overwrite`` is not set.
            ExportError: The file cannot be written, or its JSON would be more than :meth:`from_json` reads.
            OptionValueError: The name's ending, or ``format``, is none of the three.
        """
        target = _checked_path(path)
        chosen = _format_of(target, format)
        writers: dict[str, Callable[[], str]] = {
            "markdown": self.to_markdown,
            "html": self.to_html,
            "json": self.to_json,
        }
        text = writers[chosen]()
        if chosen == "json":
            _check_readable(text, target)
        _write(target, text, overwrite=overwrite)
        return target

    def __repr__(self) -> str:
        count = len(self.entries)
        return f"Transcript({self.model!r}, {count} message{'' if count == 1 else 's'})"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:  # noqa: ARG002
        from gemma_notebook.transcript.as_html import fragment
        from gemma_notebook.transcript.as_markdown import body

        return {"text/plain": repr(self), "text/markdown": body(self), "text/html": fragment(self)}


def _entries(turns: Iterable[Turn]) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for turn in turns:
        if turn.follows is None:
            entries.append(Entry("user", turn.message, parts=turn.parts))
        elif entries:  # what came of the calls stands with the calls
            entries[-1] = replace(entries[-1], tool_calls=tuple(use_of(one) for one in turn.results))
        entries += _reply_entries(turn)
    return tuple(entries)


def use_of(result: ToolResult) -> ToolUse:
    """A call with what came of it."""
    return ToolUse(result.call.name, result.call.arguments, result.value, result.outcome)


def _reply_entries(turn: Turn) -> Iterable[Entry]:
    reply, error = turn.reply, turn.error
    if reply is None:
        if turn.text or error is not None:
            yield Entry("assistant", turn.text, error=None if error is None else str(error))
        return
    yield Entry(
        "assistant",
        reply.text,
        thinking=reply.thinking,
        tool_calls=tuple(ToolUse(call.name, call.arguments) for call in reply.tool_calls),
        finish_reason=reply.finish_reason,
        error=None if error is None else str(error),
        trimmed_turns=reply.trimmed_turns,
        usage=None if turn.restored else reply.usage,
        timing=None if turn.restored else reply.timing,
    )


def _messages(entry: Entry) -> Iterable[Message]:
    if entry.role == "user":
        yield Message("user", entry.text, parts=entry.parts)
        return
    if not entry.text and not entry.tool_calls and entry.error is not None:
        return
    calls = tuple(ToolCall(use.name, use.arguments) for use in entry.tool_calls)
    yield Message("assistant", entry.text, entry.finish_reason, thinking=entry.thinking, tool_calls=calls)
    if calls and all(use.outcome is not None for use in entry.tool_calls):
        results = tuple(
            ToolResult(call, use.result, use.outcome or "done")
            for call, use in zip(calls, entry.tool_calls, strict=True)
        )
        values = json.dumps([one.value for one in results], ensure_ascii=False)
        yield Message("tool", values, tool_results=results)


def _checked_path(path: object) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise OptionTypeError(f"path must be a path, not {path!r}")
    target = expanded(path)
    if not target.name or "\0" in str(target):
        raise OptionValueError(f"path={str(path)!r} names no file; give one such as 'chat.md'")
    return target


def _format_of(path: Path, chosen: str | None) -> Format:
    if chosen is not None:
        for name in ("markdown", "html", "json"):
            if chosen == name:
                return name
        raise OptionValueError(f"unknown format {chosen!r}; use 'markdown', 'html' or 'json'")
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise OptionValueError(
            f"{path.name!r} does not say as what to write it; let it end in .md, .html or .json, or give format="
        )
    return found


def _check_readable(text: str, path: Path) -> None:
    from gemma_notebook.transcript.as_json import MAX_BYTES

    size = len(text.encode(errors="replace"))
    if size > MAX_BYTES:
        raise ExportError(
            f"the chat cannot be written to {str(path)!r} (it has {size / 1e6:,.0f} MB with its images and sounds, and "
            f"{MAX_BYTES // 1_000_000} can be read again); export it as .html or .md"
        )


def _write(path: Path, text: str, *, overwrite: bool) -> None:
    """Beside the target first, and then in its place: a reader never sees a half, nor does a crash leave one."""
    if not overwrite and os.path.lexists(path):
        raise _exists(path)
    try:
        target = path.resolve() if overwrite else path  # a link stays a link
    except (OSError, RuntimeError):  # links in a circle
        target = path
    beside = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        beside.write_text(text, encoding="utf-8", errors="replace", newline="\n")
        if overwrite:
            with suppress(OSError):  # there is none yet; else it stays as private as it was
                shutil.copymode(target, beside)
            beside.replace(target)
        else:
            _move_to_new(beside, path)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ExportError(
            f"the chat cannot be written to {str(path)!r} ({reason}); choose another place"
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink()


def _move_to_new(source: Path, target: Path) -> None:
    """Move a file to where there is none: another may have been made there since we looked."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if target.exists():
            raise FileExistsError from None
        source.replace(target)


def _exists(path: Path) -> ExportExistsError:
    return ExportExistsError(
        f"there is a file {str(path)!r} already; choose another name, or pass overwrite=True to replace it"
    )
