"""The fixtures of the native tests; the fake engine itself comes from the conftest above."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from c_programs import BUILDS, CASES, Program, build_one
from driver import Shim
from fake_engine import FakeEngine

from gemma_notebook.engine import _shim


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Program]:
    """The C cases in every build, and the misuse cases; compiled side by side."""
    root = tmp_path_factory.mktemp("native")

    names = [*BUILDS, "misuse"]
    with ThreadPoolExecutor() as pool:
        made = pool.map(lambda name: build_one(root / name, name), names)
        return dict(zip(names, made, strict=True))


@pytest.fixture(scope="session")
def failures_in(programs: dict[str, Program]) -> Callable[[str], dict[str, str]]:
    """The failures of a build's run, which is made once."""
    results: dict[str, dict[str, str]] = {}

    def failures(build: str) -> dict[str, str]:
        if build not in results:
            results[build] = programs[build].run_each(CASES)
        return results[build]

    return failures


@pytest.fixture
def misuse(programs: dict[str, Program]) -> Callable[[str], str]:
    """Run a misuse case, expect it to abort, and return what it said."""

    def run(name: str) -> str:
        status, _, errors = programs["misuse"].run([name])
        assert status == -signal.SIGABRT, errors
        return errors

    return run


@pytest.fixture
def shim(fake: FakeEngine, tmp_path: Path) -> Shim:
    """The compiled shim on the fake engine."""
    model = tmp_path / "model.litertlm"
    model.write_bytes(b"anything")
    return Shim(_shim, fake.library, model)
