"""The stages of a conversion, seen from outside: child processes that report in JSON lines, and their errors."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from gemma_notebook.errors import ConversionError

__all__ = ["STAGES", "Progress", "Reporter", "run_child"]

STAGES = ("install", "read", "convert", "pack", "check")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a conversion has come.

    Attributes:
        stage: One of ``install``, ``read``, ``convert``, ``pack``, ``check``.
        number: The stage's number, from 1.
        count: How many stages there are.
        words: What is being done, in the stage's own words; ``""`` when it begins.
        elapsed_s: Seconds since the conversion began.
    """

    stage: str
    number: int
    count: int
    words: str
    elapsed_s: float

    def __str__(self) -> str:
        minutes, seconds = divmod(int(self.elapsed_s), 60)
        return f"[{self.number}/{self.count}] {minutes}:{seconds:02d} {self.stage}: {self.words or 'begins'}"


class Reporter:
    """Tells a listener what is being done, and keeps the time that each stage took.

    Attributes:
        seconds: What each finished stage took, in seconds.
    """

    def __init__(self, listener: Callable[[Progress], None] | None) -> None:
        self._listener = listener
        self._began = self._stage_began = time.monotonic()
        self._stage = STAGES[0]
        self.seconds: dict[str, float] = {}

    def begin(self, stage: str) -> None:
        """The stage begins; the one before it is done."""
        self.end()
        self._stage, self._stage_began = stage, time.monotonic()
        self.say("")

    def end(self) -> None:
        """The stage that was begun last is done."""
        taken = time.monotonic() - self._stage_began
        self.seconds[self._stage] = round(self.seconds.get(self._stage, 0.0) + taken, 1)
        self._stage_began = time.monotonic()

    def say(self, words: str) -> None:
        """What is being done."""
        if self._listener is not None:
            number = STAGES.index(self._stage) + 1
            elapsed_s = time.monotonic() - self._began
            self._listener(Progress(self._stage, number, len(STAGES), words, elapsed_s))


def run_child(
    command: Sequence[str | os.PathLike[str]],
    request: Mapping[str, Any],
    *,
    stage: str,
    log: Path,
    say: Callable[[str], None],
    environment: Mapping[str, str],
    remedy: str,
) -> dict[str, Any]:
    """Run one child to its result. It is killed when this process is interrupted, and ends when this one dies.

    Args:
        command: The child.
        request: What it reads as one line of JSON on stdin.
        stage: The stage's name, for the error.
        log: Where its stderr goes, appended.
        say: Told what the child says that it does.
        environment: Its environment variables.
        remedy: What to do when it fails, for the error.

    Raises:
        ConversionError: It reported an error, died, or ended without a result.
    """
    error, result = "", None
    with (
        log.open("ab") as words,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words, env=dict(environment)
        ) as child,
    ):
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            with contextlib.suppress(BrokenPipeError):  # it is dead, and its status says how
                child.stdin.write(json.dumps(request).encode() + b"\n")
                child.stdin.flush()
            for message in _messages(child.stdout):
                error = str(message.get("error", error))
                result = message.get("result", result)
                if "progress" in message:
                    say(str(message["progress"]))
            child.wait()
        except BaseException:
            child.kill()
            raise
    if child.returncode == 0 and isinstance(result, dict):
        return result
    raise ConversionError(
        f"{error or _how_it_died(child.returncode, log)}; {remedy} (all that was said is in {str(log)!r})",
        stage=stage,
        log=log,
    )


def _messages(stream: IO[bytes]) -> Any:
    for line in stream:
        with contextlib.suppress(ValueError):
            message = json.loads(line)
            if isinstance(message, dict):
                yield message


def _how_it_died(status: int, log: Path) -> str:
    if status == -signal.SIGKILL:
        return "its process was killed, most often because the machine had no memory left"
    lines = [line.strip() for line in _tail(log).splitlines() if line.strip()]
    last = f": {lines[-1][:300]}" if lines else ""
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"its process was ended by {signal.Signals(-status).name}{last}"
    return f"its process ended with status {status} and no result{last}"


def _tail(log: Path) -> str:
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        return file.read().decode("utf-8", "replace")
    return ""
