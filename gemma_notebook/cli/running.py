"""How a command ends: an error of one sentence on stderr, and an exit status that scripts can use."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from typing import NoReturn

import click

from gemma_notebook.errors import (
    DownloadError,
    GemmaNotebookError,
    ModelNotFoundError,
    OptionTypeError,
    OptionValueError,
)

__all__ = ["FAILED", "INTERRUPTED", "NOT_FETCHED", "NO_MODEL", "WRONG_USAGE", "run"]

FAILED = 1
WRONG_USAGE = 2
NO_MODEL = 3
NOT_FETCHED = 4
INTERRUPTED = 128 + signal.SIGINT


def run(command: click.Command) -> NoReturn:
    """Run a click command with this process's arguments, and end the process with its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal, or a pipe, that is not of UTF-8
            stream.reconfigure(errors="replace")
    try:
        # Not standalone: click would answer Ctrl-C with status 1, which is a failure's.
        status = command.main(prog_name="gemma-notebook", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        status = INTERRUPTED
    except GemmaNotebookError as error:
        click.echo(f"error: {error}", err=True)
        status = exit_status(error)
    except OSError as error:
        if (
            error.errno == errno.EPIPE or error.filename is not None
        ):  # a reader that has seen enough, or no output
            raise
        click.echo(f"error: the output cannot be written ({error.strerror})", err=True)
        status = FAILED
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left of it has nowhere to go
    sys.exit(status if isinstance(status, int) else 0)


def exit_status(error: GemmaNotebookError) -> int:
    """The exit status that tells a script what kind of error it was."""
    if isinstance(error, ModelNotFoundError):
        return NO_MODEL
    if isinstance(error, DownloadError):
        return NOT_FETCHED
    if isinstance(error, OptionValueError | OptionTypeError):
        return WRONG_USAGE
    return FAILED
