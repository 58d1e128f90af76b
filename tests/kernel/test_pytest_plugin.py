"""The pytest plugin and the commands of the regression kit, as their users run them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gemma_notebook.models.resolve import resolve_model
from gemma_notebook.testing import SANITIZE_CFG

TESTS = """
def test_tell(gemma_chat):
    gemma_chat.send("My name is Ada.")
    assert gemma_chat.send("What is my name?").text == "Your name is Ada."

def test_another_test_has_another_chat(gemma_chat, gemma_manager):
    assert gemma_chat.send("What is my name?").text == "You have not told me your name."
    assert gemma_manager.handles.live == 1
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=100)


def test_the_fixtures_are_there_without_an_import(tmp_path: Path):
    (tmp_path / "test_a.py").write_text(TESTS)
    result = run(tmp_path, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")
    assert "2 passed" in result.stdout, result.stdout + result.stderr


def test_the_model_can_be_chosen(tmp_path: Path):
    (tmp_path / "test_a.py").write_text("def test_a(gemma_manager): pass")
    result = run(tmp_path, "-m", "pytest", "-q", "--gemma-model", "nowhere.litertlm")
    assert "ModelNotFoundError" in result.stdout
    (tmp_path / "pytest.ini").write_text("[pytest]\ngemma_model = elsewhere.litertlm\n")
    assert "elsewhere.litertlm" in run(tmp_path, "-m", "pytest", "-q").stdout


def test_a_path_in_the_ini_is_one_from_there(tmp_path: Path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.litertlm").symlink_to(resolve_model("tiny"))
    (tmp_path / "pytest.ini").write_text("[pytest]\ngemma_model = models/mine.litertlm\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("def test_a(gemma_manager): pass")
    result = run(tmp_path / "tests", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert "1 passed" in result.stdout, result.stdout


def test_a_run_that_uses_nothing_of_it_imports_nothing_of_it(tmp_path: Path):
    (tmp_path / "test_a.py").write_text(
        "import sys\n"
        "def test_a():\n"
        "    ours = {name for name in sys.modules if name.startswith('gemma_notebook')}\n"
        "    assert ours <= {'gemma_notebook', 'gemma_notebook.testing', 'gemma_notebook.testing.pytest_plugin'}\n"
        "    assert not {'litert_lm', 'anywidget', 'IPython', 'cffi'} & set(sys.modules)\n"
    )
    result = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:nbval", "-p", "no:anyio")
    assert "1 passed" in result.stdout, result.stdout


@pytest.mark.parametrize("kind", ["regression", "teaching"])
def test_a_new_notebook_passes_nbval_and_the_lint_as_it_is(tmp_path: Path, kind: str):
    made = run(tmp_path, "-m", "gemma_notebook", "new", kind, "Names are forgotten")
    assert made.stdout == "wrote names-are-forgotten.ipynb\n", made.stderr
    assert run(tmp_path, "-m", "gemma_notebook", "check-notebooks", ".").returncode == 0
    nbval = ("-m", "pytest", "-q", "--nbval", "--nbval-current-env", f"--nbval-sanitize-with={SANITIZE_CFG}")
    result = run(tmp_path, *nbval, "names-are-forgotten.ipynb")
    assert " passed" in result.stdout and "failed" not in result.stdout, result.stdout


def test_the_command_tells_findings_and_its_exit_status_does_too(tmp_path: Path):
    (tmp_path / "a.ipynb").write_text("{}")
    result = run(tmp_path, "-m", "gemma_notebook", "check-notebooks", ".")
    assert (result.returncode, "no notebook of format 4" in result.stdout) == (1, True)
    assert '"remedy"' in run(tmp_path, "-m", "gemma_notebook", "check-notebooks", "--json", ".").stdout
    assert run(tmp_path, "-m", "gemma_notebook", "check-notebooks").returncode == 2
    shown = run(tmp_path, "-m", "gemma_notebook", "check-notebooks", "--sanitize-path").stdout
    assert shown == f"{SANITIZE_CFG}\n"
