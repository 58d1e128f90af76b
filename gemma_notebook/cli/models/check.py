"""``gemma-notebook models check``."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from gemma_notebook.cli.complete import model_names_or_files
from gemma_notebook.cli.running import FAILED
from gemma_notebook.cli.tables import is_terminal, json_option, print_json
from gemma_notebook.harmless import printable

__all__ = ["command"]


@click.command("check")
@click.argument("model", shell_complete=model_names_or_files)
@click.option(
    "--backend", type=click.Choice(["auto", "cpu", "gpu", "npu"]), default="auto", show_default=True
)
@json_option
def command(model: str, *, backend: str, as_json: bool) -> None:
    """Try a model: load it, one greedy turn, tokenizer there and back, speed.

    MODEL is a name or the path of a .litertlm file. It is loaded in a process of its own, because some
    damaged files end the process that loads them. The speed is that of one short turn, on a machine that
    does whatever else it does. The exit status is 1 when something is wrong.
    """
    from gemma_notebook.models.resolve import resolve_model

    path = resolve_model(model)
    if not as_json and is_terminal(sys.stderr):
        click.echo(f"trying {path} …", err=True)
    results: list[dict[str, Any]] = []
    for result in _steps(path, backend):
        results.append(result)
        if not as_json:
            _show(result)
    problems = [result["problem"] for result in results if "problem" in result]
    if as_json:
        print_json({"path": str(path), "ok": not problems, "steps": results})
    elif not problems:
        click.secho("the model works", fg="green")
    if problems:
        click.get_current_context().exit(FAILED)


def _steps(path: Path, backend: str) -> Iterator[dict[str, Any]]:
    from gemma_notebook.models.container import read_container

    container = read_container(path)
    if container.problems:
        yield {"step": "file", "problem": "; ".join(container.problems)}
    else:
        yield {"step": "file", "sections": len(container.sections), "size_bytes": container.size_bytes}
    yield from _trial(path, backend)


def _trial(path: Path, backend: str) -> Iterator[dict[str, Any]]:
    """What the child tells, and the step in which it died if it did."""
    from gemma_notebook.cli.models.trial import STEPS
    from gemma_notebook.models.check import child_environment, how_it_died

    done, failed = 0, False
    with tempfile.TemporaryFile() as stderr:  # a pipe that nobody reads would stop the child
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "gemma_notebook.cli.models.trial", str(path), backend],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            encoding="utf-8",
            env=child_environment(),
        )
        assert child.stdout is not None
        try:
            for line in child.stdout:
                done += 1
                result = json.loads(line)
                failed |= "problem" in result
                yield result
        finally:
            child.kill()  # after a Ctrl-C; nothing when it has ended
            child.wait()
            child.stdout.close()
        if done < len(STEPS) and not failed:
            stderr.seek(0)
            died = how_it_died(child.returncode, stderr.read())
            yield {"step": STEPS[done], "problem": f"the engine ended its process ({died})"}


def _show(result: dict[str, Any]) -> None:
    problem = result.get("problem")
    mark = click.style("✗", fg="red") if problem else click.style("✓", fg="green")
    click.echo(f"{mark} {result['step']:<10} {printable(problem or _words(result))}")


def _words(result: dict[str, Any]) -> str:
    match result["step"]:
        case "file":
            return f"{result['sections']} sections"
        case "load":
            return f"{result['seconds']:.1f} s, on the {result['backend']}, {result['context_tokens']:,} tokens of context"
        case "tokenizer":
            return f"{result['texts']} texts came back as they were, {result['tokens']} tokens"
        case "turn":
            return f"{result['reply'].strip()!r}\n             {_speed(result)}"
        case _:
            return f"{result['seconds'] * 1000:.1f} ms, one handle alive"


def _speed(result: dict[str, Any]) -> str:
    prefill, decode = result["prefill_tokens_per_s"], result["decode_tokens_per_s"]
    parts = [f"{result['output_tokens']} tokens"]
    if result["time_to_first_token_s"] is not None:
        parts.append(f"the first after {result['time_to_first_token_s']:.2f} s")
    if prefill is not None:
        parts.append(f"prefill {prefill:.0f} tokens/s")
    if decode is not None:
        parts.append(f"decode {decode:.1f} tokens/s")
    return ", ".join(parts)
