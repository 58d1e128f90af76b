"""``gemma-notebook models info``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from gemma_notebook.cli.complete import model_names_or_files
from gemma_notebook.cli.running import FAILED
from gemma_notebook.cli.tables import json_option, print_facts, print_json, print_table
from gemma_notebook.errors import ModelNotInstalledError
from gemma_notebook.harmless import printable

if TYPE_CHECKING:
    from gemma_notebook.models.container import Container

__all__ = ["command"]


@click.command("info")
@click.argument("model", shell_complete=model_names_or_files)
@click.option("--template", is_flag=True, help="Print the chat template alone.")
@json_option
def command(model: str, *, template: bool, as_json: bool) -> None:
    """Show what is in a model file: sections, template, tokenizer, abilities.

    MODEL is a name or the path of a .litertlm file. The file is read and not loaded, so that a damaged one
    does no harm; what is wrong with it is listed, and the exit status is 1. Of a model that is not installed
    it shows what the catalogue says.
    """
    from gemma_notebook.models.container import read_container
    from gemma_notebook.models.resolve import resolve_model
    from gemma_notebook.models.store import Store

    try:
        path = resolve_model(model)
    except ModelNotInstalledError:
        if template:
            raise
        _tell_of_entry(model, as_json=as_json)
        return
    container = read_container(path)
    origin = next((one.origin for one in Store().installed() if one.path == path), {})
    if as_json:
        print_json(_as_json(container) | {"origin": dict(origin)})
    elif template:
        click.echo(printable(container.template))
    else:
        _print(container, dict(origin))
    if container.problems:
        click.get_current_context().exit(FAILED)


def _tell_of_entry(name: str, *, as_json: bool) -> None:
    from gemma_notebook.models.catalogue import bytes_text, models

    entry = models()[name]
    if as_json:
        print_json(entry.to_dict())
        return
    about = "about " if "size_bytes" in entry.unverified else ""
    print_facts(
        [
            ("Model", entry.title),
            ("Here", f"no; `gemma-notebook models pull {name}` fetches it" if entry.repo else "no"),
            ("Obstacle", entry.obstacle),
            ("From", f"https://huggingface.co/{entry.repo}" if entry.repo else ""),
            ("File", entry.file),
            ("Size", about + bytes_text(entry.size_bytes) if entry.size_bytes else ""),
            ("Licence", " ".join(part for part in (entry.licence, entry.licence_url) if part)),
            ("Can", ", ".join(entry.abilities)),
            ("Context", f"{entry.context_tokens:,} tokens" if entry.context_tokens else ""),
            ("Notes", entry.notes),
        ]
    )


def _as_json(container: Container) -> dict[str, Any]:
    values = dataclasses.asdict(container)
    for shown, section in zip(values["sections"], container.sections, strict=True):
        shown["size_bytes"] = section.size_bytes
    return values


def _print(container: Container, origin: dict[str, Any]) -> None:
    from gemma_notebook.models.catalogue import bytes_text

    tokenizer, sampler = container.tokenizer, container.sampler
    print_facts(
        [
            ("File", str(container.path)),
            ("Size", f"{bytes_text(container.size_bytes)} ({container.size_bytes:,} bytes)"),
            ("Format", f"LiteRT-LM {container.version}" if container.version else ""),
            ("From", str(origin.get("source", ""))),
            ("Revision", str(origin.get("revision", ""))),
            ("Licence", str(origin.get("licence", ""))),
            ("Made", ", ".join(f"{name} {value}" for name, value in container.metadata.items())),
            ("Can", ", ".join(container.abilities)),
            ("Context", f"{container.context_tokens:,} tokens" if container.context_tokens else ""),
            ("Model type", container.model_type),
            ("Needs engine", container.minimum_engine),
            ("Backends", "\n".join(f"{part}: {why}" for part, why in container.backend_constraints.items())),
            (
                "Tokenizer",
                f"{tokenizer['kind']} ({tokenizer['model']}), {tokenizer['pieces']:,} pieces" if tokenizer else "",
            ),
            ("Sampler", ", ".join(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in sampler.items())),
            ("Begins with", repr(container.start_token) if container.start_token else ""),
            ("Stops at", ", ".join(map(repr, container.stop_tokens))),
            ("Channels", "\n".join(f"{one['name']}: {one['start']!r} … {one['end']!r}" for one in container.channels)),
            ("Turns", "\n".join(f"{role}: {before!r} … {after!r}" for role, (before, after) in container.prompt_affixes.items())),
            ("Template", _beginning(container.template)),
        ]
    )  # fmt: skip
    if container.sections:
        click.echo()
        rows = [
            (str(number), section.kind, printable(section.part), bytes_text(section.size_bytes) or "0",
             printable(", ".join(f"{name}={value}" for name, value in section.metadata.items())))
            for number, section in enumerate(container.sections)
        ]  # fmt: skip
        print_table(("#", "KIND", "PART", "SIZE", "METADATA"), rows)
    for problem in container.problems:
        click.secho(f"problem: {printable(problem)}", fg="red")


def _beginning(template: str) -> str:
    if len(template) <= 200:
        return template
    return f"{' '.join(template[:180].split())} … ({len(template):,} characters; --template prints them all)"
