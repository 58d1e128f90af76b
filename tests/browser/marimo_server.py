"""A marimo server of its own: nothing of the user's settings is read, nothing outside the machine asked."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab_server import READY_WITHIN_S, free_port
from support import wait_until


@dataclass(frozen=True)
class MarimoServer:
    """A running server.

    Attributes:
        url: Without a slash at the end.
        root: The folder whose notebooks it opens.
    """

    url: str
    root: Path

    def write(self, name: str, cells: tuple[str, ...]) -> None:
        """A notebook of these cells, which may use each other's names."""
        lines = ["import marimo", "app = marimo.App()"]
        for cell in cells:
            lines += ["@app.cell", "def _():", *(f"    {line}" for line in cell.splitlines()), "    return"]
        (self.root / name).write_text("\n".join([*lines, ""]), encoding="utf-8")


@contextlib.contextmanager
def running_marimo(folder: Path) -> Iterator[MarimoServer]:
    """Start marimo's editor on ``folder``, and end it with its kernels."""
    root = folder / "marimo"
    root.mkdir()
    # As somebody sets it who wants a notebook to run when it is opened.
    (root / "pyproject.toml").write_text("[tool.marimo.runtime]\nauto_instantiate = true\n")
    port = free_port()
    command = [
        sys.executable, "-m", "marimo", "edit", str(root), "--headless", "--no-token", "--skip-update-check",
        "--no-sandbox", "--host=127.0.0.1", f"--port={port}",
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    homes = {"HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_CACHE_HOME": folder, "XDG_STATE_HOME": folder}
    log = folder / "marimo.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=root,
            env=environment | {name: str(home) for name, home in homes.items()},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or _answers(url), READY_WITHIN_S)
        assert process.poll() is None, f"no server:\n{log.read_text()}"
        yield MarimoServer(url, root)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=10):
        return True
    return False
