"""The catalogue: models that are known by name, which of them are installed, and which fit this machine.

The data is ``catalogue.toml`` beside this module. A file of the same name and form in the store's home adds
entries, or replaces them; one in the site's directory does so for every user of the machine.
"""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, overload

from gemma_notebook.displays import NO_MATHS
from gemma_notebook.errors import ModelNotFoundError, OptionTypeError, OptionValueError
from gemma_notebook.models.machine import Machine
from gemma_notebook.models.store import InstalledModel, Store, checked_name

__all__ = [
    "ABILITIES", "TABLE_HEADS", "CatalogueModel", "ModelList", "bytes_text", "load_entries", "made_here", "models", "table_row",
    "unknown_model",
]  # fmt: skip

ABILITIES = ("chat", "tools", "thinking", "vision", "audio")
_SHIPPED = Path(__file__).with_name("catalogue.toml")
_BUNDLED = "tiny"
# What is here comes second: a narrow terminal cuts the end.
TABLE_HEADS = ("Name", "Here", "Size", "Memory", "Context", "Licence", "Can", "Model")
_WORDY_COLUMNS = 3
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """A model that can be loaded or fetched by its name.

    Attributes:
        name: What ``gn.load`` and ``gemma-notebook models pull`` take.
        title: What people call it.
        repo: The Hugging Face repository; ``""`` when it is not to be fetched.
        file: The file's name there.
        revision: The commit there.
        sha256: The file's checksum, or ``""``.
        size_bytes: The file's size; 0 when unknown.
        memory_bytes: Resident memory to count with; 0 when unknown.
        context_tokens: How many tokens a chat can hold; 0 when unknown.
        abilities: What it can do: some of ``chat``, ``tools``, ``thinking``, ``vision``, ``audio``.
        licence: The licence's name.
        licence_url: Where to read it.
        gated: Files are given only to accounts that have accepted the licence.
        notes: Anything else, in a sentence.
        unverified: Those fields that are estimates, or that one source alone reports.
        path: Its file on this machine, or None when it is not installed.
        obstacle: Why it does not fit this machine, or ``""``.
    """

    name: str
    title: str = ""
    repo: str = dataclasses.field(default="", repr=False)
    file: str = dataclasses.field(default="", repr=False)
    revision: str = dataclasses.field(default="main", repr=False)
    sha256: str = dataclasses.field(default="", repr=False)
    size_bytes: int = dataclasses.field(default=0, repr=False)
    memory_bytes: int = dataclasses.field(default=0, repr=False)
    context_tokens: int = dataclasses.field(default=0, repr=False)
    abilities: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    licence: str = dataclasses.field(default="", repr=False)
    licence_url: str = dataclasses.field(default="", repr=False)
    gated: bool = dataclasses.field(default=False, repr=False)
    notes: str = dataclasses.field(default="", repr=False)
    unverified: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    path: Path | None = dataclasses.field(default=None, repr=False, compare=False)
    obstacle: str = dataclasses.field(default="", repr=False, compare=False)

    @property
    def installed(self) -> bool:
        """``gn.load`` finds it on this machine."""
        return self.path is not None

    @property
    def fits(self) -> bool:
        """The machine has the memory for it and, where it is not installed, the disk."""
        return not self.obstacle

    @property
    def source(self) -> str:
        """The address of its page, or ``""``."""
        return f"https://huggingface.co/{self.repo}" if self.repo else ""

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        values = dataclasses.asdict(self)
        return values | {
            "path": str(self.path) if self.path else None,
            "source": self.source,
            "installed": self.installed,
            "fits": self.fits,
        }


class ModelList(Sequence[CatalogueModel]):
    """Models, in order; also by name: ``gn.models()["gemma3-1b"]``. Displays as a table."""

    def __init__(self, items: Sequence[CatalogueModel]) -> None:
        self._items = tuple(items)

    @overload
    def __getitem__(self, key: int | str) -> CatalogueModel: ...
    @overload
    def __getitem__(self, key: slice) -> ModelList: ...
    def __getitem__(self, key: int | str | slice) -> CatalogueModel | ModelList:
        if isinstance(key, slice):
            return ModelList(self._items[key])
        if isinstance(key, str):
            for item in self._items:
                if item.name == key:
                    return item
            raise unknown_model(key, self.names)
        return self._items[key]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[CatalogueModel]:
        return iter(self._items)

    def __contains__(self, key: object) -> bool:
        return key in self._items or key in self.names

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(item.name for item in self._items)

    def __repr__(self) -> str:
        # The names alone: what is installed and what fits differs from machine to machine.
        return f"ModelList({', '.join(self.names)})"

    def _repr_html_(self) -> str:
        heads = "".join(f"<th style='text-align:left'>{head}</th>" for head in TABLE_HEADS)
        rows = "".join(
            f"<tr>{''.join(_cell(number, text) for number, text in enumerate(table_row(item)))}</tr>"
            for item in self._items
        )
        return (
            f'<table class="{NO_MATHS}"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
            '<p><code>gn.pull("NAME")</code> fetches one, <code>gn.load("NAME")</code> loads one that is '
            "installed; in a terminal it is <code>gemma-notebook models pull NAME</code>. ≈ marks an estimate.</p>"
        )


def models(*, store: Store | None = None) -> ModelList:
    """What ``gemma_notebook.models()`` gives; its help is there."""
    store = store or Store()
    machine = Machine.here(store)
    entries = load_entries(store)
    installed = {model.name: model for model in store.installed()}
    found = [_placed(entry, installed.get(name), machine) for name, entry in entries.items()]
    found += [
        _placed(_uncatalogued(model), model, machine)
        for name, model in installed.items()
        if name not in entries
    ]
    return ModelList(found)


def load_entries(store: Store | None = None) -> dict[str, CatalogueModel]:
    """The entries of the shipped catalogue, the site's and the user's, by name; later ones win.

    Raises:
        OptionValueError: A catalogue is wrong; the message says where.
    """
    entries: dict[str, CatalogueModel] = {}
    own, *shared = [folder.parent / "catalogue.toml" for folder in (store or Store()).directories]
    for path in (_SHIPPED, *reversed(shared), own):
        try:
            entries |= _read(path)
        except OptionValueError as error:
            if path == own or not isinstance(
                error.__cause__, OSError
            ):  # a site's that is not for this user is none
                raise
    return entries


def unknown_model(name: str, known: Sequence[str]) -> ModelNotFoundError:
    """The error for a name that nobody knows, with names that come near.

    Raises:
        OptionTypeError: It is no name at all.
    """
    if not isinstance(name, str):
        raise OptionTypeError(f"a model has a name, not {name!r}; the names are {', '.join(known)}")
    near = get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are {', '.join(known)}"
    return ModelNotFoundError(f"there is no model {name!r}; {hint}")


def table_row(item: CatalogueModel) -> tuple[str, ...]:
    """What the tables show of a model, as text, below :data:`TABLE_HEADS`."""

    def about(field: str, text: str) -> str:
        return f"≈ {text}" if field in item.unverified and text else text

    return (
        item.name,
        _here(item),
        about("size_bytes", bytes_text(item.size_bytes)),
        about("memory_bytes", bytes_text(item.memory_bytes)),
        about("context_tokens", f"{item.context_tokens:,}" if item.context_tokens else ""),
        item.licence + (", to be accepted" if item.gated else ""),
        ", ".join(item.abilities),
        item.title,
    )


def _here(item: CatalogueModel) -> str:
    if item.installed:
        return f"installed; {item.obstacle}" if item.obstacle else "installed"
    return item.obstacle or "fits"


def _cell(number: int, text: str) -> str:
    # Names, sizes and figures stay in one line; the last columns are words.
    wrap = "normal" if number >= len(TABLE_HEADS) - _WORDY_COLUMNS else "nowrap"
    return f"<td style='text-align:left;white-space:{wrap}'>{html.escape(text)}</td>"


def bytes_text(count: int) -> str:
    """A size for people, in powers of ten: ``584 MB``."""
    if not count:
        return ""
    if count < 1_000_000:
        return f"{max(1, round(count / 1000))} kB"
    return (
        f"{count / 1e9:.1f} GB" if count >= 999_500_000 else f"{count / 1e6:.{0 if count >= 1e7 else 1}f} MB"
    )


def _placed(entry: CatalogueModel, installed: InstalledModel | None, machine: Machine) -> CatalogueModel:
    if entry.name == _BUNDLED:  # as gn.load does, whatever lies in the store
        return dataclasses.replace(entry, path=Path(__file__).with_name("tiny") / "model.litertlm")
    if installed is None:
        return dataclasses.replace(entry, obstacle=machine.obstacle(entry.memory_bytes, entry.size_bytes))
    if not made_here(installed):
        return dataclasses.replace(
            entry,
            path=installed.path,
            size_bytes=installed.size_bytes,
            unverified=tuple(name for name in entry.unverified if name != "size_bytes"),
            obstacle=machine.obstacle(entry.memory_bytes, 0),
        )
    # What was built or converted under the name of a model to be fetched is another one, if of its family.
    made = _uncatalogued(installed)
    return dataclasses.replace(
        made,
        licence=made.licence or entry.licence,
        licence_url=made.licence_url or entry.licence_url,
        abilities=("chat",),
        path=installed.path,
        size_bytes=installed.size_bytes,
        memory_bytes=entry.memory_bytes,
        context_tokens=tokens if isinstance(tokens := installed.origin.get("context_tokens"), int) else 0,
        notes=f"made here; `gemma-notebook models pull --force {entry.name}` would fetch {entry.title!r} in its place",
        obstacle=machine.obstacle(entry.memory_bytes, 0),
    )


def made_here(model: InstalledModel) -> bool:
    """Tells a model that was built or converted on this machine from one that was fetched, or copied."""
    return "weights" in model.origin


def _uncatalogued(model: InstalledModel) -> CatalogueModel:
    """What the note beside a file tells of a model that no catalogue has."""

    def told(field: str) -> str:
        return str(model.origin.get(field, ""))

    return CatalogueModel(
        model.name,
        title=told("title") or "(installed here)",
        licence=told("licence"),
        licence_url=told("licence_url"),
    )


def _read(path: Path) -> dict[str, CatalogueModel]:
    import tomllib

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise OptionValueError(f"the catalogue {str(path)!r} cannot be read: {error}") from error
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise OptionValueError(f"the catalogue {str(path)!r} is not TOML: {error}; correct it") from error
    return {name: _entry(path, name, table) for name, table in tables.items()}


def _entry(path: Path, name: str, table: Any) -> CatalogueModel:
    where = f"the catalogue {str(path)!r}, [{name}]"
    try:
        checked_name(name)
        if not isinstance(table, dict):
            raise OptionTypeError(f"a model is a table of fields, not {table!r}")
        values = {field: _field(field, value) for field, value in table.items()}
        entry = CatalogueModel(name, **values)
        if bool(entry.repo) != bool(entry.file):
            raise OptionValueError("repo and file belong together; give both")
    except (OptionValueError, OptionTypeError) as error:
        raise OptionValueError(f"{where}: {error}") from error
    return entry if entry.title else dataclasses.replace(entry, title=name)


_FIELDS = {
    field.name: field.type
    for field in dataclasses.fields(CatalogueModel)
    if field.name not in ("name", "path", "obstacle")
}


def _field(field: str, value: Any) -> Any:
    if field not in _FIELDS:
        raise OptionValueError(f"unknown field {field!r}; the fields are {', '.join(_FIELDS)}")
    kind = _FIELDS[field]
    if kind == "int" and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise OptionTypeError(f"{field} must be a whole number, not {value!r}")
    if kind == "bool" and not isinstance(value, bool):
        raise OptionTypeError(f"{field} must be true or false, not {value!r}")
    if kind == "str" and not isinstance(value, str):
        raise OptionTypeError(f"{field} must be text, not {value!r}")
    if kind == "tuple[str, ...]":
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise OptionTypeError(f"{field} must be a list of texts, not {value!r}")
        value = tuple(value)
    if field == "abilities" and not set(value) <= set(ABILITIES):
        raise OptionValueError(f"abilities must be some of {', '.join(ABILITIES)}, not {list(value)!r}")
    if field == "sha256" and not _SHA256.fullmatch(value):
        raise OptionValueError(f"sha256 must be 64 hexadecimal digits, not {value!r}")
    if field == "repo" and value.count("/") != 1:
        raise OptionValueError(f"repo must be OWNER/NAME, not {value!r}")
    return value
