"""The magics, in a real kernel: what a front end sees, what is stored, and what nbval compares."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from live_kernel import Cell, LiveKernel, live_kernel
from nbclient import NotebookClient

NAME = "My name is Ada."
ASK = "What is my name?"
TOLD = "Your name is Ada."
NOT_TOLD = "You have not told me your name."


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKernel]:
    with live_kernel(tmp_path_factory.mktemp("magics")) as kernel:
        kernel.run("%load_ext gemma_notebook")
        yield kernel


@pytest.fixture
def kernel(shell: LiveKernel) -> LiveKernel:
    """The shell, as if the extension had just been loaded."""
    shell.run("%reload_ext gemma_notebook")
    return shell


def say(kernel: LiveKernel, message: str, options: str = "") -> str:
    """The text that a ``%%gemma`` cell leaves."""
    shown = published(kernel, kernel.run(f"%%gemma {options}\n{message}"))
    return shown[-1]["content"]["data"]["text/markdown"] if shown else ""


def published(kernel: LiveKernel, cell: Cell, *kinds: str) -> list[dict[str, Any]]:
    return [
        message
        for message in kernel.published
        if message["parent_header"].get("msg_id") == cell.request
        and message["msg_type"] in (kinds or ("display_data",))
    ]


def test_cells_go_on_with_one_chat_until_it_is_reset(kernel: LiveKernel):
    assert say(kernel, NAME) == "Nice to meet you, Ada."
    assert say(kernel, ASK) == TOLD
    kernel.run("%gemma_reset")
    assert say(kernel, ASK) == NOT_TOLD


def test_fresh_forgets_the_model_s_memory_too(kernel: LiveKernel):
    say(kernel, NAME)
    assert say(kernel, ASK, "--fresh") == NOT_TOLD
    assert "handles: 1 live, 2 created" in kernel.run("%gemma_status").text


def test_a_reply_streams_and_ends_as_the_one_output(kernel: LiveKernel):
    cell = kernel.run("%%gemma\nCount to 40.")
    first, *updates, cleared, last = published(
        kernel, cell, "display_data", "update_display_data", "clear_output"
    )
    assert first["content"]["data"] == {}, "nbval compares nothing in what is empty"
    assert updates
    assert {update["msg_type"] for update in updates} == {"update_display_data"}
    assert cleared["content"] == {"wait": True}
    assert last["content"]["data"]["text/markdown"].endswith("39, 40.")
    assert last["content"]["transient"] == {}


def test_called_from_code_it_takes_no_other_output_away(kernel: LiveKernel):
    cell = kernel.run("print('kept')\nget_ipython().run_cell_magic('gemma', '', 'Hello')")
    assert published(kernel, cell, "clear_output", "update_display_data") == []
    assert len(published(kernel, cell)) == 1


def test_nbclient_stores_one_output_and_nbval_finds_the_same(tmp_path: Path):
    sources = (
        "%load_ext gemma_notebook",
        f"%%gemma\n{NAME}",
        "%%gemma --into reply\nCount to 60.",
        "%gemma_status",
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(notebook, timeout=60).execute()
    assert [len(cell.outputs) for cell in notebook.cells] == [0, 1, 1, 1]
    nbformat.write(notebook, tmp_path / "a.ipynb")
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "a.ipynb"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "4 passed" in result.stdout, result.stdout


def test_into_keeps_the_reply_and_quiet_shows_nothing(kernel: LiveKernel):
    cell = kernel.run(f"%%gemma --quiet --into answer\n{NAME}")
    assert published(kernel, cell, "display_data", "update_display_data", "stream") == []
    assert kernel.run("answer.text, answer.finish_reason").text == "('Nice to meet you, Ada.', 'stop')\n"


def test_variables_stand_in_braces(kernel: LiveKernel):
    kernel.run("name = 'Grace'")
    assert "Grace" in say(kernel, "My name is {name}.")
    kernel.run("%%gemma --quiet --into r\n" + '{"a": {1}} {{name}} $name {name}')
    messages = "get_ipython().find_cell_magic('gemma').__self__._chats['tiny'].messages[-2].text"
    assert kernel.run(messages).text == repr('{"a": {1}} {name} $name Grace') + "\n"


def test_an_unknown_variable_is_told_in_one_line_and_nothing_is_sent(kernel: LiveKernel):
    cell = kernel.try_to_run("%%gemma\nI am {nobody}.")
    [error] = published(kernel, cell, "error")
    [line] = error["content"]["traceback"]
    assert line.startswith("OptionValueError: there is no variable 'nobody'")
    assert "{{nobody}}" in line
    assert "turns: 0" in kernel.run("%gemma_status").text


def test_verbose_shows_the_traceback(kernel: LiveKernel):
    cell = kernel.try_to_run("%%gemma --verbose\nI am {nobody}.")
    [error] = published(kernel, cell, "error")
    assert "Traceback" in "".join(error["content"]["traceback"])


def test_a_model_that_is_not_there_is_told_in_one_line(kernel: LiveKernel):
    cell = kernel.try_to_run("%%gemma --model nowhere.litertlm\nHello")
    [error] = published(kernel, cell, "error")
    assert error["content"]["ename"] == "ModelNotFoundError"
    assert len(error["content"]["traceback"]) == 1
    assert say(kernel, "Hello"), "the model of before is still the one in use"


@pytest.mark.parametrize(
    "line",
    [
        "%%gemma --into 2x\nHello",
        "%%gemma --into class\nHello",
        "%%gemma\n\n",
        "%%gemma --max-tokens 0\nHello",
    ],
)
def test_wrong_use_is_an_error(kernel: LiveKernel, line: str):
    cell = kernel.try_to_run(line)
    [error] = published(kernel, cell, "error")
    assert len(error["content"]["traceback"]) == 1


def test_a_quotation_without_an_end_is_told(kernel: LiveKernel):
    cell = kernel.try_to_run("%%gemma --system 'a\nHello")
    told = "".join(message["content"]["text"] for message in published(kernel, cell, "stream"))
    assert "No closing quotation" in told


def test_another_system_instruction_begins_another_chat(kernel: LiveKernel):
    say(kernel, NAME)
    assert "Bob" in say(kernel, "Who are you?", "--system 'Your name is Bob.'")
    assert "Bob" in say(kernel, "Who are you?"), "it stays"
    assert say(kernel, ASK) == NOT_TOLD
    assert "Max" in say(kernel, "Who are you?", '--system="Your name is Max."')
    assert "Max" not in say(kernel, "Who are you?", '--system ""')


def test_a_model_whose_variable_has_another_now_is_given_back(kernel: LiveKernel):
    kernel.run("import gc, weakref\nimport gemma_notebook as gn\nmine = gn.load()\nold = weakref.ref(mine)")
    say(kernel, NAME, "--model mine")
    kernel.run("mine = gn.load()")
    assert kernel.run("gc.collect(); print(old() is None)").text == "True\n"
    assert say(kernel, ASK, "--model mine") == NOT_TOLD
    kernel.run("old = weakref.ref(mine)\ndel mine")
    assert kernel.run("gc.collect(); print(old() is None)").text == "True\n"


def test_a_variable_with_a_manager_is_a_model(kernel: LiveKernel):
    kernel.run("import gemma_notebook as gn\nmine = gn.load()")
    say(kernel, NAME, "--model mine")
    assert say(kernel, ASK) == TOLD, "the model stays"
    assert say(kernel, ASK, "--model tiny") == NOT_TOLD, "each model has a chat of its own"
    kernel.run("%reload_ext gemma_notebook")
    assert kernel.run("mine.closed").text == "False\n", "it is not the magics' to close"
    kernel.run("mine.close()")


def test_the_panel_is_on_the_chat_of_the_cells(kernel: LiveKernel):
    say(kernel, NAME)
    kernel.run("panel = %gemma_panel")
    assert kernel.run("panel.chat.messages[0].text").text == repr(NAME) + "\n"
    kernel.run("panel.close()")


# From outside it might come when the reply has ended: the bundled model needs no second for it.
INTERRUPT_AT_THE_FIRST_WORD = """
import signal
publisher = get_ipython().display_pub
publish = publisher.publish
def publish_and_interrupt(*args, update=False, **kwargs):
    publish(*args, update=update, **kwargs)
    if update:
        publisher.publish = publish
        signal.raise_signal(signal.SIGINT)
publisher.publish = publish_and_interrupt
"""


def test_an_interrupt_keeps_what_had_come(kernel: LiveKernel):
    kernel.run(INTERRUPT_AT_THE_FIRST_WORD)
    cell = kernel.start("%%gemma --into partial\nCount to 200.")
    kernel.wait_for(lambda: cell.done)
    [error] = published(kernel, cell, "error")
    assert error["content"]["ename"] == "KeyboardInterrupt"
    assert len(error["content"]["traceback"]) == 1
    last = published(kernel, cell)[-1]["content"]["data"]["text/markdown"]
    assert last.startswith("1")
    assert last.endswith("*(stopped)*")
    assert kernel.run("partial.finish_reason").text == "'cancelled'\n"
    assert say(kernel, ASK) == NOT_TOLD, "the chat goes on"


def test_unloading_closes_the_models(kernel: LiveKernel):
    say(kernel, "Hello")
    kernel.run("magics = get_ipython().find_cell_magic('gemma').__self__\nmanager = magics._managers['tiny']")
    kernel.run("%unload_ext gemma_notebook")
    assert kernel.run("manager.closed, manager.handles.live").text == "(True, 0)\n"
    kernel.run("%load_ext gemma_notebook")


def test_in_a_terminal_the_reply_is_printed_as_it_comes(tmp_path: Path):
    code = "%load_ext gemma_notebook\nget_ipython().run_cell_magic('gemma', '', 'My name is Ada.')\n"
    (tmp_path / "a.ipy").write_text(code)
    command = [sys.executable, "-m", "IPython", "--quick", "--colors=nocolor", "a.ipy"]
    environment = {**os.environ, "IPYTHONDIR": str(tmp_path)}
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "Nice to meet you, Ada."
