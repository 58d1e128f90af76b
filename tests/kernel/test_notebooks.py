"""The notebooks: they run in a fresh kernel, they are committed as they should be, and they keep no chat."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import nbformat
import pytest
from live_kernel import FrontEnd, LiveKernel, live_kernel
from nbclient import NotebookClient

import gemma_notebook.testing
from gemma_notebook.testing import assert_same_text, check_notebooks

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
TEMPLATES = Path(gemma_notebook.testing.__file__).with_name("templates")
TEACHING = sorted((NOTEBOOKS / "teaching").glob("*.ipynb"))
QUICK_START = NOTEBOOKS / "teaching" / "01-quick-start.ipynb"
ALL = sorted(NOTEBOOKS.glob("*/*.ipynb"))
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

every_notebook = pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def text_of(outputs: list[nbformat.NotebookNode]) -> str:
    return "".join(
        output.text if output.output_type == "stream" else output.data["text/plain"] + "\n"
        for output in outputs
        if output.get("name") != "stderr"  # Matplotlib tells there that it looks for fonts, once
    )


@pytest.mark.timeout(400)
@pytest.mark.parametrize("path", TEACHING, ids=lambda path: path.stem)
def test_teaching_notebooks_run_and_say_what_the_committed_ones_say(path: Path, tmp_path: Path):
    notebook = read(path)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    for ran, committed in zip(notebook.cells, read(path).cells, strict=True):
        if ran.cell_type == "code" and "# NBVAL_IGNORE_OUTPUT" not in ran.source:
            assert_same_text(text_of(ran.outputs), text_of(committed.outputs))


def test_every_page_of_the_series_leads_to_the_next():
    for page, following in itertools.pairwise(TEACHING):
        assert f"]({following.name})" in read(page).cells[-1].source


def test_teaching_notebooks_have_goals_questions_and_a_summary():
    for page in TEACHING:
        words = "\n".join(cell.source for cell in read(page).cells if cell.cell_type == "markdown")
        assert "By the end of this page you will have" in words
        assert words.count("**Question ") >= 2, page.name
        assert "## Summary" in words


def test_no_committed_notebook_has_what_nbval_cannot_compare():
    assert [str(finding) for finding in check_notebooks([NOTEBOOKS, TEMPLATES])] == []


def test_the_quick_start_runs_in_a_fresh_kernel_and_says_what_the_committed_one_says(tmp_path: Path):
    with live_kernel(tmp_path) as kernel:
        for cell in code_cells(QUICK_START):
            assert kernel.run(cell.source).text.strip() == text_of(cell.outputs).strip()


def test_in_the_quick_start_one_reset_of_the_panel_makes_the_second_handle(tmp_path: Path):
    with live_kernel(tmp_path) as kernel:
        ran = {cell.id: kernel.run(cell.source) for cell in code_cells(QUICK_START)}
        panel = FrontEnd(kernel, ran["panel"].data[0][WIDGET_VIEW]["model_id"])
        panel.wait_for("state", request=panel.request("reset", epoch=1))
        assert kernel.run("manager.handles").text.startswith("HandleCounts(created=2, closed=1, live=1")


@every_notebook
def test_committed_cells_were_run_once_in_order_without_error(path: Path):
    cells = code_cells(path)
    # nbval compares nothing in a cell that has no execution count.
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    expected = [cell for cell in cells if "raises-exception" in cell.metadata.get("tags", ())]
    failed = [cell for cell in cells if any(output.output_type == "error" for output in cell.outputs)]
    assert failed == expected


@every_notebook
def test_committed_notebooks_keep_nothing_that_differs_from_run_to_run(path: Path):
    notebook = read(path)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.language_info == {"name": "python"}
    assert [
        cell.id for cell in notebook.cells if cell.metadata not in ({}, {"tags": ["raises-exception"]})
    ] == []
    text = path.read_text(encoding="utf-8")
    assert WIDGET_VIEW not in text, "a view of a widget that is gone; run notebooks/execute.py"
    assert not re.search(r" at 0x[0-9a-f]", text), "an address, which is another each time"


@every_notebook
def test_notebooks_begin_with_a_title_and_say_what_they_are_for(path: Path):
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    assert "How to" in first.source


@every_notebook
def test_what_notebooks_link_to_is_there(path: Path):
    linked = [
        part.split(")")[0]
        for cell in read(path).cells
        if cell.cell_type == "markdown"
        for part in cell.source.split("](")[1:]
    ]
    assert [target for target in linked if not (path.parent / target).exists()] == []


def test_a_saved_notebook_keeps_nothing_of_a_panels_chat(tmp_path: Path):
    # The cells do not say the name either: one has it backwards.
    sources = (
        "import gemma_notebook as gn\npanel = gn.ChatPanel(gn.load())\npanel",
        "import time\nwhile len(panel.chat.messages) < 2: time.sleep(0.01)",
        "'eedebeZ'[::-1] in panel.chat.messages[1].text",
        "panel",
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])

    def talk(cell_index: int, **_: object) -> None:
        if cell_index == 0:
            model_id = notebook.cells[0].outputs[0].data[WIDGET_VIEW]["model_id"]
            FrontEnd(LiveKernel(client.kc), model_id).say("My name is Zebedee.")

    client = NotebookClient(
        notebook,
        resources={"metadata": {"path": tmp_path}},
        timeout=60,
        store_widget_state=True,
        on_cell_executed=talk,
    )
    client.execute()
    assert text_of(notebook.cells[2].outputs) == "True\n"
    assert notebook.metadata.widgets, "nbclient has stored the widgets' state"
    assert "Zebedee" not in json.dumps(notebook)
