"""``gemma-notebook bench``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from gemma_notebook.cli.complete import model_names_or_files
from gemma_notebook.cli.tables import json_option, print_json
from gemma_notebook.errors import UnsupportedError

__all__ = ["command"]


@click.command("bench")
@click.argument("model", default="tiny", shell_complete=model_names_or_files)
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="How many rounds.")
@click.option(
    "--backend", type=click.Choice(["auto", "cpu", "gpu", "npu"]), default="auto", show_default=True
)
@click.option(
    "--threads", type=click.IntRange(min=1), help="CPU threads; the cores of this machine if left out."
)
@click.option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the rounds into a PNG or SVG."
)
@json_option
def command(
    model: str, *, rounds: int, backend: str, threads: int | None, plot: Path | None, as_json: bool
) -> None:
    """Measure how fast a model is on this machine.

    \b
      prefill               tokens of a long prompt per second
      decode                tokens of a reply per second, from the first to the last
      time to first token   from the send to the first token, in a fresh chat
      reset                 old handle deleted, new one there
      memory                what the model added to the process

    Medians; other work on the machine shows in them. In a notebook: gn.benchmark("MODEL").
    """  # noqa: D301  # \b is for click: leave the lines below as they are
    from gemma_notebook.benchmarking import benchmark

    options: dict[str, Any] = {"backend": backend, "threads": threads}

    def tell(words: str) -> None:
        if not as_json:
            click.echo(words, err=True)

    if plot is not None:
        _check_plot(plot)
    figures = benchmark(model, rounds=rounds, on_progress=tell, **options)
    if as_json:
        print_json(figures.to_dict())
    else:
        click.echo(str(figures))
    if plot is not None:
        try:
            figures.plot().savefig(plot)
        except OSError as error:
            raise click.FileError(str(plot), error.strerror or str(error)) from error


def _check_plot(plot: Path) -> None:
    """Raise for what could not be drawn, before minutes are spent on measuring it."""
    if find_spec("matplotlib") is None:
        raise UnsupportedError(
            "--plot needs matplotlib; install it with `pip install 'gemma-notebook[plot]'`"
        )
    if plot.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise click.BadParameter(f"{plot.name!r} should end in .png, .svg or .pdf", param_hint="--plot")
    if not plot.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {str(plot.absolute().parent)!r}", param_hint="--plot")
