"""Every exception that gemma_notebook raises on purpose.

Each message is one sentence or two: what failed, with which value, and what to do about it. Catch
:class:`GemmaNotebookError` for all of them. A wrong option is *also* a :class:`ValueError` or
:class:`TypeError`, a missing file *also* a :class:`FileNotFoundError`, an ability that the model lacks
*also* a :class:`NotImplementedError`, so that code which knows nothing of this package catches them too.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "CacheDirectoryError",
    "ClosedError",
    "ContextFullError",
    "ConversionError",
    "DownloadError",
    "EngineError",
    "ExportError",
    "ExportExistsError",
    "GemmaNotebookError",
    "LibraryLoadError",
    "ModelLoadError",
    "ModelNotFoundError",
    "ModelNotInstalledError",
    "OptionTypeError",
    "OptionValueError",
    "ResponseFormatError",
    "SessionLimitError",
    "StoreError",
    "ToolError",
    "TranscriptError",
    "UnsupportedError",
]


class GemmaNotebookError(Exception):
    """The base of every error below."""


class OptionValueError(GemmaNotebookError, ValueError):
    """An option has the right type and a value that cannot work."""


class OptionTypeError(GemmaNotebookError, TypeError):
    """An option has the wrong type."""


class ClosedError(GemmaNotebookError):
    """The manager, session, chat or handle was closed, or superseded by a newer one."""


class LibraryLoadError(GemmaNotebookError):
    """The LiteRT-LM library is missing, is not the version that we know, or does not open."""


class EngineError(GemmaNotebookError):
    """The LiteRT-LM engine refused or broke off an operation.

    Attributes:
        code: The engine's own status code (absl numbering: 3 is INVALID_ARGUMENT, 5 NOT_FOUND, …);
            negative when the engine gave none.
        operation: What was asked of it, such as ``"send"``.
    """

    def __init__(self, message: str, *, code: int = -1, operation: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.operation = operation

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_engine_error, (type(self), str(self), self.code, self.operation))


def _rebuild_engine_error(cls: type[EngineError], message: str, code: int, operation: str) -> EngineError:
    return cls(message, code=code, operation=operation)


class ModelNotFoundError(GemmaNotebookError, FileNotFoundError):
    """There is no file at the path, and no model of that name."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ModelNotInstalledError(ModelNotFoundError):
    """The catalogue has a model of that name, and it was not fetched yet.

    Attributes:
        name: The model's name, as ``gemma-notebook models pull`` takes it.
    """

    def __init__(self, message: str, *, name: str = "") -> None:
        super().__init__(message)
        self.name = name

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_not_installed, (str(self), self.name))


def _rebuild_not_installed(message: str, name: str) -> ModelNotInstalledError:
    return ModelNotInstalledError(message, name=name)


class StoreError(GemmaNotebookError):
    """The directory where models are kept cannot be read, written or locked."""


class DownloadError(GemmaNotebookError):
    """A model could not be fetched. Nothing was installed; what had come is kept for the next try.

    Attributes:
        reason: ``"consent"`` (the licence was not accepted), ``"token"`` (missing or wrong), ``"missing"`` (no
            such repository, file or revision), ``"network"``, ``"server"``, ``"space"`` (the disk is full, or cannot be
            used) or ``"checksum"``.
    """

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_download_error, (str(self), self.reason))


def _rebuild_download_error(message: str, reason: str) -> DownloadError:
    return DownloadError(message, reason=reason)


class ConversionError(GemmaNotebookError):
    """A model could not be made. Nothing was installed; finished stages are kept for the next try.

    Attributes:
        stage: The stage that failed: ``install``, ``read``, ``convert``, ``pack`` or ``check``.
        log: The file with all that the stage has said, or None.
    """

    def __init__(self, message: str, *, stage: str = "", log: Path | None = None) -> None:
        super().__init__(f"{stage} failed: {message}" if stage else message)
        self.stage = stage
        self.log = log

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_conversion_error, (str(self), self.stage, self.log))


def _rebuild_conversion_error(message: str, stage: str, log: Path | None) -> ConversionError:
    error = ConversionError(message, log=log)
    error.stage = stage
    return error


class ModelLoadError(EngineError):
    """The file is there, and is not a model that the engine can run."""


class CacheDirectoryError(ModelLoadError, OptionValueError):
    """The cache directory cannot be used: the engine needs to write there."""


class UnsupportedError(GemmaNotebookError, NotImplementedError):
    """The model, the engine or this version of the package cannot do what was asked."""


class ContextFullError(GemmaNotebookError):
    """The message does not fit into what is left of the context; nothing was sent.

    Attributes:
        needed_tokens: Tokens that the message and the reserve for its reply need.
        context_tokens: Tokens in use already.
        context_limit: Tokens that the context holds.
    """

    def __init__(
        self, message: str, *, needed_tokens: int = 0, context_tokens: int = 0, context_limit: int = 0
    ) -> None:
        super().__init__(message)
        self.needed_tokens = needed_tokens
        self.context_tokens = context_tokens
        self.context_limit = context_limit


class SessionLimitError(GemmaNotebookError):
    """More sessions were asked for than ``max_sessions`` allows."""


class ToolError(GemmaNotebookError):
    """A tool cannot be declared, or its call failed."""


class ResponseFormatError(GemmaNotebookError, ValueError):
    """A reply is not what ``response_format`` asked for, or cannot be made to be."""


class ExportError(GemmaNotebookError, OSError):
    """A chat cannot be written to the file that was asked for."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ExportExistsError(ExportError, FileExistsError):
    """There is a file of that name already; ``overwrite=True`` replaces it."""


class TranscriptError(GemmaNotebookError, ValueError):
    """What was to be read is no saved chat; the message says which part is wrong."""
