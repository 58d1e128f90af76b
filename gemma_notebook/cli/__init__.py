"""The command ``gemma-notebook``.

Each subcommand is a module of its own with one click command named ``command``, imported when it is run or
listed; nothing heavy is imported before it runs. To add one, write the module and put its name in
:data:`COMMANDS` (or in that of :mod:`gemma_notebook.cli.models`, for ``gemma-notebook models …``).
"""

from __future__ import annotations

import click

import gemma_notebook
from gemma_notebook.cli.groups import LazyGroup
from gemma_notebook.cli.running import run

__all__ = ["COMMANDS", "command", "main"]

COMMANDS = (
    "chat",
    "check-notebooks",
    "doctor",
    "models",
    "bench",
    "new",
)

_HELP = """Talk to a Gemma model that runs on your own machine.

\b
  gemma-notebook chat                    a chat in the terminal, with the bundled tiny model
  gemma-notebook models list             which models there are, and which fit this machine
  gemma-notebook models pull gemma3-1b   fetch one
  gemma-notebook chat gemma3-1b          talk to it; in a notebook: gn.load("gemma3-1b")
  gemma-notebook bench gemma3-1b         how fast it is here
  gemma-notebook new regression "Title"  write a notebook that is a test
  gemma-notebook check-notebooks DIR     find what makes a notebook no test
  gemma-notebook doctor                  what is installed, what works, and what to do about the rest

\b
Exit status: 0 done; 1 it failed; 2 wrong usage; 3 there is no such model; 4 a model could not
be fetched; 130 stopped with Ctrl-C.
"""

_EPILOG = """\b
Shell completion: put this line into ~/.bashrc (zsh and fish: with their names, in their files)
  eval "$(_GEMMA_NOTEBOOK_COMPLETE=bash_source gemma-notebook)"
"""

command = LazyGroup(
    "gemma-notebook",
    package=__name__,
    commands=COMMANDS,
    help=_HELP,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=lambda context, _, wanted: _show_version(context) if wanted else None,
            help="Show the version and exit.",
        )
    ],
)


def _show_version(context: click.Context) -> None:
    click.echo(f"gemma-notebook {gemma_notebook.__version__}")
    context.exit()


def main() -> None:
    """Run the command with this process's arguments, and end the process."""
    run(command)
