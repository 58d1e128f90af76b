"""Turns: a message, or the results of tools, its way through the engine's queue, and the reply that comes back.

A :class:`Turn` can be driven by anyone. Its reader does so as it iterates; whoever closes the session or
waits for the engine does so too. Whatever was taken stays in the turn, so nobody steals another's chunks,
and a turn that its reader has abandoned still comes to its end.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gemma_notebook._determinism import clock_is_fixed
from gemma_notebook.chunks import deltas_in
from gemma_notebook.engine import TRY_AGAIN, Conversation, Generation
from gemma_notebook.errors import (
    ClosedError,
    EngineError,
    GemmaNotebookError,
    ResponseFormatError,
    ToolError,
)
from gemma_notebook.formats import ResponseFormat
from gemma_notebook.messages import (
    Asked,
    Delta,
    FinishReason,
    Message,
    Reply,
    Timing,
    ToolCall,
    ToolResult,
    Usage,
)
from gemma_notebook.options import SendOptions
from gemma_notebook.prompted import CallReader, CutCallReader, calls_text

__all__ = ["Turn", "copies_of"]

_WAIT_S = 0.1
_CANCELLED_WAIT_S = 0.02

# The engine names its status codes in the text of a terminal error.
_STATUS_CODES = {
    "CANCELLED": 1, "UNKNOWN": 2, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6, "PERMISSION_DENIED": 7, "RESOURCE_EXHAUSTED": 8, "FAILED_PRECONDITION": 9,
    "ABORTED": 10, "OUT_OF_RANGE": 11, "UNIMPLEMENTED": 12, "INTERNAL": 13, "UNAVAILABLE": 14,
    "DATA_LOSS": 15, "UNAUTHENTICATED": 16,
}  # fmt: skip


# What the engine ends a reply with whose tool call it cannot read.
_BAD_CALL = "Failed to parse tool calls"
_NO_CONSTRAINT = "Failed to create LLGuidance constraint"


class Turn:
    """One message and its reply. Safe to use from any thread.

    Args:
        message: The user's text; ``""`` when it is the results of tools that are sent.
        options: What this send sets for itself.
        max_output_tokens: The limit that holds for the reply, from the send or else from the session.
        parts: Images and sounds that go with the message, as the engine takes them.
        results: What came of the calls in the reply of ``follows``.
        follows: The turn whose calls these are the results of.
        response_format: What the reply shall be.
        prompted: Tools are declared in the prompt, and calls read from the reply's text.
        held_to_call: The reply is held to be a call, and read as one.
    """

    def __init__(
        self,
        message: str,
        options: SendOptions,
        *,
        max_output_tokens: int | None = None,
        parts: Sequence[dict[str, Any]] = (),
        results: Sequence[ToolResult] = (),
        follows: Turn | None = None,
        response_format: ResponseFormat | None = None,
        prompted: bool = False,
        held_to_call: bool = False,
    ) -> None:
        self.message = message
        self.options = options
        self.parts = tuple(parts)
        self.attach: Callable[[], Sequence[dict[str, Any]]] | None = None
        self.ended: Callable[[], None] | None = None  # told when there is a reply; must not wait
        self.resets_before: int | None = None  # how often the session had been reset when it was to be sent
        self.results = tuple(results)
        self.follows = follows
        self.response_format = response_format
        self.prompted = prompted
        self.reply: Reply | None = None
        self.error: GemmaNotebookError | None = None
        self.deltas: list[Delta] = []
        self.rendered = ""
        self.trimmed_turns = 0
        # An estimate: the engine counts what it puts in for images and sounds only as it does so.
        self.media_tokens = 0
        self.restored = False
        self._written: list[str] = []
        self.held_to_call = held_to_call
        self._calls_in_text: CallReader | CutCallReader | None = (
            CallReader() if prompted or held_to_call else None
        )
        self._max_output_tokens = max_output_tokens
        self._driving = threading.Lock()
        self._done = threading.Event()
        self._parsing = threading.RLock()
        self._parsed = response_format is None
        self._cancel_requested = False
        self._conversation: Conversation | None = None
        self._generation: Generation | None = None
        self._context_before = 0
        self._prompt_tokens = 0
        self._context_limit = 0

    def renew_locks(self) -> None:
        """In a forked child, where whoever held them is not."""
        self._driving, self._parsing = threading.Lock(), threading.RLock()

    @classmethod
    def of_the_past(
        cls,
        message: str,
        reply: Reply | None,
        *,
        results: Sequence[ToolResult] = (),
        follows: Turn | None = None,
        parts: Sequence[dict[str, Any]] = (),
        prompted: bool = False,
        asked: Asked | None = None,
    ) -> Turn:
        """A turn that was not answered here: one of a saved chat."""
        turn = cls(message, SendOptions(), parts=parts, results=results, follows=follows, prompted=prompted)
        turn.restored, turn.reply = True, reply
        if asked is not None:
            turn.options = SendOptions(max_output_tokens=asked.max_output_tokens)
            turn.response_format = ResponseFormat.of(asked.response_format)
        if reply is not None:
            calls = calls_text(reply.tool_calls) if prompted else ""
            turn._written.append("\n".join(part for part in (reply.text, calls) if part))
            pieces = (Delta(thinking=reply.thinking), Delta(text=reply.text))
            turn.deltas += [piece for piece in pieces if piece != Delta()]
            turn.deltas += [Delta(tool_call=call) for call in reply.tool_calls]
        turn._done.set()
        return turn

    @classmethod
    def follow_up(cls, follows: Turn, results: Sequence[ToolResult]) -> Turn:
        """The turn that tells the model what came of the calls in the reply of ``follows``."""
        return cls(
            "",
            SendOptions(max_output_tokens=follows.options.max_output_tokens),
            max_output_tokens=follows._max_output_tokens,
            results=results,
            follows=follows,
            prompted=follows.prompted,
        )

    def __repr__(self) -> str:
        state = "done" if self.done else "generating" if self._generation else "queued"
        said = self.message or f"{len(self.results)} results"
        return f"Turn({said[:40]!r}, {state})"

    def read_attachments(self) -> None:
        """Read what goes with the message, where that was put off. Raises what reading raises."""
        attach, self.attach = self.attach, None
        if attach is not None:
            self.parts = tuple(attach())

    @property
    def first(self) -> Turn:
        """The turn with the user's message that this one belongs to."""
        return self if self.follows is None else self.follows.first

    @property
    def done(self) -> bool:
        """It has a reply or an error, and nothing more will come."""
        return self._done.is_set()

    @property
    def under_way(self) -> bool:
        """It waits for the engine, or the engine is at it, whether or not somebody reads what comes."""
        generation = self._generation
        return not self.done and (generation is None or not generation.wait_end(0))

    @property
    def has_reply(self) -> bool:
        """The model answered, if with nothing: not so where it failed before the first word."""
        answered = self.reply is not None and (self.error is None or self.reply.finish_reason == "stop")
        return answered or bool(self.raw_text or self.thinking or self.tool_calls)

    @property
    def started(self) -> bool:
        """The engine has accepted the message."""
        return self._generation is not None

    @property
    def cancel_requested(self) -> bool:
        """Someone asked it to stop."""
        return self._cancel_requested

    @property
    def text(self) -> str:
        """The reply so far."""
        return "".join(delta.text for delta in self.deltas)

    @property
    def constrained(self) -> bool:
        """The reply is held to a format."""
        return bool(self.options.constraint_type)

    @property
    def raw_text(self) -> str:
        """The reply so far as the model wrote it, calls in the text included."""
        return "".join(self._written)

    @property
    def thinking(self) -> str:
        """What the model thought so far."""
        return "".join(delta.thinking for delta in self.deltas)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls that it asks for so far."""
        return tuple(delta.tool_call for delta in self.deltas if delta.tool_call is not None)

    @property
    def context_tokens(self) -> int | None:
        """Tokens in the KV cache after this turn; None when it never reached the engine.

        Of a restored turn the tokens of its text and of those before it, which the next send puts there.
        """
        if self.reply is None or (self._generation is None and not self.restored):
            return None
        return self.reply.usage.context_tokens

    @property
    def asked(self) -> Asked | None:
        """What was asked of the reply with the message, for when it is answered again; None for nothing."""
        asked = Asked(self.options.max_output_tokens, self.response_format)
        return None if asked == Asked() else asked

    @property
    def messages(self) -> tuple[Message, ...]:
        """The user's message, or the results of tools, and, once there is one, the reply."""
        said = Message("user", self.message, parts=self.parts, asked=self.asked)
        if self.results:
            values = json.dumps([one.value for one in self.results], ensure_ascii=False)
            said = Message("tool", values, tool_results=self.results)
        reply = self.reply
        if reply is None or not self.has_reply:
            return (said,)
        answer = Message(
            "assistant",
            reply.text,
            reply.finish_reason,
            thinking=reply.thinking,
            tool_calls=reply.tool_calls,
        )
        return (said, answer)

    def start(
        self,
        conversation: Conversation,
        message_json: str,
        *,
        used: int,
        prompt: int,
        limit: int,
        call_start: str = "",
    ) -> None:
        """Send the message, which adds ``prompt`` tokens to the ``used`` ones of ``limit`` in the KV cache.

        ``call_start`` is what the model writes before a call that the engine reads; ``""`` when there are no such calls.

        Raises:
            ClosedError: The handle is closed.
            EngineError: The engine refused the message.
            ResponseFormatError: The engine cannot hold a reply to the format.
            ToolError: The engine cannot hold a call to the tools' arguments.
        """
        self._context_before, self._prompt_tokens, self._context_limit = used, prompt, limit
        if call_start and self._calls_in_text is None and self.response_format is None:
            self._calls_in_text = CutCallReader(call_start)
        self._conversation = conversation  # from here on a cancel reaches the engine
        try:
            self._generation = conversation.send(message_json, self.options)
        except BaseException as error:
            self._generation = conversation.generation  # a Ctrl-C, after the engine had accepted
            if isinstance(error, EngineError) and _NO_CONSTRAINT in str(error):
                why = str(error).partition(_NO_CONSTRAINT)[2].removesuffix(f"; {TRY_AGAIN}")
                raise self._no_constraint(why.partition("<backtrace>")[0].strip(" :")) from error
            raise
        if self._cancel_requested:  # it came while the message was being sent
            conversation.cancel(self._generation)

    def cancel(self) -> None:
        """Ask it to stop, queued or generating. Returns at once. Of a finished turn it stops what follows from its calls."""
        self._cancel_requested = True
        conversation = self._conversation
        if conversation is not None and not self.done:
            conversation.cancel(self._generation)

    def drive(self, timeout_s: float = _WAIT_S) -> None:
        """Take what the engine has produced, waiting up to ``timeout_s`` seconds for it."""
        generation = self._generation
        if generation is not None and not generation.in_this_process:
            self._end_forked(generation)
            return
        with self._driving:
            generation = self._generation
            if self.done or generation is None:
                return
            chunks = generation.take(timeout_s)
            self._add(deltas_in(chunks))
            if generation.ended:
                self._finish(generation)
                return
            if self._conversation is not None:
                self._conversation.insist()
            if not chunks:
                self._watch()

    def _add(self, deltas: Sequence[Delta]) -> None:
        self._written += [delta.text for delta in deltas]
        reader = self._calls_in_text
        if reader is None:
            self.deltas += deltas
            return
        for delta in deltas:
            shown = replace(delta, text=reader.feed(delta.text))
            if shown != Delta():  # else it may become a call yet
                self.deltas.append(shown)

    def _end_of_text(self, reason: FinishReason | None) -> None:
        """What may have become a call is one, or is shown after all."""
        if self._calls_in_text is None:
            return
        calls, rest = self._calls_in_text.end()
        if rest and not self.held_to_call:  # what was to be a call and was cut off is no text
            self.deltas.append(Delta(text=rest))
        if reason == "stop":  # of one that was cut off there is no call to be made
            self.deltas += [Delta(tool_call=call) for call in calls]

    def wait_end(self, timeout_s: float) -> bool:
        """Wait for the end without competing with a reader; then take the rest. True when done."""
        generation = self._generation
        if generation is None:
            return self._done.wait(timeout_s)
        if self._conversation is not None and self._cancel_requested:
            self._conversation.insist()
            timeout_s = min(timeout_s, _CANCELLED_WAIT_S)
        if generation.wait_end(timeout_s) or self._given_up or not generation.in_this_process:
            self.drive(0)
        return self.done

    def drain(self) -> None:
        """Wait for the end of a turn that has been started, or that another thread is about to start."""
        while not self.done:
            self.wait_end(_WAIT_S)

    def finish_unstarted(self, error: GemmaNotebookError | None = None) -> None:
        """End a turn that never reached the engine: as cancelled, or with an error."""
        with self._driving:
            if self.done or self._generation is not None:
                return
            self.error = error
            if error is None:
                used, limit = self._context_before, self._context_limit
                self.reply = Reply("", "cancelled", Usage(0, 0, used, limit), Timing(None, None, None, 0.0))
        self._end()

    def _end(self) -> None:
        self._done.set()
        if self.ended is not None:
            self.ended()

    def finish_unsent(self) -> None:
        """End a turn that is part of the history and will not be sent by itself: there is no reply to it."""
        self._done.set()

    @property
    def _given_up(self) -> bool:
        conversation = self._conversation
        return conversation is not None and (bool(conversation.lost) or conversation.overdue)

    def _watch(self) -> None:
        """End the turn when its terminal event will never come: nobody may wait for ever."""
        conversation = self._conversation
        if conversation is None:
            return
        conversation.watch()
        if not self._given_up:
            return
        try:
            conversation.close(0)
            if not conversation.lost:  # it came at the last moment
                return
            self.error = EngineError(
                f"the engine never ended the reply, and conversation handle {conversation.number} is given up; "
                "send the message again, and reload the model with manager.reload() if that fails",
                operation="generate",
            )
        except EngineError as error:
            self.error = error
        usage = Usage(self._prompt_tokens, 0, self._context_before, self._context_limit)
        self.reply = Reply(self.text, "cancelled", usage, Timing(None, None, None, 0.0))
        self._end()

    def _end_forked(self, generation: Generation) -> None:
        # Without the lock: a thread that held it at the fork does not exist here.
        try:
            generation.take(0)
        except ClosedError as error:
            self.error = error
        self._done.set()

    def _finish(self, generation: Generation) -> None:
        conversation = self._conversation
        assert conversation is not None
        conversation.settle()
        chunks = generation.stats.chunks
        context = self._context_after(conversation, chunks)
        # A chunk is a token, save where several make one character. The KV cache has them all, the
        # end-of-turn token included.
        added = context - self._context_before
        if self.media_tokens:
            output, self._prompt_tokens = chunks, max(0, added - chunks)
        else:
            output = max(chunks, added - self._prompt_tokens)
        reason = self._finish_reason(generation.error, output, context)
        self._end_of_text(reason)
        if reason == "stop" and self.tool_calls:
            reason = "tool_calls"
        if reason == "cancelled" and conversation.stalled and not self._cancel_requested:
            self.error = EngineError(
                "the engine stood still in the middle of the reply and was stopped; send the message again, "
                "and reload the model with manager.reload() if that fails",
                operation="generate",
            )
        elif reason is None:
            self.error = self._broken_off(generation.error)
        elif reason in {"length", "context_full"}:
            # The reply was cut without its end-of-turn token. Sent to again, the model takes the next
            # message for the rest of its own sentence ("Your name is Adauseru.", measured).
            conversation.retire(reason)
        if reason in {"stop", "tool_calls"} and output > chunks:
            output -= 1
        usage = Usage(self._prompt_tokens, output, context, self._context_limit)
        timing = _timing(generation, self._prompt_tokens, output)
        conversation.end_turn(reason or "error", usage, timing)
        reply = Reply(
            text=self.text,
            finish_reason=reason or "cancelled",
            usage=usage,
            timing=timing,
            thinking=self.thinking,
            tool_calls=self.tool_calls,
            trimmed_turns=self.trimmed_turns,
        )
        self.reply = reply
        self._end()

    def parse(self) -> None:
        """Read the reply as the value that it shall be, once. What does not fit is the turn's error from then on.

        This runs the caller's validators, which may take their time, and send to this chat or another: so it is for whoever
        reads the reply, when the turn is done and the engine free.
        """
        with self._parsing:
            if self._parsed or self.reply is None:
                return
            self._parsed = True  # a validator that reads this reply gets it as it is
            try:
                self.reply = self._with_parsed(self.reply)
            except BaseException:  # a Ctrl-C in a validator
                self._parsed = False
                raise

    def _with_parsed(self, reply: Reply) -> Reply:
        """The reply with the value that it is, when one was asked for and the reply is whole."""
        if self.response_format is None or reply.finish_reason != "stop" or self.error is not None:
            return reply
        try:
            return replace(reply, parsed=self.response_format.parsed(reply.text))
        except ResponseFormatError as error:
            self.error = error
            return reply

    def _no_constraint(self, why: str) -> GemmaNotebookError:
        if self.response_format is None:
            return ToolError(
                f'tool_choice="required" holds the reply to the arguments of the tools, and the engine cannot: {why}; '
                'give them simpler types, or use tool_choice="auto"'
            )
        return ResponseFormatError(
            f"the engine cannot hold a reply to this response_format: {why}; write it without that"
        )

    def _broken_off(self, error: str) -> GemmaNotebookError:
        name, error = error.partition(":")[0], " ".join(error.split())  # the engine's have line breaks
        if self.response_format is not None:
            return ResponseFormatError(
                f"the engine could not keep to the response_format: {error}; simplify it, or leave it out"
            )
        remedy = "send the message again"
        if "No LoRA ID is set" in error:
            remedy = "a model that was given a LoRA answers no session without one: manager.reload() ends that, or use a second model"
        return EngineError(
            f"the engine broke off the reply: {error}; {remedy}",
            code=_STATUS_CODES.get(name, -1),
            operation="generate",
        )

    def _finish_reason(self, error: str, output_tokens: int, context: int) -> FinishReason | None:
        """Why the generation ended; None for an error of the engine."""
        if error.startswith("CANCELLED"):
            return "cancelled"
        full = self._context_limit > 0 and context >= self._context_limit - 1
        if "Max number of tokens reached" in error:
            return "context_full" if full or self._max_output_tokens is None else "length"
        if _BAD_CALL in error:  # a call that is no JSON gets an answer too, on another handle
            self.deltas.append(Delta(tool_call=ToolCall("")))
            return "tool_calls"
        if error:
            return None
        if self.tool_calls:
            return "tool_calls"
        # Neither limit is an event of its own: the engine just ends the stream. Whether the last token was the one that ends
        # a turn cannot be told: others come without text, too, as the end of the thoughts and half a character.
        if self._max_output_tokens is not None and output_tokens >= self._max_output_tokens:
            return "length"
        return "context_full" if full else "stop"

    def _context_after(self, conversation: Conversation, output_tokens: int) -> int:
        try:
            return conversation.token_count()
        except (ClosedError, EngineError):  # closed in mid-reply: nobody needs the exact number any more
            return self._context_before + self._prompt_tokens + output_tokens


def copies_of(turns: Sequence[Turn]) -> list[Turn]:
    """Turns that are done once more, which follow each other as those do: what is stopped in the one is not in the other."""
    copies: dict[Turn, Turn] = {}
    for turn in turns:
        copies[turn] = one = copy.copy(turn)
        one.ended = None
        if turn.follows is not None:
            one.follows = copies.get(turn.follows, turn.follows)
    return [*copies.values()]


def _timing(generation: Generation, prompt_tokens: int, output_tokens: int) -> Timing:
    if clock_is_fixed():
        return Timing(None, None, None, 0.0)
    stats = generation.stats
    first = stats.first_chunk_s - stats.sent_s if stats.first_chunk_s else None
    decoding = stats.last_chunk_s - stats.first_chunk_s
    return Timing(
        time_to_first_token_s=first,
        prefill_tokens_per_s=prompt_tokens / first if first else None,
        decode_tokens_per_s=(output_tokens - 1) / decoding if stats.chunks > 1 and decoding > 0 else None,
        total_s=max(0.0, stats.ended_s - stats.sent_s),
    )
