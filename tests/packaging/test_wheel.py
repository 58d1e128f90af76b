"""The wheel: what is in it, and that it works where there is neither Node nor a compiler nor this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).resolve().parents[2]

SMOKE = """
import gemma_notebook as gn
with gn.load() as manager:
    chat = manager.create_chat()
    print(chat.send("My name is Ada.").text)
    print(chat.send("What is my name?").text)
    chat.reset()
    print(chat.send("What is my name?").text)
    print(manager.handles)
    print(gn.ChatPanel(manager))
"""


def run(*command: object, **options: object) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out, cwd=ROOT)
    assert len(list(out.glob("*.tar.gz"))) == 1
    (built,) = out.glob("*.whl")
    return built


def test_one_wheel_serves_every_python_from_3_11(wheel):
    assert "-cp311-abi3-" in wheel.name
    run(Path(sys.executable).with_name("abi3audit"), "--strict", wheel)


def test_the_wheel_holds_the_shim_the_panel_and_the_model_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for needed in (
        "gemma_notebook/engine/_shim.abi3.so",
        "gemma_notebook/panel/static/widget.js",
        "gemma_notebook/panel/static/widget.css",
        "gemma_notebook/models/catalogue.toml",
        "gemma_notebook/models/converter/pretrained.jinja",
        "gemma_notebook/models/converter/requirements.txt",
        "gemma_notebook/models/tiny/model.litertlm",
        "gemma_notebook/models/tiny/MODEL_CARD.md",
        "gemma_notebook/py.typed",
    ):
        assert needed in names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"gemma_notebook"}
    python_files = {str(path.relative_to(ROOT)) for path in (ROOT / "gemma_notebook").rglob("*.py")}
    assert python_files <= names, "a package is missing from [tool.setuptools] packages"


def test_the_wheel_works_in_an_empty_environment_without_node_or_a_compiler(wheel, tmp_path):
    home = tmp_path / "empty"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    environment = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV", "CC")
    }
    environment |= {"PATH": str(home / "bin"), "CC": "no-compiler-here"}
    run(
        python, "-m", "pip", "install", "--quiet", "--only-binary=:all:", wheel, env=environment, cwd=tmp_path
    )
    output = run(python, "-W", "error", "-c", SMOKE, env=environment, cwd=tmp_path).splitlines()
    told, asked, forgotten, handles, panel = output
    assert "Ada" in told
    assert "Ada" in asked
    assert "Ada" not in forgotten
    assert handles == "HandleCounts(created=2, closed=1, live=1, checkpoints=0)"
    assert panel == "ChatPanel('tiny')"
    command = home / "bin" / "gemma-notebook"
    assert "gemma3-1b" in run(command, "models", "list", env=environment, cwd=tmp_path)
    assert "pip install ipykernel" in run(command, "doctor", env=environment, cwd=tmp_path)
