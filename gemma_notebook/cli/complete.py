"""What the shell completes after ``gemma-notebook``."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

__all__ = ["catalogue_names", "installed_names", "model_names_or_files"]


def catalogue_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names that can be fetched, with what they are."""
    from gemma_notebook.models.catalogue import models

    return [
        CompletionItem(model.name, help=model.title)
        for model in models()
        if model.repo and model.name.startswith(incomplete)
    ]


def installed_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names in the store."""
    from gemma_notebook.models.store import Store

    return [CompletionItem(model.name) for model in Store().installed() if model.name.startswith(incomplete)]


def model_names_or_files(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """What ``gn.load`` takes: ``tiny``, names in the store, paths."""
    names = installed_names(context, parameter, incomplete)
    if "tiny".startswith(incomplete):
        names.insert(0, CompletionItem("tiny", help="Tiny (bundled)"))
    return names or [CompletionItem(incomplete, type="file")]
