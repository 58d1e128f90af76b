"""From what a user passes to ``load`` to a model file."""

from __future__ import annotations

import os
from pathlib import Path

from gemma_notebook._paths import expanded
from gemma_notebook.errors import (
    ModelLoadError,
    ModelNotFoundError,
    ModelNotInstalledError,
    OptionTypeError,
    OptionValueError,
)
from gemma_notebook.models.store import SUFFIX, Store, checked_name

__all__ = ["TINY", "is_bundled", "resolve_model"]

TINY = "tiny"
_TINY_FILE = Path(__file__).with_name("tiny") / "model.litertlm"


def resolve_model(model: str | os.PathLike[str]) -> Path:
    """The file for a model's name or a path. Nothing is ever fetched for it.

    A name of an installed model wins over a file of that name in the current directory; with ``.litertlm`` behind it, such a
    file wins.

    Raises:
        ModelNotFoundError: There is no such file, and no such name. A ``FileNotFoundError``.
        ModelNotInstalledError: The catalogue knows the name; the message says how to fetch the model.
        ModelLoadError: It is a directory, empty, or cannot be read.
        OptionTypeError, OptionValueError: It is neither a string nor a path, or empty.
    """
    if not isinstance(model, str | os.PathLike):
        raise OptionTypeError(f"model must be a path or a name such as {TINY!r}, not {model!r}")
    if not os.fspath(model):
        raise OptionValueError(f"model is empty; give a path, or a name such as {TINY!r}")
    if model == TINY:
        return _checked(_TINY_FILE)
    path = expanded(model)
    if isinstance(model, str) and _may_be_name(model):
        installed = Store().find(model)
        if installed is not None:
            return _checked(installed.path)
        if not path.exists():
            raise _not_installed(model)
    elif isinstance(model, str) and _may_be_name(model.removesuffix(SUFFIX)) and not path.exists():
        installed = Store().find(model.removesuffix(SUFFIX))  # what a file that was copied there is called
        if installed is not None:
            return _checked(installed.path)
    return _checked(path)


def is_bundled(path: Path) -> bool:
    """The file is one that came with the package."""
    return path == _TINY_FILE


def _may_be_name(model: str) -> bool:
    if model.endswith(SUFFIX):
        return False
    try:
        return checked_name(model) == model
    except OptionValueError:
        return False


def _not_installed(name: str) -> ModelNotFoundError:
    from gemma_notebook.models.catalogue import bytes_text, load_entries, unknown_model

    entries = load_entries()
    if name not in entries:
        remedy = "`gemma-notebook models list` shows all, and a file is given by its path"
        return ModelNotFoundError(f"{unknown_model(name, tuple(entries))}; {remedy}")
    entry = entries[name]
    if not entry.repo:
        return ModelNotInstalledError(
            f"the model {name!r} is not on this machine, and its entry in catalogue.toml has no repository; copy its file to "
            f"{str(Store().directory / (name + SUFFIX))!r}",
            name=name,
        )
    size = f" ({bytes_text(entry.size_bytes)})" if entry.size_bytes else ""
    return ModelNotInstalledError(
        f"the model {name!r} is not on this machine; fetch it{size} in a terminal with "
        f"`gemma-notebook models pull {name}`, or in a notebook with gn.pull({name!r})",
        name=name,
    )


def _checked(path: Path) -> Path:
    try:
        if path.is_dir():
            raise ModelLoadError(
                f"{str(path)!r} is a directory; give the path of the .litertlm file in it", operation="load"
            )
        if path.exists() and not path.is_file():  # to open a pipe would wait for its writer
            raise ModelLoadError(
                f"{str(path)!r} is not a file; give the path of a .litertlm file", operation="load"
            )
        with path.open("rb") as file:
            if not file.read(1):
                raise ModelLoadError(
                    f"the model file {str(path)!r} is empty; download or copy it again", operation="load"
                )
    except FileNotFoundError as error:
        raise ModelNotFoundError(
            f"there is no model file {str(path)!r}; check the path, or use gemma_notebook.load() "
            "for the bundled model"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ModelLoadError(
            f"the model file {str(path)!r} cannot be read ({error}); check the path and its permissions",
            operation="load",
        ) from error
    return path.absolute()
