"""What a session holds natively: the handle that it runs on, and clones of it from before its latest turns.

A clone is a *checkpoint*: to go back to where it was taken costs nothing, where a replay costs the prefill
of all that was said. Unused ones are nearly free: sixteen of them, each a turn apart, added 0.1 MB to a
process with a 2,048-token model, and one took 0.1 to 0.3 ms to make (measured).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from gemma_notebook.engine import Conversation, HandleState
from gemma_notebook.errors import EngineError
from gemma_notebook.turns import Turn

__all__ = ["CHECKPOINTS_KEPT", "Holding"]

_log = logging.getLogger(__name__)

# How many turns back a chat goes without a replay. Each clone that is used again has a KV cache of its own.
CHECKPOINTS_KEPT = 16


@dataclass(frozen=True, eq=False, slots=True)
class _Checkpoint:
    """A clone, and the turns that its KV cache holds."""

    turns: tuple[Turn, ...]
    conversation: Conversation


class Holding:
    """The native handles of one session. It outlives a session that is forgotten.

    Not thread-safe: the session's lock guards it.
    """

    def __init__(self) -> None:
        self.conversation: Conversation | None = None
        self._checkpoints: list[_Checkpoint] = []

    def __repr__(self) -> str:
        return (
            "Session(closed)" if self.conversation is None else f"Session(handle={self.conversation.number})"
        )

    @property
    def closed(self) -> bool:
        """No handle is held."""
        return (self.conversation is None or _is_closed(self.conversation)) and not self._checkpoints

    def close(self) -> None:
        """Close the checkpoints and the handle; an interrupted close can be tried again."""
        try:
            self.drop_checkpoints()
        finally:
            self.close_conversation()

    def close_conversation(self) -> None:
        """Close the handle that the session runs on, and keep the checkpoints."""
        conversation = self.conversation
        if conversation is None:
            return
        try:
            conversation.close()
        finally:
            if _is_closed(conversation):
                self.conversation = None

    def keep_checkpoint(self, turns: Sequence[Turn]) -> None:
        """Clone the handle, which now holds ``turns``; the oldest clone goes when there are too many."""
        if self.conversation is None:
            return
        try:
            clone = self.conversation.clone(checkpoint=True)
        except EngineError:  # going back is then a replay
            _log.debug("No checkpoint could be made.", exc_info=True)
            return
        self._checkpoints.append(_Checkpoint(tuple(turns), clone))
        self.drop_checkpoints(keep=CHECKPOINTS_KEPT)

    def go_back(self, turns: Sequence[Turn]) -> bool:
        """Run on the checkpoint that holds exactly ``turns``, if there is one; the handle must be closed.

        Checkpoints of what is forgotten by that are closed.
        """
        wanted = tuple(turns)
        found = next((one for one in self._checkpoints if one.turns == wanted), None)
        forgotten = [
            one
            for one in self._checkpoints
            if one is not found and (one.turns == wanted or one.turns != wanted[: len(one.turns)])
        ]
        self._close(forgotten)
        if found is None:
            return False
        found.conversation.promote()
        self.conversation = found.conversation
        self._checkpoints.remove(found)
        return True

    def drop_checkpoints(self, keep: int = 0) -> None:
        """Close all checkpoints but the latest ``keep``."""
        self._close(self._checkpoints[: max(0, len(self._checkpoints) - keep)])

    def _close(self, checkpoints: Sequence[_Checkpoint]) -> None:
        for checkpoint in checkpoints:
            checkpoint.conversation.close()
            self._checkpoints.remove(checkpoint)


def _is_closed(conversation: Conversation) -> bool:
    return conversation.state is HandleState.CLOSED
