"""What the engine prints is not in the notebook, and what anybody else prints is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from live_kernel import LiveKernel

from gemma_notebook.models.resolve import resolve_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Not the bundled file, which is never tried on a GPU."""
    return Path(shutil.copy(resolve_model("tiny"), tmp_path / "model.litertlm"))


def stderr_of(kernel: LiveKernel, code: str) -> str:
    """What the cell shows as stderr; fd 2 is read by a thread of the kernel, so until a marker is through."""
    first = len(kernel.published)
    kernel.run(code)
    kernel.run("import os; _ = os.write(2, b'<end>')")

    def shown() -> str:
        streams = [m["content"] for m in kernel.published[first:] if m["msg_type"] == "stream"]
        return "".join(stream["text"] for stream in streams if stream["name"] == "stderr")

    kernel.wait_for(lambda: "<end>" in shown())
    return shown().replace("<end>", "")


def test_a_load_that_tries_the_gpu_prints_nothing_into_the_cell(kernel: LiveKernel, model: Path) -> None:
    code = (
        f"with gn.load({str(model)!r}, backend='auto', check=False) as manager: print(manager.active_backend)"
    )
    assert stderr_of(kernel, code) == ""


def test_why_a_backend_was_refused_is_shown_to_who_listens(kernel: LiveKernel, model: Path) -> None:
    code = f"""
import logging, sys
handler = logging.StreamHandler(sys.stdout)
logging.getLogger("gemma_notebook").addHandler(handler)
manager = gn.load({str(model)!r}, backend="auto", check=False)
manager.close()
logging.getLogger("gemma_notebook").removeHandler(handler)
print("refused:", sorted(manager.refused_backends))
"""
    cell = kernel.run(code)
    assert "WebGPU" in cell.text or "refused: []" in cell.text


def test_the_users_own_stderr_and_that_of_child_processes_is_shown(kernel: LiveKernel) -> None:
    code = """
with gn.load() as manager:
    sys.stderr.write("Python's. "); sys.stderr.flush()
    _ = os.write(2, b"The descriptor's. ")
    _ = subprocess.run(["sh", "-c", "echo A child process. >&2"])
"""
    shown = stderr_of(kernel, "import os, subprocess, sys" + code)
    assert all(part in shown for part in ("Python's. ", "The descriptor's. ", "A child process."))
