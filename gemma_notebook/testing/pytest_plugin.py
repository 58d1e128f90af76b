"""The pytest plugin: ``gemma_manager`` and ``gemma_chat``.

pytest loads it wherever the package is installed, so nothing but pytest is imported before a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gemma_notebook.chat import Chat
    from gemma_notebook.sessions import SessionManager

__all__ = ["gemma_chat", "gemma_manager", "pytest_addoption"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a project say once which model its tests are for."""
    words = "the model of the fixture gemma_manager: 'tiny', a catalogue name, or a path"
    parser.getgroup("gemma_notebook").addoption(
        "--gemma-model", metavar="NAME", help=f"{words}; before the ini's"
    )
    parser.addini("gemma_model", f"{words} (default: tiny)", default="tiny")


@pytest.fixture(scope="session")
def gemma_manager(pytestconfig: pytest.Config) -> Iterator[SessionManager]:
    """The manager of a model that is loaded once for all tests, by --gemma-model or gemma_model in the ini file."""
    from gemma_notebook.loading import load

    with load(pytestconfig.getoption("gemma_model") or _model_of_the_ini(pytestconfig)) as manager:
        yield manager


def _model_of_the_ini(config: pytest.Config) -> str:
    """What the ini file says; a path in it is one from where it lies, as others in it are."""
    model: str = config.getini("gemma_model")
    beside = config.inipath.parent / model if config.inipath is not None else None
    return str(beside) if beside is not None and beside.is_file() else model


@pytest.fixture
def gemma_chat(gemma_manager: SessionManager) -> Iterator[Chat]:
    """A greedy chat on a conversation handle of its own, closed after the test."""
    with gemma_manager.open_chat() as chat:
        yield chat
