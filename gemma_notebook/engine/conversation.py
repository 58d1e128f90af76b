"""One native conversation: a KV cache, the messages that are sent to it, and its one way to be closed."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemma_notebook.engine.handles import HandleLife, HandleState
from gemma_notebook.engine.library import CStrings, call_keeping
from gemma_notebook.engine.stream import WAIT_SLICE_S, Generation
from gemma_notebook.errors import ClosedError, EngineError
from gemma_notebook.messages import Timing, Usage
from gemma_notebook.options import SendOptions

if TYPE_CHECKING:
    from gemma_notebook.engine.engine import Engine

__all__ = ["Conversation", "ConversationOptions", "Measure"]

# A cancel lands within one decode step, or at the end of a prefill, which for a large model and a long
# prompt can take a minute on a slow machine. A handle whose terminal event is still missing after this
# is given up: deleting it would block for good.
TERMINAL_TIMEOUT_S = 120.0

# The engine loses some cancels that come while a reply begins: after a cancel within 2 ms of the send up to 6 of
# 60 replies ran to their end (measured). So it is asked again after this long, as often as it takes.
INSIST_S = 0.02

# A generation that gives no token for this long has broken down, and is cancelled: a decode step takes far
# less than a second. Before its first token it may have a long prompt to read on a slow machine, and a tool call is
# silent until it is complete (measured: one chunk for 17 tokens), also after words that came before it.
STALL_TIMEOUT_S = 120.0
SILENCE_TIMEOUT_S = 900.0


# Room for a rendering beside that for the message itself; one that needs more takes a second call.
_RENDERING_BYTES = 4096

_CONSTRAINTS = {"": 0, "regex": 1, "json_schema": 2}


@dataclass(frozen=True, slots=True)
class ConversationOptions:
    """What a native conversation is created with. JSON members are JSON texts, checked by the caller:
    the engine logs and drops what it cannot parse.
    """

    system_message_json: str | None = None
    messages_json: str | None = None
    extra_context_json: str | None = None
    lora_path: Path | None = None
    temperature: float = 0.8
    random_seed: int = 1
    top_k: int = 1
    top_p: float | None = None
    max_output_tokens: int | None = None
    enable_thinking: bool | None = None
    tools_json: str | None = None
    thinking_token_budget: int | None = None
    keep_thinking: bool = False
    constrained: bool = False


@dataclass(frozen=True, slots=True)
class Measure:
    """What a message would add to a conversation.

    Attributes:
        context_tokens: Tokens in the KV cache now.
        message_tokens: Tokens of the rendering.
        rendered: The text that the engine would read.
    """

    context_tokens: int
    message_tokens: int
    rendered: str


class Conversation:
    """One native conversation: a KV cache with its handle. Safe to use from any thread."""

    def __init__(
        self,
        engine: Engine,
        pointer: Any,
        *,
        detail: str = "",
        checkpoint_of: int | None = None,
        fresh: bool = True,
        constrained: bool = False,
        has_tools: bool = False,
    ) -> None:
        self.constrained = constrained
        self._has_tools = has_tools
        self._engine = engine
        self._pointer = pointer
        self._generation: Generation | None = None
        self._sending = False
        self._cancelled = False
        self._stalled = False
        self._cancelled_at = math.inf
        self._asked_at = math.inf
        self._fresh = fresh
        self._life = HandleLife(engine.ledger, detail=detail, checkpoint_of=checkpoint_of)

    def __repr__(self) -> str:
        return f"Conversation(handle={self.number}, {self.state.value})"

    @property
    def number(self) -> int:
        """The handle's number, from 1 in the order of creation; of a checkpoint, that of its origin."""
        return self._life.number

    @property
    def state(self) -> HandleState:
        """The state of the handle."""
        return self._life.state

    @property
    def generation(self) -> Generation | None:
        """The generation that was begun and not yet settled."""
        return self._generation

    @property
    def stalled(self) -> bool:
        """Its generation was cancelled because it stood still."""
        return self._stalled

    def watch(self) -> None:
        """Cancel a generation that has given no sign of life for too long. To be called while waiting for one."""
        generation = self._generation
        if generation is None or self._cancelled or not self._engine.in_this_process:
            return
        speaks = generation.stats.chunks > 0 and not self._has_tools
        if generation.silent_s < (STALL_TIMEOUT_S if speaks else SILENCE_TIMEOUT_S):
            return
        with self._life.lock:
            if self._generation is generation and not self._cancelled:
                self._stalled = True
                self._cancel_once(f"it stood still for {generation.silent_s:.0f} s")

    @property
    def running(self) -> Generation | None:
        """The generation whose terminal event has not come yet, if that can still be waited for."""
        generation = self._generation
        if generation is None or self.lost or self.overdue or generation.wait_end(0):
            return None
        return generation

    @property
    def lost(self) -> str:
        """Why the handle was given up without being deleted, or ``""``."""
        return self._life.lost

    @property
    def overdue(self) -> bool:
        """The terminal event should long have followed the cancel. Closing gives the handle up at once."""
        return time.monotonic() > self._cancelled_at + TERMINAL_TIMEOUT_S

    @property
    def fresh(self) -> bool:
        """Nothing was sent to it yet: its system message and first messages wait for the first send."""
        return self._fresh

    def send(self, message_json: str, options: SendOptions) -> Generation:
        """Start a generation. Returns as soon as the engine has accepted the message.

        The caller takes from the generation until it has ended and then calls :meth:`settle`.

        Raises:
            ClosedError: The handle is closed.
            EngineError: It is generating or spent, or the engine refused the message.
        """
        engine, library = self._engine, self._engine.library
        native = library.ffi.new("gn_send_options *")
        native.max_output_tokens = options.max_output_tokens or 0
        strings = CStrings(library)
        native.constraint_type = _CONSTRAINTS[options.constraint_type]
        native.constraint = strings.text(options.constraint or None)
        error = library.new_error()
        started: list[Any] = []
        # The handle cannot be deleted while this thread has the engine.
        with engine.lock:
            engine.wait_for_quiet_calls()
            engine.require_open()
            self._life.begin_generation()
            self._fresh = False
            self._sending = True
            try:
                call_keeping(
                    started,
                    library.lib.gn_conversation_send_stream,
                    library.api,
                    self._require_pointer(),
                    message_json.encode(),
                    native,
                    error,
                )
            finally:
                generation = self._begun(started, error)
        if generation is None:
            raise library.engine_error(error, "send")
        return generation

    def _begun(self, started: list[Any], error: Any) -> Generation | None:
        # Also when a Ctrl-C came during the call: what the engine has begun must be cancelled and drained.
        library, generation = self._engine.library, None
        if started and started[0] != library.ffi.NULL:
            generation = Generation(library, started[0])
        with self._life.lock:
            self._generation = generation
            self._sending = False
            if generation is None:
                self._life.end_generation(spent=True, detail=library.text(error.message))
            elif self._cancelled:  # while the send was under way, when there was nothing to cancel perhaps
                self._native_cancel()
        return generation

    def cancel(self, generation: Generation | None) -> bool:
        """Ask the engine to stop; False when there is nothing to stop. Returns at once.

        Args:
            generation: The one to stop, so that a late cancel never hits the next one; None for the one
                that a send on another thread is about to return.
        """
        if not self._engine.in_this_process:
            return False
        with self._life.lock:
            if self._life.state is not HandleState.GENERATING or self._generation is not generation:
                return False
            if generation is not None and generation.wait_end(0):
                return False  # too late: it has ended by itself, and the handle stays good
            self._cancel_once()
            return True

    def insist(self) -> None:
        """Ask again for a cancel that has not been followed. To be called while waiting for the end."""
        if not self._engine.in_this_process:
            return
        with self._life.lock:
            generation, now = self._generation, time.monotonic()
            if generation is None or now < self._asked_at + INSIST_S or generation.wait_end(0):
                return
            self._asked_at = now
            self._native_cancel()

    def settle(self) -> None:
        """Note the end of a generation whose terminal event has been noted. Idempotent."""
        with self._life.lock:
            generation = self._generation
            if generation is not None and generation.over:
                self._generation = None
                self._life.end_generation(
                    spent=self._cancelled or bool(generation.error), detail=generation.error
                )

    def end_turn(self, finish_reason: str, usage: Usage, timing: Timing) -> None:
        """Note the numbers of a turn whose generation was settled."""
        self._life.end_turn(finish_reason, usage, timing)

    def clone(self, *, checkpoint: bool = False) -> Conversation:
        """A second conversation that stands where this one stands; each goes its own way from there.

        Args:
            checkpoint: It is only kept to go back to, and counted apart until :meth:`promote`.

        Raises:
            ClosedError: The handle is closed.
            EngineError: It is generating or spent, or the engine refused.
        """
        engine = self._engine
        with engine.quiet():
            engine.require_open()
            self._life.require_open("clone", "be cloned")
            return engine.adopt(
                engine.library.lib.gn_conversation_clone,
                self._require_pointer(),
                operation="clone",
                detail=f"clone of handle {self.number}",
                checkpoint_of=self.number if checkpoint else None,
                fresh=self._fresh,
                constrained=self.constrained,
                has_tools=self._has_tools,
            )

    def promote(self) -> None:
        """Note that a session runs on this checkpoint from now on."""
        self._life.promote()

    def retire(self, reason: str) -> None:
        """Mark the handle as one that must not be sent to again."""
        self._life.retire(reason)

    def token_count(self) -> int:
        """Tokens in the KV cache. Call it between generations: it waits for a running one.

        Raises:
            ClosedError: The handle is closed.
            EngineError: The engine refused.
        """
        library = self._engine.library
        error = library.new_error()
        with self._engine.lock:
            self._life.require_usable()
            count = library.lib.gn_conversation_token_count(library.api, self._require_pointer(), error)
        if count < 0:
            raise library.engine_error(error, "count tokens")
        return int(count)

    def measure(self, message_json: str) -> Measure:
        """What the next send of this message would add to the context. Call it between generations.

        One call into C: beside a thread that computes in Python, each takes up to 5 ms to come back.

        Raises:
            ClosedError: The handle is closed.
            EngineError: The engine refused.
        """
        library, engine = self._engine.library, self._engine
        message, error, measure = message_json.encode(), library.new_error(), library.ffi.new("gn_measure *")
        room_size = 2 * len(message) + _RENDERING_BYTES
        while True:
            room = library.ffi.new("char[]", room_size)
            with engine.lock:
                self._life.require_usable()
                status = library.lib.gn_conversation_measure(
                    library.api,
                    engine.require_open(),
                    self._require_pointer(),
                    message,
                    room,
                    room_size,
                    measure,
                    error,
                )
            if status != 0:
                raise library.engine_error(error, "measure")
            if measure.rendered_size <= room_size:
                return Measure(int(measure.context_tokens), int(measure.message_tokens), library.text(room))
            room_size = int(measure.rendered_size)

    def close(self, timeout_s: float | None = None) -> None:
        """Cancel, wait for the terminal event, delete: once, whoever calls. Idempotent.

        Deleting a handle that generates would block until the reply has run to its end (17 s measured).

        Args:
            timeout_s: How long to wait for the terminal event; None for two minutes.

        Raises:
            EngineError: The terminal event did not come; the handle is given up, not deleted.
        """
        deadline = time.monotonic() + (TERMINAL_TIMEOUT_S if timeout_s is None else timeout_s)
        try:
            while not self._life.begin_close():
                if self._life.wait_closed(WAIT_SLICE_S):
                    return
                if time.monotonic() > deadline:
                    raise self._never_ended()
            if not self._engine.in_this_process:
                self._life.end_close(lost="closed in a forked process")
                return
            self._cancel_wait_delete(deadline)
        except BaseException:
            self._life.abort_close()
            raise

    def _cancel_wait_delete(self, deadline: float) -> None:
        while True:
            self._cancel_and_wait(deadline)
            with self._engine.lock:
                # A send that was under way when the close began has by now left its generation here.
                if self._generation is None:
                    self._delete()
                    return

    def _cancel_and_wait(self, deadline: float) -> None:
        with self._life.lock:
            generation = self._generation
            if self._sending or (generation is not None and not generation.wait_end(0)):
                self._cancel_once()
        if generation is None:
            return
        while not generation.wait_end(INSIST_S):
            self.insist()
            if time.monotonic() > deadline:
                self._life.end_close(lost="no terminal event after a cancel")
                raise self._never_ended()
        generation.keep_rest()
        self.settle()

    def _never_ended(self) -> EngineError:
        return EngineError(
            f"conversation handle {self.number} is lost: no terminal event came after a cancel; "
            "the chat goes on with a new handle; if that does not answer, reload the model with manager.reload()",
            operation="close",
        )

    def renew_lock(self) -> None:
        """Have a new lock in a forked child."""
        self._life.renew_lock()

    def give_up(self, why: str) -> None:
        """Leave the native handle as it is, for good: its engine answers no more. Idempotent."""
        with self._life.lock:
            if self._life.state is not HandleState.CLOSED:
                self._pointer = None
                self._life.end_close(lost=why)

    def _delete(self) -> None:
        with self._life.lock:  # a cancel that is inside the engine now still needs the pointer
            pointer, self._pointer = self._pointer, None
        if pointer is not None and not self._engine.closed:
            self._engine.library.lib.gn_conversation_delete(self._engine.library.api, pointer)
        self._engine.forget(self)
        self._life.end_close()

    def _cancel_once(self, why: str = "") -> None:
        if not self._cancelled:
            self._engine.ledger.record(self.number, "cancelled", why)
            self._cancelled = True
            self._cancelled_at = self._asked_at = time.monotonic()
            self._native_cancel()

    def _native_cancel(self) -> None:
        if self._pointer is not None and self._engine.in_this_process:
            self._engine.library.lib.gn_conversation_cancel(self._engine.library.api, self._pointer)

    def _require_pointer(self) -> Any:
        if self._pointer is None:
            raise ClosedError(f"conversation handle {self.number} is closed; create a session for a new one")
        return self._pointer
