"""Find, open and check ``liblitert-lm``, the engine that the package ``litert-lm-api`` carries."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
import threading
from collections.abc import Callable
from itertools import starmap
from pathlib import Path
from typing import Any

from gemma_notebook.engine import logs
from gemma_notebook.errors import EngineError, LibraryLoadError, ModelLoadError

__all__ = [
    "LIBRARY_VARIABLE",
    "TRY_AGAIN",
    "CStrings",
    "Library",
    "call_keeping",
    "find_library",
    "load_library",
]

# A library to use instead of the installed one: for engine developers and for tests with a stub.
LIBRARY_VARIABLE = "GEMMA_NOTEBOOK_ENGINE_LIBRARY"

TRY_AGAIN = "try again, and after manager.reload() if it fails again"
_REMEDY = 'run: python -m pip install "litert-lm-api>=0.18.1,<0.19"'

_libraries: dict[Path, Library] = {}
_libraries_lock = threading.Lock()


class Library:
    """An opened ``liblitert-lm``. Stays open until the process ends; safe to use from any thread.

    Attributes:
        path: The file it was opened from.
        lib: The compiled shim's functions, cffi's ``lib``.
        ffi: Its ``ffi``.
        api: The table of the library's functions, first argument of most of them.
    """

    def __init__(self, path: Path) -> None:
        try:
            from gemma_notebook.engine import _shim  # type: ignore[attr-defined]  # compiled
        except ImportError as missing:
            raise LibraryLoadError(
                f"the compiled part of gemma_notebook is missing ({missing}); reinstall the package, "
                "or in a source checkout run `make build`"
            ) from missing
        self.path = path
        self.ffi: Any = _shim.ffi
        self.lib: Any = _shim.lib
        error = self.new_error()
        self.api = self.lib.gn_api_open(os.fsencode(path), error)
        if self.api == self.ffi.NULL:
            remedy = f"check or unset {LIBRARY_VARIABLE}" if os.environ.get(LIBRARY_VARIABLE) else _REMEDY
            raise LibraryLoadError(
                f"cannot use the engine library {path}: {self.text(error.message)}; {remedy}"
            )
        self._log = logs.capture(self.ffi, self.lib, path)
        self.follow_logging()

    def __repr__(self) -> str:
        return f"Library({str(self.path)!r})"

    def follow_logging(self) -> None:
        """Have the engine say what the logger ``gemma_notebook.engine`` lets through now, and no more."""
        level = logs.QUIET
        if self._log is not None:
            self._log.start()
            level = logs.native_level()
        self.lib.gn_set_min_log_level(self.api, level)

    def drain_logs(self) -> None:
        """Hand what the engine has logged so far to Python's logging, before this returns."""
        if self._log is not None:
            self._log.drain()

    @property
    def symbols(self) -> tuple[str, ...]:
        """The functions of the library that are called, all of which it has."""
        return tuple(self.text(self.lib.gn_api_symbols()).split("\n"))

    def new_error(self) -> Any:
        """A zeroed ``gn_error`` for one call."""
        return self.ffi.new("gn_error *")

    def text(self, characters: Any) -> str:
        """A C string as text; what is not UTF-8 is replaced."""
        if characters == self.ffi.NULL:
            return ""
        raw: bytes = self.ffi.string(characters)
        return raw.decode("utf-8", "replace")

    def engine_error(self, error: Any, operation: str, remedy: str = TRY_AGAIN) -> EngineError:
        """The exception for a filled ``gn_error``; what the engine has logged about it is in logging by then."""
        self.drain_logs()
        text, code = " ".join(self.text(error.message).split()), int(error.code)  # its own has line breaks
        kind = ModelLoadError if operation == "load" else EngineError
        message = f"{operation} failed: {text or 'the engine gave no reason'} (engine code {code}); {remedy}"
        return kind(message, code=code, operation=operation)


class CStrings:
    """C strings for one native struct, kept alive as long as this object."""

    def __init__(self, library: Library) -> None:
        self._ffi = library.ffi
        self._kept: list[Any] = []

    def text(self, value: str | None) -> Any:
        return self._ffi.NULL if value is None else self._keep(value.encode())

    def path(self, value: os.PathLike[str]) -> Any:
        return self._keep(os.fsencode(value))

    def _keep(self, value: bytes) -> Any:
        self._kept.append(self._ffi.new("char[]", value))
        return self._kept[-1]


def call_keeping(kept: list[Any], function: Callable[..., Any], *arguments: Any) -> None:
    """Call into C and append the result to ``kept``, in one step.

    A Ctrl-C that comes during the call is raised right after it, before an assignment could be made, and
    what the call had created would be lost. ``list.extend`` has stored it by then.
    """
    kept.extend(starmap(function, (arguments,)))


def find_library() -> Path:
    """The path of the engine library that this process should use.

    Raises:
        LibraryLoadError: ``litert-lm-api`` is not installed, or is another version than the one bound here.
    """
    override = os.environ.get(LIBRARY_VARIABLE)
    if override:
        return Path(override).absolute()  # a bare name is looked for among the system's libraries
    # Not imported: its ctypes binding would open the library a second time and is of no use here.
    spec = importlib.util.find_spec("litert_lm")
    if spec is None or spec.origin is None:
        raise LibraryLoadError(f"the engine package litert-lm-api is not installed; {_REMEDY}")
    try:
        version = importlib.metadata.version("litert-lm-api")
    except importlib.metadata.PackageNotFoundError:
        raise LibraryLoadError(
            f"there is an engine at {spec.origin}, and not from the package litert-lm-api, so that its version is not "
            f"known; {_REMEDY}, or set {LIBRARY_VARIABLE} to a library of 0.18"
        ) from None
    if not version.startswith("0.18."):
        raise LibraryLoadError(
            f"litert-lm-api {version} is installed, and its C interface is not the one of 0.18; {_REMEDY}"
        )
    name = "liblitert-lm.dylib" if sys.platform == "darwin" else "liblitert-lm.so"
    return Path(spec.origin).with_name(name)


def _renew_lock() -> None:
    """In a forked child: another thread that held it at the fork holds it for ever."""
    global _libraries_lock  # noqa: PLW0603
    _libraries_lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


def load_library(path: Path | None = None) -> Library:
    """Open the engine library, once per path and process.

    Args:
        path: The file to open; None for :func:`find_library`'s.

    Raises:
        LibraryLoadError: It is missing, does not open, or lacks a function.
    """
    path = path or find_library()
    with _libraries_lock:
        if path not in _libraries:
            _libraries[path] = Library(path)
        return _libraries[path]
