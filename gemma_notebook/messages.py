"""What goes in and what comes out: messages, replies and the numbers that belong to them.

Pure data, immutable, safe to share between threads. Reprs carry no addresses and no timings, so that a
notebook which ends in one of these has the same output each time it runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, SupportsIndex, overload

from gemma_notebook.displays import Table, TableDisplay, duration, megabytes, rate
from gemma_notebook.harmless import harmless_markdown

__all__ = [
    "Context",
    "Delta",
    "FinishReason",
    "HandleCounts",
    "HandleEvent",
    "HandleEvents",
    "Message",
    "ModelInfo",
    "Reply",
    "Role",
    "Timing",
    "ToolCall",
    "ToolOutcome",
    "ToolResult",
    "Usage",
]

Role = Literal["user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "cancelled", "context_full", "tool_calls"]
ToolOutcome = Literal["done", "error", "denied", "stopped"]
HandleEventKind = Literal[
    "created",
    "failed",
    "sent",
    "ended",
    "turn",
    "cancelled",
    "spent",
    "closed",
    "lost",
    "checkpoint",
    "checkpoint_closed",
]

# What a reader should know of a reply that is not whole.
_NOTES = {
    "cancelled": "(stopped)",
    "length": "(cut: max_output_tokens was reached)",
    "context_full": "(cut: the context is full)",
}


@dataclass(frozen=True, slots=True, repr=False)
class Timing(TableDisplay):
    """How long one turn took, from clocks read in C on the engine's thread.

    Shown in the form that the sanitising file of :mod:`gemma_notebook.testing` knows, so that nbval can compare it.

    Attributes:
        time_to_first_token_s: Seconds from the send to the first token; None when none came.
        prefill_tokens_per_s: Prompt tokens over the time to the first token; None when unknown.
        decode_tokens_per_s: Output tokens after the first over the time they took; None below two.
        total_s: Seconds from the send to the end.
    """

    time_to_first_token_s: float | None
    prefill_tokens_per_s: float | None
    decode_tokens_per_s: float | None
    total_s: float

    def __repr__(self) -> str:
        return (
            f"Timing(time_to_first_token={duration(self.time_to_first_token_s)}, "
            f"prefill={rate(self.prefill_tokens_per_s)}, decode={rate(self.decode_tokens_per_s)}, "
            f"total={duration(self.total_s)})"
        )

    def _table(self) -> Table:
        rows = (
            ("time to first token", duration(self.time_to_first_token_s)),
            ("prefill", rate(self.prefill_tokens_per_s)),
            ("decode", rate(self.decode_tokens_per_s)),
            ("total", duration(self.total_s)),
        )
        return Table((), rows)


@dataclass(frozen=True, slots=True)
class Usage(TableDisplay):
    """Token counts of one turn.

    Attributes:
        prompt_tokens: Tokens that the turn put into the context before the reply: the message, the chat
            template's markers and, on a fresh handle, the system instruction and replayed turns.
        output_tokens: Tokens of the reply.
        context_tokens: Tokens in the KV cache after the turn.
        context_limit: Tokens that the KV cache holds.
    """

    prompt_tokens: int
    output_tokens: int
    context_tokens: int
    context_limit: int

    def _table(self) -> Table:
        rows = (
            ("prompt tokens", self.prompt_tokens),
            ("output tokens", self.output_tokens),
            ("context in use", f"{self.context_tokens:,} of {self.context_limit:,} tokens"),
        )
        return Table((), rows)


@dataclass(frozen=True, slots=True)
class Context(TableDisplay):
    """Tokens in use and the limit of one chat's context."""

    tokens: int
    limit: int

    @property
    def remaining(self) -> int:
        """Tokens left, never below 0."""
        return max(0, self.limit - self.tokens)

    def _table(self) -> Table:
        return Table((), (("context in use", f"{self.tokens:,} of {self.limit:,} tokens"),))


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asked for.

    Attributes:
        name: The tool's name, as the model wrote it; ``""`` for a call that could not be read.
        arguments: What the model gave, a dictionary as a rule; not checked yet.
    """

    name: str
    arguments: Any = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a call, as the model is told.

    Attributes:
        call: The call.
        value: What the tool returned, as JSON types; for every other outcome ``{"error": "what went wrong"}``.
        outcome: ``"done"``, ``"error"`` (no such tool, wrong arguments, an exception, a time-out), ``"denied"`` (the
            user or the approval hook said no) or ``"stopped"`` (a stop came first).
    """

    call: ToolCall
    value: Any = None
    outcome: ToolOutcome = "done"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of a reply with its message.

    Attributes:
        max_output_tokens: A limit for the reply, in tokens; None for the chat's.
        response_format: What the reply was to be, as ``send`` takes it.
    """

    max_output_tokens: int | None = None
    response_format: Any = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat.

    Attributes:
        role: ``"user"``, ``"assistant"``, or ``"tool"`` for the results of the calls in the reply before it.
        text: Its text; for a cancelled reply as far as it came; the results of tools as JSON.
        finish_reason: Why a reply ended; None for the others.
        thinking: What the model thought before it replied.
        tool_calls: The calls that a reply asks for.
        tool_results: What came of them, for the role ``"tool"``.
        parts: The images and sounds that went with a user's message, as the engine takes them:
            ``{"type": "image", "blob": "…"}``, the file's content in Base64.
        asked: What was asked of the reply to a user's message, where that was anything, for when it is answered again. In no
            export, and not compared.
    """

    role: Role
    text: str
    finish_reason: FinishReason | None = None
    thinking: str = field(default="", repr=False)
    tool_calls: tuple[ToolCall, ...] = field(default=(), repr=False)
    tool_results: tuple[ToolResult, ...] = field(default=(), repr=False)
    parts: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    asked: Asked | None = field(default=None, repr=False, compare=False)

    def _repr_markdown_(self) -> str:
        note = _NOTES.get(self.finish_reason or "")
        said = harmless_markdown(self.text)
        return f"**{self.role}**\n\n{said}" + (f"\n\n*{note}*" if note else "")


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a reply as it streams; it has one of these.

    Attributes:
        text: More of the reply.
        thinking: More of what the model thinks.
        tool_call: A call that the model asks for.
        tool_result: What came of a call; its ``call`` is the very object that came before. A second one for the same call
            takes the place of the first, which was too long for the context.
    """

    text: str = ""
    thinking: str = ""
    tool_call: ToolCall | None = None
    tool_result: ToolResult | None = None

    def _repr_markdown_(self) -> str:
        return harmless_markdown(self.text)


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished reply. In a notebook it shows itself as Markdown, in which raw HTML and images are text.

    Attributes:
        text: What the model said, without thinking and tool calls.
        thinking: What it thought, when the model thinks and was asked to.
        tool_calls: The calls that it asked for, of all rounds.
        tool_results: What came of them, in the same order; of a raw session, which calls nothing, none.
        finish_reason: ``"stop"`` (it was done), ``"length"`` (``max_output_tokens`` reached, if only by the token
            that ends the reply), ``"context_full"``, ``"cancelled"`` or ``"tool_calls"`` (it still asks for calls: from
            a raw session, or after ``max_tool_turns`` rounds).
        usage: Token counts.
        timing: Seconds and rates.
        parsed: The value, for a send with ``response_format``.
        trimmed_turns: Oldest turns that were dropped from the context to make room for this one.
    """

    text: str
    finish_reason: FinishReason
    usage: Usage = field(repr=False)
    timing: Timing = field(repr=False, compare=False)
    thinking: str = field(default="", repr=False)
    tool_calls: tuple[ToolCall, ...] = field(default=(), repr=False)
    tool_results: tuple[ToolResult, ...] = field(default=(), repr=False)
    parsed: Any = field(default=None, repr=False)
    trimmed_turns: int = field(default=0, repr=False)

    def __str__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return "\n\n".join((harmless_markdown(self.text), *(f"*{note}*" for note in self._notes()))).strip()

    def _notes(self) -> tuple[str, ...]:
        """What a reader should know of it besides its text."""
        notes = []
        if self.trimmed_turns:
            turns = "turn was" if self.trimmed_turns == 1 else f"{self.trimmed_turns} turns were"
            notes.append(f"(The oldest {turns} dropped to make room.)")
        if self.finish_reason in _NOTES:
            notes.append(_NOTES[self.finish_reason])
        if self.finish_reason == "tool_calls":
            names = ", ".join(
                call.name for call in self.tool_calls[len(self.tool_results) :] or self.tool_calls
            )
            notes.append(f"(It still asks for calls: {harmless_markdown(names)})")
        return tuple(notes)


@dataclass(frozen=True, slots=True)
class HandleCounts:
    """Native conversation handles of one manager: how many were made, deleted, and are alive now.

    ``created - closed == live`` at every moment. Clones kept for undo are counted in ``checkpoints`` alone.
    """

    created: int
    closed: int
    live: int
    checkpoints: int

    # Four numbers with their names are read more easily in a line than in a table.

    def _repr_html_(self) -> str:
        return f"<code>{self!r}</code>"

    def _repr_markdown_(self) -> str:
        return f"`{self!r}`"


@dataclass(frozen=True, slots=True)
class HandleEvent(TableDisplay):
    """One thing that happened to one native handle.

    Attributes:
        handle: The handle's number, counted from 1 in the order of creation; 0 for a creation that failed.
        kind: ``created``, ``failed`` (to be created), ``sent``, ``ended`` (the terminal event arrived),
            ``turn`` (the turn's numbers are known), ``cancelled`` (a cancel was asked for), ``spent`` (it can
            answer no more), ``closed``, ``lost``; ``checkpoint`` and ``checkpoint_closed`` of a clone that is
            kept to go back to. One that is gone back to is ``created`` as a handle of its own then.
        detail: The rest in words, for instance the engine's error, or a turn's finish reason.
        at_s: Seconds since the engine was opened.
        usage: A turn's token counts; None for what is not a turn.
        timing: A turn's seconds and rates; None for what is not a turn.
    """

    handle: int
    kind: HandleEventKind
    detail: str = ""
    at_s: float = field(default=0.0, repr=False, compare=False)
    usage: Usage | None = field(default=None, repr=False)
    timing: Timing | None = field(default=None, repr=False, compare=False)

    def _table(self) -> Table:
        return HandleEvents((self,))._table()


class HandleEvents(tuple[HandleEvent, ...], TableDisplay):
    """Events in the order in which they happened. A tuple that a notebook shows as a table."""

    __slots__ = ()

    @overload
    def __getitem__(self, key: SupportsIndex) -> HandleEvent: ...

    @overload
    def __getitem__(self, key: slice) -> HandleEvents: ...

    def __getitem__(self, key: SupportsIndex | slice) -> HandleEvent | HandleEvents:
        if isinstance(key, slice):
            return HandleEvents(super().__getitem__(key))
        return super().__getitem__(key)

    def _table(self) -> Table:
        return Table(("handle", "event", "detail"), [(one.handle, one.kind, one.detail) for one in self])


@dataclass(frozen=True, slots=True)
class ModelInfo(TableDisplay):
    """What is known of a loaded model.

    Attributes:
        name: The file's name without its ending, or ``"tiny"`` for the bundled one.
        path: Where it lies.
        size_bytes: The file's size.
        context_limit: Tokens that a conversation can hold, as loaded.
        supports_thinking: It has a thinking channel.
        supports_tools: It declares function calling.
        modalities: ``"text"`` and, where the encoder is there, ``"vision"`` and ``"audio"``.
        default_sampler: The sampler that the file names, for instance ``{"type": "top_p", "top_k": 64}``.
    """

    name: str
    path: str = field(repr=False)
    size_bytes: int
    context_limit: int
    supports_thinking: bool
    supports_tools: bool
    modalities: tuple[str, ...]
    default_sampler: dict[str, float | str] = field(default_factory=dict, repr=False)

    def _table(self) -> Table:
        rows = (
            ("model", self.name),
            ("size", megabytes(self.size_bytes)),
            ("context", f"{self.context_limit:,} tokens"),
            ("takes", ", ".join(self.modalities)),
            ("thinking", self.supports_thinking),
            ("tools", self.supports_tools),
        )
        return Table((), rows)
