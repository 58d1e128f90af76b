"""Tables and JSON on stdout."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import click

from gemma_notebook.harmless import printable

__all__ = ["is_terminal", "json_option", "print_facts", "print_json", "print_table"]

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def print_json(value: Any) -> None:
    """One JSON value, indented, with characters as they are."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their content; the last one is cut where a terminal would break the line."""
    lines = [tuple(heads), *(tuple(" ".join(printable(cell).split()) for cell in row) for row in rows)]
    widths = [max(_width(line[column]) for line in lines) for column in range(len(heads))]
    limit = shutil.get_terminal_size((10_000, 24)).columns  # a file or a pipe has no edge
    for number, line in enumerate(lines):
        text = "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)
        )
        text = text.rstrip()
        shown = text if _width(text) <= limit else text[: limit - 1] + "…"
        click.echo(click.style(shown, bold=True) if number == 0 else shown)


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Names and values in two columns; what is empty is left out."""
    shown = [(name, value) for name, value in facts if value]
    width = max((_width(name) for name, _ in shown), default=0)
    for name, value in shown:
        lines = value.splitlines()
        click.echo(f"{name.ljust(width)}  {printable(lines[0])}")
        for line in lines[1:]:
            click.echo(f"{' ' * width}  {printable(line)}")


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody sits at a stream; None is one that was closed before the program began."""
    return stream is not None and stream.isatty()


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )
