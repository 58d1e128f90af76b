"""The machine, and the places where models and verdicts on them are kept."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from gemma_notebook.cli.doctor.findings import Finding
from gemma_notebook.models.catalogue import bytes_text, models
from gemma_notebook.models.check import verdict_files
from gemma_notebook.models.machine import Machine
from gemma_notebook.models.store import HOME_VARIABLE, Store
from gemma_notebook.options import usable_cores

__all__ = ["look_at_machine", "look_at_store"]


def look_at_machine() -> Iterator[Finding]:
    """Cores and memory, and the models that fit."""
    machine = Machine.here(Store())
    fitting = [model.name for model in models() if model.fits]
    memory = bytes_text(machine.memory_bytes or 0) or "an unknown amount"
    yield Finding(
        "machine",
        "ok",
        f"{usable_cores()} cores for this process, {memory} of memory; fits {', '.join(fitting)}",
        facts={"cores": usable_cores(), "memory_bytes": machine.memory_bytes, "fits": fitting},
    )


def look_at_store() -> Iterator[Finding]:
    """Where models are, whether more can be put there, and what broken downloads and conversions have left."""
    store = Store()
    installed = store.installed()
    free = store.free_bytes()
    writable = _can_write(store.home)
    facts = {
        "home": str(store.home),
        "writable": writable,
        "free_bytes": free,
        "installed": [model.name for model in installed],
        "directories": [str(folder) for folder in store.directories],
    }
    words = f"{store.directory}: {len(installed)} {'model' if len(installed) == 1 else 'models'}, {bytes_text(free or 0) or 'nothing'} free"
    if writable:
        yield Finding("store", "ok", words, facts=facts)
    else:
        advice = f"models can be used from {store.home} and not added; set {HOME_VARIABLE} to a directory of your own to add some"
        yield Finding("store", "note", f"{words}, and it cannot be written", advice, facts)
    yield from _leftovers(store)
    yield _verdicts()


def _leftovers(store: Store) -> Iterator[Finding]:
    for part in store.directory.glob(".staging/*/*.part"):
        name, size = part.parent.name, part.stat().st_size
        advice = f"go on with it: gemma-notebook models pull {name}; or throw it away: gemma-notebook models remove {name}"
        yield Finding(
            "broken download",
            "note",
            f"{bytes_text(size)} of {name}",
            advice,
            {"name": name, "size_bytes": size},
        )
    for folder in store.directory.glob(".staging/*/conversion"):
        name = folder.parent.name
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        advice = f"convert it again to go on with it; or throw it away: gemma-notebook models remove {name}"
        yield Finding(
            "unfinished conversion",
            "note",
            f"{bytes_text(size)} of {name}",
            advice,
            {"name": name, "size_bytes": size},
        )
    for path in store.misnamed():
        yield Finding(
            "store",
            "note",
            f"{str(path)!r} is in no list of models, because of its name",
            "give it one of letters, digits and . _ + -, which begins with a letter or digit",
            {"path": str(path)},
        )


def _verdicts() -> Finding:
    for file in verdict_files():
        if _can_write(file.parent):
            return Finding(
                "cache",
                "ok",
                f"{file.parent}: which files have been tried",
                facts={"cache": str(file.parent)},
            )
    return Finding(
        "cache",
        "note",
        "no directory for it can be written, so every load tries its file again",
        f"loads are slow where the cache cannot be kept: set {HOME_VARIABLE} to a directory of your own",
        {"cache": None},
    )


def _can_write(folder: Path) -> bool:
    # Asked by writing, in the nearest directory that exists: os.access() says yes to root for a read-only disk.
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
