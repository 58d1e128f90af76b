"""Makes the model's context what the panel shows, and tells what the model heard elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gemma_notebook.messages import Message, Reply
from gemma_notebook.panel.interfaces import PanelChat

__all__ = ["answered", "go_back_to", "not_shown", "parts_sent", "remembered_of", "said_in"]

_Pair = tuple[str, str]


def go_back_to(chat: PanelChat, path: Sequence[Message], *, again: bool = False) -> None:
    """Let ``chat`` go on from ``path``, in the cheapest way.

    Taking back the last turn is an undo, for which the chat may have kept a checkpoint; all else is replayed.

    Args:
        chat: The chat.
        path: Prompts and replies that it shall remember.
        again: What is taken back will be said once more: the sampler then begins with another seed.

    Raises:
        GemmaNotebookError: The chat could not; what it remembers is then unknown.
    """
    wanted = _pairs(path)
    said = list(chat.messages)
    if _is_end_of(_pairs(said), wanted):
        return
    if _is_end_of(_pairs(_without_last_turn(said)), wanted):
        chat._take_back(again=again)
        return
    chat.restore(path)


def said_in(chat: PanelChat, reply: Reply) -> tuple[Message, ...]:
    """The messages that a reply with calls is made of, calls and results among them; none of another reply."""
    said: list[Message] = []
    for message in reversed(chat.messages if reply.tool_results else ()):
        if message.role != "user":
            said.insert(0, message)
        elif tuple(result for one in said for result in one.tool_results) == reply.tool_results:
            return tuple(said)
        else:  # somebody else has sent meanwhile
            said = []
    return ()


def remembered_of(chat: PanelChat, text: str) -> tuple[Message, ...]:
    """What the chat has of the reply to its latest message, if that is ``text``."""
    messages = chat.messages
    last = next((i for i in reversed(range(len(messages))) if messages[i].role == "user"), None)
    return tuple(messages[last + 1 :]) if last is not None and messages[last].text == text else ()


def parts_sent(chat: PanelChat, text: str) -> tuple[dict[str, Any], ...]:
    """What was attached to the latest message, if that is ``text``, as the model got it."""
    last = next((message for message in reversed(chat.messages) if message.role == "user"), None)
    return last.parts if last is not None and last.text == text else ()


def answered(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The prompts that were answered, with their answers."""
    return tuple(message for exchange in _exchanges(messages) for message in exchange)


def not_shown(messages: Sequence[Message], shown: Sequence[Message]) -> tuple[Message, ...] | None:
    """What the chat remembers beyond ``shown``; None when that is no longer what it remembers before."""
    exchanges, wanted = _exchanges(messages), _pairs(shown)
    pairs = [_pairs(exchange)[0] for exchange in exchanges]
    for known in range(len(pairs), -1, -1):
        if _is_end_of(pairs[:known], wanted):
            return tuple(message for exchange in exchanges[known:] for message in exchange)
    return None


def _exchanges(messages: Sequence[Message]) -> list[list[Message]]:
    """The messages by prompt, without the prompts that were not answered."""
    exchanges: list[list[Message]] = []
    for message in messages:
        if message.role == "user":
            exchanges.append([message])
        elif exchanges:
            exchanges[-1].append(message)
    return [exchange for exchange in exchanges if _pairs(exchange)]


def _pairs(messages: Sequence[Message]) -> list[_Pair]:
    """Prompts and their answers, which are empty where the answer was stopped before its first word. Those that failed have none:
    the model does not see them again.
    """
    pairs: list[tuple[str, str | None]] = []
    for message in messages:
        if message.role == "user":
            pairs.append((message.text, None))
        elif message.role == "assistant" and pairs:
            prompt, said = pairs[-1]  # before calls of tools, and after them
            pairs[-1] = (prompt, (said or "") + message.text)
    return [(prompt, "".join(said.split())) for prompt, said in pairs if said is not None]


def _is_end_of(said: list[_Pair], wanted: list[_Pair]) -> bool:
    """Whether the chat remembers ``wanted``, save the oldest turns that it dropped to make room."""
    return len(said) <= len(wanted) and wanted[len(wanted) - len(said) :] == said and bool(said or not wanted)


def _without_last_turn(messages: list[Message]) -> list[Message]:
    last = next((i for i in reversed(range(len(messages))) if messages[i].role == "user"), 0)
    return messages[:last]
