"""``gemma-notebook models pull``."""

from __future__ import annotations

import sys

import click

from gemma_notebook.cli.complete import catalogue_names
from gemma_notebook.cli.tables import is_terminal, json_option, print_json

__all__ = ["command"]


@click.command("pull")
@click.argument("name", shell_complete=catalogue_names)
@click.option("--force", is_flag=True, help="Fetch it also when it is here, and replace it.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar and no words unless it fails.")
@json_option
def command(name: str, *, force: bool, quiet: bool, as_json: bool) -> None:
    """Fetch a model by its name in `gemma-notebook models list`.

    A broken download goes on where it broke off. Nothing is installed before its checksum is right.

    \b
    Models marked "to be accepted" want an account at huggingface.co:
      1. accept the licence on the model's page there
      2. make a token at https://huggingface.co/settings/tokens
      3. run `hf auth login`, or set HF_TOKEN

    Behind a proxy set HTTPS_PROXY; for a mirror of the hub set HF_ENDPOINT.
    """  # noqa: D301  # \b is for click: leave the lines below as they are
    from gemma_notebook.models.catalogue import bytes_text, made_here
    from gemma_notebook.models.fetch import pull

    if quiet or not is_terminal(sys.stderr):
        _no_progress_bar()
    try:
        model = pull(
            name, force=force, on_progress=None if quiet else lambda words: click.echo(words, err=True)
        )
    except KeyboardInterrupt:
        click.echo("\nwhat came is kept; pull again to go on with it", err=True)
        raise
    if as_json:
        print_json(
            {"name": model.name, "path": str(model.path), "size_bytes": model.size_bytes, **model.origin}
        )
        return
    if not quiet:
        click.echo(f"{name} is here ({bytes_text(model.size_bytes)}, {model.path})")
        if made_here(model):
            title = model.origin.get("title") or model.origin.get("source") or "another model"
            click.echo(f"it was made on this machine: {title}; --force fetches the catalogue's in its place")
        click.echo(f'load it with gn.load("{name}"), or talk to it with `gemma-notebook chat {name}`')


def _no_progress_bar() -> None:
    # Where nobody looks, such as a log file, a bar is thousands of lines.
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]  # documented

    disable_progress_bars()
