"""The engine's log, in Python's ``logging`` under ``gemma_notebook.engine`` instead of in the notebook.

The engine prints on stderr. ``native/logs.c`` takes the lines before they get there, on the engine's threads;
here they become records: on a thread of their own, and at once where somebody waits for them.

Levels are one lower than the engine's, because it warns of what is no problem: a good file gives 17 warnings
at each load. Its errors are warnings here, since those that matter to a call raise an exception as well.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "LOGS_VARIABLE",
    "QUIET",
    "STDERR",
    "EngineLog",
    "LineReader",
    "LogLines",
    "capture",
    "native_level",
]

# Set to "stderr", the engine's log stays on stderr, and at its quietest.
LOGS_VARIABLE = "GEMMA_NOTEBOOK_ENGINE_LOGS"
STDERR = "stderr"

# litert_lm_set_min_log_level: 0 verbose, 1 debug (which prints more than 0), 2 info, 3 warning, 4 error, 5 fatal.
_VERBOSE, _INFO, _WARNING, _ERROR, QUIET = 0, 2, 3, 4, 5

# As long as the engine may take from the first to the last line of one message.
_PAUSE_S = 0.05
# A handler that is stuck must hold up neither a load nor the exit for longer.
_PATIENCE_S = 1.0
# Several times what fits into a line (8,192 bytes).
_ROOM_BYTES = 1 << 16

# W0000 00:00:1795532824.186156   11288 litert_lm_loader.cc:514] Section not found
_ABSL = re.compile(r"([IWEF])\d{4} [\d:.]+ +\d+ ([^\s:\]]+):(\d+)\] (.*)")
# INFO: [environment.cc:36] Creating LiteRT environment   (LiteRT)
# INFO: Created TensorFlow Lite XNNPACK delegate for CPU. (TFLite)
# Warning: Couldn't load Vulkan                           (Dawn)
_WORD = re.compile(
    r"(VERBOSE|DEBUG|INFO|WARNING|ERROR|FATAL|<Unknown severity>|Debug|Info|Warning|Error): "
    r"(?:\[([^\s:\]]+):(\d+)\] )?(.*)"
)
_LEVELS = {
    "V": logging.DEBUG,
    "D": logging.DEBUG,
    "<": logging.DEBUG,
    "I": logging.DEBUG,
    "W": logging.INFO,
    "E": logging.WARNING,
    "F": logging.CRITICAL,
}
# absl says so before its first line, and it is not true here.
_UNTRUE = "WARNING: Logging before InitGoogle() is written to STDERR"
# A model file, or a message to it, may have such in it: nothing that a terminal obeys.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_log = logging.getLogger("gemma_notebook.engine")
# Without a handler of the user's, logging's last resort would print warnings into the notebook. Only for the
# engine's: an error of our own that nobody expected should be seen there.
_log.addHandler(logging.NullHandler())


def native_level() -> int:
    """The engine's least level that the logger lets through; what nobody hears is not even formatted."""
    if _log.isEnabledFor(logging.DEBUG - 1):
        return _VERBOSE
    if _log.isEnabledFor(logging.DEBUG):
        return _INFO
    if _log.isEnabledFor(logging.INFO):
        return _WARNING
    return _ERROR if _log.isEnabledFor(logging.WARNING) else QUIET


@dataclass(slots=True)
class LogLines:
    """The lines of one message of the engine.

    Attributes:
        level: The level in ``logging``.
        file: The engine's source file, or ``""``.
        line: The line in it, or 0.
        lines: The text.
    """

    level: int
    file: str
    line: int
    lines: list[str]

    @property
    def text(self) -> str:
        """The message after its place in the engine's source, without control characters."""
        text = "\n".join(self.lines).rstrip()
        text = _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)
        return f"{self.file}:{self.line}: {text}" if self.file else text


class LineReader:
    """Makes messages of the lines of the engine's four writers. A line without a level continues the one before."""

    def __init__(self) -> None:
        self._last: LogLines | None = None
        self._level = logging.INFO

    def read(self, lines: list[str]) -> list[LogLines]:
        """The messages that are complete now, because another has begun."""
        complete = []
        for line in lines:
            if line == _UNTRUE:
                continue
            begun = self._begin(line)
            if begun is not None:
                complete.extend(self.flush())
                self._last, self._level = begun, begun.level
            elif self._last is not None:
                self._last.lines.append(line)
            elif line.strip():
                self._last = LogLines(self._level, "", 0, [line])
        return complete

    def flush(self) -> list[LogLines]:
        """The last message, if there is one: nothing has come for a while."""
        last, self._last = self._last, None
        return [] if last is None else [last]

    def _begin(self, line: str) -> LogLines | None:
        found = _ABSL.fullmatch(line) or _WORD.fullmatch(line)
        if found is None:
            return None
        severity, file, number, text = found.groups()
        return LogLines(_LEVELS[severity[0].upper()], file or "", int(number or 0), [text])


class EngineLog:
    """What the engine has logged in this process. Safe to use from any thread."""

    def __init__(self, ffi: Any, lib: Any) -> None:
        self._lib = lib
        self._room = ffi.new("char[]", _ROOM_BYTES)
        self._bytes = ffi.buffer(self._room)
        self._dropped = ffi.new("size_t *")
        self._reader = LineReader()
        # Held while records are handed over, so that who waits for one gets it; a handler may come back here.
        self._lock = threading.RLock()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread that hands over what nobody waits for, unless it runs."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._follow, name="gemma_notebook-logs", daemon=True)
                self._thread.start()

    def drain(self) -> None:
        """Hand over what has come so far. Waits for a hand-over that is under way, but not for a stuck handler."""
        if self._lock.acquire(timeout=_PATIENCE_S):
            try:
                self._take()
                self._hand_over(self._reader.flush())
            finally:
                self._lock.release()

    def stop(self) -> None:
        """Hand over what is left and end the thread."""
        self._stopping = True
        self._lib.gn_logs_stop()
        if self._thread is not None:
            self._thread.join(_PATIENCE_S)
        self.drain()

    def after_fork(self) -> None:
        """In a child, which has neither the thread nor whoever held the lock."""
        self._lock = threading.RLock()
        self._thread = None
        self._reader = LineReader()

    def _follow(self) -> None:
        while not self._stopping:
            if not self._lib.gn_logs_wait(3600.0):
                continue
            with self._lock:
                self._take()
            # The last message may not be complete.
            if not self._lib.gn_logs_wait(_PAUSE_S):
                self.drain()

    def _take(self) -> None:
        while size := self._lib.gn_logs_take(self._room, _ROOM_BYTES, self._dropped):
            lines = self._bytes[:size].decode("utf-8", "replace").split("\n")[:-1]
            if self._dropped[0]:
                self._hand_over(self._reader.flush())
                lost = f"{self._dropped[0]} lines of the engine's log are lost, because they came too fast"
                self._hand_over([LogLines(logging.WARNING, "", 0, [lost])])
            self._hand_over(self._reader.read(lines))

    def _hand_over(self, messages: list[LogLines]) -> None:
        for message in messages:
            if _log.isEnabledFor(message.level):
                place = message.file or "liblitert-lm", message.line
                record = _log.makeRecord(_log.name, message.level, *place, message.text, (), None)
                with contextlib.suppress(Exception):  # a filter or handler that fails is no fault of the load
                    _log.handle(record)


_started: EngineLog | None = None
_start_lock = threading.Lock()


def capture(ffi: Any, lib: Any, library: Path) -> EngineLog | None:
    """Take what an opened engine library prints, from here to the end of the process.

    Args:
        ffi: The shim's ``ffi``.
        lib: The shim's functions.
        library: The file that it was opened from.

    Returns:
        Where the lines go, or None when they stay on stderr: on another platform than Linux with glibc, or
        because the environment variable ``GEMMA_NOTEBOOK_ENGINE_LOGS`` says so.
    """
    global _started  # noqa: PLW0603
    if os.environ.get(LOGS_VARIABLE) == STDERR or not lib.gn_logs_capture(os.fsencode(library)):
        return None
    with _start_lock:
        if _started is None:
            _started = EngineLog(ffi, lib)
        return _started


# Registered on import, so before engine.py's: engines are closed first, and their last lines arrive.
@atexit.register
def _stop() -> None:
    if _started is not None:
        _started.stop()


def _after_fork_in_child() -> None:
    global _start_lock  # noqa: PLW0603
    _start_lock = threading.Lock()
    if _started is not None:
        _started.after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
