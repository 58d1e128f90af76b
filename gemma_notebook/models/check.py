"""Try a model file in a process of its own before the kernel opens it.

Most damaged files make the engine return an error. A few make it abort the process: a tokenizer section
with a NUL inside a piece, for one, ends in ``darts.h: failed to build double-array``. A kernel must not
die of that, so a file that this user has not opened before is first opened by a child. The verdict is
remembered by path, size and modification time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gemma_notebook._paths import expanded, user_cache
from gemma_notebook.engine.logs import LOGS_VARIABLE, STDERR
from gemma_notebook.errors import ModelLoadError
from gemma_notebook.models.store import HOME_VARIABLE

__all__ = ["check_model_file", "child_environment", "how_it_died", "verdict_files"]

# A large model on a slow disk: an upper bound, against a child that hangs.
_TIMEOUT_S = 600.0

# What the child says when it has come as far as the engine, and its exit status for what is not the file's fault.
_OPENING = "opening"
_NOT_THE_FILE = 3


def check_model_file(path: Path, backend: str, context_tokens: int | None = None) -> None:
    """Open the file in a child process, unless that went well before.

    Args:
        path: The model file.
        backend: The backend to open it on.
        context_tokens: The context to open it with; None for the model's own.

    Raises:
        ModelLoadError: The child got an error from the engine, died or hung.
    """
    key = _key(path, backend, context_tokens)
    if key in _passed():
        return
    # -P: a notebook's own folder may hold a random.py.
    command = [sys.executable, "-P", "-m", __name__, str(path), backend, str(context_tokens or 0)]
    try:
        child = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
            env=child_environment(),
        )
    except OSError:  # no process can be started here, so none can be tried
        return
    except subprocess.TimeoutExpired:
        raise ModelLoadError(
            f"opening {str(path)!r} took more than {_TIMEOUT_S:.0f} s in a trial process; the file may be "
            "damaged: download it again, or pass check=False to open it here all the same",
            operation="load",
        ) from None
    if child.returncode == 0:
        _remember(key)
        return
    verdict = _verdict(child.stdout)
    if child.returncode == _NOT_THE_FILE or not child.stdout.startswith(_OPENING.encode()):
        return  # the same error, or the lack of it, is to be had here, with its right class
    if verdict is not None:
        raise ModelLoadError(str(verdict["message"]), code=int(verdict["code"]), operation="load")
    if child.returncode == -signal.SIGKILL:  # which is how a machine, or a container, takes back memory
        raise ModelLoadError(
            f"the trial process that opened {str(path)!r} was killed, most often because the machine had no memory left: close "
            "what you can, or take a smaller model or fewer context_tokens; with cache_dir it may take less, but not in the trial, so "
            "pass check=False as well",
            operation="load",
        )
    raise ModelLoadError(
        f"{str(path)!r} made the engine end its process ({how_it_died(child.returncode, child.stderr)}); the file is damaged or not made "
        "for this engine: download it again",
        operation="load",
    )


def child_environment() -> dict[str, str]:
    """The environment of a child that imports this package, also one that is not installed."""
    home = str(Path(__file__).parents[2])
    others = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": f"{home}{os.pathsep}{others}" if others else home,
        LOGS_VARIABLE: STDERR,  # where its last words are looked for
    }


def _verdict(output: bytes) -> dict[str, Any] | None:
    lines = output.splitlines()
    with contextlib.suppress(ValueError, IndexError):
        verdict = json.loads(lines[-1])
        if isinstance(verdict, dict) and "message" in verdict:
            return verdict
    return None


def how_it_died(status: int, stderr: bytes) -> str:
    """The signal or exit status of a child, and its last words."""
    lines = stderr.decode("utf-8", "replace").splitlines()
    fatal = [line for line in lines if line.startswith("F")]
    last_words = (fatal or lines or ["no message"])[-1].strip()[:200]
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"{signal.Signals(-status).name}: {last_words}"
    return f"exit status {status}: {last_words}"


def _key(path: Path, backend: str, context_tokens: int | None) -> str:
    status = path.stat()
    identity = [str(path.resolve()), status.st_size, status.st_mtime_ns, backend, context_tokens or 0]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def verdict_files() -> tuple[Path, ...]:
    """Where verdicts are kept: in the home, or, when that is read-only, in the user's cache."""
    home = os.environ.get(HOME_VARIABLE)
    folders = (expanded(home) if home else None, user_cache())
    return tuple(folder / "checked-models.json" for folder in folders if folder is not None)


def _passed() -> list[str]:
    return [key for file in verdict_files() for key in _passed_in(file)]


def _passed_in(file: Path) -> list[str]:
    try:
        passed = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [key for key in passed if isinstance(key, str)] if isinstance(passed, list) else []


def _remember(key: str) -> None:
    # Without a place to write, the file is tried again next time: slower, and as safe.
    for file in verdict_files():
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as new:
                json.dump([*_passed_in(file), key][-1000:], new)
            Path(new.name).replace(file)
            return


def _main(path: str, backend: str, context_tokens: str) -> int:
    from gemma_notebook.engine import Engine
    from gemma_notebook.errors import EngineError, GemmaNotebookError
    from gemma_notebook.options import EngineOptions

    print(_OPENING, flush=True)
    try:
        options = EngineOptions(Path(path), backend=backend, context_tokens=int(context_tokens) or None)
        Engine(options, backend=backend).close()
    except EngineError as error:
        print(json.dumps({"message": str(error), "code": error.code}))
        return 1
    except GemmaNotebookError:  # a wrong option, no engine library
        return _NOT_THE_FILE
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
