"""The lint of notebooks, the sanitising file, and the templates."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from nbval.plugin import comment_markers, get_sanitize_patterns, metadata_tags

from gemma_notebook.errors import GemmaNotebookError, OptionTypeError, OptionValueError
from gemma_notebook.testing import SANITIZE_CFG, assert_same_text, check_notebooks, new_notebook, normalized


def cell(
    source: str, *outputs: dict[str, Any], count: int | None = 1, tags: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "source": source.splitlines(keepends=True),
        "outputs": list(outputs),
        "execution_count": count,
        "metadata": {"tags": list(tags)} if tags else {},
    }


def result(text: str, **data: str) -> dict[str, Any]:
    return {"output_type": "execute_result", "data": {"text/plain": text, **data}, "metadata": {}}


def stream(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)}


ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["no"]}
WORDS = {"cell_type": "markdown", "source": ["# Title"], "metadata": {}}


@pytest.fixture
def check(tmp_path: Path):
    def whys(*cells: dict[str, Any], **metadata: Any) -> list[str]:
        path = tmp_path / "a.ipynb"
        path.write_text(json.dumps({"cells": [WORDS, *cells], "metadata": metadata, "nbformat": 4}))
        findings = check_notebooks(path)
        assert all(finding.remedy and str(finding).startswith(str(path)) for finding in findings)
        return [f"{finding.cell}: {finding.why}" for finding in findings]

    return whys


@pytest.mark.parametrize(
    "good",
    [
        cell("x = 1"),
        cell("x", result("1")),
        cell("print('a')", stream("a\n")),
        cell("chat.reset()"),
        cell("_ = chat.send('a')"),
        cell("await chat.asend('a')"),
        cell("%load_ext gemma_notebook"),
        cell("%%gemma --quiet\nHello"),
        cell("%%bash\nls;"),
        cell("!ls\nx = 1;"),
        cell("for a in b:\n    a;"),
        cell("", count=None),
        cell("x", count=None, tags=("nbval-skip",)),
        cell("# NBVAL_SKIP\nx", count=None),
        cell("  ## NBVAL_SKIP \nx", count=None),
        cell("# PYTEST_VALIDATE_IGNORE_OUTPUT\nx"),
        cell("# NBVAL_IGNORE_OUTPUT\nx", tags=("nbval-check-output",)),
        cell("# nbval compares this\nx", result("1")),
        cell("# nbval_files: a list of paths\nx", result("1")),
        cell("x", result("1"), tags=("nbval-slow",)),
        cell("x", result("1"), tags=("mine", 7)),
        cell("# NBVAL_IGNORE_OUTPUT\nx", result("<A at 0x7f3d2c1b0a90>")),
        cell("x", result("<A at 0x7f3d2c1b0a90>")),
        cell("reply.timing", result("Timing(total=12.3 ms, decode=776.0 tokens/s)")),
        cell("%time f()", stream("CPU times: user 3 µs, sys: 1 µs, total: 4 µs\nWall time: 7.15 µs\n")),
        cell(
            "%timeit f()", stream("12 ns ± 0.1 ns per loop (mean ± std. dev. of 7 runs, 10,000 loops each)\n")
        ),
        cell("# NBVAL_RAISES_EXCEPTION\nf()", ERROR),
        cell("f()", ERROR, tags=("raises-exception",)),
        cell("plot()", result("<Figure size 640x480 with 1 Axes>", **{"image/png": "…"})),
        cell("this is no Python"),
    ],
    ids=lambda one: "".join(one["source"])[:24],
)
def test_these_are_tests(check, good: dict[str, Any]):
    assert check(good) == []


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (cell("x", result("1"), count=None), "never run"),
        (cell("x = 1", count=None), "never run"),
        (cell("x"), "missing"),
        (cell("chat.handle_id, 1"), "missing"),
        (cell("print('a')\nx = 1"), "missing"),
        (cell("%%gemma --fresh\nHello"), "missing"),
        (cell("chat.send('a');"), "';'"),
        (cell("x", ERROR), "ValueError"),
        (cell("x", result("a", **{"application/vnd.jupyter.widget-view+json": "{}"})), "widget"),
        (cell("x", {"output_type": "display_data", "data": {"image/png": "…"}}), "without text"),
        (cell("x", result("took 12 s in total")), "measured time"),
        (cell("x", result("2026-11-24 15:20")), "date"),
        (cell("x", result("/home/ada/model.litertlm")), "path"),
        (cell("x", result("a", **{"text/html": "<p>/tmp/x</p>"})), "path"),
        (cell("x", stream("10%\r20%")), "progress bar"),
        (cell("# NBVAL_IGNORE_OUTPUT\n# NBVAL_CHECK_OUTPUT\nx"), "missing"),
        (cell("# NBVAL_CHECK_OUTPUT\nx", tags=("nbval-ignore-output",)), "missing"),
        (cell("x = 1", count=None, tags=("skip",)), "never run"),
        (cell("# NBVAL_Skip\nx", result("1")), "does not know 'NBVAL_Skip'"),
        (cell("# NBVAL_SKIP for now\nx", result("1")), "does not know 'NBVAL_SKIP for now'"),
        (cell("x", result("1"), tags=("nbval-skipped",)), "does not know 'nbval-skipped'"),
        ({**cell("x"), "outputs": ["a text"]}, "no cell of format 4"),
        (cell("x", {"output_type": "display_data", "data": ["a list"]}), "no cell of format 4"),
        ({**cell("x", result("1")), "metadata": ["a list"]}, "no cell of format 4"),
    ],
    ids=lambda one: one if isinstance(one, str) else "".join(one["source"])[:24],
)
def test_these_are_not(check, bad: dict[str, Any], why: str):
    findings = check(bad)
    assert len(findings) == 1
    assert findings[0].startswith("2: ")
    assert why in findings[0]


def test_without_a_sanitising_file_addresses_are_found(tmp_path: Path, check):
    check(cell("x", result("<A at 0x7f3d2c1b0a90>")))
    empty = tmp_path / "none.cfg"
    empty.write_text("")
    [finding] = check_notebooks(tmp_path, sanitize_with=empty)
    assert "address" in finding.why


@pytest.mark.parametrize("marker", [*comment_markers, *metadata_tags])
def test_every_marker_of_nbval_is_known(check, marker: str):
    found = check(cell(f"# {marker}\nx = 1") if marker in comment_markers else cell("x = 1", tags=(marker,)))
    assert found == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("regex: a\n", "1 'regex: ' lines, and 0"),
        ("regex: (\nreplace: b\n", "unterminated"),
        (None, "No such"),
    ],
)
def test_a_sanitising_file_that_is_none_is_refused_in_words(tmp_path: Path, check, text, words: str):
    check(cell("x = 1"))
    rules = tmp_path / "rules.cfg"
    if text is not None:
        rules.write_text(text)
    with pytest.raises(OptionValueError, match=f"rules.cfg' cannot be used .*{words}"):
        check_notebooks(tmp_path, sanitize_with=rules)


def test_widget_state_and_order_are_seen_for_the_notebook(check):
    assert check(cell("x = 1"), widgets={"application/vnd.jupyter.widget-state+json": {}}) == [
        "None: it stores the state of widgets, and with it what was said in a panel"
    ]
    assert check(cell("x = 1", count=2), cell("y = 1", count=1)) == ["None: its cells were run out of order"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": 3}', '{"cells": [{}]}', "\x00"])
def test_what_is_no_notebook_is_a_finding_and_no_crash(tmp_path: Path, text: str):
    (tmp_path / "a.ipynb").write_text(text)
    [finding] = check_notebooks(tmp_path)
    assert "no notebook" in finding.why


def test_folders_are_searched_without_jupyter_s_checkpoints(tmp_path: Path):
    for folder in ("b", "a", ".ipynb_checkpoints"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.ipynb").write_text("{}")
    assert [finding.notebook.parent.name for finding in check_notebooks([tmp_path])] == ["a", "b"]


def test_what_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(OptionValueError, match="no file or folder"):
        check_notebooks(tmp_path / "nowhere")
    with pytest.raises(OptionValueError, match="no notebook in"):
        check_notebooks(tmp_path)
    with pytest.raises(OptionTypeError):
        check_notebooks([3])


def test_nbval_reads_the_sanitising_file_as_we_do():
    patterns = get_sanitize_patterns(SANITIZE_CFG.read_text(encoding="utf-8"))
    text = "<A at 0x7f3d2c1b0a90> 12.3 ms 9,340.0 tokens/s 85 MB resident 4f6c1d0a-9a5e-4b55-8a35-1f0f5a3c2b11\nWall time: 3 s\n"
    sanitized = text
    for pattern, word in patterns:
        sanitized = re.sub(pattern, word, sanitized)
    assert sanitized == normalized(text) == "<A at ADDRESS> DURATION RATE MEMORY ID\nWall time: DURATION\n"


@pytest.mark.parametrize(
    "words",
    ["in the 1980s", "10 s", "Count to 5.", "42", "3 tokens", "handle 3", "85 MB", "0xff", "v1.2 more"],
)
def test_nothing_else_may_vary(words: str):
    assert normalized(words) == words


def test_the_same_text_passes_and_another_is_shown():
    assert_same_text("in 1.0 ms at 0x7f3d2c1b0a90", "in 2.5 ms at 0x7f3d2c1b0b10")
    with pytest.raises(AssertionError, match=r"-Your name is Ada\.\n\+Your name is Adam\."):
        assert_same_text("Your name is Adam.", "Your name is Ada.")
    with pytest.raises(AssertionError, match="breaks"):
        assert_same_text("a", "a\n")


def test_a_new_notebook_is_a_test_and_has_its_title(tmp_path: Path):
    for kind in ("regression", "teaching"):
        path = new_notebook(kind, f"  Ein <b>{kind}</b> Heft: “ä” & \\ so ", tmp_path)
        assert path.name == f"ein-b-{kind}-b-heft-ä-so.ipynb"
        assert json.loads(path.read_text())["cells"][0]["source"][0].startswith("# Ein \\<b\\>")
    assert check_notebooks(tmp_path) == ()


def test_a_new_notebook_never_writes_over_another(tmp_path: Path):
    path = new_notebook("regression", "Twice", tmp_path)
    path.write_text("mine")
    with pytest.raises(GemmaNotebookError, match="already"):
        new_notebook("regression", "twice.ipynb", tmp_path)
    assert path.read_text() == "mine"


def test_wrong_names_are_errors(tmp_path: Path):
    with pytest.raises(OptionValueError, match="kind"):
        new_notebook("sampling", "a", tmp_path)
    with pytest.raises(OptionValueError, match="letters"):
        new_notebook("regression", "../..", tmp_path)
    with pytest.raises(OptionValueError, match="folder"):
        new_notebook("regression", "a", tmp_path / "nowhere")
    with pytest.raises(GemmaNotebookError, match="shorter title"):
        new_notebook("regression", "a" * 300, tmp_path)
    assert new_notebook("regression", "../up", tmp_path).parent == tmp_path


@pytest.mark.parametrize(
    "written", [b"\xff" * 10_000, b"[" * 200_000], ids=["no UTF-8", "nested without end"]
)
def test_a_file_that_is_no_notebook_is_one_short_finding(tmp_path: Path, written: bytes):
    (tmp_path / "a.ipynb").write_bytes(written)
    [finding] = check_notebooks(tmp_path)
    assert "no notebook" in finding.why
    assert len(finding.why) < 300


def test_sanitising_rules_that_were_edited_are_read_again(tmp_path: Path):
    rules, notebook = tmp_path / "my.cfg", tmp_path / "a.ipynb"
    notebook.write_text(json.dumps({"cells": [WORDS], "metadata": {}, "nbformat": 4}))
    rules.write_text("regex: a\nreplace: b\n")
    check_notebooks(notebook, sanitize_with=rules)
    rules.write_text("regex: (\nreplace: b\n")
    with pytest.raises(OptionValueError, match="cannot be used"):
        check_notebooks(notebook, sanitize_with=rules)


def test_a_title_that_no_file_can_hold_makes_none(tmp_path: Path):
    with pytest.raises(OptionValueError):
        new_notebook("regression", "caf\udce9", tmp_path)
    assert list(tmp_path.iterdir()) == []
