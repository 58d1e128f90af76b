"""Messages as the engine takes them: checked, with the chat template's markers defused, as JSON.

The engine logs and drops JSON that it cannot parse, and a marker such as ``<end_of_turn>`` that a user
typed, or that stands in a page in the system instruction, would end the turn: both are seen to before the engine sees anything.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, get_args

from gemma_notebook.attachments import headers, sounds
from gemma_notebook.attachments.kinds import sniff
from gemma_notebook.engine import Engine
from gemma_notebook.errors import OptionTypeError, OptionValueError, UnsupportedError
from gemma_notebook.messages import (
    Asked,
    FinishReason,
    Message,
    ModelInfo,
    Reply,
    Timing,
    ToolOutcome,
    ToolResult,
    Usage,
)
from gemma_notebook.options import encodable_text
from gemma_notebook.prompted import results_text
from gemma_notebook.tools import DEEPEST_READ, Tool, is_nested_deeper
from gemma_notebook.turns import Turn

__all__ = [
    "ENCODERS",
    "check_history",
    "check_message",
    "history_json",
    "system_json",
    "tools_json",
    "turn_json",
    "turns_of",
    "user_json",
]

# The markers of the chat templates of Gemma, Gemma 4 and FunctionGemma. Typed by a user they would end the turn or open
# another one.
_CONTROL_TOKENS = re.compile(
    r"<(?=\|?/?(?:start_of_turn|end_of_turn|turn|channel|bos|eos|pad|unk|mask|start_of_image|end_of_image|"
    r"image_soft_token|start_of_audio|end_of_audio|tool_call|tool_response|tool|think|"
    r"(?:start|end)_function_(?:call|response|declaration)|escape)\|?>"
    r'|\|(?:"|image|audio|video)\|>)'  # without the bars some are tags of HTML
)
# What a model needs to take a part of a message.
ENCODERS = {"image": "vision", "audio": "audio"}
# The engine reads whole numbers of 64 bits. It rounds larger ones, and drops all messages where one has no double (measured
# with 0.18.1).
_LEAST_INTEGER, _GREATEST_INTEGER = -(2**63), 2**64 - 1


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


def turn_json(turn: Turn) -> str:
    """What a turn sends, for the engine: the user's message, or the results of tools."""
    if not turn.results:
        return json.dumps(_user(turn.message, turn.parts))
    if turn.prompted:
        return json.dumps(_user(results_text(turn.results)))
    answers = [_answer(result) for result in turn.results]
    return json.dumps(answers[0] if len(answers) == 1 else answers)


def user_json(text: str) -> str:
    """A message of the user's that is text alone, for the engine."""
    return json.dumps(_user(text))


def history_json(turns: Sequence[Turn], *, keep_thinking: bool = False) -> str | None:
    """Finished turns as the messages to start a conversation from; their control tokens are defused.

    A turn that failed before there was a reply is left out, with its message: chat templates want the roles to alternate.
    One that was stopped before its first word, or came to thoughts alone, has an empty reply. A call that was never answered
    is answered here, for the same reason.
    """
    messages: list[dict[str, Any]] = []
    for turn, following in itertools.zip_longest(turns, turns[1:]):
        if not turn.done or not (turn.has_reply or turn.results):
            continue
        messages += _as_list(json.loads(turn_json(turn)))
        messages.append(_reply(turn, keep_thinking=keep_thinking))
        if turn.tool_calls and (following is None or following.follows is not turn):
            messages += _unanswered(turn)
    return json.dumps(messages) if messages else None


def system_json(instruction: str | None) -> str | None:
    """A system instruction as a JSON string: the engine parses ``42`` or ``[1]`` as another type."""
    return json.dumps(_defused(instruction)) if instruction else None


def tools_json(tools: Mapping[str, Tool]) -> str | None:
    """The declarations of tools, for the engine; None when there are none."""
    return json.dumps([_defused(one.declaration) for one in tools.values()]) if tools else None


def _user(text: str, parts: Iterable[dict[str, Any]] = ()) -> dict[str, Any]:
    return {"role": "user", "content": [*parts, {"type": "text", "text": _defused(text)}]}


def _reply(turn: Turn, *, keep_thinking: bool) -> dict[str, Any]:
    text = turn.raw_text if turn.prompted else turn.text
    message: dict[str, Any] = {"role": "assistant", "content": []}
    if text or not turn.tool_calls:
        message["content"] = [{"type": "text", "text": _defused(text)}]
    if turn.tool_calls and not turn.prompted:
        message["tool_calls"] = [
            {
                "type": "function",
                "function": {"name": _defused(one.name), "arguments": _defused(one.arguments)},
            }
            for one in turn.tool_calls
        ]
    if keep_thinking and turn.thinking:
        message["reasoning_content"] = _defused(turn.thinking)
    return message


def _answer(result: ToolResult) -> dict[str, Any]:
    response = {
        "type": "tool_response",
        "name": _defused(result.call.name),
        "response": _defused(result.value),
    }
    return {"role": "tool", "content": [response]}


def _unanswered(turn: Turn) -> list[dict[str, Any]]:
    results = [ToolResult(call, {"error": "not answered"}, "stopped") for call in turn.tool_calls]
    asked = Turn.follow_up(turn, results)
    return [
        *_as_list(json.loads(turn_json(asked))),
        {"role": "assistant", "content": [{"type": "text", "text": ""}]},
    ]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _defused(value: Any) -> Any:
    """``value`` with a space after the ``<`` of every control token in it, no NUL, which would cut the prompt, and integers
    that the engine cannot read as text.
    """
    if isinstance(value, str):
        return _CONTROL_TOKENS.sub("< ", value).replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, int) and not _LEAST_INTEGER <= value <= _GREATEST_INTEGER:
        return str(value)
    if isinstance(value, list | tuple):
        return [_defused(one) for one in value]
    if isinstance(value, dict):
        return {_defused(str(key)): _defused(one) for key, one in value.items()}
    return value


def check_history(messages: Iterable[Message], model: ModelInfo) -> None:
    """Raise as :func:`turns_of` for what are no messages of a chat. Asks nothing of the engine, and never waits."""
    _turns(messages, model, lambda _: 0)


def turns_of(messages: Iterable[Message], engine: Engine) -> list[Turn]:
    """The turns that a chat's messages make, each the user's and, where there is one, the reply.

    Raises:
        OptionTypeError: Something in it is no message.
        OptionValueError: A text cannot be sent, or a reply has no message before it.
        UnsupportedError: The model takes no images, or no sounds, and there are some.
    """
    return _turns(messages, engine.model, lambda text: len(engine.tokenize(text)))


def _turns(messages: Iterable[Message], model: ModelInfo, tokens_in: Callable[[str], int]) -> list[Turn]:
    turns: list[Turn] = []
    context = 0
    prompted = not model.supports_tools
    if not isinstance(messages, Iterable):
        raise OptionTypeError(
            f"messages must be a list of Message, not {type(messages).__name__}; give chat.messages, or transcript.messages"
        )
    for place, message in enumerate(messages):
        if not isinstance(message, Message):
            raise OptionTypeError(f"messages[{place}] must be a Message, not {type(message).__name__}")
        if not isinstance(message.asked, Asked | None):
            raise OptionTypeError(
                f"messages[{place}].asked must be an Asked, not {type(message.asked).__name__}; leave it out"
            )
        _check_json(f"messages[{place}]", message)
        last = turns[-1] if turns else None
        asked = last.reply.tool_calls if last is not None and last.reply is not None else ()
        if message.role == "user":
            check_message(message.text)
            _check_parts(f"messages[{place}]", message, model)
            turns.append(Turn.of_the_past(message.text, None, parts=message.parts, asked=message.asked))
        elif message.role == "tool" and [one.call for one in message.tool_results] == list(asked) and asked:
            turns.append(
                Turn.of_the_past("", None, results=message.tool_results, follows=last, prompted=prompted)
            )
        elif message.role == "assistant" and last is not None and last.reply is None:
            _check_reply(f"messages[{place}]", message)
            prompt = tokens_in(last.message or json.dumps([one.value for one in last.results]))
            output = tokens_in(message.text)
            context += prompt + output
            usage = Usage(prompt, output, context, model.context_limit)
            turns[-1] = Turn.of_the_past(
                last.message,
                _reply_of(message, usage),
                results=last.results,
                follows=last.follows,
                parts=last.parts,
                prompted=prompted,
                asked=last.asked,
            )
        else:
            raise OptionValueError(
                f"messages[{place}] is {message.role!r} where a message of the user's belongs; give the user's and "
                "the assistant's messages in turn, and after a reply with calls the results of all of them"
            )
    return turns


def _reply_of(message: Message, usage: Usage) -> Reply:
    return Reply(
        message.text,
        message.finish_reason or "stop",
        usage,
        Timing(None, None, None, 0.0),
        thinking=message.thinking,
        tool_calls=message.tool_calls,
    )


def _check_parts(where: str, message: Message, model: ModelInfo) -> None:
    """Raise for what is no image or sound of a message, and for what the model cannot take."""
    if not isinstance(message.parts, list | tuple):
        raise OptionTypeError(f"{where}.parts must be a list, not {message.parts!r:.80}")
    for part in message.parts:
        kind = part.get("type") if isinstance(part, dict) else None
        data = _decoded(part.get("blob")) if kind in ENCODERS else b""
        if kind not in ENCODERS or not data:
            raise OptionTypeError(
                f'{where}.parts must be of {{"type": "image" or "audio", "blob": Base64 text}}, not {part!r:.80}'
            )
        if ENCODERS[kind] not in model.modalities:
            raise UnsupportedError(
                f"{where} carries an {kind} part, and the model {model.name!r} takes none; leave its parts out"
            )
        _check_as_sent(where, kind, data)


def _decoded(blob: object) -> bytes:
    try:
        return base64.b64decode(blob, validate=True) if isinstance(blob, str) else b""
    except ValueError:
        return b""


def _check_as_sent(where: str, kind: str, data: bytes) -> None:
    """Raise for what no chat has sent: the engine would decode it, however huge it says it is, and messages come from files."""
    shown = f"an {kind} part of {where}"
    sniffed, media_type = sniff(data, shown)
    if sniffed != kind or not (
        sounds.fits(data) if kind == "audio" else headers.fits(data, media_type, shown)
    ):
        raise OptionValueError(
            f"{where} carries an {kind} part that is not as the engine takes it; leave its parts out, and attach it to a "
            "new message"
        )


def _check_json(where: str, message: Message) -> None:
    """Raise for calls and results that JSON cannot carry: the engine drops a history that it cannot read."""
    try:
        values = [message.thinking, *((one.name, one.arguments) for one in message.tool_calls)]
        values += [one.value for one in message.tool_results]
        json.dumps(values, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise OptionValueError(f"{where} has calls or results that are no JSON: {error}") from None
    names = [one.name for one in message.tool_calls]
    if not all(isinstance(name, str) for name in names):
        raise OptionTypeError(f"{where}.tool_calls must have texts for names, not {names!r:.80}")
    outcomes = [one.outcome for one in message.tool_results]
    if not all(outcome in get_args(ToolOutcome) for outcome in outcomes):
        raise OptionValueError(
            f"{where}.tool_results have the outcomes {outcomes!r:.80}; there are {', '.join(get_args(ToolOutcome))}"
        )
    if is_nested_deeper(values, DEEPEST_READ):
        raise OptionValueError(f"{where} has calls or results that are nested too deeply for the engine")


def _check_reply(where: str, message: Message) -> None:
    if "\0" in encodable_text("a reply's text", message.text):
        raise OptionValueError(
            "a reply contains a NUL character, which the engine would cut it at; remove it"
        )
    encodable_text(f"{where}.thinking", message.thinking)
    if message.finish_reason not in (None, *get_args(FinishReason)):
        raise OptionValueError(
            f"{where}.finish_reason={message.finish_reason!r} is none of {', '.join(get_args(FinishReason))}"
        )
