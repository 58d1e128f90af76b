"""The options of the engine, of a session and of a send, validated before anything native sees them.

Frozen and comparable: two sessions with equal options are the same request. A wrong value is an
:class:`~gemma_notebook.errors.OptionValueError` (a ``ValueError``), a wrong type an
:class:`~gemma_notebook.errors.OptionTypeError` (a ``TypeError``), each naming the option and the remedy.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal

from gemma_notebook._cgroups import cpu_quotas
from gemma_notebook._determinism import with_fixed_options
from gemma_notebook._paths import expanded
from gemma_notebook.errors import ModelNotFoundError, OptionTypeError, OptionValueError

__all__ = [
    "BACKENDS",
    "CONTEXT_POLICIES",
    "NO_ENCODER",
    "SEEDS",
    "EngineOptions",
    "SendOptions",
    "SessionOptions",
    "usable_cores",
]

ContextPolicy = Literal["trim", "error"]

BACKENDS = ("auto", "cpu", "gpu", "npu")
NO_ENCODER = "off"
CONTEXT_POLICIES = ("trim", "error")

# The engine takes these as C ints.
_INT_MAX = 2**31 - 1
SEEDS = _INT_MAX + 1
# And these as C floats.
_LARGEST_FLOAT = 3.4e38
_TFLITE = b"TFL3"  # behind the first four bytes


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How a model is loaded. See :func:`gemma_notebook.load` for what each one means."""

    model_path: Path
    backend: str = "auto"
    context_tokens: int | None = None
    threads: int | None = None
    cache_dir: Path | None = None
    vision_backend: str | None = None
    audio_backend: str | None = None
    lora_rank: int | None = None

    def __post_init__(self) -> None:
        _make_plain(self)
        _one_of("backend", self.backend, BACKENDS)
        for name in ("vision_backend", "audio_backend"):
            if getattr(self, name) is not None:
                _one_of(name, getattr(self, name), (*BACKENDS[1:], NO_ENCODER))
        _whole_number_within("context_tokens", self.context_tokens, 16, optional=True)
        _whole_number_within("threads", self.threads, 1, 1024, optional=True)
        _whole_number_within("lora_rank", self.lora_rank, 1, optional=True)


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How a conversation behaves; the parameters of ``create_session`` with their defaults."""

    temperature: float = 0.8
    random_seed: int = 1
    top_k: int = 1
    top_p: float | None = None
    lora_path: Path | None = None
    enable_vision_modality: bool | None = None
    enable_audio_modality: bool | None = None
    system_instruction: str | None = None
    enable_thinking: bool = False
    thinking_token_budget: int | None = None
    keep_thinking: bool = False
    tools: tuple[Callable[..., Any], ...] = field(default=(), repr=False)  # their reprs have addresses
    max_output_tokens: int | None = None

    def as_keywords(self) -> dict[str, Any]:
        """The options by name, as :meth:`of` takes them."""
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def greedy(self) -> bool:
        """The likeliest token is taken each time, and a reply depends on nothing but what was said."""
        return self.top_k == 1

    @classmethod
    def of(cls, **options: Any) -> SessionOptions:
        """Options from keyword arguments, with containers and paths normalised.

        Raises:
            OptionTypeError: An option of the wrong type, or one that does not exist.
            OptionValueError: An option with a value that cannot work.
            ModelNotFoundError: ``lora_path`` names no file.
        """
        unknown = sorted(set(options) - set(cls.__slots__))
        if unknown:
            raise OptionTypeError(
                f"unknown option {unknown[0]!r}; the options are {', '.join(cls.__slots__)}"
            )
        if "tools" in options:
            options["tools"] = _tuple_of_callables(options["tools"])
        if options.get("lora_path") is not None:
            options["lora_path"] = _lora_file(options["lora_path"])
        return cls(**with_fixed_options(options))

    def __post_init__(self) -> None:
        _make_plain(self)
        _number("temperature", self.temperature, 0.0, None)
        _whole_number_within("random_seed", self.random_seed, 0)
        _whole_number_within("top_k", self.top_k, 1)
        if self.top_p is not None:
            _number("top_p", self.top_p, 0.0, 1.0)
            if self.top_p == 0:
                raise OptionValueError(
                    "top_p=0 would leave no token to choose; use top_k=1 for greedy decoding"
                )
        for name in ("enable_vision_modality", "enable_audio_modality"):
            _boolean(name, getattr(self, name), optional=True)
        _boolean("enable_thinking", self.enable_thinking)
        _whole_number_within("thinking_token_budget", self.thinking_token_budget, 1, optional=True)
        _boolean("keep_thinking", self.keep_thinking)
        if self.system_instruction is not None:
            said = encodable_text("system_instruction", self.system_instruction)
            if "\0" in said:
                raise OptionValueError(
                    "the system_instruction contains a NUL character, which the engine would cut it at; remove it"
                )
        _whole_number_within("max_output_tokens", self.max_output_tokens, 1, optional=True)


@dataclass(frozen=True, slots=True)
class SendOptions:
    """What one send may set for itself.

    Attributes:
        max_output_tokens: The longest reply.
        constraint_type: What ``constraint`` is: ``""`` for none, ``"regex"`` or ``"json_schema"``.
        constraint: What the reply must match.
    """

    max_output_tokens: int | None = None
    constraint_type: Literal["", "regex", "json_schema"] = ""
    constraint: str = ""

    def __post_init__(self) -> None:
        _make_plain(self)
        _whole_number_within("max_output_tokens", self.max_output_tokens, 1, optional=True)


def usable_cores() -> int:
    """Cores that this process may use: its CPU affinity and, on Linux, the quotas of its cgroups.

    The engine's own default is made for larger machines: with Gemma 270M on 2 cores it decoded 34.6
    tokens/s by default and 41.7 with two threads.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 1
    return max(1, math.floor(min((cores, *cpu_quotas()))))


def encodable_text(name: str, value: object) -> str:
    """Text that UTF-8 and JSON can carry to the engine, or an error that names the option.

    Raises:
        OptionTypeError: It is not a string.
        OptionValueError: It contains half a surrogate pair.
    """
    if not isinstance(value, str):
        raise OptionTypeError(f"{name} must be a string, not {type(value).__name__}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise OptionValueError(
            f"{name} contains half a surrogate pair ({value[error.start]!r} at position {error.start}), "
            "which is no character; remove it, or decode the text again with errors='replace'"
        ) from None
    return value


def whole_number(name: str, value: object, or_else: str = "") -> int:
    """A whole number, also one of NumPy, as Python's own.

    Raises:
        OptionTypeError: It is none; the error names the option, and what it may be ``or_else``.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise OptionTypeError(f"{name} must be a whole number{or_else}, not {value!r}")
    return int(value)


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str):
        raise OptionTypeError(f"{name} must be one of {', '.join(map(repr, allowed))}, not {value!r}")
    if value not in allowed:
        raise OptionValueError(f"unknown {name} {value!r}; use one of {', '.join(map(repr, allowed))}")


def checked_context_policy(value: object) -> ContextPolicy:
    """``value``, checked to be a context policy."""
    _one_of("context_policy", value, CONTEXT_POLICIES)
    return "trim" if value == "trim" else "error"


def _whole_number_within(
    name: str, value: object, least: int, most: int = _INT_MAX, *, optional: bool = False
) -> None:
    if value is None and optional:
        return
    number = whole_number(name, value, " or None" if optional else "")
    if not least <= number <= most:
        raise OptionValueError(f"{name}={number} is out of range; use {least} to {most}")


def _make_plain(options: Any) -> None:
    """Numbers of NumPy, as a sweep over an array gives them, become Python's, which JSON and the engine know."""
    for name in options.__slots__:
        value = getattr(options, name)
        if isinstance(value, Real) and type(value) not in {int, float, bool}:
            object.__setattr__(options, name, int(value) if isinstance(value, Integral) else float(value))


def _number(name: str, value: object, least: float, most: float | None) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionTypeError(f"{name} must be a number, not {value!r}")
    if not abs(value) <= _LARGEST_FLOAT or value < least or (most is not None and value > most):
        upper = "" if most is None else f" and at most {most:g}"
        raise OptionValueError(
            f"{name}={value!r} is out of range; use a finite number of at least {least:g}{upper}"
        )


def _boolean(name: str, value: object, *, optional: bool = False) -> None:
    if value is None and optional:
        return
    if not isinstance(value, bool):
        raise OptionTypeError(f"{name} must be True or False{' or None' if optional else ''}, not {value!r}")


def _tuple_of_callables(tools: object) -> tuple[Callable[..., Any], ...]:
    if not isinstance(tools, list | tuple):
        raise OptionTypeError(f"tools must be a list or tuple of functions, not {tools!r}")
    for tool in tools:
        if not callable(tool):
            raise OptionTypeError(f"tools must be functions, and {tool!r} cannot be called")
    return tuple(tools)


def _lora_file(value: object) -> Path:
    """A LoRA's file, checked to be of the right kind: the engine that was given another one breaks off the replies of all others."""
    path = _existing_file("lora_path", value)
    with path.open("rb") as file:
        if file.read(8)[4:] != _TFLITE:
            raise OptionValueError(
                f"lora_path={str(path)!r} is no LoRA for LiteRT-LM, which is a TFLite file; convert it, or check the path"
            )
    return path


def _existing_file(name: str, value: object) -> Path:
    if not isinstance(value, str | os.PathLike):
        raise OptionTypeError(f"{name} must be a path, not {value!r}")
    path = expanded(value)
    if not path.is_file():
        raise ModelNotFoundError(f"{name}: there is no file {str(path)!r}; check the path")
    return path
