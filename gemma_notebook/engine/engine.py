"""The engine: a loaded model, and the conversations that it has."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import json
import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gemma_notebook.engine.conversation import Conversation, ConversationOptions
from gemma_notebook.engine.handles import HandleLedger
from gemma_notebook.engine.library import TRY_AGAIN, CStrings, Library, call_keeping, load_library
from gemma_notebook.engine.stream import WAIT_SLICE_S
from gemma_notebook.errors import (
    CacheDirectoryError,
    ClosedError,
    EngineError,
    OptionValueError,
    UnsupportedError,
)
from gemma_notebook.messages import HandleCounts, ModelInfo
from gemma_notebook.options import NO_ENCODER, EngineOptions, usable_cores

__all__ = ["Engine"]

# LiteRtLmSamplerType. 0.18.1 runs only top-p; it applies top-k as well, and with p = 1 nothing else. The
# others end every reply with "UNIMPLEMENTED: Sampler type: 1 not implemented yet." (measured)
_TOP_P = 2
_SAMPLER_NAMES = {0: "unspecified", 1: "top_k", _TOP_P: "top_p", 3: "greedy"}

_LL_GUIDANCE = 1

# Expressions that need what some tokenizers cannot match: a space, a brace, a quotation mark; a letter of several bytes.
_PROBES = {"ascii": r'\{"a b": 1\}', "beyond ascii": "é"}

# The word for "keep no compiled weights": without it the engine writes a cache beside the model file.
_NO_CACHE = ":nocache"


class Engine:
    """A loaded model. Safe to use from any thread.

    One lock serialises create, send, tokenize, token count and delete; a cancel never takes it. While any
    conversation generates, the native create and clone wait for its end, 0.9 s for a long reply (measured):
    here that wait comes before the lock, so that it delays nobody else and Ctrl-C ends it. After a ``fork``
    the child's copy is dead: the engine's threads exist in the parent alone.

    Args:
        options: How to load.
        library: The library to use; None for the installed one.
        backend: The one backend to use, already chosen (``options.backend`` may say ``"auto"``).
        ledger: The ledger to go on with; None for a new one.

    Attributes:
        refused_backends: Backends that were tried before this one, each with the reason against it.

    Raises:
        LibraryLoadError: There is no usable engine library.
        ModelLoadError: The engine refused the file.
        CacheDirectoryError: ``cache_dir`` is not a directory that can be written.
    """

    def __init__(
        self,
        options: EngineOptions,
        *,
        backend: str = "cpu",
        library: Library | None = None,
        ledger: HandleLedger | None = None,
    ) -> None:
        _check_cache_dir(options)
        self.options = options
        self.backend = backend
        self.refused_backends: dict[str, str] = {}
        self.library = library or load_library()
        self.ledger = ledger or HandleLedger()
        self.lock = threading.RLock()
        self._conversations: set[Conversation] = set()
        self._quiet = threading.Condition(self.lock)
        self._wanting_quiet: set[object] = set()
        self._constrains: dict[str, bool] = {}
        self._closing = False
        self._pid = os.getpid()
        self._pointer: Any = None
        try:
            self.library.follow_logging()
            self.model = self._read_model_info()
            self._create()
            _open_engines.add(self)
            self.library.drain_logs()
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"Engine({self.options.model_path.name!r}, backend={self.backend!r}, {state})"

    def _create(self) -> None:
        library, options = self.library, self.options
        strings = CStrings(library)
        native = library.ffi.new("gn_engine_options *")
        native.model_path = strings.path(options.model_path)
        native.backend = strings.text(self.backend)
        native.vision_backend = strings.text(self._encoder_backend("vision"))
        native.audio_backend = strings.text(self._encoder_backend("audio"))
        native.cache_dir = strings.path(options.cache_dir) if options.cache_dir else strings.text(_NO_CACHE)
        native.max_num_tokens = options.context_tokens or 0
        native.num_threads = (options.threads or usable_cores()) if self.backend == "cpu" else 0
        native.lora_rank = options.lora_rank or 0
        error = library.new_error()
        made: list[Any] = []
        try:
            with _cache_lock(options):
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
        encoders = {"vision": bool(info.supports_vision), "audio": bool(info.supports_audio)}
        for modality, there in encoders.items():
            self._require_encoder(modality, there=there)
        return ModelInfo(
            name=path.stem,
            path=str(path),
            size_bytes=path.stat().st_size,
            context_limit=asked or file_limit,
            supports_thinking=bool(info.supports_thinking),
            supports_tools=bool(info.supports_function_calling),
            modalities=("text", *(one for one, there in encoders.items() if there and self._wants(one))),
            default_sampler={
                "type": _SAMPLER_NAMES.get(int(info.sampler_type), "unknown"),
                "top_k": int(info.sampler_top_k),
                "top_p": round(float(info.sampler_top_p), 6),
                "temperature": round(float(info.sampler_temperature), 6),
            },
        )

    def _wants(self, modality: str) -> bool:
        return bool(getattr(self.options, f"{modality}_backend") != NO_ENCODER)

    def _require_encoder(self, modality: str, *, there: bool) -> None:
        asked = getattr(self.options, f"{modality}_backend")
        if asked not in {None, NO_ENCODER} and not there:
            raise UnsupportedError(
                f"{modality}_backend={asked!r} needs a model with a {modality} encoder, and "
                f"{self.options.model_path.name} has none; leave {modality}_backend out"
            )

    def _encoder_backend(self, modality: str) -> str | None:
        """The backend of an encoder: as asked, else the CPU; None when there is or should be none."""
        if modality not in self.model.modalities:
            return None
        return getattr(self.options, f"{modality}_backend") or "cpu"

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
        strings = CStrings(library)
        native = self._native_options(options, strings)
        remedy = TRY_AGAIN
        if options.lora_path is not None:  # the replies of sessions without one are broken off from here on
            remedy = (
                f"check that lora_path={str(options.lora_path)!r} fits this model, and call manager.reload()"
            )
        with self.quiet():
            return self.adopt(
                library.lib.gn_conversation_create,
                self.require_open(),
                native,
                operation="create conversation",
                detail="with its turns replayed" if options.messages_json else "",
                remedy=remedy,
                constrained=options.constrained,
                has_tools=options.tools_json is not None,
            )

    def _native_options(self, options: ConversationOptions, strings: CStrings) -> Any:
        native = self.library.ffi.new("gn_conversation_options *")
        native.system_message_json = strings.text(options.system_message_json)
        native.messages_json = strings.text(options.messages_json)
        native.tools_json = strings.text(options.tools_json)
        native.extra_context_json = strings.text(options.extra_context_json)
        native.lora_path = strings.path(options.lora_path) if options.lora_path else strings.text(None)
        native.has_sampler = 1
        native.sampler_type = _TOP_P
        native.top_k = options.top_k
        native.top_p = 1.0 if options.top_p is None else options.top_p
        native.temperature = options.temperature
        native.seed = options.random_seed
        native.max_output_tokens = options.max_output_tokens or 0
        native.enable_thinking = -1 if options.enable_thinking is None else int(options.enable_thinking)
        native.thinking_token_budget = options.thinking_token_budget or -1
        native.constraint_provider = _LL_GUIDANCE if options.constrained else -1
        native.filter_channel_content = 0 if options.keep_thinking else -1
        native.stream_tool_calls = -1
        return native

    def render(self, options: ConversationOptions, message_json: str) -> str:
        """What a new conversation with these options would read with its first message, as text.

        Raises:
            ClosedError: The engine is closed.
            EngineError: The engine refused.
        """
        library, lib = self.library, self.library.lib
        strings = CStrings(library)
        native, error = self._native_options(options, strings), library.new_error()
        with self._passing_conversation(native, "render") as conversation:
            text = lib.gn_conversation_render(library.api, conversation, message_json.encode(), error)
        if text == library.ffi.NULL:
            raise library.engine_error(error, "render")
        try:
            return library.text(text)
        finally:
            lib.gn_free(text)

    @property
    def can_constrain(self) -> bool:
        """Whether the model's tokenizer lets a constraint through; found out once, by a reply of a few tokens.

        The engine's grammar takes the pieces of the tokenizer literally: those with SentencePiece's mark for a
        space, or for a single byte, match neither a space nor a brace, and the reply breaks off (measured).

        Raises:
            ClosedError: The engine is closed.
        """
        return self._lets_through("ascii")

    @property
    def can_constrain_beyond_ascii(self) -> bool:
        """Whether a constraint may spell out letters that are not ASCII: pieces for single bytes do not match them.

        Raises:
            ClosedError: The engine is closed.
        """
        # The engine's grammar says on stderr, past its log, that a piece for a byte does not match: there it is not tried.
        is_whole = any("é" in self.detokenize([piece]) for piece in self.tokenize("é"))
        return is_whole and self._lets_through("beyond ascii")

    def _lets_through(self, probe: str) -> bool:
        if probe not in self._constrains:
            # Without the lock: while another chat generates, this waits for its end.
            self._constrains[probe] = self._try_constraint(probe)
        return self._constrains[probe]

    def _try_constraint(self, probe: str) -> bool:
        library, lib = self.library, self.library.lib
        strings = CStrings(library)
        native = self._native_options(ConversationOptions(constrained=True, max_output_tokens=64), strings)
        options = library.ffi.new("gn_send_options *")
        options.constraint_type, options.constraint = 1, strings.text(_PROBES[probe])
        error = library.new_error()
        message = json.dumps({"role": "user", "content": [{"type": "text", "text": "Hello"}]})
        with self._passing_conversation(native, "try a constraint") as conversation:
            if probe in self._constrains:  # somebody has tried meanwhile
                return self._constrains[probe]
            reply = lib.gn_conversation_send(library.api, conversation, message.encode(), options, error)
        if reply == library.ffi.NULL:
            return False
        try:
            return _PROBES[probe].replace("\\", "") in str(json.loads(library.text(reply)).get("content"))
        except ValueError:
            return False
        finally:
            lib.gn_free(reply)

    @contextlib.contextmanager
    def _passing_conversation(self, native: Any, operation: str) -> Iterator[Any]:
        """A conversation that no session runs on, deleted at once; the lock is held all the while."""
        library, lib = self.library, self.library.lib
        error = library.new_error()
        made: list[Any] = []
        with self.quiet():
            try:
                call_keeping(
                    made, lib.gn_conversation_create, library.api, self.require_open(), native, error
                )
                if made[0] == library.ffi.NULL:
                    raise library.engine_error(error, operation)
                yield made[0]
            finally:
                if made and made[0] != library.ffi.NULL:
                    lib.gn_conversation_delete(library.api, made[0])

    def adopt(
        self,
        make: Callable[..., Any],
        *arguments: Any,
        operation: str,
        detail: str,
        remedy: str = TRY_AGAIN,
        checkpoint_of: int | None = None,
        fresh: bool = True,
        constrained: bool = False,
        has_tools: bool = False,
    ) -> Conversation:
        """The conversation that a function of the shim makes. The caller holds the engine's lock.

        Raises:
            EngineError: The engine refused.
        """
        library = self.library
        error = library.new_error()
        made: list[Any] = []
        conversation = None
        try:
            call_keeping(made, make, library.api, *arguments, error)
            if made[0] == library.ffi.NULL:
                failure = library.engine_error(error, operation, remedy)
                self.ledger.record(0, "failed", str(failure))
                raise failure
            conversation = Conversation(
                self,
                made[0],
                detail=detail,
                checkpoint_of=checkpoint_of,
                fresh=fresh,
                constrained=constrained,
                has_tools=has_tools,
            )
            self._conversations.add(conversation)
            return conversation
        except BaseException:  # a Ctrl-C: nobody will ever hold what was made
            if conversation is not None:
                conversation.close()
            elif made:
                library.lib.gn_conversation_delete(library.api, made[0])
            raise

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """The lock, at a moment when no conversation generates; the next generation begins after that."""
        me = object()
        try:
            self._wanting_quiet.add(me)
            while True:
                with self.lock:
                    generation = next((g for one in self._conversations if (g := one.running)), None)
                    if generation is None or not self.in_this_process:
                        try:
                            yield
                        finally:
                            self._wanting_quiet.discard(me)
                            self._quiet.notify_all()
                        return
                if not generation.wait_end(WAIT_SLICE_S):
                    self._watch()
        finally:
            # Without the lock: a second Ctrl-C would end the wait for it, and nobody could ever send again.
            self._wanting_quiet.discard(me)

    def _watch(self) -> None:
        for conversation in tuple(self._conversations):
            conversation.watch()

    def wait_for_quiet_calls(self) -> None:
        """Let those go first who wait for :meth:`quiet`. The caller holds the lock, and generates nothing."""
        while self._wanting_quiet and not self.closed:
            self._quiet.wait(WAIT_SLICE_S)

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

    def detokenize(self, ids: Sequence[int]) -> str:
        """The text of token ids, by the model's own tokenizer.

        Raises:
            ClosedError: The engine is closed.
            EngineError: The engine refused.
        """
        library, error = self.library, self.library.new_error()
        with self.lock:
            text = library.lib.gn_engine_detokenize(
                library.api, self.require_open(), list(ids), len(ids), error
            )
        if text == library.ffi.NULL:
            raise library.engine_error(
                error, "detokenize", "check that these are ids of this model's own tokens"
            )
        try:
            return library.text(text)
        finally:
            library.lib.gn_free(text)

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
            self.library.drain_logs()
        finally:
            self._closing = False
        if pointer is not None and lost and self.in_this_process:
            raise EngineError(
                f"the engine is given up, because conversation handle {lost[0]} never ended its reply; "
                "its memory comes back when the kernel is restarted",
                operation="close",
            )

    def reopened(self) -> Engine:
        """The same model, loaded again as this engine was, which must be closed; the ledger goes on.

        Raises:
            LibraryLoadError, ModelLoadError: As when it was loaded first.
        """
        self.ledger.write_off()
        again = Engine(self.options, backend=self.backend, library=self.library, ledger=self.ledger)
        again.model = dataclasses.replace(again.model, name=self.model.name)
        again.refused_backends = self.refused_backends
        return again

    def dispose(self, timeout_s: float) -> None:
        """:meth:`close`, whatever state the native engine is in: what does not end in time is given up.

        Its memory then comes back when the process ends.
        """
        # A native call that never returns holds the lock for ever.
        if self.lock.acquire(timeout=timeout_s):
            self.lock.release()
            with contextlib.suppress(EngineError):
                self.close(timeout_s)
        self._pointer = None
        for conversation in tuple(self._conversations):
            conversation.give_up("its engine is given up")

    def require_open(self) -> Any:
        """The native engine.

        Raises:
            ClosedError: It is closed, or belongs to the process that this one was forked from.
        """
        if self._pointer is None or self._closing:
            raise ClosedError(
                "the engine is closed; load the model again with manager.reload() or gemma_notebook.load()"
            )
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

    def renew_locks(self) -> None:
        """Have new locks in a forked child, where those who hold the old ones do not exist."""
        self.lock = threading.RLock()
        self._quiet = threading.Condition(self.lock)
        self._wanting_quiet = set()
        self.ledger.renew_lock()
        for conversation in tuple(self._conversations):
            conversation.renew_lock()


_open_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
# Long enough for a cancel to land, short enough that nobody takes the exit for a hang.
_EXIT_TIMEOUT_S = 5.0


def _renew_locks() -> None:
    """In a forked child: a lock that another thread held at the fork would be held for ever."""
    for engine in tuple(_open_engines):
        engine.renew_locks()


os.register_at_fork(after_in_child=_renew_locks)


@atexit.register
def _close_open_engines() -> None:
    # The native threads must be idle before the process takes their memory away.
    for engine in tuple(_open_engines):
        if engine.in_this_process:
            engine.dispose(_EXIT_TIMEOUT_S)


@contextlib.contextmanager
def _cache_lock(options: EngineOptions) -> Iterator[None]:
    """Have the cache directory to ourselves while the weights are compiled into it.

    Two processes that do so at once leave a file there that makes the next one crash (measured: SIGSEGV, with
    Gemma 270M). Once written, the file is only read.
    """
    if options.cache_dir is None:
        yield
        return
    import filelock

    lock = filelock.FileLock(options.cache_dir / ".gemma_notebook.lock", mode=0o666)
    try:
        lock.acquire()
    except OSError as error:  # another user's, in a directory that both may write
        raise CacheDirectoryError(
            f"cache_dir={str(options.cache_dir)!r} cannot be used, since its lock cannot be had ({error.strerror}: "
            f"{lock.lock_file}); give a directory of your own, or leave cache_dir out",
            operation="load",
        ) from error
    try:
        yield
    finally:
        lock.release()


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
        with tempfile.TemporaryFile(dir=cache_dir, prefix=".gemma_notebook-"):
            pass
    except OSError as error:
        raise CacheDirectoryError(
            f"cache_dir={str(cache_dir)!r} cannot be written ({error.strerror}); {remedy}", operation="load"
        ) from error
