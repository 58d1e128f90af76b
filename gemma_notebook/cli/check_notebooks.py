"""``gemma-notebook check-notebooks``."""

from __future__ import annotations

from pathlib import Path

import click

from gemma_notebook.cli.running import FAILED
from gemma_notebook.cli.tables import json_option, print_json
from gemma_notebook.harmless import printable

__all__ = ["command"]


@click.command("check-notebooks")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--sanitize-with",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The sanitising file that nbval is run with; without it that of this package.",
)
@click.option(
    "--sanitize-path", is_flag=True, help="Print where this package's sanitising file lies, and exit."
)
@json_option
def command(
    paths: tuple[Path, ...], *, sanitize_with: Path | None, sanitize_path: bool, as_json: bool
) -> None:
    """Find what makes a notebook no test: cells never run, missing outputs, outputs that differ each time.

    PATHS are notebooks and folders of notebooks. nbval passes what it cannot compare, so such a notebook is
    green and checks nothing. The exit status is 1 when something is found.
    """
    from gemma_notebook.testing import SANITIZE_CFG, check_notebooks

    if sanitize_path:
        click.echo(SANITIZE_CFG)
        return
    if not paths:
        raise click.UsageError("name notebooks, or folders of notebooks, to check")
    findings = check_notebooks(paths, sanitize_with=sanitize_with or SANITIZE_CFG)
    if as_json:
        fields = ("cell", "why", "remedy")
        print_json(
            [
                {"notebook": str(one.notebook), **{name: getattr(one, name) for name in fields}}
                for one in findings
            ]
        )
    else:
        for finding in findings:
            click.echo(printable(str(finding)))
    if findings:
        click.get_current_context().exit(FAILED)
