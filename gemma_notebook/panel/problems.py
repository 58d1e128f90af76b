"""Errors in words for the user of a panel."""

from __future__ import annotations

import logging

from gemma_notebook.errors import (
    ClosedError,
    ContextFullError,
    GemmaNotebookError,
    OptionTypeError,
    OptionValueError,
    UnsupportedError,
)
from gemma_notebook.panel.protocol import Problem

__all__ = ["problem_of"]

_log = logging.getLogger(__name__)


def problem_of(error: Exception) -> Problem:
    """``error`` in words for the user: our own errors say what to do, others get a sentence around them."""
    kind = type(error).__name__
    if not isinstance(error, GemmaNotebookError):
        _log.error("The chat panel met an unexpected error.", exc_info=error)
        return {
            "kind": kind,
            "message": f"Something unexpected failed ({kind}: {error}); try again.",
            "retry": "send",
        }
    hopeless = isinstance(
        error, ClosedError | ContextFullError | OptionTypeError | OptionValueError | UnsupportedError
    )
    return {"kind": kind, "message": str(error), "retry": None if hopeless else "send"}
