"""``gemma-notebook models remove``."""

from __future__ import annotations

import sys

import click

from gemma_notebook.cli.complete import installed_names

__all__ = ["command"]


@click.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=installed_names)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def command(names: tuple[str, ...], *, yes: bool) -> None:
    """Delete models from the store.

    What is left of broken downloads of them goes, too.
    """
    from gemma_notebook.errors import StoreError
    from gemma_notebook.models.catalogue import bytes_text
    from gemma_notebook.models.resolve import TINY
    from gemma_notebook.models.store import Store

    store = Store()
    kept = False
    for name in names:
        model = store.find(name)
        if model is None and name == TINY:
            raise StoreError(f"{name!r} comes with the package, and goes with it")
        if model is not None and not yes:
            question = f"Delete {model.path} ({bytes_text(model.size_bytes)})?"
            try:
                wanted = click.confirm(question)
            except click.Abort:
                if sys.stdin is not None and sys.stdin.isatty():
                    raise
                raise click.UsageError("there is nobody to ask; use --yes to delete without") from None
            if not wanted:
                click.echo(f"kept {name}")
                kept = True
                continue
        click.echo(f"removed {name}: {bytes_text(store.remove(name)) or 'nothing was left'} freed")
    if kept:
        raise click.exceptions.Exit(1)
