"""A real ipykernel, and the front end's end of the wire, without a browser."""

from __future__ import annotations

import contextlib
import os
import queue
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client import BlockingKernelClient, KernelManager
from jupyter_client.kernelspec import KernelSpecManager

WAIT_S = 90.0
# Some ten milliseconds each: a message that gets through is answered within a few of them.
ROUNDS = 30


@dataclass
class Cell:
    """A cell that was run: what came of it so far.

    Attributes:
        error: The exception's name and words, or None.
    """

    request: str
    text: str = ""
    error: tuple[str, str] | None = None
    data: list[dict[str, Any]] = field(default_factory=list)
    done: bool = False


class LiveKernel:
    """A kernel with this Python, and every message that it has published so far."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client
        self.published: list[dict[str, Any]] = []
        self._cells: dict[str, Cell] = {}

    def run(self, code: str) -> Cell:
        """Run code to its end; an exception in it fails the test."""
        cell = self.try_to_run(code)
        assert cell.error is None, f"{code!r} raised {': '.join(cell.error)}"
        return cell

    def try_to_run(self, code: str) -> Cell:
        """Run code to its end."""
        cell = self.start(code)
        self.wait_for(lambda: cell.done)
        return cell

    def start(self, code: str) -> Cell:
        """Begin to run code."""
        cell = Cell(self.client.execute(code, allow_stdin=False))
        self._cells[cell.request] = cell
        return cell

    def wait_for(self, condition: Callable[[], Any], timeout_s: float = WAIT_S) -> None:
        """Read what the kernel publishes until the condition holds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            left_s = deadline - time.monotonic()
            assert left_s > 0, f"it never came; the last that did: {self.published[-5:]}"
            with contextlib.suppress(queue.Empty):
                self._book(self.client.get_iopub_msg(timeout=left_s))

    def place_of(self, wanted: dict[str, Any]) -> int:
        """Which one it was of all that the kernel has published: a cell's end, or a message of the panel."""
        return next(
            place
            for place, message in enumerate(self.published)
            if message is wanted or message["content"].get("data", {}).get("content") is wanted
        )

    def end_of(self, cell: Cell) -> dict[str, Any]:
        """The message with which a cell ended, now or later."""
        self.wait_for(lambda: cell.done)
        return next(
            message
            for message in reversed(self.published)
            if message["msg_type"] == "status" and message["parent_header"].get("msg_id") == cell.request
        )

    def look_around(self) -> None:
        """Ask the kernel's control thread, which no cell keeps busy, time and again, and read on meanwhile."""
        for _ in range(ROUNDS):
            request = self.client.session.msg("kernel_info_request")
            self.client.control_channel.send(request)
            self.client.get_control_msg(timeout=WAIT_S)
        with contextlib.suppress(queue.Empty):
            while True:
                self._book(self.client.get_iopub_msg(timeout=0))

    def read_all(self) -> None:
        """Read what the kernel has published by now: until the marker that a cell of nothing leaves."""
        self.run("")

    def send_comm(self, comm_id: str, data: dict[str, Any], subshell: str | None = None) -> None:
        """Send a message to a comm, over a subshell if one is given."""
        message = self.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)

    def create_subshell(self) -> str:
        """A subshell, as JupyterLab makes one for widgets' messages."""
        request = self.client.session.msg("create_subshell_request")
        self.client.control_channel.send(request)
        reply = self.client.get_control_msg(timeout=WAIT_S)
        assert reply["parent_header"]["msg_id"] == request["header"]["msg_id"]
        return str(reply["content"]["subshell_id"])

    def _book(self, message: dict[str, Any]) -> None:
        self.published.append(message)
        cell = self._cells.get(message["parent_header"].get("msg_id", ""))
        kind, content = message["msg_type"], message["content"]
        if cell is None:
            return
        if kind == "stream":
            cell.text += content["text"]
        elif kind in ("execute_result", "display_data"):
            cell.data.append(content["data"])
            if "text/plain" in content["data"]:  # a display that is filled later begins without
                cell.text += content["data"]["text/plain"] + "\n"
        elif kind == "error":
            cell.error = content["ename"], content["evalue"]
        elif kind == "status" and content["execution_state"] == "idle":
            self._await_reply(cell)
            cell.done = True

    def _await_reply(self, cell: Cell) -> None:
        """Read the kernel's reply to a cell, which it sends before it says that it is idle.

        A request that meets a reply on its way is lost with ipykernel 7.0 to 7.3 (ipython/ipykernel#1529): until
        another client connects, the kernel reads no more requests.
        """
        while self.client.get_shell_msg(timeout=WAIT_S)["parent_header"].get("msg_id") != cell.request:
            pass


class FrontEnd:
    """What a view of the panel sends and gets, as plain messages.

    Args:
        kernel: Where the panel lives.
        comm_id: The panel's comm.
        subshell: Send over this subshell.
    """

    def __init__(self, kernel: LiveKernel, comm_id: str, subshell: str | None = None) -> None:
        self._kernel = kernel
        self._comm_id = comm_id
        self._subshell = subshell

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The panel's messages so far, in order."""
        return [
            message["content"]["data"]["content"]
            for message in self._kernel.published
            if message["msg_type"] == "comm_msg"
            and message["content"]["comm_id"] == self._comm_id
            and message["content"]["data"].get("method") == "custom"
        ]

    def of_type(self, kind: str, /, **fields: Any) -> list[dict[str, Any]]:
        """The messages of one type that have these values."""
        return [m for m in self.messages if m["type"] == kind and fields.items() <= m.items()]

    def post(self, content: Any) -> None:
        """Send anything."""
        self._kernel.send_comm(self._comm_id, {"method": "custom", "content": content}, self._subshell)

    def request(self, kind: str, /, **fields: Any) -> str:
        """Send a request and return its id."""
        request = uuid.uuid4().hex
        self.post({"type": kind, "id": request, **fields})
        return request

    def wait_for(self, kind: str, /, **fields: Any) -> dict[str, Any]:
        """The first message of that type with these values, now or later."""
        self._kernel.wait_for(lambda: self.of_type(kind, **fields))
        return self.of_type(kind, **fields)[0]

    def snapshot(self) -> dict[str, Any]:
        """Ask for the whole."""
        return self.wait_for("snapshot", request=self.request("snapshot_request"))

    def say(self, text: str, epoch: int = 1) -> str:
        """Send a prompt; the id of the request, which its turns carry."""
        return self.request("send", epoch=epoch, text=text)

    def ask(self, text: str, epoch: int = 1) -> str:
        """Send a prompt and return the text of the whole reply."""
        request = self.say(text, epoch)
        self.wait_for("turn", role="assistant", state="done", request=request)
        return self.text_of(request)

    def say_at_length(self, text: str, epoch: int = 1) -> str:
        """Send a prompt and wait until the answer streams."""
        request = self.say(text, epoch)
        turn = self.wait_for("turn", role="assistant", state="streaming", request=request)["turn"]
        self.wait_for("delta", turn=turn)
        return request

    def wait_for_end(self, request: str) -> dict[str, Any]:
        """The turn of a reply that is done, cancelled or failed."""

        def ends() -> list[dict[str, Any]]:
            turns = self.of_type("turn", role="assistant", request=request)
            return [turn for turn in turns if turn["state"] != "streaming"]

        self._kernel.wait_for(ends)
        return ends()[0]

    def text_of(self, request: str) -> str:
        """The reply as far as its deltas tell it; each must follow on the one before."""
        [begin] = self.of_type("turn", role="assistant", state="streaming", request=request)
        text = begin["text"]
        for delta in self.of_type("delta", turn=begin["turn"]):
            assert delta["offset"] == len(text)
            text += delta["text"]
        return str(text)


class Gate:
    """Holds a cell in the kernel until the test lets it go on. No clock is involved."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "gate"
        os.mkfifo(self.path)
        self.code = f"open({str(self.path)!r}).read()"

    def let_go(self) -> None:
        """Let the cell go on; waits until it is there."""
        self.path.write_text("go on")

    def open(self) -> None:
        """Let the cell go on if there is one: for the end of a test that failed."""
        with contextlib.suppress(OSError):  # nobody waits
            os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))


@contextlib.contextmanager
def live_kernel(folder: Path, path: Path | None = None) -> Iterator[LiveKernel]:
    """Start a kernel that works in ``folder`` and imports first from ``path``."""
    own_kernel_only = KernelSpecManager(kernel_dirs=[])
    manager = KernelManager(
        kernel_name="python3",
        kernel_spec_manager=own_kernel_only,
        connection_file=str(folder / "connection.json"),
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    manager.start_kernel(
        cwd=str(folder),
        env=environment | {"IPYTHONDIR": str(folder / "ipython"), "PYDEVD_DISABLE_FILE_VALIDATION": "1"},
    )
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=WAIT_S)
        yield LiveKernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
