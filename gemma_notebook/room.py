"""What fits into the context: how much to keep free for a reply, and how many turns to forget for it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gemma_notebook.errors import ContextFullError
from gemma_notebook.messages import Usage
from gemma_notebook.turns import Turn

__all__ = ["context_full", "media_tokens", "reply_reserve", "results_do_not_fit", "turns_to_drop"]

# What the models have for an image (Gemma 4 up to 280 unless told otherwise, Gemma 3 and 3n 256) and for a second of
# sound (Gemma 4 25, Gemma 3n 6), and the bytes of that second as it is sent. (read)
_IMAGE_TOKENS, _SECOND_TOKENS, _SECOND_BYTES = 280, 25, 32_000


def media_tokens(parts: Iterable[Mapping[str, Any]]) -> int:
    """About how many tokens images and sounds take at most: the engine counts only the text around them."""
    tokens = 0
    for part in parts:
        seconds = len(str(part.get("blob", ""))) * 3 / 4 / _SECOND_BYTES
        tokens += _IMAGE_TOKENS if part.get("type") == "image" else math.ceil(seconds * _SECOND_TOKENS)
    return tokens


def reply_reserve(max_output_tokens: int | None, limit: int) -> int:
    """Tokens to keep free for the reply: what was asked for, within half the context."""
    return min(max_output_tokens or 64, limit // 2)


def turns_to_drop(turns: Sequence[Turn], *, wanted: int, needed: int, total: int) -> int:
    """How many of the oldest turns hold about as many tokens as are ``wanted``, or, where those would be all, ``needed``; one at
    least.

    Args:
        turns: The turns.
        wanted: Tokens, so that it will be a while until the next trim.
        needed: Tokens without which the message does not fit.
        total: Those that all turns have at most. Not all that a turn takes is counted with it: of one that was restored the
            template's part is not.
    """
    sizes = [1 if turn.reply is None else 1 + _tokens(turn.reply.usage) for turn in turns]
    scale = max(1.0, total / sum(sizes))
    counts = [_with_tokens(turns, [size * scale for size in sizes], tokens) for tokens in (wanted, needed)]
    return next((count for count in counts if count < len(turns)), len(turns))


def _with_tokens(turns: Sequence[Turn], sizes: list[float], tokens: int) -> int:
    dropped = 0.0
    for count, (size, following) in enumerate(itertools.zip_longest(sizes, turns[1:]), start=1):
        dropped += size
        if dropped >= tokens and (following is None or following.follows is None):
            return count  # never between a call and its result
    return len(turns)


def _tokens(usage: Usage) -> int:
    return usage.prompt_tokens + usage.output_tokens


def context_full(needed: int, reserve: int, used: int, limit: int, *, droppable: bool) -> ContextFullError:
    """The error for a message that needs ``needed`` tokens, ``reserve`` among them, beside the ``used`` ones.

    With ``droppable`` turns before it another policy would make room.
    """
    undo = (
        "undo() the last turn (rewind() in a session), reset(), or use a chat made with context_policy='trim'"
    )
    if used + reserve < limit:
        advice = "nothing was sent: shorten it" + (f", {undo}" if droppable else "")
    else:
        shorten = "shorten the system instruction and the tools, or load the model with more context_tokens"
        advice = f"nothing was sent, and nothing shorter would fit: {undo if droppable else shorten}"
    return ContextFullError(
        f"the message needs {needed} tokens ({reserve} of them for the reply) and {min(used, limit)} of the context's "
        f"{limit} are in use; {advice}",
        needed_tokens=needed,
        context_tokens=min(used, limit),
        context_limit=limit,
    )


def results_do_not_fit(error: ContextFullError) -> ContextFullError:
    """The error for results of tools that do not fit, where ``error`` says so of them as of a message."""
    return ContextFullError(
        f"the tools were called, and what came of it needs {error.needed_tokens} tokens with the reply, beside the "
        f"{error.context_tokens} of the context's {error.context_limit} that are in use; the model was not told: undo() takes the "
        "message back, and not what the tools did; reset() begins anew; more context_tokens or shorter results make room",
        needed_tokens=error.needed_tokens,
        context_tokens=error.context_tokens,
        context_limit=error.context_limit,
    )
