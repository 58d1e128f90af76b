"""What goes in and what comes out: messages, replies and the numbers that belong to them.

Pure data, immutable, safe to share between threads. Reprs carry no addresses and no timings, so that a
notebook which ends in one of these has the same output each time it runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "Context",
    "Delta",
    "FinishReason",
    "HandleCounts",
    "HandleEvent",
    "Message",
    "ModelInfo",
    "Reply",
    "Role",
    "Timing",
    "ToolCall",
    "Usage",
]

Role = Literal["user", "assistant"]
FinishReason = Literal["stop", "length", "cancelled", "context_full", "tool_calls"]
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


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one turn took, from clocks read in C on the engine's thread.

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


@dataclass(frozen=True, slots=True)
class Usage:
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


@dataclass(frozen=True, slots=True)
class Context:
    """Tokens in use and the limit of one chat's context."""

    tokens: int
    limit: int

    @property
    def remaining(self) -> int:
        """Tokens left, never below 0."""
        return max(0, self.limit - self.tokens)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asked for."""

    name: str
    arguments: Any = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat.

    Attributes:
        role: ``"user"`` or ``"assistant"``.
        text: Its text; for a cancelled reply as far as it came.
        finish_reason: Why a reply ended; None for the user's messages.
    """

    role: Role
    text: str
    finish_reason: FinishReason | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a reply as it streams; any of the three may be empty."""

    text: str = ""
    thinking: str = ""
    tool_call: ToolCall | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished reply.

    Attributes:
        text: What the model said, without thinking and tool calls.
        thinking: What it thought, when the model thinks and was asked to.
        tool_calls: The calls that it asked for.
        finish_reason: ``"stop"`` (it was done), ``"length"`` (``max_output_tokens`` reached),
            ``"context_full"``, ``"cancelled"`` or ``"tool_calls"``.
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
    parsed: Any = field(default=None, repr=False)
    trimmed_turns: int = field(default=0, repr=False)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class HandleCounts:
    """Native conversation handles of one manager: how many were made, deleted, and are alive now.

    ``created - closed == live`` at every moment. Clones kept for undo are counted in ``checkpoints`` alone.
    """

    created: int
    closed: int
    live: int
    checkpoints: int


@dataclass(frozen=True, slots=True)
class HandleEvent:
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


@dataclass(frozen=True, slots=True)
class ModelInfo:
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
