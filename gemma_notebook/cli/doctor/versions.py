"""Which versions are installed, and whether they are those that this package is made for."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import gemma_notebook
from gemma_notebook.cli.doctor.findings import Finding

__all__ = ["look_at_versions"]

_PACKAGE = "gemma-notebook"

# What a notebook needs besides, and what a missing one means.
_AROUND = {
    "ipykernel": "runs the cells of a notebook",
    "jupyterlab": "shows notebooks; Notebook 7 and others do as well",
    "notebook": "",
    "jupyter-server": "",
    "nbclient": "",
    "nbval": "",
    "jupyter-client": "",
}

# https://github.com/ipython/ipykernel/pull/1529: with 7.3 on Linux, 3 of 87 kernels stalled that ran a dozen cells, each sent
# as soon as the one before was done.
_STALLING_IPYKERNEL = SpecifierSet(">=7,<7.4")


def look_at_versions() -> Iterator[Finding]:
    """Python, this package, what it needs, and what stands around it."""
    yield _python()
    facts = {_PACKAGE: gemma_notebook.__version__}
    yield Finding(_PACKAGE, "ok", gemma_notebook.__version__, facts=facts)
    for requirement in _requirements():
        yield _needed(requirement)
    for name, purpose in _AROUND.items():
        version = _version(name)
        if (
            name == "ipykernel"
            and version is not None
            and _STALLING_IPYKERNEL.contains(version, prereleases=True)
        ):
            words = f"{version}, whose kernels now and then answer no more cells until they are restarted"
            advice = 'for kernels that do not stall: python -m pip install --upgrade "ipykernel>=7.4"'
            yield Finding(name, "note", words, advice, {name: version})
        elif version is not None:
            yield Finding(name, "ok", version, facts={name: version})
        elif purpose:
            yield Finding(name, "note", f"not installed here ({purpose})", facts={name: None})
    yield from _extensions()


def _python() -> Finding:
    words = f"{platform.python_version()} on {platform.platform(terse=True)}, {platform.machine()}"
    return Finding(
        "python", "ok", words, facts={"python": platform.python_version(), "executable": sys.executable}
    )


def _requirements() -> list[Requirement]:
    try:
        listed = metadata.requires(_PACKAGE) or []
    except metadata.PackageNotFoundError:  # run from a folder, without being installed
        return []
    found = [Requirement(one) for one in listed]
    return [one for one in found if one.marker is None or one.marker.evaluate({"extra": ""})]


def _needed(requirement: Requirement) -> Finding:
    name, version = requirement.name, _version(requirement.name)
    facts = {name: version}
    remedy = f'python -m pip install "{requirement}"'
    if version is None:
        return Finding(name, "bad", "is missing", f"{name} is missing: {remedy}", facts)
    if not requirement.specifier.contains(version, prereleases=True):
        words = f"{version}, and this package is made for {requirement.specifier}"
        return Finding(name, "bad", words, f"{name} is of another version than needed: {remedy}", facts)
    return Finding(name, "ok", version, facts=facts)


def _extensions() -> Iterator[Finding]:
    """The parts of the widgets that JupyterLab itself loads, where there is one beside this Python."""
    try:
        from jupyter_core.paths import jupyter_path
    except ImportError:
        return
    from pathlib import Path

    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    for name in ("anywidget", "@jupyter-widgets/jupyterlab-manager"):
        found = any((folder / name / "package.json").is_file() for folder in folders)
        short = name.rpartition("/")[2]
        if found:
            yield Finding(f"{short} in Lab", "ok", "the extension is there", facts={name: True})
        else:
            yield Finding(
                f"{short} in Lab",
                "note",
                "no extension for the JupyterLab of this Python",
                f"install {short.replace('jupyterlab-manager', 'ipywidgets')} also where JupyterLab runs, if the panel "
                "stays empty there, and reload the page",
                {name: False},
            )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
