"""Whether Stop and Reset reach the model while a cell runs: measured, in a kernel of this Python.

It depends on ipykernel's version and on the front end. JupyterLab 4.4 and later sends a widget's messages over a
*subshell*, a thread of its own in the kernel; others send them over the main shell, where a cell may be running.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from gemma_notebook.cli.doctor.findings import Finding

__all__ = ["look_at_kernel"]

# A kernel on a slow disk, and a message that gets through, which takes some ten milliseconds.
_START_S = 60.0
_REACHES_S = 3.0

_SHOW_PANEL = "import gemma_notebook as gn\nmanager = gn.load()\npanel = gn.ChatPanel(manager)\npanel"
_BUSY = {
    "a blocking cell": "open({gate!r}).read()",
    "an awaiting cell": "import asyncio\nawait asyncio.to_thread(lambda: open({gate!r}).read())",
}


def _open(gate: Path) -> None:
    """Let the cell at the gate go on. A kernel that has died is not waited for: nobody will come to it."""
    deadline = time.monotonic() + _REACHES_S
    while time.monotonic() < deadline:
        try:
            descriptor = os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.02)
        else:
            os.write(descriptor, b"go on")
            os.close(descriptor)
            return


def look_at_kernel() -> Iterator[Finding]:
    """Start a kernel and measure, for each way that a front end may take."""
    try:
        import jupyter_client  # noqa: F401

        version = metadata.version("ipykernel")
    except (ImportError, metadata.PackageNotFoundError):
        yield Finding(
            "kernel",
            "note",
            "ipykernel is not installed with this Python, so there is no kernel to look at",
            "to use notebooks with this Python: python -m pip install ipykernel",
        )
        return
    with tempfile.TemporaryDirectory() as folder, _Kernel.running(Path(folder)) as kernel:
        ways = [("a blocking cell", True), ("a blocking cell", False), ("an awaiting cell", False)]
        results = {}
        for cell, over_subshell in ways:
            if over_subshell and not kernel.has_subshells:
                continue
            way = f"{cell}, {'subshell' if over_subshell else 'main shell'}"
            results[way] = kernel.measure(cell, over_subshell=over_subshell)
            yield _finding(way, results[way], version)
    yield _conclusion(results, version)


def _finding(way: str, result: dict[str, float | None], version: str) -> Finding:
    stop_s, reset_s = result["stop_s"], result["reset_s"]
    if stop_s is None or reset_s is None:
        return Finding(
            "stop and reset", "note", f"{way}: they wait for its end", facts={"way": way, **result}
        )
    words = f"{way}: Stop after {stop_s * 1000:.0f} ms, Reset after {reset_s * 1000:.0f} ms"
    return Finding("stop and reset", "ok", words, facts={"way": way, "ipykernel": version, **result})


def _conclusion(results: dict[str, dict[str, float | None]], version: str) -> Finding:
    lab = results.get("a blocking cell, subshell")
    if lab is not None and lab["reset_s"] is not None:
        words = f"ipykernel {version}: in JupyterLab 4.4 and later Stop and Reset work while a cell runs"
        return Finding("kernel", "ok", words, facts={"ipykernel": version, "subshells": True})
    words = f"ipykernel {version}: Stop and Reset wait while a cell of yours runs"
    advice = 'to stop a reply while a cell runs: python -m pip install --upgrade "ipykernel>=7.4", and use JupyterLab 4.4 or later'
    return Finding("kernel", "note", words, advice, {"ipykernel": version, "subshells": lab is not None})


class _Kernel:
    """A kernel, and the front end's end of the wire."""

    def __init__(self, client: Any, folder: Path) -> None:
        self._client = client
        self._folder = folder
        self._published: list[dict[str, Any]] = []
        features = client.kernel_info(reply=True, timeout=_START_S)["content"].get("supported_features", ())
        self.has_subshells = "kernel subshells" in features

    @classmethod
    @contextlib.contextmanager
    def running(cls, folder: Path) -> Iterator[_Kernel]:
        """Start a kernel of this Python, without the user's own startup files; end it afterwards."""
        from jupyter_client.kernelspec import KernelSpecManager
        from jupyter_client.manager import KernelManager

        manager = KernelManager(
            kernel_name="python3",
            kernel_spec_manager=KernelSpecManager(
                kernel_dirs=[]
            ),  # this Python's, whatever else is installed
            connection_file=str(folder / "connection.json"),
        )
        environment = dict(os.environ) | {"IPYTHONDIR": str(folder / "ipython")}
        manager.start_kernel(
            cwd=str(folder), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        client = manager.blocking_client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=_START_S)
            yield cls(client, folder)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
            manager.cleanup_resources()

    def measure(self, cell: str, *, over_subshell: bool) -> dict[str, float | None]:
        """How long Stop and Reset take while such a cell runs; None where they wait for its end."""
        comm = self._show_panel()
        subshell = self._create_subshell() if over_subshell else None
        with self._busy(_BUSY[cell]):
            self._post(comm, subshell, type="send", id="1", epoch=1, text="Count to 300.")
            if self._seconds_until(comm, "delta") is None:
                return {"stop_s": None, "reset_s": None}
            self._post(comm, subshell, type="stop", id="2", epoch=1)
            stop_s = self._seconds_until(comm, "turn", state=("cancelled", "done"), role="assistant")
            self._post(comm, subshell, type="reset", id="3", epoch=1)
            reset_s = self._seconds_until(comm, "state", epoch=2)
        return {"stop_s": stop_s, "reset_s": reset_s}

    def _show_panel(self) -> str:
        request = self._client.execute(_SHOW_PANEL, allow_stdin=False)
        self._wait_until_idle(request)
        for message in self._published:
            if message["parent_header"].get("msg_id") == request and message["msg_type"] == "execute_result":
                view = message["content"]["data"]["application/vnd.jupyter.widget-view+json"]
                return str(view["model_id"])
            if message["parent_header"].get("msg_id") == request and message["msg_type"] == "error":
                raise RuntimeError(f"{message['content']['ename']}: {message['content']['evalue']}")
        raise RuntimeError("the kernel showed no panel")

    def _create_subshell(self) -> str:
        request = self._client.session.msg("create_subshell_request")
        self._client.control_channel.send(request)
        return str(self._client.get_control_msg(timeout=_START_S)["content"]["subshell_id"])

    @contextlib.contextmanager
    def _busy(self, code: str) -> Iterator[None]:
        """Keep the kernel busy with a cell until the ``with`` ends."""
        gate = self._folder / f"gate-{len(self._published)}"
        os.mkfifo(gate)
        request = self._client.execute(code.format(gate=str(gate)), allow_stdin=False)
        try:
            self._wait_for(lambda message: _is_status(message, request, "busy"))
            yield
        finally:
            _open(gate)
            self._wait_until_idle(request)

    def _post(self, comm: str, subshell: str | None, **content: Any) -> None:
        data = {"method": "custom", "content": content}
        message = self._client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        self._client.shell_channel.send(message)

    def _seconds_until(self, comm: str, kind: str, **fields: Any) -> float | None:
        """How long it took until the panel sent such a message; None when it did not in time."""

        def is_it(message: dict[str, Any]) -> bool:
            content = message["content"]
            if message["msg_type"] != "comm_msg" or content["comm_id"] != comm:
                return False
            sent = content["data"].get("content") or {}
            return sent.get("type") == kind and all(
                sent.get(name) in (value if isinstance(value, tuple) else (value,))
                for name, value in fields.items()
            )

        started = time.monotonic()
        return time.monotonic() - started if self._wait_for(is_it, _REACHES_S) else None

    def _wait_until_idle(self, request: str) -> None:
        if not self._wait_for(lambda message: _is_status(message, request, "idle")):
            raise RuntimeError(f"the kernel was not done with a cell in {_START_S:.0f} s")
        # Before the next request: one that meets a reply on its way is lost with ipykernel 7.0 to 7.3.
        while self._client.get_shell_msg(timeout=_START_S)["parent_header"].get("msg_id") != request:
            pass

    def _wait_for(self, is_it: Callable[[dict[str, Any]], bool], timeout_s: float = _START_S) -> bool:
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                message = self._client.get_iopub_msg(timeout=left_s)
                self._published.append(message)
                if is_it(message):
                    return True
        return False


def _is_status(message: dict[str, Any], request: str, state: str) -> bool:
    if message["msg_type"] != "status" or message["parent_header"].get("msg_id") != request:
        return False
    return bool(message["content"]["execution_state"] == state)
