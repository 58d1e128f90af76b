"""``gemma-notebook models list``."""

from __future__ import annotations

import click

from gemma_notebook.cli.tables import json_option, print_json, print_table

__all__ = ["command"]


@click.command("list")
@click.option("--installed", is_flag=True, help="Only those that are on this machine.")
@json_option
def command(*, installed: bool, as_json: bool) -> None:
    """Show which models there are, and which fit this machine.

    ≈ marks an estimate, or a figure that one source alone reports. HERE says whether a model is installed,
    or whether this machine has the memory and the disk for it.
    """
    from gemma_notebook.models.catalogue import TABLE_HEADS, models, table_row

    found = [model for model in models() if model.installed or not installed]
    if as_json:
        print_json([model.to_dict() for model in found])
        return
    print_table([head.upper() for head in TABLE_HEADS], [table_row(model) for model in found])
