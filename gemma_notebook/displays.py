"""How objects show themselves in a notebook: small tables, the same each time.

Nothing here differs from run to run: no addresses, no times. So nbval can compare a cell that ends in any of the
package's objects. Every value is escaped; some of them are a model's or a file's words.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gemma_notebook.harmless import harmless_markdown

__all__ = ["Table", "TableDisplay", "duration", "megabytes", "rate"]

# Rows of a long table that are shown: its last ones.
_ROWS_SHOWN = 200

# The classes of HTML that MathJax leaves alone: dollars are dollars, and what a model says is no formula.
NO_MATHS = "tex2jax_ignore mathjax_ignore"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings, as HTML and as Markdown.

    Attributes:
        heads: One heading per column; none at all for a table of names and values.
        rows: As many cells in each.
    """

    heads: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]

    def html(self) -> str:
        """An HTML table without scripts and styles."""
        head = "".join(f"<th>{_html(cell)}</th>" for cell in self.heads)
        lines = [f'<table class="{NO_MATHS}">']
        if head:
            lines.append(f"<thead><tr>{head}</tr></thead>")
        lines.append("<tbody>")
        lines += [f"<tr>{''.join(self._cells(row))}</tr>" for row in self._shown]
        lines.append("</tbody></table>")
        if self._hidden:
            lines.append(f"<p>{self._hidden}</p>")
        return "\n".join(lines)

    def markdown(self) -> str:
        """A Markdown table."""
        columns = len(self.heads) or (len(self.rows[0]) if self.rows else 2)
        lines = [_row(self.heads or ("",) * columns), f"|{' --- |' * columns}"]
        lines += [_row(row) for row in self._shown]
        return "\n".join(lines) + (f"\n\n{self._hidden}" if self._hidden else "")

    def _cells(self, row: tuple[object, ...]) -> list[str]:
        tags = ["td"] * len(row)
        if not self.heads:
            tags[0] = "th"
        return [f"<{tag}>{_html(cell)}</{tag}>" for tag, cell in zip(tags, row, strict=True)]

    @property
    def _shown(self) -> Sequence[tuple[object, ...]]:
        return self.rows[-_ROWS_SHOWN:]

    @property
    def _hidden(self) -> str:
        hidden = len(self.rows) - _ROWS_SHOWN
        return f"{hidden:,} earlier rows are not shown." if hidden > 0 else ""


class TableDisplay:
    """Gives a class its rich display, made from :meth:`_table`."""

    __slots__ = ()

    def _table(self) -> Table:
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return self._table().html()

    def _repr_markdown_(self) -> str:
        return self._table().markdown()


def duration(seconds: float | None) -> str:
    """Seconds for reading, such as ``"12.3 ms"``: the form that the sanitising file of nbval knows."""
    if seconds is None:
        return "unknown"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def rate(tokens_per_s: float | None) -> str:
    """A rate for reading, such as ``"776.0 tokens/s"``: the form that the sanitising file of nbval knows."""
    return "unknown" if tokens_per_s is None else f"{tokens_per_s:,.1f} tokens/s"


def megabytes(size_bytes: int) -> str:
    """A size for reading, such as ``"2.3 MB"``."""
    return f"{size_bytes / 1e6:,.1f} MB"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _html(value: object) -> str:
    return html.escape(_text(value))


def _markdown(value: object) -> str:
    return re.sub(r"\s*\n\s*", " ", harmless_markdown(_text(value).replace("`", "'"))).replace("|", "\\|")


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(_markdown(cell) for cell in cells)} |"
