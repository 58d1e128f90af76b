"""The engine and its conversations: every call into LiteRT-LM is made here."""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import threading
import time
import weakref
from dataclasses import dataclass
from typing import Any

from gemma_notebook.engine.handles import HandleLedger, HandleLife, HandleState
from gemma_notebook.engine.library import Library, call_keeping, load_library
from gemma_notebook.engine.stream import WAIT_SLICE_S, Generation
from gemma_notebook.errors import CacheDirectoryError, ClosedError, EngineError, OptionValueError
from gemma_notebook.messages import HandleCounts, ModelInfo
from gemma_notebook.options import EngineOptions, SendOptions, usable_cores

__all__ = ["Conversation", "ConversationOptions", "Engine"]

# LiteRtLmSamplerType. 0.18.1 runs only top-p; it applies top-k as well, and with p = 1 nothing else. The
# others end every reply with "UNIMPLEMENTED: Sampler type: 1 not implemented yet." (measured)
_TOP_P = 2
_SAMPLER_NAMES = {0: "unspecified", 1: "top_k", _TOP_P: "top_p", 3: "greedy"}

# The word for "keep no compiled weights": without it the engine writes a cache beside the model file.
_NO_CACHE = ":nocache"

# A cancel lands within one decode step, or at the end of a prefill, which for a large model and a long
# prompt can take a minute on a slow machine. A handle whose terminal event is still missing after this
# is given up: deleting it would block for good.
TERMINAL_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class ConversationOptions:
    """What a native conversation is created with. JSON members are JSON texts, checked by the caller:
    the engine logs and drops what it cannot parse.
    """

    system_message_json: str | None = None
    messages_json: str | None = None
    extra_context_json: str | None = None
    lora_path: str | None = None
    temperature: float = 0.8
    random_seed: int = 1
    top_k: int = 1
    top_p: float | None = None
    max_output_tokens: int | None = None
    enable_thinking: bool | None = None


class Engine:
    """A loaded model. Safe to use from any thread.

    One lock serialises create, send, tokenize, token count and delete; a cancel never takes it. After a
    ``fork`` the child's copy is dead: the engine's threads exist in the parent alone.

    Args:
        options: How to load.
        library: The library to use; None for the installed one.
        backend: The one backend to use, already chosen (``options.backend`` may say ``"auto"``).

    Attributes:
        refused_backends: Backends that were tried before this one, each with the reason against it.

    Raises:
        LibraryLoadError: There is no usable engine library.
        ModelLoadError: The engine refused the file.
        CacheDirectoryError: ``cache_dir`` is not a directory that can be written.
    """

    def __init__(
        self, options: EngineOptions, *, backend: str = "cpu", library: Library | None = None
    ) -> None:
        _check_cache_dir(options)
        self.options = options
        self.backend = backend
        self.refused_backends: dict[str, str] = {}
        self.library = library or load_library()
        self.ledger = HandleLedger()
        self.lock = threading.RLock()
        self._conversations: set[Conversation] = set()
        self._closing = False
        self._pid = os.getpid()
        self._pointer: Any = None
        try:
            self._create()
            _open_engines.add(self)
            self.model = self._read_model_info()
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"Engine({self.options.model_path.name!r}, backend={self.backend!r}, {state})"

    def _create(self) -> None:
        library, options = self.library, self.options
        strings = _Strings(library)
        native = library.ffi.new("gn_engine_options *")
        native.model_path = strings.path(options.model_path)
        native.backend = strings.text(self.backend)
        native.vision_backend = strings.text(options.vision_backend)
        native.audio_backend = strings.text(options.audio_backend)
        native.cache_dir = strings.path(options.cache_dir) if options.cache_dir else strings.text(_NO_CACHE)
        native.max_num_tokens = options.context_tokens or 0
        native.num_threads = (options.threads or usable_cores()) if self.backend == "cpu" else 0
        native.lora_rank = options.lora_rank or 0
        error = library.new_error()
        made: list[Any] = []
        try:
            call_keeping(made, library.lib.gn_engine_create, library.api, native, error)
        finally:
            if made and made[0] != library.ffi.NULL:
                self._pointer = made[0]
        if self._pointer is None:
            raise library.engine_error(
                error,
                "load",
                f"check that {str(options.model_path)!r} is a whole .litertlm file for this backend",
            )

    def _read_model_info(self) -> ModelInfo:
        library, path = self.library, self.options.model_path
        info, error = library.ffi.new("gn_model_info *"), library.new_error()
        if library.lib.gn_model_info_read(library.api, os.fsencode(path), info, error) != 0:
            raise library.engine_error(error, "load", f"check that {str(path)!r} is a whole .litertlm file")
        file_limit, asked = int(info.max_context_tokens), self.options.context_tokens
        if asked and file_limit and asked > file_limit and not info.is_dynamic_context:
            raise OptionValueError(
                f"context_tokens={asked} is more than the {file_limit} that {path.name} was made for; "
                f"use {file_limit} or less"
            )
        modalities = ["text"]
        if info.supports_vision and self.options.vision_backend:
            modalities.append("vision")
        if info.supports_audio and self.options.audio_backend:
            modalities.append("audio")
        return ModelInfo(
            name=path.stem,
            path=str(path),
            size_bytes=path.stat().st_size,
            context_limit=asked or file_limit,
            supports_thinking=bool(info.supports_thinking),
            supports_tools=bool(info.supports_function_calling),
            modalities=tuple(modalities),
            default_sampler={
                "type": _SAMPLER_NAMES.get(int(info.sampler_type), "unknown"),
                "top_k": int(info.sampler_top_k),
                "top_p": round(float(info.sampler_top_p), 6),
                "temperature": round(float(info.sampler_temperature), 6),
            },
        )

    @property
    def closed(self) -> bool:
        """The native engine is deleted."""
        return self._pointer is None

    @property
    def counts(self) -> HandleCounts:
        """How many conversation handles were made, deleted and are alive."""
        return self.ledger.counts

    def create_conversation(self, options: ConversationOptions) -> Conversation:
        """A new native conversation.

        Raises:
            ClosedError: The engine is closed.
            EngineError: The engine refused.
        """
        library = self.library
        strings = _Strings(library)
        native = library.ffi.new("gn_conversation_options *")
        native.system_message_json = strings.text(options.system_message_json)
        native.messages_json = strings.text(options.messages_json)
        native.extra_context_json = strings.text(options.extra_context_json)
        native.lora_path = strings.text(options.lora_path)
        native.has_sampler = 1
        native.sampler_type = _TOP_P
        native.top_k = options.top_k
        native.top_p = 1.0 if options.top_p is None else options.top_p
        native.temperature = options.temperature
        native.seed = options.random_seed
        native.max_output_tokens = options.max_output_tokens or 0
        native.enable_thinking = -1 if options.enable_thinking is None else int(options.enable_thinking)
        native.thinking_token_budget = -1
        native.constraint_provider = -1
        native.filter_channel_content = -1
        native.stream_tool_calls = -1
        error = library.new_error()
        made: list[Any] = []
        conversation = None
        with self.lock:
            engine = self.require_open()
            try:
                call_keeping(made, library.lib.gn_conversation_create, library.api, engine, native, error)
                if made[0] == library.ffi.NULL:
                    failure = library.engine_error(error, "create conversation")
                    self.ledger.record(0, "failed", str(failure))
                    raise failure
                conversation = Conversation(self, made[0])
                self._conversations.add(conversation)
                return conversation
            except BaseException:  # a Ctrl-C: nobody will ever hold what was made
                if conversation is not None:
                    conversation.close()
                elif made:
                    library.lib.gn_conversation_delete(library.api, made[0])
                raise

    def forget(self, conversation: Conversation) -> None:
        """Take a deleted conversation off the list of those to close before the engine."""
        self._conversations.discard(conversation)

    def tokenize(self, text: str) -> list[int]:
        """The token ids of ``text`` by the model's own tokenizer, without turn markers.

        Raises:
            ClosedError: The engine is closed.
            EngineError: The engine refused.
            OptionValueError: The text contains a NUL, which C strings cannot carry.
        """
        if "\0" in text:
            raise OptionValueError(
                "the text contains a NUL character, which the tokenizer cannot take; remove it"
            )
        library = self.library
        count, error = library.ffi.new("size_t *"), library.new_error()
        with self.lock:
            ids = library.lib.gn_engine_tokenize(
                library.api, self.require_open(), text.encode(), count, error
            )
        if ids == library.ffi.NULL:
            raise library.engine_error(error, "tokenize")
        try:
            return list(library.ffi.unpack(ids, count[0])) if count[0] else []
        finally:
            library.lib.gn_free(ids)

    def close(self, timeout_s: float | None = None) -> None:
        """Close the conversations that are left, then delete the native engine. Idempotent.

        In a forked child nothing native is touched: a delete there waits for threads that do not exist.

        Raises:
            EngineError: A conversation never ended. It and the native engine, which it may still use, are
                given up: their memory comes back when the process ends.
        """
        with self.lock:
            self._closing = True  # no conversation may be made behind the back of the loop below
        try:
            for conversation in tuple(self._conversations):
                with contextlib.suppress(EngineError):
                    conversation.close(timeout_s)
            with self.lock:
                pointer, self._pointer = self._pointer, None
                lost = sorted(one.number for one in self._conversations)
                if pointer is not None and not lost and self.in_this_process:
                    self.library.lib.gn_engine_delete(self.library.api, pointer)
        finally:
            self._closing = False
        if pointer is not None and lost and self.in_this_process:
            raise EngineError(
                f"the engine is given up, because conversation handle {lost[0]} never ended its reply; "
                "restart the kernel to free its memory",
                operation="close",
            )

    def require_open(self) -> Any:
        """The native engine.

        Raises:
            ClosedError: It is closed, or belongs to the process that this one was forked from.
        """
        if self._pointer is None or self._closing:
            raise ClosedError("the engine is closed; load the model again with gemma_notebook.load()")
        if os.getpid() != self._pid:
            raise ClosedError(
                "this model was loaded before the process was forked, and its threads stayed behind; "
                "load it again in this process with gemma_notebook.load()"
            )
        return self._pointer

    @property
    def in_this_process(self) -> bool:
        """False in a forked child."""
        return os.getpid() == self._pid


class Conversation:
    """One native conversation: a KV cache with its handle. Safe to use from any thread."""

    def __init__(self, engine: Engine, pointer: Any) -> None:
        self._engine = engine
        self._pointer = pointer
        self._generation: Generation | None = None
        self._sending = False
        self._cancelled = False
        self._cancelled_at = math.inf
        self._fresh = True
        self._life = HandleLife(engine.ledger)

    def __repr__(self) -> str:
        return f"Conversation(handle={self.number}, {self.state.value})"

    @property
    def number(self) -> int:
        """The handle's number, from 1 in the order of creation."""
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
        error = library.new_error()
        started: list[Any] = []
        # The handle cannot be deleted while this thread has the engine.
        with engine.lock:
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

    def settle(self) -> None:
        """Note the end of a generation whose terminal event has been noted. Idempotent."""
        with self._life.lock:
            generation = self._generation
            if generation is not None and generation.over:
                self._generation = None
                self._life.end_generation(
                    spent=self._cancelled or bool(generation.error), detail=generation.error
                )

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

    def render(self, message_json: str) -> str:
        """What the next send of this message would put into the context, as text.

        Raises:
            ClosedError: The handle is closed.
            EngineError: The engine refused.
        """
        library = self._engine.library
        error = library.new_error()
        with self._engine.lock:
            self._life.require_usable()
            text = library.lib.gn_conversation_render(
                library.api, self._require_pointer(), message_json.encode(), error
            )
        if text == library.ffi.NULL:
            raise library.engine_error(error, "render")
        try:
            return library.text(text)
        finally:
            library.lib.gn_free(text)

    def close(self, timeout_s: float | None = None) -> None:
        """Cancel, wait for the terminal event, delete: once, whoever calls. Idempotent.

        Deleting a handle that generates would block until the reply has run to its end (17 s measured).

        Args:
            timeout_s: How long to wait for the terminal event; None for two minutes.

        Raises:
            EngineError: The terminal event did not come; the handle is given up, not deleted.
        """
        deadline = time.monotonic() + (TERMINAL_TIMEOUT_S if timeout_s is None else timeout_s)
        while not self._life.begin_close():
            if self._life.wait_closed(WAIT_SLICE_S):
                return
            if time.monotonic() > deadline:
                raise self._never_ended()
        if not self._engine.in_this_process:
            self._life.end_close(lost="closed in a forked process")
            return
        try:
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
        while not generation.wait_end(WAIT_SLICE_S):
            if time.monotonic() > deadline:
                self._life.end_close(lost="no terminal event after a cancel")
                raise self._never_ended()
        generation.keep_rest()
        self.settle()

    def _never_ended(self) -> EngineError:
        return EngineError(
            f"conversation handle {self.number} is lost: no terminal event came after a cancel; "
            "the chat goes on with a new handle, and a restart of the kernel frees the memory of this one",
            operation="close",
        )

    def _delete(self) -> None:
        with self._life.lock:  # a cancel that is inside the engine now still needs the pointer
            pointer, self._pointer = self._pointer, None
        if pointer is not None and not self._engine.closed:
            self._engine.library.lib.gn_conversation_delete(self._engine.library.api, pointer)
        self._engine.forget(self)
        self._life.end_close()

    def _cancel_once(self) -> None:
        if not self._cancelled:
            self._engine.ledger.record(self.number, "cancelled")
            self._cancelled = True
            self._cancelled_at = time.monotonic()
            self._native_cancel()

    def _native_cancel(self) -> None:
        if self._pointer is not None and self._engine.in_this_process:
            self._engine.library.lib.gn_conversation_cancel(self._engine.library.api, self._pointer)

    def _require_pointer(self) -> Any:
        if self._pointer is None:
            raise ClosedError(f"conversation handle {self.number} is closed; create a session for a new one")
        return self._pointer


_open_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
# Long enough for a cancel to land, short enough that nobody takes the exit for a hang.
_EXIT_TIMEOUT_S = 5.0


@atexit.register
def _close_open_engines() -> None:
    # The native threads must be idle before the process takes their memory away.
    for engine in tuple(_open_engines):
        if engine.in_this_process:
            with contextlib.suppress(EngineError):
                engine.close(_EXIT_TIMEOUT_S)


class _Strings:
    """C strings for one native struct, kept alive as long as this object."""

    def __init__(self, library: Library) -> None:
        self._ffi = library.ffi
        self._kept: list[Any] = []

    def text(self, value: str | None) -> Any:
        return self._ffi.NULL if value is None else self._keep(value.encode())

    def path(self, value: os.PathLike[str]) -> Any:
        return self._keep(os.fsencode(value))

    def _keep(self, value: bytes) -> Any:
        self._kept.append(self._ffi.new("char[]", value))
        return self._kept[-1]


def _check_cache_dir(options: EngineOptions) -> None:
    cache_dir = options.cache_dir
    if cache_dir is None:
        return
    remedy = "give a directory that exists and can be written, or leave cache_dir out"
    if not cache_dir.is_dir():
        raise CacheDirectoryError(
            f"cache_dir={str(cache_dir)!r} is not a directory; {remedy}", operation="load"
        )
    try:
        # Asked by writing: os.access() says yes to root for a read-only file system.
        probe = cache_dir / f".gemma_notebook-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise CacheDirectoryError(
            f"cache_dir={str(cache_dir)!r} cannot be written ({error.strerror}); {remedy}", operation="load"
        ) from error
