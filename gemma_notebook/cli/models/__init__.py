"""``gemma-notebook models``: one module per subcommand."""

from __future__ import annotations

from gemma_notebook.cli.groups import LazyGroup

__all__ = ["COMMANDS", "command"]

COMMANDS = (
    "list",
    "pull",
    "build",
    "convert",
    "info",
    "check",
    "remove",
    "path",
)

command = LazyGroup(
    "models",
    package=__name__,
    commands=COMMANDS,
    help="""Find, fetch, look into, check and remove models.

    Models are kept in one store directory; GEMMA_NOTEBOOK_HOME says where. A file of your own needs no
    store: gn.load("path/to/model.litertlm") takes it where it lies.
    """,
)
