"""Kernels, and a panel in one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from live_kernel import FrontEnd, Gate, LiveKernel, live_kernel


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKernel]:
    """A kernel with ``gn`` imported, for a module's tests; what one leaves behind is closed."""
    with live_kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        kernel.run("import gemma_notebook as gn")
        yield kernel


@pytest.fixture
def open_panel(kernel: LiveKernel) -> Iterator[Callable[..., FrontEnd]]:
    """Make a panel on a fresh manager, and a front end for it."""

    def open_it(subshell: str | None = None) -> FrontEnd:
        cell = kernel.run("manager = gn.load()\npanel = gn.ChatPanel(manager)\npanel")
        comm_id = cell.data[0]["application/vnd.jupyter.widget-view+json"]["model_id"]
        return FrontEnd(kernel, comm_id, subshell)

    yield open_it
    kernel.run("panel.close()\nmanager.close()")


@pytest.fixture
def panel(open_panel: Callable[..., FrontEnd]) -> FrontEnd:
    return open_panel()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(tmp_path)
    yield gate
    gate.open()
