"""Stop and Reset on each ipykernel that people have: what gets through while a cell runs, and what waits.

JupyterLab 4.4 and newer sends a widget's messages over a subshell where the kernel has them, other front ends
over the main shell. `make` installs the versions beside each other, under `.venv/ipykernel-*`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live_kernel import Cell, FrontEnd, Gate, LiveKernel, live_kernel

# What a message meets: (ipykernel, how it is sent, what the kernel is doing) and when the panel answers.
AT_ONCE, AFTER_THE_CELL = "at once", "after the cell"
ANSWERED = {
    ("6.31", "main shell", "await"): AFTER_THE_CELL,
    ("6.31", "main shell", "blocking"): AFTER_THE_CELL,
    ("7.3", "main shell", "await"): AFTER_THE_CELL,
    ("7.3", "main shell", "blocking"): AFTER_THE_CELL,
    ("7.3", "subshell", "await"): AT_ONCE,
    ("7.3", "subshell", "blocking"): AT_ONCE,
    ("7.4", "main shell", "await"): AT_ONCE,
    ("7.4", "main shell", "blocking"): AFTER_THE_CELL,
    ("7.4", "subshell", "await"): AT_ONCE,
    # Only because the panel overrules ipykernel 7.4 (panel/widget.py).
    ("7.4", "subshell", "blocking"): AT_ONCE,
}
ROUTES = sorted({(version, route) for version, route, _ in ANSWERED})


@pytest.fixture(scope="module")
def version(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def kernel(version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKernel]:
    installed = Path(sys.prefix) / f"ipykernel-{version}"
    assert installed.is_dir(), "`make test-python` installs the ipykernels that this test needs"
    with live_kernel(tmp_path_factory.mktemp("kernel"), installed) as kernel:
        ran = kernel.run(
            "import gemma_notebook as gn, ipykernel\nmanager = gn.load()\nipykernel.__version__"
        ).text
        assert ran.startswith(f"'{version}.")
        yield kernel
        kernel.run("manager.close()")


@pytest.fixture
def open_view(kernel: LiveKernel) -> Iterator[Callable[[str], FrontEnd]]:
    def open_it(route: str) -> FrontEnd:
        cell = kernel.run("panel = gn.ChatPanel(manager)\npanel")
        comm_id = cell.data[0]["application/vnd.jupyter.widget-view+json"]["model_id"]
        return FrontEnd(kernel, comm_id, kernel.create_subshell() if route == "subshell" else None)

    yield open_it
    kernel.run("panel.close()")


def begin(kernel: LiveKernel, kind: str, gate: Gate) -> Cell:
    """Begin to run a cell of that kind, and wait until it is at work."""
    wait = f"await asyncio.to_thread(lambda: {gate.code})" if kind == "await" else gate.code
    cell = kernel.start(f"import asyncio\nprint('begun', flush=True)\n{wait}")
    kernel.wait_for(lambda: cell.text)
    return cell


@pytest.mark.parametrize(("version", "route"), ROUTES, indirect=["version"])
def test_stop_and_reset_of_an_idle_kernel(version: str, route: str, open_view: Callable[[str], FrontEnd]):
    assert_it_stops_and_resets(open_view(route))


@pytest.mark.parametrize("version", ["6.31", "7.3", "7.4"], indirect=True)
@pytest.mark.parametrize("wait", ["", "import asyncio\nawait asyncio.sleep(0)\n"], ids=["blocking", "await"])
def test_what_a_panel_keeps_is_among_the_outputs_of_its_cell_and_of_no_other(
    version: str, wait: str, kernel: LiveKernel
):
    cell = kernel.run(
        f"{wait}panel = gn.ChatPanel(manager, persist=True)\n_ = panel.chat.send('My name is Ada.')\npanel"
    )
    panel, kept = cell.data
    assert "application/vnd.jupyter.widget-view+json" in panel
    assert kept["text/plain"].endswith("Transcript('tiny', 2 messages)")
    assert kernel.run("panel.close()").data == []


@pytest.mark.parametrize(("version", "route", "kind"), list(ANSWERED), indirect=["version"])
def test_stop_and_reset_while_a_cell_runs(
    version: str, route: str, kind: str, open_view: Callable[[str], FrontEnd], kernel: LiveKernel, gate: Gate
):
    panel = open_view(route)
    if ANSWERED[version, route, kind] == AT_ONCE:
        assert_answered_at_once(panel, kernel, begin(kernel, kind, gate), gate)
    else:
        panel.say_at_length("Count to 200.")
        assert_answered_after(panel, kernel, begin(kernel, kind, gate), gate)


def assert_it_stops_and_resets(panel: FrontEnd) -> dict[str, Any]:
    """Returns the reset's acknowledgement."""
    reply = panel.say_at_length("Count to 200.")
    panel.request("stop", epoch=1)
    panel.wait_for("turn", state="cancelled", request=reply)
    panel.say_at_length("Count to 200.")
    told = panel.wait_for("state", request=panel.request("reset", epoch=1))
    assert (told["epoch"], told["handles"]["live"]) == (2, 1)
    assert "Ada" in panel.ask("My name is Ada.", epoch=2)
    return told


def assert_answered_at_once(panel: FrontEnd, kernel: LiveKernel, cell: Cell, gate: Gate) -> None:
    told = assert_it_stops_and_resets(panel)
    assert not cell.done
    gate.let_go()
    assert kernel.place_of(told) < kernel.place_of(kernel.end_of(cell))


def assert_answered_after(panel: FrontEnd, kernel: LiveKernel, cell: Cell, gate: Gate) -> None:
    stop, reset = panel.request("stop", epoch=1), panel.request("reset", epoch=1)
    kernel.look_around()
    assert panel.of_type("state", request=stop) == []
    gate.let_go()
    stopped = panel.wait_for("state", request=stop)
    told = panel.wait_for("state", request=reset)
    assert (told["epoch"], told["handles"]["live"]) == (2, 1)
    end = kernel.place_of(kernel.end_of(cell))
    assert end < kernel.place_of(stopped) < kernel.place_of(told)
