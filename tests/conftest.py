"""What all test suites share: managers on the real engine and on the stub, threads, waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import fake_engine
import pytest
from support import WAIT_S, load_test_model

import gemma_notebook as gn
from gemma_notebook.engine import load_library
from gemma_notebook.loading import open_manager
from gemma_notebook.options import EngineOptions


class FakeEngine(fake_engine.FakeEngine):
    """The stub's controls, with a wait that fails the test; fake_engine.h says what can be set."""

    def __init__(self, library: Path) -> None:
        super().__init__(library)
        self._keys: set[str] = set()

    def set(self, **settings: object) -> None:
        self._keys.update(settings)
        super().set(**settings)

    def let_go(self) -> None:
        """Back to the defaults, and every held call and token let through."""
        super().set(**dict.fromkeys(self._keys))
        self.allow(1_000_000)

    def wait(self, name: str, count: int, timeout_s: float = WAIT_S) -> bool:
        assert super().wait(name, count, timeout_s), f"{name} never reached {count}: {self.log}"
        return True


@pytest.fixture(scope="session")
def fake_engine_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_engine.build_fake_engine(tmp_path_factory.mktemp("fake_engine"))


@pytest.fixture
def fake(fake_engine_path: Path) -> Iterator[FakeEngine]:
    engine = FakeEngine(fake_engine_path)
    yield engine
    engine.reset()  # aborts when a test has left a handle alive


@pytest.fixture
def make_fake_manager(fake: FakeEngine, tmp_path: Path) -> Iterator[Callable[..., gn.SessionManager]]:
    model = tmp_path / "stub.litertlm"
    model.write_bytes(b"the stub reads nothing")
    managers = []

    def make(max_sessions: int | None = None, **options: Any) -> gn.SessionManager:
        library = load_library(fake.library)
        made = open_manager(
            EngineOptions(model, **options), max_sessions=max_sessions, check=False, library=library
        )
        managers.append(made)
        return made

    yield make
    fake.let_go()
    for manager in managers:
        manager.close()


@pytest.fixture
def fake_manager(make_fake_manager: Callable[..., gn.SessionManager]) -> gn.SessionManager:
    return make_fake_manager()


@pytest.fixture
def real_manager() -> Iterator[gn.SessionManager]:
    with load_test_model() as manager:
        yield manager


@pytest.fixture(params=["real engine", "stub"])
def manager(request: pytest.FixtureRequest) -> gn.SessionManager:
    """The same rule, on the real engine with the bundled model and on the stub."""
    return request.getfixturevalue("real_manager" if request.param == "real engine" else "fake_manager")


@pytest.fixture
def in_thread() -> Iterator[Callable[..., Future[Any]]]:
    """Run a function on a thread; a test must not end while one of its threads runs."""
    threads = []

    def start(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def work() -> None:
            try:
                future.set_result(function(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        thread = threading.Thread(target=work, daemon=True)
        threads.append(thread)
        thread.start()
        return future

    yield start
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive(), "a thread of the test still runs"
