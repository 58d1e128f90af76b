"""What ``models build`` and ``models convert`` share: options, the progress display, the last words."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from gemma_notebook.cli.tables import is_terminal, print_json

if TYPE_CHECKING:
    from gemma_notebook.models.stages import Progress
    from gemma_notebook.models.store import InstalledModel

__all__ = ["Display", "context_option", "report", "weights_option"]

weights_option = click.option(
    "--weights",
    type=click.Choice(["int8", "int4"]),
    default="int8",
    show_default=True,
    help="int4 halves the size, and is refused when the model no longer talks sense.",
)
context_option = click.option(
    "--context",
    "context_tokens",
    type=int,
    default=2048,
    show_default=True,
    metavar="TOKENS",
    help="The longest context.",
)


class Display:
    """Progress on stderr: one line that changes in a terminal, a line per stage elsewhere."""

    def __init__(self) -> None:
        self._live = is_terminal(sys.stderr)
        self._last: Progress | None = None
        self._told_s = 0.0
        self._stop = threading.Event()
        self._ticking = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        if self._live:
            self._ticking.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._live:
            self._ticking.join()
            self._write("")

    def show(self, progress: Progress) -> None:
        """Take the news."""
        before, self._last, self._told_s = self._last, progress, time.monotonic()
        if self._live:
            self._draw()
        elif before is None or progress.stage != before.stage:
            click.echo(str(progress), err=True)

    def _tick(self) -> None:
        # A stage may say nothing for a minute: the clock shows that it lives.
        while not self._stop.wait(1.0):
            self._draw()

    def _draw(self) -> None:
        last = self._last
        if last is not None:
            elapsed_s = last.elapsed_s + time.monotonic() - self._told_s
            minutes, seconds = divmod(int(elapsed_s), 60)
            self._write(
                f"[{last.number}/{last.count}] {minutes}:{seconds:02d} {last.stage}  {last.words}".rstrip()
            )

    def _write(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r\x1b[K{text[:width]}")
        sys.stderr.flush()


def report(model: InstalledModel, *, as_json: bool) -> None:
    """Say what was made and how to use it."""
    from gemma_notebook.models.catalogue import bytes_text

    if as_json:
        print_json(
            {"name": model.name, "path": str(model.path), "size_bytes": model.size_bytes, **model.origin}
        )
        return
    seconds = model.origin.get("seconds", {})
    parts = ", ".join(f"{stage} {taken:.0f} s" for stage, taken in seconds.items())
    click.echo(f"{model.name} is here ({bytes_text(model.size_bytes)}, {model.path})")
    click.echo(
        f"{model.origin['agreement']:.0%} of its first words are those of the original weights; {parts}"
    )
    click.echo(f'load it with gn.load("{model.name}"), or talk to it with `gemma-notebook chat {model.name}`')
