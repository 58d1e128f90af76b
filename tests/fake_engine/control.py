"""The fake engine's control functions for Python tests."""

from __future__ import annotations

import ctypes
from pathlib import Path


class FakeEngine:
    """Tells a loaded fake engine what to do and asks it what it saw; fake_engine.h has the keys and names.

    It loads the library by the path that the engine layer loads it by, and so gets the same instance.
    """

    def __init__(self, library: Path) -> None:
        self.library = library
        self._functions = ctypes.CDLL(str(library))
        self._functions.fake_engine_get_count.restype = ctypes.c_long
        self._functions.fake_engine_get_count.argtypes = [ctypes.c_char_p]
        self._functions.fake_engine_wait.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_double]
        self._functions.fake_engine_allow.argtypes = [ctypes.c_long]
        self._functions.fake_engine_set.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        # A text lives until the next one is asked for: these calls keep the GIL until it is copied.
        self._texts = ctypes.PyDLL(str(library))
        self._texts.fake_engine_get_options.argtypes = [ctypes.c_char_p, ctypes.c_int]
        self._texts.fake_engine_get_turns.argtypes = [ctypes.c_int]
        for name in ("log", "options", "turns"):
            getattr(self._texts, f"fake_engine_get_{name}").restype = ctypes.c_char_p

    def reset(self) -> None:
        """Forget settings, counts and log. Nothing may be alive."""
        self._functions.fake_engine_reset()

    def set(self, **settings: object) -> None:
        """Set keys; None unsets one."""
        for key, value in settings.items():
            text = None if value is None else str(value).encode()
            self._functions.fake_engine_set(key.encode(), text)

    def allow(self, tokens: int) -> None:
        """Let that many more gated tokens through."""
        self._functions.fake_engine_allow(tokens)

    def count(self, name: str) -> int:
        """How often a function was called, or one of the other counts."""
        return int(self._functions.fake_engine_get_count(name.encode()))

    def wait(self, name: str, count: int, timeout_s: float = 10.0) -> bool:
        """Wait until a count is reached; False on a time-out."""
        return bool(self._functions.fake_engine_wait(name.encode(), count, timeout_s))

    @property
    def log(self) -> list[str]:
        """What happened to engines and conversations, in order."""
        return self._records(self._texts.fake_engine_get_log(), "\n")

    def options(self, kind: str, number: int) -> dict[str, str]:
        """The options that engine or conversation ``number`` was created with."""
        records = self._records(self._texts.fake_engine_get_options(kind.encode(), number), "\x1e")
        return dict(record.split("=", 1) for record in records)

    def turns(self, conversation: int) -> list[str]:
        """What a conversation holds, as ``role: text``."""
        return self._records(self._texts.fake_engine_get_turns(conversation), "\x1e")

    @staticmethod
    def _records(answer: bytes, end: str) -> list[str]:
        return answer.decode().split(end)[:-1]
