"""Is a notebook a test? nbval passes what it cannot compare, so a notebook can be green and check nothing."""

from __future__ import annotations

import ast
import difflib
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemma_notebook._paths import expanded
from gemma_notebook.errors import OptionTypeError, OptionValueError
from gemma_notebook.testing.text import SANITIZE_CFG, Rule, normalized, read_rules

__all__ = ["Finding", "check_notebooks"]

_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
_RUN_AGAIN = "run the whole notebook in a fresh kernel and save it"
_IGNORE = "or put '# NBVAL_IGNORE_OUTPUT' on a line of the cell"

# What differs from run to run or from machine to machine, and what to do about it.
_VARYING = (
    (re.compile(r"\b0x[0-9a-f]{6,16}\b"), "the address of an object", "give the object a repr without one"),
    (
        re.compile(r"\b\d+(\.\d+)? ?(ns|µs|us|ms|s|sec|seconds|min)\b.{0,12}\b(per loop|elapsed|total)\b|±"),
        "a measured time",
        "show what was measured in a plot or not at all",
    ),
    (
        re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d|\b[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d \d{4}"),
        "a date with a time",
        "leave it out of what the cell shows",
    ),
    (
        re.compile(r"(?<![\w/])/(?:tmp|home|Users|root|var/folders)/\S|\b[A-Z]:\\Users\\"),
        "a path of this machine",
        "show the file's name alone",
    ),
    (re.compile(r"\r(?!\n)"), "a progress bar", "turn it off"),
)


# What nbval does at which comment and which tag: all others it ignores.
_COMMENTS = {
    "PYTEST_VALIDATE_IGNORE_OUTPUT": "ignore-output",
    "NBVAL_IGNORE_OUTPUT": "ignore-output",
    "NBVAL_CHECK_OUTPUT": "check-output",
    "NBVAL_RAISES_EXCEPTION": "raises-exception",
    "NBVAL_SKIP": "skip",
}
_TAGS = {
    **{comment.lower().replace("_", "-"): marker for comment, marker in _COMMENTS.items()},
    "raises-exception": "raises-exception",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that keeps a notebook from being a test.

    Attributes:
        notebook: The file.
        cell: Its place among the cells, from 1, as a reader counts; None for the notebook as a whole.
        why: What is wrong.
        remedy: What to do.
    """

    notebook: Path
    cell: int | None
    why: str
    remedy: str

    def __str__(self) -> str:
        place = "" if self.cell is None else f" cell {self.cell}:"
        return f"{self.notebook}:{place} {self.why}; {self.remedy}"


def check_notebooks(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    sanitize_with: str | os.PathLike[str] = SANITIZE_CFG,
) -> tuple[Finding, ...]:
    """What nbval would not notice: cells never run, missing outputs, outputs that differ each time, widget state.

    Args:
        paths: Notebooks, and folders whose notebooks are all checked, those in their folders too.
        sanitize_with: The sanitising file that nbval is run with; what it replaces is no finding.

    Returns:
        The findings in the order of files and cells; empty if all is well.

    Raises:
        OptionValueError: There is no such file, or no notebook in it.
    """
    rules = read_rules(expanded(sanitize_with))
    return tuple(finding for path in _notebooks(paths) for finding in _check(path, rules))


def _notebooks(paths: Any) -> Iterator[Path]:
    if isinstance(paths, str | os.PathLike):
        paths = (paths,)
    if not isinstance(paths, Iterable):
        raise OptionTypeError(f"check_notebooks needs paths, not {paths!r}")
    for given in paths:
        if not isinstance(given, str | os.PathLike):
            raise OptionTypeError(f"check_notebooks needs paths, not {given!r}")
        path = expanded(given)
        if not path.exists():
            raise OptionValueError(f"there is no file or folder {str(path)!r}; check the path")
        inside = path.rglob("*.ipynb") if path.is_dir() else (path,)
        found = sorted(one for one in inside if ".ipynb_checkpoints" not in one.parts)
        if not found:
            raise OptionValueError(f"there is no notebook in {str(path)!r}; name a folder that holds some")
        yield from found


def _check(path: Path, rules: tuple[Rule, ...]) -> Iterator[Finding]:
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        cells = [dict(cell) for cell in notebook["cells"]]
        code = [(number, cell) for number, cell in enumerate(cells, 1) if cell["cell_type"] == "code"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        why = f"it is no notebook of format 4 ({type(error).__name__}: {error})"
        yield Finding(path, None, why, "save it again in Jupyter")
        return
    metadata = notebook.get("metadata")
    if isinstance(metadata, dict) and metadata.get("widgets"):
        why = "it stores the state of widgets, and with it what was said in a panel"
        yield Finding(
            path,
            None,
            why,
            "clear it with a restart of the kernel, run it again and save it without widget state",
        )
    counts = [count for _, cell in code if isinstance(count := cell.get("execution_count"), int)]
    if counts != sorted(counts):
        yield Finding(path, None, "its cells were run out of order", _RUN_AGAIN)
    for number, cell in code:
        try:
            found = list(_check_cell(_joined(cell.get("source")), cell, rules))
        except (AttributeError, TypeError, ValueError) as error:
            found = [(f"it is no cell of format 4 ({error!r})", "save the notebook again in Jupyter")]
        for why, remedy in found:
            yield Finding(path, number, why, remedy)


def _check_cell(source: str, cell: dict[str, Any], rules: tuple[Rule, ...]) -> Iterator[tuple[str, str]]:
    comments, tags = _marker_comments(source), _tags(cell)
    for name in (*comments, *tags):
        known = _COMMENTS if name in comments else _TAGS
        if name not in known and (name in comments or difflib.get_close_matches(name, known, cutoff=0.8)):
            yield f"nbval does not know {name!r}", f"write one of {', '.join(_COMMENTS)} alone on a line"
    markers = _markers(comments, tags)
    if not source.strip() or "skip" in markers:
        return
    outputs = cell.get("outputs") or []
    if not cell.get("execution_count"):
        yield "it was never run, so that nbval compares nothing", _RUN_AGAIN
        return
    if "ignore-output" in markers:
        return
    if not outputs and _shows_something(source):
        yield "it shows something, and its reference output is missing", f"{_RUN_AGAIN}, {_IGNORE}"
    if _ends_in_semicolon(source):
        yield "its last ';' keeps Jupyter quiet and not nbval", "write '_ = …' in place of it"
    for output in outputs:
        yield from _check_output(output, markers, rules)


def _check_output(
    output: dict[str, Any], markers: set[str], rules: tuple[Rule, ...]
) -> Iterator[tuple[str, str]]:
    kind, data = output.get("output_type"), output.get("data") or {}
    if kind == "error" and "raises-exception" not in markers:
        why = f"it ended in {output.get('ename', 'an error')}, which fails in nbval too"
        yield why, "mend it, or put '# NBVAL_RAISES_EXCEPTION' on a line of the cell"
    if _WIDGET_VIEW in data:
        yield "it stores the view of a widget, which lives no longer", "take the view out of the output"
    texts = {
        key: _joined(value) for key, value in data.items() if not key.startswith(("image/", "application/"))
    }
    texts["the stream"] = _joined(output.get("text"))
    texts["the error"] = f"{output.get('evalue', '')}"
    if data and not any(text.strip() for text in texts.values()) and "application/json" not in data:
        yield "it has an output without text, which nbval does not compare", "show a text beside it"
    for what, text in texts.items():
        for pattern, varying, remedy in _VARYING:
            if found := pattern.search(normalized(text, rules)):
                shown = found[0].strip() or "\\r"
                yield f"{varying} ({shown!r}) in {what} differs each time", f"{remedy}, {_IGNORE}"
                break


def _markers(comments: list[str], tags: list[str]) -> set[str]:
    """What nbval does with the cell: it goes by the latest, and by comments rather than by tags."""
    found = [_TAGS[tag] for tag in tags if tag in _TAGS]
    found += [_COMMENTS[comment] for comment in comments if comment in _COMMENTS]
    checks = [marker for marker in found if marker in {"ignore-output", "check-output"}]
    return {*(marker for marker in found if marker not in checks), *checks[-1:]}


def _marker_comments(source: str) -> list[str]:
    """The comments that are meant for nbval: those in its capitals, and those that would be its own in them."""
    comments = re.findall(r"(?m)^\s*#+[ \t]*(\S.*?)[ \t]*$", source)
    begin = ("NBVAL_", "PYTEST_VALIDATE_")
    return [one for one in comments if one.startswith(begin) or one.upper() in _COMMENTS]


def _tags(cell: dict[str, Any]) -> list[str]:
    tags = (cell.get("metadata") or {}).get("tags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def _shows_something(source: str) -> bool:
    """Its last line is a value, or it prints: not certain for a call, so calls do not count."""
    if source.lstrip().startswith("%%"):
        first = source.lstrip().splitlines()[0].split()
        return first[0] == "%%gemma" and "--quiet" not in first
    tree = _tree(source)
    if tree is None or not tree.body:
        return False
    if any(_is_print(statement) for statement in tree.body):
        return True
    last = tree.body[-1]
    if not isinstance(last, ast.Expr) or source.rstrip().endswith(";"):
        return False
    quiet = (ast.Call, ast.Await, ast.Yield, ast.YieldFrom)
    nothing = isinstance(last.value, ast.Constant) and last.value.value is None
    return not nothing and not isinstance(last.value, quiet)


def _is_print(statement: ast.stmt) -> bool:
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print"


def _ends_in_semicolon(source: str) -> bool:
    if source.lstrip().startswith("%%") or not source.rstrip().endswith(";"):
        return False
    tree = _tree(source)
    return tree is not None and bool(tree.body) and isinstance(tree.body[-1], ast.Expr)


def _tree(source: str) -> ast.Module | None:
    """The cell as Python, with the lines that are IPython's own as ``pass``; None when it is not Python."""
    lines = [re.sub(r"^(\s*)[%!?].*", r"\1pass", line) for line in source.splitlines()]
    try:
        tree = compile(
            "\n".join(lines),
            "cell",
            "exec",
            ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            dont_inherit=True,
        )
    except (SyntaxError, ValueError):
        return None
    return tree if isinstance(tree, ast.Module) else None


def _joined(text: Any) -> str:
    return "".join(map(str, text)) if isinstance(text, list) else str(text or "")
