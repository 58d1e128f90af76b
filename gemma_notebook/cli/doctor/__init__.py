"""``gemma-notebook doctor``: what is installed, what works here, and what to do about the rest.

``findings`` is what each look gives, ``versions``, ``places`` and ``engine`` are looks, ``kernel`` starts a real
kernel and measures whether Stop and Reset reach the model while a cell runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import click

from gemma_notebook.cli.doctor.findings import Finding, Status
from gemma_notebook.cli.running import FAILED
from gemma_notebook.cli.tables import json_option, print_json
from gemma_notebook.harmless import printable

__all__ = ["command"]

_MARKS: dict[Status, tuple[str, str]] = {"ok": ("✓", "green"), "note": ("!", "yellow"), "bad": ("✗", "red")}


@click.command("doctor")
@click.option("--no-kernel", is_flag=True, help="Do not start a kernel; that takes the longest.")
@json_option
def command(*, no_kernel: bool, as_json: bool) -> None:
    """Say what is installed, what works here, and what to do about the rest.

    Nothing is changed and nothing is fetched. A kernel is started to see whether Stop and Reset work while a
    cell runs, and is ended again. The exit status is 1 when something is broken.
    """
    found: list[Finding] = []
    for finding in _look(kernel=not no_kernel):
        found.append(finding)
        if not as_json:
            _show(finding)
    broken = any(finding.status == "bad" for finding in found)
    if as_json:
        print_json({"ok": not broken, "findings": [finding.to_dict() for finding in found]})
    else:
        _advise(found)
    if broken:
        click.get_current_context().exit(FAILED)


def _look(*, kernel: bool) -> Iterator[Finding]:
    from gemma_notebook.cli.doctor import engine, places, versions
    from gemma_notebook.cli.doctor.kernel import look_at_kernel

    looks: list[Callable[[], Iterator[Finding]]] = [
        versions.look_at_versions,
        places.look_at_machine,
        places.look_at_store,
        engine.look_at_library,
        engine.look_at_turn,
    ]
    if kernel:
        looks.append(look_at_kernel)
    for look in looks:
        try:
            yield from look()
        except Exception as error:  # a doctor that falls ill helps nobody
            yield Finding(look.__name__.removeprefix("look_at_"), "bad", f"{type(error).__name__}: {error}")


def _show(finding: Finding) -> None:
    mark, colour = _MARKS[finding.status]
    click.echo(f"{click.style(mark, fg=colour)} {finding.topic:<26} {printable(finding.words)}")


def _advise(found: list[Finding]) -> None:
    advice = list(dict.fromkeys(finding.advice for finding in found if finding.advice))
    click.echo()
    for one in advice:
        click.echo(f"→ {printable(one)}")
    if any(finding.status == "bad" and not finding.advice for finding in found):
        click.echo("→ put right what is marked ✗")
    elif not advice:
        click.secho("All is well.", fg="green")
