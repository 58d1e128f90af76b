"""Fetch a model from the Hugging Face Hub into the store: whole, checked, or not at all.

The bytes go into the model's staging directory, into a file named by their checksum. What a broken download has
left there is gone on with the next time, also by another process; ``hf_hub_download`` would begin anew. Nothing
is placed before its checksum is that of the catalogue and of the hub.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemma_notebook.errors import DownloadError, OptionValueError
from gemma_notebook.models import hub_errors
from gemma_notebook.models.catalogue import CatalogueModel, bytes_text, load_entries, unknown_model
from gemma_notebook.models.resolve import TINY
from gemma_notebook.models.store import SUFFIX, InstalledModel, Store

__all__ = ["pull"]

_SHA256 = re.compile(r"[0-9a-f]{64}")

# Room to leave on the disk: one that is filled to the last byte breaks more than a download.
_MARGIN_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class _Remote:
    """What the hub says of a file.

    Attributes:
        url: Where it is, at one commit.
        commit: That commit.
        etag: Its checksum, when it is kept in large-file storage; else some other tag.
        size_bytes: Its size.
    """

    url: str
    commit: str
    etag: str
    size_bytes: int


def pull(
    name: str,
    *,
    force: bool = False,
    store: Store | None = None,
    on_progress: Callable[[str], None] | None = print,
) -> InstalledModel:
    """Fetch a model of the catalogue, unless it is here already. Shows a progress bar, also in a notebook.

    Two processes that fetch the same model share one download. After a failure or a Ctrl-C, the next call
    goes on where this one broke off. A gated model needs a token, from the environment variable ``HF_TOKEN``
    or from ``hf auth login``.

    Args:
        name: Its name in the catalogue.
        force: Fetch it also when a file of that name is here, and replace that.
        store: Where to put it; None for the user's store.
        on_progress: Told in a sentence what is being done; None for silence.

    Returns:
        The model; ``gn.load(name)`` finds it.

    Raises:
        ModelNotFoundError: The catalogue has no such model.
        DownloadError: It could not be fetched; ``reason`` says what kind of thing went wrong.
        StoreError: The store cannot be written.
        OptionValueError: The model is not one that is fetched, or a catalogue is wrong.

    Example:
        >>> gn.pull("gemma3-1b")
        InstalledModel(name='gemma3-1b', size_bytes=584417280, shared=False)
    """
    store = store or Store()
    tell = on_progress or (lambda _: None)
    entry = _entry(name, store)
    here = None if force else store.find(name)
    if here is not None:
        return here
    with store.staging(
        name, on_wait=lambda: tell(f"another process is fetching {name}; waiting for it")
    ) as folder:
        here = None if force else store.find(name)
        if here is not None:  # the other process has done it
            return here
        with hub_errors.translated(entry):
            remote = _ask_hub(entry)
        with hub_errors.translated(entry, under_way=True):
            part, sha256 = _fetch(entry, remote, folder, store, tell)
        return store.place(name, part, _origin(entry, remote, sha256))


def _entry(name: str, store: Store) -> CatalogueModel:
    entries = load_entries(store)
    if not isinstance(name, str) or name not in entries:
        raise unknown_model(name, tuple(entries))
    entry = entries[name]
    if not entry.repo and name != TINY and store.find(name) is None:
        raise OptionValueError(
            f"{name!r} has no repository to fetch it from; copy its file to {str(store.directory / (name + SUFFIX))!r}"
        )
    if not entry.repo:
        raise OptionValueError(
            f"{name!r} is not fetched from a hub; load it with gemma_notebook.load({name!r})"
        )
    return entry


def _ask_hub(entry: CatalogueModel) -> _Remote:
    """Ask for the file's commit, checksum and size, and look whether it is the one that we want."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(entry.repo, entry.file, revision=entry.revision)
    known = get_hf_file_metadata(url, token=hub_errors.token(), library_name="gemma_notebook")
    if known.commit_hash is None or known.etag is None or known.size is None:
        raise DownloadError(
            f"{url} was not answered by a Hugging Face hub (a proxy or a login page may stand between); "
            "check HTTPS_PROXY and HF_ENDPOINT",
            reason="network",
        )
    if entry.sha256 and _SHA256.fullmatch(known.etag) and known.etag != entry.sha256:
        raise DownloadError(
            f"the hub has another file under {entry.repo}/{entry.file} than the catalogue knows "
            f"(sha256 {known.etag[:12]}…, not {entry.sha256[:12]}…); nothing was fetched: correct sha256 or revision "
            "in a catalogue.toml of your own if that is meant to be",
            reason="checksum",
        )
    at_commit = hf_hub_url(entry.repo, entry.file, revision=known.commit_hash)
    return _Remote(at_commit, known.commit_hash, known.etag, known.size)


def _fetch(
    entry: CatalogueModel,
    remote: _Remote,
    folder: Path,
    store: Store,
    tell: Callable[[str], None],
    *,
    use_cache: bool = True,
) -> tuple[Path, str]:
    """The finished file in the staging directory, and its checksum."""
    part = folder / part_name(remote.etag)
    for other in folder.glob("*.part"):
        if other != part:  # of an older version of the model
            other.unlink()
    resumed = part.exists() and part.stat().st_size > 0
    if resumed:
        tell(
            f"going on with {entry.name} at {bytes_text(part.stat().st_size)} of {bytes_text(remote.size_bytes)}"
        )
    else:
        tell(f"fetching {entry.name}, {bytes_text(remote.size_bytes)}, from {entry.repo}")
    copied = use_cache and _copied_from_cache(entry, remote, part, tell)
    if not copied:
        _download(remote, part, store)
    expected = entry.sha256 or (remote.etag if _SHA256.fullmatch(remote.etag) else "")
    tell("checking the checksum")
    found = _sha256(part)
    if expected and found != expected:
        part.unlink()
        if resumed or copied:  # perhaps what there was of it was bad
            tell("what there was of it is damaged; fetching it anew")
            return _fetch(entry, remote, folder, store, tell, use_cache=False)
        raise DownloadError(
            f"what came for {entry.name!r} is damaged: its sha256 is {found[:12]}…, not {expected[:12]}…; "
            "it was thrown away, so pull again; if it happens again, something between here and the hub alters it",
            reason="checksum",
        )
    return part, found


def _copied_from_cache(
    entry: CatalogueModel, remote: _Remote, part: Path, tell: Callable[[str], None]
) -> bool:
    """Take the file from the cache that other programs share, if one of them has fetched it."""
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(entry.repo, entry.file, revision=remote.commit)
    try:
        if not isinstance(cached, str) or Path(cached).stat().st_size != remote.size_bytes:
            return False
        with Path(cached).open("rb"):
            pass
    except OSError:  # somebody else's, or gone meanwhile
        return False
    tell("copying it from the cache of huggingface_hub, where it is already")
    shutil.copyfile(cached, part)
    return True


def part_name(etag: str) -> str:
    """The name of an unfinished file, which tells what it is the beginning of."""
    return f"{hashlib.sha256(etag.encode()).hexdigest()[:16]}.part"


def _download(remote: _Remote, part: Path, store: Store) -> None:
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # in its documentation

    with part.open("ab") as file:
        have = file.tell()
        if have > remote.size_bytes:
            file.truncate(0)
            have = 0
        _require_space(remote.size_bytes - have, store)
        # The hub's own address, not the one that it redirects to: that one is signed, and runs out in time.
        headers = build_hf_headers(token=hub_errors.token(), library_name="gemma_notebook")
        http_get(
            remote.url,
            file,
            resume_size=have,
            headers=headers,
            expected_size=remote.size_bytes,
            displayed_filename=part.parent.name,
        )


def _require_space(needed: int, store: Store) -> None:
    free = store.free_bytes()
    if needed and free is not None and free < needed + _MARGIN_BYTES:
        raise DownloadError(
            f"{bytes_text(needed)} are to come and {bytes_text(free) or 'nothing'} is free in {str(store.directory)!r}; "
            "make room there, or set GEMMA_NOTEBOOK_HOME to a directory on another disk",
            reason="space",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _origin(entry: CatalogueModel, remote: _Remote, sha256: str) -> dict[str, Any]:
    return {
        "source": entry.source,
        "repo": entry.repo,
        "file": entry.file,
        "revision": remote.commit,
        "sha256": sha256,
        "licence": entry.licence,
        "fetched_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
