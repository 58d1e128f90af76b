"""The store: one directory where models are kept under names.

``<home>/models/NAME.litertlm`` is a model, ``NAME.json`` beside it says where it came from. A file that was
copied there by hand is a model too. A file is whole or not there: it is made in ``<home>/models/.staging/NAME``,
on the same file system, and moved into place in one step, under a lock that other processes respect.

The home is ``GEMMA_NOTEBOOK_HOME``, or else the user's data directory. Besides it, models are found in the
site's data directory (``/usr/local/share/gemma_notebook`` on Linux), which a server's administrator fills and
users only read.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from gemma_notebook._paths import expanded
from gemma_notebook.errors import ModelNotFoundError, OptionValueError, StoreError

__all__ = ["HOME_VARIABLE", "InstalledModel", "Store", "checked_name"]

HOME_VARIABLE = "GEMMA_NOTEBOOK_HOME"
SUFFIX = ".litertlm"

# Another process has the lock for a moment, or for as long as a download or a conversion takes.
_BUSY_S = 1.0

# No separator, no leading dot or dash: a name is never a path, a hidden file or an option.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model in the store.

    Attributes:
        name: Its name.
        path: Its file.
        size_bytes: The file's size.
        shared: It lies in the site's directory, not in the user's own.
        origin: Where it came from, as noted when it was placed: ``source``, ``revision``, ``sha256``, …
    """

    name: str
    path: Path = field(repr=False)
    size_bytes: int
    shared: bool = False
    origin: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)


class Store:
    """The models that are kept on this machine. Safe to use from several processes at once.

    Args:
        home: The directory; None for ``GEMMA_NOTEBOOK_HOME`` or the user's data directory, with the site's
            directory to read from besides.

    Example:
        >>> Store().find("gemma3-1b").path
        PosixPath('/home/ada/.local/share/gemma_notebook/models/gemma3-1b.litertlm')
    """

    def __init__(self, home: str | os.PathLike[str] | None = None) -> None:
        chosen = home or os.environ.get(HOME_VARIABLE)
        self.home = (expanded(chosen) if chosen else _user_home()).absolute()
        sites = () if home is not None else _site_homes()
        self._shared_homes = tuple(site for site in sites if site != self.home)

    def __repr__(self) -> str:
        return f"Store({str(self.home)!r})"

    @property
    def directory(self) -> Path:
        """Where the user's own models lie. It need not exist yet."""
        return self.home / "models"

    @property
    def directories(self) -> tuple[Path, ...]:
        """Every directory where models are looked for, the user's own first."""
        return (self.directory, *(home / "models" for home in self._shared_homes))

    # Reading

    def path(self, name: str) -> Path:
        """Where a model of that name lies, or would lie.

        Raises:
            OptionValueError: That is no name.
        """
        found = self.find(name)
        return found.path if found else self.directory / (checked_name(name) + SUFFIX)

    def find(self, name: str) -> InstalledModel | None:
        """The model of that name, or None.

        Raises:
            OptionValueError: That is no name.
        """
        name = checked_name(name)
        for directory in self.directories:
            model = _model_at(directory / (name + SUFFIX), shared=directory != self.directory)
            if model is not None:
                return model
        return None

    def misnamed(self) -> tuple[Path, ...]:
        """Model files whose names are none that a model can have, so that they are in no list."""
        found: list[Path] = []
        for directory in self.directories:
            with contextlib.suppress(OSError):
                found += [one for one in directory.glob(f"[!.]*{SUFFIX}") if not _NAME.fullmatch(one.stem)]
        return tuple(sorted(found))

    def installed(self) -> tuple[InstalledModel, ...]:
        """All models, by name. A directory that cannot be read holds none."""
        found: dict[str, InstalledModel] = {}
        for directory in self.directories:
            with contextlib.suppress(OSError):
                for file in directory.iterdir():
                    if file.suffix == SUFFIX and _NAME.fullmatch(file.stem):
                        model = _model_at(file, shared=directory != self.directory)
                        if model is not None:
                            found.setdefault(model.name, model)
        return tuple(found[name] for name in sorted(found))

    # Writing

    @contextlib.contextmanager
    def staging(self, name: str, *, timeout_s: float = -1.0, on_wait: Any = None) -> Iterator[Path]:
        """A directory to make the model's file in, held for this process alone while the ``with`` lasts.

        What is left in it stays for the next try, so that a download can go on where it broke off.

        Args:
            name: The model's name.
            timeout_s: How long to wait for a process that makes the same model; negative for ever.
            on_wait: Called once, without arguments, when there is somebody to wait for.

        Raises:
            StoreError: The store cannot be written, or the wait took too long.
            OptionValueError: That is no name.
        """
        import filelock

        name = checked_name(name)
        folder = self.directory / ".staging" / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.directory / ".staging" / f"{name}.lock")
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                if on_wait is not None:
                    on_wait()
                lock.acquire(timeout=timeout_s)
        except filelock.Timeout:
            raise StoreError(
                f"another process has been busy with {name!r} for {timeout_s:g} s; wait for it, or end it"
            ) from None
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            folder.mkdir(parents=True, exist_ok=True)  # the one that we waited for took it away
            yield folder
        finally:
            lock.release()

    def place(self, name: str, file: Path, origin: Mapping[str, Any]) -> InstalledModel:
        """Move a finished file into the store under that name, replacing what was there, in one step.

        Call it inside :meth:`staging` of the same name.

        Args:
            name: The model's name.
            file: The file, in the staging directory (another file system costs a copy).
            origin: Where it comes from, to be noted beside it: JSON values.

        Raises:
            StoreError: The store cannot be written.
            OptionValueError: That is no name.
        """
        target = self.directory / (checked_name(name) + SUFFIX)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            if file.stat().st_dev != self.directory.stat().st_dev:
                near = self.directory / f".{name}{SUFFIX}"  # .staging may be a link to another disk
                try:
                    shutil.copyfile(file, near)
                except OSError:
                    near.unlink(missing_ok=True)
                    raise
                file.unlink()
                file = near
            file.chmod(0o644)  # a shared store is read by others
            _sync(file)
            # Wherever this is broken off: a model may be without a note, and never has another's.
            target.with_suffix(".json").unlink(missing_ok=True)
            file.replace(target)
            _write_note(target.with_suffix(".json"), origin)
        except OSError as error:
            raise self._unwritable(error) from error
        shutil.rmtree(self.directory / ".staging" / name, ignore_errors=True)
        model = _model_at(target, shared=False)
        if model is None:
            raise StoreError(f"{str(target)!r} was placed and is gone again; is something cleaning up there?")
        return model

    def remove(self, name: str) -> int:
        """Delete a model, its note and what is left of broken downloads of it; the bytes that this freed.

        Raises:
            ModelNotFoundError: There is nothing of that name.
            StoreError: It is shared, cannot be deleted, or another process is making it.
        """
        model = self.find(name)
        folder = self.directory / ".staging" / name
        file = self.directory / (name + SUFFIX)
        is_own = folder.exists() or file.is_symlink()
        if model is None and not is_own:
            raise ModelNotFoundError(
                f"no model {name!r} is installed in {str(self.directory)!r}; "
                "`gemma-notebook models list --installed` shows those that are"
            )
        if model is not None and model.shared and not is_own:
            raise StoreError(
                f"{name!r} is shared by all users of this machine ({str(model.path)!r}); "
                "only its administrator removes it"
            )
        try:
            with self.staging(name, timeout_s=_BUSY_S):
                doomed = [file, file.with_suffix(".json"), *folder.rglob("*")]
                freed = sum(one.lstat().st_size for one in doomed if one.is_file())
                file.unlink(missing_ok=True)
                file.with_suffix(".json").unlink(missing_ok=True)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError as error:
            raise self._unwritable(error) from error
        return freed

    def free_bytes(self) -> int | None:
        """Bytes free where the store is, or will be; None when that cannot be told."""
        for place in (self.directory, *self.directory.parents):
            with contextlib.suppress(OSError):
                return shutil.disk_usage(place).free
        return None

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(
            f"the store {str(self.directory)!r} cannot be written ({error.strerror or error}); "
            f"check its permissions and the free space, or set {HOME_VARIABLE} to a directory of your own"
        )


def _user_home() -> Path:
    try:
        return platformdirs.user_data_path("gemma_notebook", appauthor=False)
    except RuntimeError:  # as in a container whose user has no name
        raise StoreError(
            f"there is no home directory to keep models in; set {HOME_VARIABLE} to a folder"
        ) from None


def _site_homes() -> tuple[Path, ...]:
    """Where an administrator may put models for all users, in the order in which they are looked at."""
    listed = platformdirs.site_data_dir("gemma_notebook", appauthor=False, multipath=True).split(os.pathsep)
    # Also where XDG_DATA_DIRS, which desktops set, leaves it out.
    usual = ["/usr/local/share/gemma_notebook"] if sys.platform.startswith("linux") else []
    return tuple(dict.fromkeys(Path(place) for place in (*listed, *usual)))


def checked_name(name: str) -> str:
    """``name``, checked to be one that a model can have.

    Raises:
        OptionValueError: It is not.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise OptionValueError(
            f"{name!r} is no name for a model; use up to 100 letters, digits and . _ + -, "
            "beginning with a letter or digit"
        )
    return name


def _model_at(path: Path, *, shared: bool) -> InstalledModel | None:
    try:
        if not path.is_file():
            return None
        return InstalledModel(
            path.stem, path, path.stat().st_size, shared, _read_note(path.with_suffix(".json"))
        )
    except OSError:
        return None


def _read_note(path: Path) -> dict[str, Any]:
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}


def _write_note(path: Path, origin: Mapping[str, Any]) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False, encoding="utf-8") as new:
        json.dump(dict(origin), new, indent=1)
    Path(new.name).chmod(0o644)
    Path(new.name).replace(path)


def _sync(file: Path) -> None:
    # A file that is moved before its bytes are on the disk can be a hole after a power cut.
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
