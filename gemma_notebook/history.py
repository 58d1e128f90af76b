"""What was said in a session: its turns in order, those that were dropped to make room, and going back among them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gemma_notebook.errors import OptionValueError
from gemma_notebook.messages import Message, Timing
from gemma_notebook.turns import Turn

__all__ = ["History", "TakenBack"]


@dataclass(frozen=True, slots=True)
class TakenBack:
    """Turns that were taken back.

    Attributes:
        turns: The turns.
        left: How many turns were left.
        times_forgotten: :attr:`History.times_forgotten` since; -1 when nothing was taken back.
    """

    turns: tuple[Turn, ...]
    left: int
    times_forgotten: int


class History:
    """The turns of one session.

    The session's lock guards every change. Reading takes no lock: both tuples are replaced, never changed.

    Attributes:
        turns: Those that the model remembers, the unfinished ones last.
        dropped: The oldest ones, which were dropped from the context to make room. They were said all the same.
        times_forgotten: How often turns were forgotten or put back.
    """

    def __init__(self, turns: Iterable[Turn] = ()) -> None:
        self.turns = tuple(turns)
        self.dropped: tuple[Turn, ...] = ()
        self.times_forgotten = 0

    def __repr__(self) -> str:
        return f"History(turns={len(self.turns)}, dropped={len(self.dropped)})"

    @property
    def all_turns(self) -> tuple[Turn, ...]:
        """All turns, those that were dropped first."""
        turns = self.turns  # before: what is dropped meanwhile is in both then
        return (*(turn for turn in self.dropped if turn not in turns), *turns)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages of the turns that the model remembers."""
        return tuple(message for turn in self.turns for message in turn.messages)

    @property
    def context_tokens(self) -> int:
        """Tokens in the KV cache after the last turn that reached the engine."""
        return next((n for turn in reversed(self.turns) if (n := turn.context_tokens) is not None), 0)

    @property
    def timings(self) -> tuple[Timing, ...]:
        """Those of the turns that were answered here."""
        answered = (turn for turn in self.all_turns if not turn.restored)
        return tuple(turn.reply.timing for turn in answered if turn.reply is not None)

    # Finding

    @property
    def last_done(self) -> Turn | None:
        """The latest turn to which nothing more will come."""
        return next((turn for turn in reversed(self.turns) if turn.done), None)

    @property
    def last_said(self) -> Turn:
        """The turn with the user's latest message.

        Raises:
            OptionValueError: Nothing was said.
        """
        if not self.turns:
            raise OptionValueError("there is no turn to take back; the chat is empty")
        return self.turns[-1].first

    def said_at(self, index: int) -> Turn:
        """The turn whose message of the user's is at ``index`` in :attr:`messages`.

        Raises:
            OptionValueError: There is none.
        """
        place = 0
        for turn in self.turns:
            if place == index and turn.follows is None:
                return turn
            place += len(turn.messages)
        raise OptionValueError(f"message {index!r} is not one of the user's; see chat.messages")

    def before(self, turn: Turn) -> tuple[Turn, ...]:
        """The turns before one of them."""
        return self.turns[: self.turns.index(turn)]

    def place(self, keep: int | Turn) -> int:
        """How many turns are left when one goes back to that many, or to before that turn.

        Raises:
            OptionValueError: There are fewer turns.
        """
        turns = self.turns
        if isinstance(keep, Turn):
            return turns.index(keep) if keep in turns else len(turns)
        if not 0 <= keep <= len(turns):
            raise OptionValueError(f"cannot go back to turn {keep}: the chat has {len(turns)} turns")
        # Not between a call and its answer.
        return turns.index(turns[keep].first) if keep < len(turns) else keep

    # Changing

    def take_in(self, turn: Turn) -> bool:
        """Add a turn, one with results behind the calls that it answers; False when those are forgotten."""
        turns, before = self.turns, turn.follows
        if before is None:
            self.turns = (*turns, turn)
        elif before in turns:
            place = turns.index(before) + 1
            self.turns = (*turns[:place], turn, *turns[place:])
        return turn in self.turns

    def remove(self, turn: Turn) -> None:
        """Take one out that could not be sent, if it is there."""
        self.turns = tuple(one for one in self.turns if one is not turn)

    def drop_oldest(self, count: int) -> None:
        """Drop turns from the context, to make room."""
        self.dropped, self.turns = (*self.dropped, *self.turns[:count]), self.turns[count:]

    def go_back(self, left: int, then: Iterable[Turn] = ()) -> TakenBack:
        """Leave the first ``left`` turns and go on from ``then``."""
        taken = self.turns[left:]
        self.turns = (*self.turns[:left], *then)
        self.times_forgotten += 1
        return TakenBack(taken, len(self.turns), self.times_forgotten)

    def put_back(self, taken: TakenBack) -> bool:
        """Go on from what was taken back; False when something was said or forgotten meanwhile."""
        said = self.turns[taken.left :]
        if self.times_forgotten != taken.times_forgotten or any(not one.done or one.started for one in said):
            return False
        self.turns = (*self.turns[: taken.left], *(turn for turn in taken.turns if turn.done))
        self.times_forgotten += 1
        return True
