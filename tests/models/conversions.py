"""A converter for tests of the stages: the package's own code but for the Python at its other end."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gemma_notebook.models.resolve import resolve_model


class Converter:
    """A fake converter in a directory, and a home for models beside it.

    Attributes:
        home: What ``GEMMA_NOTEBOOK_HOME`` is.
        source: A source to convert.
    """

    def __init__(self, folder: Path, monkeypatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch
        self.home = folder / "home"
        self.source = folder / "my-gemma.gguf"
        self.source.write_bytes(b"GGUF")
        python = folder / "python"
        python.write_text(
            f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("fake_converter.py")} "$@"\n'
        )
        python.chmod(0o755)
        monkeypatch.setenv("GEMMA_NOTEBOOK_CONVERTER_PYTHON", str(python))
        monkeypatch.setenv("GEMMA_NOTEBOOK_HOME", str(self.home))
        self.order()

    def order(self, **orders) -> None:
        """What it does from now on."""
        settings = {"log": str(self._log), "packed": str(resolve_model("tiny")), **orders}
        self._monkeypatch.setenv("FAKE_CONVERTER", json.dumps(settings))

    @property
    def _log(self) -> Path:
        return self._folder / "stages.log"

    @property
    def stages(self) -> list[str]:
        """The stages that were begun, in order."""
        return [line.split()[0] for line in self._lines()]

    @property
    def last_pid(self) -> int:
        """The process of the last one."""
        return int(self._lines()[-1].split()[1])

    @property
    def packed(self) -> dict:
        """What "pack" was asked for."""
        return json.loads(self._log.with_name("pack.json").read_text())

    @property
    def in_store(self) -> list[str]:
        """Every visible file in the store."""
        return sorted(path.name for path in (self.home / "models").glob("[!.]*"))

    def _lines(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []
