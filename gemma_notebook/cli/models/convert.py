"""``gemma-notebook models convert``."""

from __future__ import annotations

from pathlib import Path

import click

from gemma_notebook.cli.conversion import Display, context_option, report, weights_option
from gemma_notebook.cli.tables import json_option

__all__ = ["command"]


@click.command("convert")
@click.argument("source", type=click.Path(path_type=Path), metavar="FILE.gguf|FOLDER")
@click.option("--name", metavar="NEW", help="The name that it gets here; that of the source if left out.")
@click.option(
    "--template",
    metavar="FILE|pretrained",
    help="A Jinja chat template instead of the source's own; 'pretrained': for a checkpoint not tuned to chat.",
)
@weights_option
@context_option
@json_option
def command(
    source: Path, *, name: str | None, template: str | None, weights: str, context_tokens: int, as_json: bool
) -> None:
    """Make a .litertlm file of a GGUF file, or of a folder with safetensors and a tokenizer.

    Takes some 24 bytes of memory per parameter, and minutes. The converter (2.5 GB) is installed by pip into
    an environment of its own the first time. The file is installed when its first words in eight
    replies are those of the original weights; four-bit weights often are not. It takes the place of one
    made of the same source, and never that of another.

    \b
      gemma-notebook models convert gemma-3-1b-it-Q8_0.gguf --name my-gemma
      gemma-notebook models convert ~/checkpoints/my-fine-tune

    Stopped with Ctrl-C, or by an error, it goes on after the last finished stage when it is run again.
    """  # noqa: D301  # \b is for click: leave the lines below as they are
    from gemma_notebook.models.convert import convert

    with Display() as display:
        model = convert(
            source,
            name=name,
            weights=weights,
            context_tokens=context_tokens,
            template=template,
            on_progress=display.show,
        )
    report(model, as_json=as_json)
