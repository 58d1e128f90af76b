"""What reaches a panel while a cell runs, on the ipykernel that is installed.

JupyterLab sends widgets' messages over a subshell, a thread of its own in the kernel. Front ends that do not
share the main shell with the cells.
"""

from __future__ import annotations

from collections.abc import Callable

import ipykernel
import pytest
from live_kernel import FrontEnd, Gate, LiveKernel

# Long enough for a message that gets through, which takes some ten milliseconds.
NOT_YET_S = 1.0

needs_subshells = pytest.mark.skipif(ipykernel.version_info < (7, 0), reason="no subshells")
answers_in_await = pytest.mark.skipif(
    ipykernel.version_info < (7, 4), reason="an older kernel keeps messages until an await cell ends"
)


def holds_back(panel: FrontEnd, kernel: LiveKernel, request: str) -> bool:
    try:
        kernel.wait_for(lambda: panel.of_type("snapshot", request=request), timeout_s=NOT_YET_S)
    except AssertionError:
        return True
    return False


def test_a_reply_streams_on_while_a_cell_blocks_the_kernel(panel: FrontEnd, kernel: LiveKernel, gate: Gate):
    request = panel.say_at_length("Count to 200.")
    cell = kernel.start(gate.code)
    panel.wait_for("turn", state="done", request=request)
    assert not cell.done
    gate.let_go()
    kernel.wait_for(lambda: cell.done)


def test_over_the_main_shell_a_message_waits_for_the_end_of_a_blocking_cell(
    panel: FrontEnd, kernel: LiveKernel, gate: Gate
):
    cell = kernel.start(gate.code)
    request = panel.request("snapshot_request")
    assert holds_back(panel, kernel, request)
    gate.let_go()
    panel.wait_for("snapshot", request=request)
    assert cell.done


@answers_in_await
def test_over_the_main_shell_a_message_gets_through_while_a_cell_awaits(
    panel: FrontEnd, kernel: LiveKernel, gate: Gate
):
    cell = kernel.start(f"import asyncio\nawait asyncio.to_thread(lambda: {gate.code})")
    assert "Ada" in panel.ask("My name is Ada.")
    panel.say_at_length("Count to 200.")
    assert panel.wait_for("state", request=panel.request("reset", epoch=1))["epoch"] == 2
    assert not cell.done
    gate.let_go()
    kernel.wait_for(lambda: cell.done)


@needs_subshells
def test_over_a_subshell_stop_and_reset_get_through_while_a_cell_blocks(
    open_panel: Callable[..., FrontEnd], kernel: LiveKernel, gate: Gate
):
    panel = open_panel(subshell=kernel.create_subshell())
    request = panel.say_at_length("Count to 200.")
    cell = kernel.start(gate.code)
    # Published while the cell runs: ipykernel 7.4 would send the answer to it to the shell of the cell.
    seen = len(panel.of_type("delta"))
    kernel.wait_for(lambda: len(panel.of_type("delta")) > seen + 1)
    panel.request("stop", epoch=1)
    panel.wait_for("turn", state="cancelled", request=request)
    assert panel.wait_for("state", request=panel.request("reset", epoch=1))["epoch"] == 2
    assert "Ada" in panel.ask("My name is Ada.", epoch=2)
    assert not cell.done
    gate.let_go()
    kernel.wait_for(lambda: cell.done)


def test_an_interrupt_ends_a_cell_that_generates_and_keeps_the_beginning(panel: FrontEnd, kernel: LiveKernel):
    cell = kernel.start(
        "chat = manager.open_chat()\n"
        "for count, delta in enumerate(chat.stream('Count to 200.')):\n"
        "    if count == 5: print('streaming', flush=True)\n"
    )
    kernel.wait_for(lambda: cell.text)
    kernel.client.control_channel.send(kernel.client.session.msg("interrupt_request", {}))
    kernel.wait_for(lambda: cell.done)
    assert cell.error is not None
    assert cell.error[0] == "KeyboardInterrupt"
    left = kernel.run("print(chat.messages[-1].finish_reason, chat.messages[-1].text)").text
    assert left.startswith("cancelled 1, 2")
    assert "Ada" in kernel.run("print(chat.send('My name is Ada.').text); chat.close()").text
