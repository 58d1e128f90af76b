"""What of a chat is in a saved notebook: nothing, unless asked for; and then what a reader without a kernel sees."""

from __future__ import annotations

import json
import re

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

LOAD = "import gemma_notebook as gn\nmanager = gn.load()\nchat = manager.create_chat()"
# Said by code whose text does not have the words, so that they can only come from the chat.
TELL = "_ = chat.send(bytes.fromhex({!r}).decode())"
SAID = "My name is Ada. <b onclick=alert(1)>x</b>"
TRACES = ("My name is Ada", "onclick", "Nice to meet you")


@pytest.fixture(scope="module")
def run():
    def run_cells(*sources: str, store_widget_state: bool) -> nbformat.NotebookNode:
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        notebook = nbformat.v4.new_notebook(cells=cells)
        NotebookClient(
            notebook, timeout=60, kernel_name="python3", store_widget_state=store_widget_state
        ).execute()
        return notebook

    return run_cells


def tell() -> str:
    return TELL.format(SAID.encode().hex())


@pytest.fixture(scope="module")
def plain(run):
    return run(LOAD, tell(), "gn.ChatPanel(chat)", store_widget_state=True)


@pytest.fixture(scope="module")
def kept(run):
    return run(
        LOAD, tell(), "gn.ChatPanel(chat, persist=True)", "chat.transcript()", store_widget_state=False
    )


def test_nothing_of_a_chat_is_saved_by_default_not_even_in_the_widgets_state(plain):
    assert plain.metadata.widgets, "the state was to be stored"
    saved = json.dumps(plain)
    assert not [trace for trace in TRACES if trace in saved]


def test_the_output_says_politely_that_the_chat_lives_in_the_kernel(plain):
    data = plain.cells[-1].outputs[0].data
    assert data["text/plain"] == "ChatPanel('tiny')"
    for kind in ("text/html", "text/markdown"):
        assert "This chat lives in the kernel" in data[kind]


def test_the_panels_own_output_has_nothing_of_the_chat_even_if_it_persists(kept):
    data = kept.cells[-2].outputs[0].data
    assert "application/vnd.jupyter.widget-view+json" in data
    assert not [trace for trace in TRACES if trace in json.dumps(data)]
    assert data["text/plain"] == "ChatPanel('tiny')"


def test_a_panel_that_persists_leaves_the_chat_as_an_output_that_needs_no_widget(kept):
    _, output = kept.cells[-2].outputs
    assert set(output.data) == {"text/plain", "text/markdown", "text/html"}
    assert "&lt;b onclick=alert(1)&gt;" in output.data["text/html"]
    assert "> My name is Ada. &lt;b onclick=alert(1)>x&lt;/b>" in output.data["text/markdown"]
    assert output.data["text/plain"].endswith("Transcript('tiny', 2 messages)")


def test_what_is_kept_is_the_chat_as_it_stood_when_the_cell_ended_once(run):
    show = "panel = gn.ChatPanel(chat, persist=True)\ndisplay(panel)\n"
    notebook = run(LOAD, show + tell(), "1", tell(), store_widget_state=False)
    _, output = notebook.cells[1].outputs
    assert output.data["text/plain"].endswith("2 messages)")
    assert [len(cell.outputs) for cell in notebook.cells[2:]] == [1, 0]


def test_a_panel_that_is_shown_twice_in_a_cell_leaves_the_chat_once(run):
    show = "panel = gn.ChatPanel(chat, persist=True)\ndisplay(panel)\npanel"
    notebook = run(LOAD, tell(), show, show, store_widget_state=False)
    for cell in notebook.cells[2:]:
        plain = [output.data["text/plain"] for output in cell.outputs]
        assert [text for text in plain if "Transcript(" in text] == plain[-1:]


def test_a_cell_that_a_cell_runs_does_not_end_it(run):
    nested = "display(gn.ChatPanel(chat, persist=True))\n_ = get_ipython().run_cell('1')\n"
    notebook = run(LOAD, nested + tell(), store_widget_state=False)
    assert notebook.cells[1].outputs[-1].data["text/plain"].endswith("2 messages)")


def test_a_panel_that_no_cell_shows_keeps_the_chat_in_its_own_output(run):
    """A callback of a widget, to which the kernel gives the parent of the message that brought it."""
    pretend = "shell = get_ipython()\nparent = shell.get_parent()\nshell.set_parent({'header': {'msg_type': 'comm_msg'}})"
    bundle = "data, _ = gn.ChatPanel(chat, persist=True)._repr_mimebundle_()\nshell.set_parent(parent)\ndata['text/html']"
    notebook = run(LOAD, tell(), f"{pretend}\n{bundle}", store_widget_state=False)
    (output,) = notebook.cells[-1].outputs
    assert "&lt;b onclick" in output.data["text/plain"]


def test_an_empty_chat_says_how_to_keep_what_is_said_later(run):
    notebook = run(LOAD, "gn.ChatPanel(chat, persist=True)", store_widget_state=False)
    assert "chat.transcript()" in notebook.cells[-1].outputs[1].data["text/html"]


def test_of_several_chats_in_one_panel_each_is_there(run):
    two = "chats = [manager.open_chat() for _ in range(2)]\nfor chat in chats:\n    _ = chat.send(f'I am number {id(chat)}.')"
    show = "gn.ChatPanel(manager, chats=chats, persist=True)"
    notebook = run(LOAD, two, show, store_widget_state=False)
    data = notebook.cells[-1].outputs[1].data
    assert len(set(re.findall(r"I am number (\d+)", data["text/html"]))) == 2
    assert len(set(re.findall(r"I am number (\d+)", data["text/markdown"]))) == 2


def test_a_transcript_is_an_output_of_its_own(kept):
    assert kept.cells[-1].outputs[0].data["text/plain"] == "Transcript('tiny', 2 messages)"
    assert kept.cells[-1].outputs[0].data["text/html"] in kept.cells[-2].outputs[1].data["text/html"]


def test_nbconvert_shows_it_without_a_kernel_and_with_nothing_that_runs(kept):
    html, _ = HTMLExporter(exclude_input=True).from_notebook_node(kept)
    assert html.count('<div class="gn-transcript tex2jax_ignore mathjax_ignore">') == 2
    assert "&lt;b onclick=alert(1)&gt;" in html
    assert "<b onclick" not in html
