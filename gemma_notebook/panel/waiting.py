"""The prompts on their way to the model: those that wait, and the one that it is at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gemma_notebook.messages import Asked, Message
from gemma_notebook.panel.protocol import Problem, Retry, Status
from gemma_notebook.panel.pump import Pump
from gemma_notebook.panel.requests import Attachment
from gemma_notebook.panel.teller import Teller

__all__ = ["Turn", "Waiting"]


@dataclass(eq=False, slots=True)
class Turn:
    """A prompt on its way through the worker.

    Attributes:
        asked: What was asked of the reply when it was given first.
        context: What the model has to remember before it reads the prompt; None: what it remembers anyway.
        again: The prompt was read before, or stands in the place of one that was. It is not given back.
        begun: The model answers it.
        stopped: The user does not want the answer any more.
    """

    text: str
    request: str
    attachments: tuple[Attachment, ...] = ()
    asked: Asked | None = None
    context: tuple[Message, ...] | None = None
    again: bool = False
    begun: bool = False
    stopped: bool = False


class Waiting:
    """Knows which prompts wait, and gives back those that the model will not read.

    Not thread-safe: the controller's lock guards it.

    Attributes:
        current: The prompt that the worker is at. It waits, too, until its reply begins.
    """

    def __init__(self, teller: Teller, pump: Pump) -> None:
        self._teller = teller
        self._pump = pump
        self._turns: list[Turn] = []
        self.current: Turn | None = None

    def __contains__(self, turn: Turn) -> bool:
        return turn in self._turns

    @property
    def idle(self) -> bool:
        """No prompt waits, and the worker is at none."""
        return not self._turns and self.current is None

    @property
    def status(self) -> Status:
        """What the panel is doing with them."""
        if self.current is not None:
            return "stopping" if self.current.stopped else "generating" if self.current.begun else "queued"
        return "queued" if self._turns else "idle"

    def add(self, turn: Turn) -> None:
        """It waits from now on."""
        self._turns.append(turn)

    def begin(self, turn: Turn) -> bool:
        """The model begins to answer it; False if it was withdrawn before that."""
        if turn not in self._turns:
            return False
        self._turns.remove(turn)
        turn.begun = True
        self._pump.post(self._teller.record.begin_reply(turn.request))
        return True

    def clear(self) -> None:
        """None waits any more; nobody is told."""
        self._turns.clear()

    def stop(self) -> Turn | None:
        """Withdraw what the worker is not at yet, and mark what it is at, which is returned, as stopped."""
        behind = [turn for turn in self._turns if turn is not self.current]
        self.withdraw(behind, "Stopped before the model read this message.")
        if self.current is not None:
            self.current.stopped = True
        return self.current

    def reset(self) -> None:
        """Give all back, but for what stood in the chat before: that is gone with it."""
        for turn in self._turns:
            turn.stopped = turn.stopped or turn.again
        self._turns = [turn for turn in self._turns if not turn.again]
        self.withdraw(self._turns, "The chat was reset before the model read this message; send it again.")

    def withdraw(
        self, turns: Iterable[Turn], why: str, *, kind: str = "Withdrawn", retry: Retry | None = "send"
    ) -> None:
        """Take prompts off the screen that the model has not read, and give their text back."""
        for turn in tuple(turns):
            if turn in self._turns:
                self._turns.remove(turn)
                if turn.again:
                    self._fail(turn, {"kind": kind, "message": why, "retry": retry})
                    continue
                moved = self._teller.record.remove_prompt(turn.request)
                if moved is not None:
                    self._pump.post(moved)
                self._teller.refuse(turn.request, kind, why, retry=retry, text=turn.text)

    def _fail(self, turn: Turn, problem: Problem) -> None:
        """Say in the place of the reply why there is none."""
        self._pump.post(self._teller.record.begin_reply(turn.request))
        told = self._teller.record.end_reply(problem)
        if told is not None:
            self._pump.post(told)
