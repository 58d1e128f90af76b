"""A JupyterLab server of its own: nothing of the user's Jupyter is read, nothing outside the machine asked."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
READY_WITHIN_S = 120.0
TOKEN = "browser-tests"

# No news, no extension catalogue, no language packs from the net, no questions to the user.
PAGE_CONFIG = {
    "disabledExtensions": {
        "@jupyterlab/apputils-extension:announcements": True,
        "@jupyterlab/extensionmanager-extension": True,
    }
}
SETTINGS = {
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
    "@jupyterlab/apputils-extension:kernels-settings": {"kernelStatusCheck": False},
}


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        url: Without a slash at the end.
        root: The folder that it shows, a copy of the project's notebooks.
        log: What it has printed, kernels included.
    """

    url: str
    root: Path
    log: Path

    def lab(self, path: str) -> str:
        """The address of a notebook in JupyterLab, with nothing else open."""
        return f"{self.url}/lab/tree/{path}?token={TOKEN}&reset"

    def notebook7(self, path: str) -> str:
        """The address of a notebook in Notebook 7, which the same server serves."""
        return f"{self.url}/notebooks/{path}?token={TOKEN}"

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the server's REST interface."""
        request = urllib.request.Request(
            f"{self.url}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {TOKEN}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            text = response.read()
        return json.loads(text) if text else None

    def use_theme(self, theme: str) -> None:
        """Choose the theme for the pages that are opened from now on."""
        raw = json.dumps({"theme": f"JupyterLab {theme.title()}"})
        self.api("PUT", "lab/api/settings/@jupyterlab/apputils-extension:themes", {"raw": raw})

    def use_subshells(self, *, on: bool) -> None:
        """Choose whether clicks in widgets reach a kernel that runs a cell, for pages that are opened from now on."""
        raw = json.dumps({} if on else {"commsOverSubshells": "disabled"})
        self.api("PUT", "lab/api/settings/@jupyterlab/apputils-extension:kernels-settings", {"raw": raw})

    def shut_kernels_down(self) -> None:
        """End every session and its kernel."""
        for session in self.api("GET", "api/sessions"):
            self.api("DELETE", f"api/sessions/{session['id']}")


@contextlib.contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """Start JupyterLab on a copy of the notebooks in ``folder``, and end it with its kernels."""
    root = folder / "notebooks"
    shutil.copytree(NOTEBOOKS, root, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    environment = _environment(folder)
    log = folder / "server.log"
    port = free_port()
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--notebook-dir={root}",
        "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={TOKEN}", "--LabApp.extension_manager=readonly", "--LabApp.news_url=",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip
    ready = threading.Event()
    reader = threading.Thread(target=_read_log, args=(process, log, ready), daemon=True)
    reader.start()
    server = Server(f"http://127.0.0.1:{port}", root, log)
    try:
        ready.wait(READY_WITHIN_S)
        assert process.poll() is None and ready.is_set(), f"no server:\n{log.read_text()}"
        yield server
    finally:
        if process.poll() is None:
            with contextlib.suppress(OSError):
                server.shut_kernels_down()
            process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(10)
        assert process.stdout is not None
        process.stdout.close()


def _environment(folder: Path) -> dict[str, str]:
    config = folder / "config"
    (config / "labconfig").mkdir(parents=True)
    (config / "labconfig" / "page_config.json").write_text(json.dumps(PAGE_CONFIG))
    (config / "labconfig" / "default_setting_overrides.json").write_text(json.dumps(SETTINGS))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "PYTEST"))}
    return kept | {
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _read_log(process: subprocess.Popen[str], log: Path, ready: threading.Event) -> None:
    assert process.stdout is not None
    with log.open("w", encoding="utf-8") as file:
        for line in process.stdout:
            file.write(line)
            file.flush()
            if re.search(r"http://127\.0\.0\.1:\d+/lab\?token=", line):
                ready.set()
    ready.set()  # it has ended: nobody needs to wait any longer
