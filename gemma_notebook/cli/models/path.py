"""``gemma-notebook models path``."""

from __future__ import annotations

import click

from gemma_notebook.cli.tables import json_option, print_json

__all__ = ["command"]


@click.command("path")
@click.argument("name", required=False)
@json_option
def command(name: str | None, *, as_json: bool) -> None:
    """Print where a model lies, or without NAME where models are kept.

    \b
    Set GEMMA_NOTEBOOK_HOME to keep them elsewhere. A catalogue.toml beside the models directory
    adds models of your own to the list. Models in the site's directory, which an administrator
    fills, are found by every user of the machine.
    """  # noqa: D301  # \b is for click: leave the lines below as they are
    from gemma_notebook.models.resolve import resolve_model
    from gemma_notebook.models.store import Store

    store = Store()
    if name is not None:
        path = resolve_model(name)
        if as_json:
            print_json({"name": name, "path": str(path)})
        else:
            click.echo(path)
        return
    if as_json:
        print_json({"home": str(store.home), "directories": [str(one) for one in store.directories]})
    else:
        click.echo(store.directory)
