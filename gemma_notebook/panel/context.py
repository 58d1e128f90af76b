"""Makes the model's context what the panel shows, and tells what the model heard elsewhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from gemma_notebook.messages import Message, Reply, ToolResult
from gemma_notebook.panel.interfaces import PanelChat

__all__ = [
    "answered",
    "go_back_to",
    "not_shown",
    "parts_sent",
    "remembered_of",
    "said_in",
    "without_last_turn",
]


class _Pair(NamedTuple):
    """A prompt, what was said to it, and what came of the calls before that, as JSON."""

    prompt: str
    said: str
    results: str


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
    if _is_end_of(_pairs(without_last_turn(said)), wanted):
        chat._take_back(again=again)
        return
    chat._switch_to(path, again=again)


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
    pairs: list[_Pair] = []
    answered = False
    for message in messages:
        if message.role == "user":
            if pairs and not answered:
                pairs.pop()
            pairs.append(_Pair(message.text, "", ""))
            answered = False
        elif pairs:
            prompt, said, results = pairs[-1]
            answered = answered or message.role == "assistant"
            spoken = "".join(message.text.split()) if message.role == "assistant" else ""
            came = "".join(map(_written, message.tool_results))
            pairs[-1] = _Pair(prompt, said + spoken, results + came)
    return pairs if answered else pairs[:-1]


def _written(result: ToolResult) -> str:
    """A result to be compared, also where it holds NaN, which is not equal to itself."""
    call = result.call
    return json.dumps([call.name, call.arguments, result.outcome, result.value], default=str)


def _is_end_of(said: list[_Pair], wanted: list[_Pair]) -> bool:
    """Whether the chat remembers ``wanted``, save the oldest turns that it dropped to make room."""
    if len(said) > len(wanted) or (wanted and not said):
        return False
    return all(map(_are_same, said, wanted[len(wanted) - len(said) :]))


def _are_same(said: _Pair, wanted: _Pair) -> bool:
    """Whether two exchanges are one. Of a reply whose messages the screen has not got, only the words are known."""
    return said[:2] == wanted[:2] and wanted.results in ("", said.results)


def without_last_turn(messages: Sequence[Message]) -> Sequence[Message]:
    """What was said before the latest prompt."""
    last = next((i for i in reversed(range(len(messages))) if messages[i].role == "user"), 0)
    return messages[:last]
