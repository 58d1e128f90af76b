"""What is under the hood: the life of each native handle, from the manager's events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gemma_notebook.messages import HandleEvent
from gemma_notebook.panel.protocol import HandleLife

__all__ = ["MOST_LIVES", "lives"]

MOST_LIVES = 60

# How a handle ends, and the words for it.
_ENDS = {"closed": "closed", "lost": "given up: the engine never let go of it"}


def lives(events: Iterable[HandleEvent], current: int | None) -> tuple[int, Sequence[HandleLife]]:
    """The lives of the latest handles, oldest first, and how many older ones are left out.

    Args:
        events: ``manager.events``.
        current: The handle that the panel's chat runs on.
    """
    known: dict[int, HandleLife] = {}
    checkpoints: dict[str, int] = {}  # by name, with the handle that each is a clone of
    for event in events:
        if event.kind == "failed":
            continue
        _keep_or_drop(checkpoints, event)
        life = known.get(event.handle)
        if life is None:
            life = known[event.handle] = _born(event, current)
        _live(life, event)
    for handle in checkpoints.values():
        if handle in known:
            known[handle]["checkpoints"] += 1
    latest = list(known.values())[-MOST_LIVES:]
    return len(known) - len(latest), latest


def _born(event: HandleEvent, current: int | None) -> HandleLife:
    return {
        "handle": event.handle,
        "created_s": event.at_s,
        "spent_s": None,
        "closed_s": None,
        "tokens": None,
        "sends": 0,
        "checkpoints": 0,
        "current": event.handle == current,
        "end": "",
    }


def _keep_or_drop(checkpoints: dict[str, int], event: HandleEvent) -> None:
    if event.kind == "checkpoint":
        checkpoints[event.detail] = event.handle
    elif event.kind == "checkpoint_closed":
        checkpoints.pop(event.detail, None)
    elif event.kind == "created":  # one that was gone back to is a handle of its own from then on
        checkpoints.pop(event.detail.removeprefix("from "), None)


def _live(life: HandleLife, event: HandleEvent) -> None:
    if event.usage is not None:
        life["tokens"] = event.usage.context_tokens
    if event.kind == "sent":
        life["sends"] += 1
    elif event.kind == "spent":
        life["spent_s"], life["end"] = event.at_s, event.detail
    elif event.kind in _ENDS:
        life["closed_s"] = event.at_s
        if event.kind == "lost" or not life["end"]:
            life["end"] = _ENDS[event.kind]
