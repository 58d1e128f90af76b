"""Tools that ask first: the model's call waits until the user has decided."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gemma_notebook.messages import ToolCall, ToolOutcome, ToolResult
from gemma_notebook.panel.protocol import Call, CallState, well_formed
from gemma_notebook.tools import arguments_of

__all__ = ["STATES", "ToolDesk", "arguments_json", "result_text"]

_MOST_EXACT = 2**53 - 1  # of JavaScript's whole numbers

STATES: dict[ToolOutcome, CallState] = {
    "done": "done",
    "error": "error",
    "denied": "denied",
    "stopped": "stopped",
}


@dataclass(slots=True)
class _Asked:
    call: Call
    decided: threading.Event
    allowed: bool = False


class ToolDesk:
    """Where a chat asks whether it may call a tool, and where what came of the calls is told.

    Args:
        tell: Takes each call whenever something about it is new. It must not use the desk.

    Thread-safe. A question is asked on the thread of the call, and answered from any other.

    Example:
        >>> chat._askers.append(desk.approve)
        >>> for delta in chat.stream("Send it."):
        ...     if delta.tool_result:
        ...         desk.settle(delta.tool_result)
    """

    def __init__(self, tell: Callable[[Call], None]) -> None:
        self._tell = tell
        self._telling = threading.Lock()  # so that the latest state of a call is told last
        self._lock = threading.Lock()
        self._calls: dict[int, tuple[ToolCall, Call]] = {}  # the call is kept, so that its id stays its own
        self._count = 0
        self._asked: _Asked | None = None
        self._denied = False

    def begin(self) -> None:
        """A reply begins: what was denied with the last one does not count for it, and nothing of that is asked."""
        with self._lock:
            if self._asked is not None:
                self._asked.decided.set()
            self._calls, self._denied = {}, False

    def show(self, call: ToolCall) -> None:
        """Show a call that the model has asked for; does nothing when it is shown already."""
        with self._telling:
            with self._lock:
                new = id(call) not in self._calls
            if new:
                self._tell(self._entry(call, "running"))

    def approve(self, call: ToolCall) -> bool:
        """Ask the user and wait for the answer. Stop and Reset answer no, and so does a result from elsewhere."""
        with self._telling:
            with self._lock:
                over = id(call) in self._calls and "result" in self._calls[id(call)][1]
                if over or self._denied:
                    return False
            asked = _Asked(self._entry(call, "asking"), threading.Event())
            with self._lock:
                self._asked = asked
            self._tell(asked.call)
        asked.decided.wait()
        with self._telling:
            with self._lock:
                if self._asked is asked:
                    self._asked = None
                over = self._calls.get(id(call), (call, None))[1] is not asked.call
            if not over:  # else it was stopped, and another reply may have begun
                self._tell(self._entry(call, "running" if asked.allowed else "denied"))
        return asked.allowed

    def settle(self, result: ToolResult) -> None:
        """Show what came of a call; a question about it has no answer any more."""
        with self._telling:
            self._tell(self._entry(result.call, STATES[result.outcome], result_text(result)))
            with self._lock:
                if (
                    self._asked is not None
                    and self._asked.call["id"] == self._calls[id(result.call)][1]["id"]
                ):
                    self._asked.decided.set()

    def decide(self, call: str, *, allow: bool) -> bool:
        """Answer the question about the call with that id; False if it is not being asked."""
        with self._lock:
            asked = self._asked
            if asked is None or asked.call["id"] != call or asked.decided.is_set():
                return False
            asked.allowed = allow
            asked.decided.set()
            return True

    def deny(self) -> None:
        """Answer no to what is asked, and to what this reply would ask yet."""
        with self._lock:
            self._denied = True
            if self._asked is not None:
                self._asked.decided.set()

    def _entry(self, call: ToolCall, state: CallState, result: str | None = None) -> Call:
        with self._lock:
            known = self._calls.get(id(call))
            if known is None:
                self._count += 1
            number = str(self._count) if known is None else known[1]["id"]
            entry: Call = {
                "id": number,
                "name": well_formed(call.name),
                "arguments": arguments_json(call.arguments),
                "state": state,
            }
            if result is not None:
                entry["result"] = well_formed(result)
            self._calls[id(call)] = call, entry
            return entry


def result_text(result: ToolResult) -> str:
    """What came of a call, to be read."""
    value = result.value
    if result.outcome != "done" and isinstance(value, dict) and "error" in value:
        value = value["error"]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def arguments_json(written: object) -> Any:
    """What a call is made with, as JSON that UTF-8 can carry and JavaScript can read: who allows it must see that and nothing else."""
    arguments = json.dumps(arguments_of(written), ensure_ascii=False, default=str)
    return _exact(json.loads(well_formed(arguments)))


def _exact(value: Any) -> Any:
    """Whole numbers that JavaScript would round, as their digits."""
    if isinstance(value, dict):
        return {key: _exact(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_exact(one) for one in value]
    return str(value) if isinstance(value, int) and abs(value) > _MOST_EXACT else value
