"""The real command, in a process and a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

# What a developer's own environment must not decide here.
_FOREIGN = ("HF_", "GEMMA_NOTEBOOK", "HUGGING", "XDG_", "PYTEST")


class Command:
    """``gemma-notebook`` in a process of its own, with a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_FOREIGN) and not name.lower().endswith("_proxy")
        } | {
            "GEMMA_NOTEBOOK_HOME": str(self.home),
            "HF_HOME": str(folder / "huggingface"),
            "XDG_DATA_DIRS": str(folder / "site"),
            "PYTHONWARNINGS": "error",
        }

    def __call__(
        self, *arguments: object, status: int | None = 0, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end. Environment variables are given in capitals; ``status`` is what it must end with."""
        environment, options = self._split(options)
        done = subprocess.run(
            self.line(*arguments),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            **options,
        )
        assert status is None or done.returncode == status, (
            f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def start(self, *arguments: object, **options: Any) -> subprocess.Popen[str]:
        """Begin to run it."""
        environment, options = self._split(options)
        return subprocess.Popen(
            self.line(*arguments),
            env=environment,
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def line(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "gemma_notebook", *map(str, arguments)]

    def _split(self, options: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
        variables = {name: str(options.pop(name)) for name in tuple(options) if name.isupper()}
        return self.environment | variables, options
