"""``gemma-notebook new``."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["command"]


@click.command("new")
@click.argument("kind", type=click.Choice(["regression", "teaching"]))
@click.argument("name")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    show_default="the current one",
    help="Where to write it.",
)
def command(kind: str, name: str, *, folder: Path) -> None:
    """Write a notebook from a template that runs, and passes nbval, as it is.

    NAME is its title, for instance "Names are forgotten"; the file is named after it.
    """
    from gemma_notebook.testing import SANITIZE_CFG, new_notebook

    path = new_notebook(kind, name, folder)
    click.echo(f"wrote {path}")
    click.echo(f'test it with: pytest --nbval --nbval-sanitize-with="{SANITIZE_CFG}" "{path}"', err=True)
