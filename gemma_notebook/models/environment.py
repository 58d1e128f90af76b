"""The converter's environment: a virtual environment of its own, so that nothing of the user's is touched.

The converter wants exact versions of large packages, among them torch, and a notebook's environment has others.
It is made once, kept in the cache, and used again by the next conversion.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from gemma_notebook._paths import expanded, user_cache
from gemma_notebook.errors import ConversionError, StoreError
from gemma_notebook.models.store import HOME_VARIABLE

__all__ = ["PYTHON_VARIABLE", "ConverterEnvironment"]

# A Python to use as it is, for those who prepare the environment themselves.
PYTHON_VARIABLE = "GEMMA_NOTEBOOK_CONVERTER_PYTHON"
_REQUIREMENTS = Path(__file__).with_name("converter") / "requirements.txt"

# Runs the package "converter" beside this file without putting its neighbours in the way of other packages.
_LAUNCH = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); runpy.run_module('converter', run_name='__main__')"
)

# What would make pip or Python look or install elsewhere. Indexes, proxies and certificates stay.
_NOT_INHERITED = (
    "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__",
    "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_PYTHON", "PIP_REQUIREMENT", "PIP_CONSTRAINT",
)  # fmt: skip

# Measured on Linux with torch for the CPU: 2.5 GB. The torch that PyPI has for Linux brings libraries for GPUs.
_LEAST_FREE_BYTES = 4_000_000_000


class ConverterEnvironment:
    """A virtual environment with the converter in it.

    Args:
        home: Where environments are kept; None for the user's cache directory, or ``GEMMA_NOTEBOOK_HOME``/cache.
        requirements: The file with the packages; None for the converter's.
    """

    def __init__(self, home: Path | None = None, requirements: Path | None = None) -> None:
        self._requirements = requirements or _REQUIREMENTS
        chosen = os.environ.get(PYTHON_VARIABLE)
        self._given = expanded(chosen) if chosen and home is None else None
        version = f"{sys.implementation.cache_tag}-{_digest(self._requirements)}"
        self.folder = (home or _cache()) / "converter" / version

    @property
    def python(self) -> Path:
        """The Python that has the converter."""
        if self._given is not None:
            return self._given
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def ready(self) -> bool:
        """The converter is installed; further packages may be missing."""
        return self._given is not None or self._installed() is not None

    def command(self, stage: str) -> list[str | os.PathLike[str]]:
        """The command that runs a stage."""
        return [self.python, "-I", "-c", _LAUNCH, str(Path(__file__).parent), stage]

    @staticmethod
    def variables() -> dict[str, str]:
        """The environment variables for its processes."""
        kept = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
        # The libraries would ask a model hub for files that are here.
        return kept | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

    def prepare(self, packages: Sequence[str], *, log: Path, say: Callable[[str], None]) -> None:
        """Make the environment and install what is missing in it. Processes that prepare it at once take turns.

        Args:
            packages: Further packages, each pinned: ``name==version``.
            log: Where the words of pip go, appended.
            say: Told what is being done.

        Raises:
            ConversionError: The environment cannot be made, or pip failed.
        """
        import filelock

        if self._given is not None:
            if not self._runs():
                raise ConversionError(
                    f"{str(self._given)!r}, which {PYTHON_VARIABLE} names, is no Python that runs; give the path of one "
                    "that has the converter, or unset it",
                    stage="install",
                )
            return
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(f"{self.folder}.lock"):
                self._prepare(packages, log, say)
        except OSError as error:
            raise ConversionError(
                f"{str(self.folder)!r} cannot be written ({error.strerror or error}); check its permissions and "
                f"the free space, or set {HOME_VARIABLE} to a directory of your own",
                stage="install",
                log=log,
            ) from error

    def _prepare(self, packages: Sequence[str], log: Path, say: Callable[[str], None]) -> None:
        installed = self._installed()
        if installed is not None and set(packages) <= set(installed):
            return
        if installed is None:
            free = shutil.disk_usage(self.folder.parent).free
            if free < _LEAST_FREE_BYTES:
                raise ConversionError(
                    f"the converter needs {_LEAST_FREE_BYTES / 1e9:.0f} GB in {str(self.folder.parent)!r} and "
                    f"{free / 1e9:.1f} GB are free; free some, or set {HOME_VARIABLE} to another disk",
                    stage="install",
                )
            say("making an environment for the converter")
            # What is there is of an earlier try: kept, unless its Python does not run.
            clear: list[str] = [] if self._runs() else ["--clear"]
            self._run([sys.executable, "-I", "-m", "venv", *clear, self.folder], log, say)
        pip: list[str | os.PathLike[str]] = [
            self.python,
            "-I",
            "-m",
            "pip",
            "install",
            "--no-input",
            "--disable-pip-version-check",
            "--no-user",
        ]
        self._run([*pip, "--progress-bar=off", "-r", self._requirements, *packages], log, say)
        self._marker.write_text(json.dumps(sorted({*(installed or ()), *packages})), encoding="utf-8")

    def _run(self, command: Sequence[str | os.PathLike[str]], log: Path, say: Callable[[str], None]) -> None:
        with (
            log.open("ab") as words,
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self.variables(),
            ) as child,
        ):
            try:
                assert child.stdout is not None
                last = reason = ""
                for raw in child.stdout:
                    words.write(raw)
                    last = raw.decode("utf-8", "replace").strip() or last
                    reason = last if last.startswith("ERROR:") else reason
                    if last.startswith(("Collecting", "Downloading", "Installing", "Processing")):
                        say(last[:100])
                child.wait()
            except BaseException:
                child.kill()
                raise
        if child.returncode != 0:
            raise ConversionError(
                f"{reason or last or f'status {child.returncode}'}; check the network and pip's settings "
                "(`pip config list`) and run the command again: it goes on where it broke off "
                f"(all that was said is in {str(log)!r})",
                stage="install",
                log=log,
            )

    @property
    def _marker(self) -> Path:
        return self.folder / "gemma_notebook.json"

    def _installed(self) -> list[str] | None:
        """The further packages in a finished environment; None when it is not finished, or broken."""
        try:
            packages = json.loads(self._marker.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return packages if isinstance(packages, list) and self._runs() else None

    def _runs(self) -> bool:
        if not self.python.exists():
            return False
        # Also after the Python that it was made from was taken away.
        wanted = "import sys" if self._given else "import pip"
        probe: list[str | os.PathLike[str]] = [self.python, "-I", "-c", wanted]
        try:
            return (
                subprocess.run(probe, capture_output=True, check=False, env=self.variables()).returncode == 0
            )
        except OSError:  # a folder, or no program
            return False


def _cache() -> Path:
    home = os.environ.get(HOME_VARIABLE)
    cache = expanded(home) / "cache" if home else user_cache()
    if cache is None:
        raise StoreError(f"there is no home directory to keep anything in; set {HOME_VARIABLE} to a folder")
    return cache


def _digest(requirements: Path) -> str:
    return hashlib.sha256(requirements.read_bytes()).hexdigest()[:8]
