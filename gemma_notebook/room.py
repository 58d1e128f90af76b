"""What fits into the context: how much to keep free for a reply, and how many turns to forget for it."""

from __future__ import annotations

import itertools

from gemma_notebook.errors import ContextFullError
from gemma_notebook.turns import Turn

__all__ = ["context_full", "reply_reserve", "turns_to_drop"]


def reply_reserve(max_output_tokens: int | None, limit: int) -> int:
    """Tokens to keep free for the reply: what was asked for, within half the context."""
    return min(max_output_tokens or 64, limit // 2)


def turns_to_drop(turns: list[Turn], tokens: int) -> int:
    """How many of the oldest turns hold at least ``tokens``; one at least."""
    dropped = 0
    for count, (turn, following) in enumerate(itertools.zip_longest(turns, turns[1:]), start=1):
        if turn.reply is not None:
            dropped += turn.reply.usage.prompt_tokens + turn.reply.usage.output_tokens
        if dropped >= tokens and (following is None or following.follows is None):
            return count  # never between a call and its result
    return max(1, len(turns))


def context_full(needed: int, reserve: int, used: int, limit: int) -> ContextFullError:
    """The error for a message that needs ``needed`` tokens, ``reserve`` among them, beside the ``used`` ones."""
    return ContextFullError(
        f"the message needs {needed} tokens ({reserve} of them for the reply) and {used} of the context's "
        f"{limit} are in use; nothing was sent: shorten it, reset the chat, or use context_policy='trim'",
        needed_tokens=needed,
        context_tokens=used,
        context_limit=limit,
    )
