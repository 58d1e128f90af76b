"""A kernel that is restarted or shut down while the model answers: it ends by itself, at once and cleanly."""

from __future__ import annotations

from pathlib import Path

import pytest
from jupyter_client import KernelManager
from live_kernel import WAIT_S, LiveKernel

BEGIN = """
import gemma_notebook as gn, threading
manager = gn.load()
chat = manager.create_chat()
stream = chat.stream("Count to 200.")
print(next(stream).text)
"""
READERS = {
    "nobody reads": "",
    "a thread reads": "threading.Thread(target=lambda: list(stream), daemon=True).start()",
    "a panel reads": "panel = gn.ChatPanel(chat); chat.restore([])\nreading = chat.stream('Count to 200.')",
}


@pytest.mark.parametrize("reader", READERS)
def test_a_kernel_that_is_shut_down_in_mid_stream_ends_by_itself(tmp_path: Path, reader: str) -> None:
    manager = KernelManager(kernel_name="python3", connection_file=str(tmp_path / "connection.json"))
    manager.shutdown_wait_time = WAIT_S  # it must not be killed
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=WAIT_S)
        assert LiveKernel(client).run(BEGIN + READERS[reader]).text == "1\n"
        process = manager.provisioner.process
        manager.shutdown_kernel(restart=True)
        assert process.returncode == 0
    finally:
        client.stop_channels()
        if manager.has_kernel:
            manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
