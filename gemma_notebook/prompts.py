"""Messages as the engine takes them: checked, with the chat template's markers defused, as JSON.

The engine logs and drops JSON that it cannot parse, and a marker such as ``<end_of_turn>`` that a user
typed would end the user's turn: both are seen to before the engine sees anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from gemma_notebook.engine import Engine
from gemma_notebook.errors import OptionTypeError, OptionValueError
from gemma_notebook.messages import Message, Reply, Timing, Usage
from gemma_notebook.options import encodable_text
from gemma_notebook.turns import Turn

__all__ = ["check_message", "history_json", "message_json", "system_json", "turns_of"]

# The markers of Gemma's chat templates. Typed by a user they would end the turn or open another one.
_CONTROL_TOKENS = re.compile(
    r"<(?=\|?/?(?:start_of_turn|end_of_turn|turn|channel|bos|eos|pad|unk|mask|start_of_image|end_of_image|"
    r"image_soft_token|start_of_audio|end_of_audio|tool_call|tool_response|tool|think)\|?>)"
)


def check_message(message: object) -> None:
    """Raise unless ``message`` is text that can be sent.

    Raises:
        OptionTypeError: It is not a string.
        OptionValueError: It is empty, contains a NUL, or cannot be encoded.
    """
    text = encodable_text("the message", message)
    if not text.strip():
        raise OptionValueError("the message is empty; write something to send")
    if "\0" in text:
        raise OptionValueError(
            "the message contains a NUL character, which the engine would cut it at; remove it"
        )


def message_json(text: str, role: str = "user") -> str:
    """One message for the engine, its control tokens defused by a space after the ``<``."""
    return json.dumps({"role": role, "content": [{"type": "text", "text": _CONTROL_TOKENS.sub("< ", text)}]})


def history_json(turns: Iterable[Turn]) -> str | None:
    """Finished turns as the messages to start a conversation from.

    A turn without reply text is left out, with its message: chat templates want the roles to alternate.
    """
    messages = [
        message_json(text, role)
        for turn in turns
        if turn.done and turn.text
        for text, role in ((turn.message, "user"), (turn.text, "assistant"))
    ]
    return f"[{', '.join(messages)}]" if messages else None


def system_json(instruction: str | None) -> str | None:
    """A system instruction as a JSON string: the engine parses ``42`` or ``[1]`` as another type."""
    return json.dumps(instruction) if instruction else None


def turns_of(messages: Iterable[Message], engine: Engine) -> list[Turn]:
    """The turns that a chat's messages make, each the user's and, where there is one, the reply.

    Raises:
        OptionTypeError: Something in it is no message.
        OptionValueError: A text cannot be sent, or a reply has no message before it.
    """
    pairs: list[tuple[str, Message | None]] = []
    for place, message in enumerate(messages):
        if not isinstance(message, Message):
            raise OptionTypeError(f"messages[{place}] must be a Message, not {type(message).__name__}")
        if message.role == "user":
            check_message(message.text)
            pairs.append((message.text, None))
        elif message.role == "assistant" and pairs and pairs[-1][1] is None:
            _check_reply(message.text)
            pairs[-1] = (pairs[-1][0], message)
        else:
            raise OptionValueError(
                f"messages[{place}] is {message.role!r} where a message of the user's belongs; "
                "give the user's and the assistant's messages in turn"
            )
    turns, context = [], 0
    for text, answer in pairs:
        reply = None
        if answer is not None:
            prompt, output = len(engine.tokenize(text)), len(engine.tokenize(answer.text))
            context += prompt + output
            usage = Usage(prompt, output, context, engine.model.context_limit)
            reason = answer.finish_reason or "stop"
            reply = Reply(answer.text, reason, usage, Timing(None, None, None, 0.0))
        turns.append(Turn.of_the_past(text, reply))
    return turns


def _check_reply(text: object) -> None:
    if "\0" in encodable_text("a reply's text", text):
        raise OptionValueError(
            "a reply contains a NUL character, which the engine would cut it at; remove it"
        )
