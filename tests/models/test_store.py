"""Where models are kept: names, atomic placement, sharing."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import pytest

import gemma_notebook as gn
from gemma_notebook.errors import ModelNotFoundError, OptionValueError, StoreError
from gemma_notebook.models.resolve import resolve_model
from gemma_notebook.models.store import Store

TINY = resolve_model("tiny")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("GEMMA_NOTEBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "site"))
    return Store()


def put(store: Store, name: str, content: bytes = b"a model", **origin: object) -> Path:
    with store.staging(name) as folder:
        (folder / "file").write_bytes(content)
        return store.place(name, folder / "file", origin).path


def test_the_variable_says_where_the_store_is(store: Store, tmp_path: Path, monkeypatch):
    assert store.directory == tmp_path / "home" / "models"
    monkeypatch.delenv("GEMMA_NOTEBOOK_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert Store().directory == tmp_path / "data" / "gemma_notebook" / "models"


def test_what_is_placed_is_found_listed_and_removed(store: Store):
    path = put(store, "mine", source="a friend")
    assert store.find("mine").path == store.path("mine") == path
    assert [model.name for model in store.installed()] == ["mine"]
    assert store.find("mine").origin == {"source": "a friend"}
    freed = store.remove("mine")
    assert freed >= len(b"a model")
    assert store.find("mine") is None
    assert store.installed() == ()
    assert not list(store.directory.glob("mine*"))


def test_a_file_copied_there_by_hand_is_a_model(store: Store):
    store.directory.mkdir(parents=True)
    (store.directory / "by-hand.litertlm").write_bytes(TINY.read_bytes())
    assert store.find("by-hand").origin == {}
    with gn.load("by-hand") as manager:
        assert manager.model.name == "by-hand"
        assert "Ada" in manager.create_chat().send("My name is Ada.").text
    assert gn.models()["by-hand"].installed


def test_what_was_noted_of_a_model_is_listed(store: Store):
    put(store, "mine", b"12345", title="Mine", licence="MIT", size_bytes="nonsense")
    model = gn.models()["mine"]
    assert (model.title, model.licence, model.size_bytes) == ("Mine", "MIT", 5)
    put(store, "gemma3-1b", b"1234567")
    assert gn.models()["gemma3-1b"].size_bytes == 7, "the size of what is here, not of what could be fetched"


def test_a_model_is_readable_by_others(store: Store):
    path = put(store, "mine")
    assert path.stat().st_mode & 0o044 == 0o044
    assert path.with_suffix(".json").stat().st_mode & 0o044 == 0o044


def test_placing_again_replaces_in_one_step_for_whoever_has_it_open(store: Store):
    path = put(store, "mine", b"the old one")
    with path.open("rb") as opened:
        put(store, "mine", b"the new one")
        assert opened.read() == b"the old one"
    assert path.read_bytes() == b"the new one"


def test_a_placement_that_fails_leaves_what_was_there(store: Store, monkeypatch):
    path = put(store, "mine", b"the old one")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="cannot be written"):
        put(store, "mine", b"the new one")
    assert path.read_bytes() == b"the old one"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", "/etc/passwd", "-rf", ".hidden", "a\0b", "a" * 101, "ü", 5]
)
def test_a_name_is_never_a_path_or_an_option(store: Store, name):
    for use in (store.find, store.path, store.remove):
        with pytest.raises(OptionValueError, match="is no name for a model"):
            use(name)


def test_removing_what_is_not_there_says_so(store: Store):
    with pytest.raises(ModelNotFoundError, match="no model 'mine' is installed"):
        store.remove("mine")


def test_what_a_broken_download_left_is_removed(store: Store):
    with store.staging("mine") as folder:
        (folder / "1.part").write_bytes(b"half of it")
    assert store.remove("mine") == len(b"half of it")
    assert not folder.exists()


def test_a_model_that_another_process_makes_is_not_removed_and_not_waited_for(store: Store):
    with store.staging("mine"), pytest.raises(StoreError, match="another process has been busy with 'mine'"):
        store.remove("mine")


def test_a_home_of_nobody_is_a_directory_like_another(monkeypatch):
    monkeypatch.setenv("GEMMA_NOTEBOOK_HOME", "~nobody-at-all/x")
    assert Store().home.parts[-2:] == ("~nobody-at-all", "x")


def test_a_file_that_was_copied_there_is_found_by_its_name_with_the_ending_too(
    store: Store, tmp_path, monkeypatch
):
    path = put(store, "mine")
    assert resolve_model("mine.litertlm") == path
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.litertlm").write_bytes(b"one that lies here")
    assert resolve_model("mine.litertlm") == tmp_path / "mine.litertlm"


def test_the_staging_of_one_model_is_one_processes_at_a_time(store: Store):
    waited = threading.Event()
    other = Store().staging("mine", timeout_s=0.01, on_wait=waited.set)
    with (
        store.staging("mine"),
        store.staging("another"),
        pytest.raises(StoreError, match="another process has been busy with 'mine'"),
        other,
    ):
        pass
    assert waited.is_set()
    with store.staging("mine", timeout_s=0.01):
        pass


def test_models_of_the_site_are_found_and_not_touched(store: Store, tmp_path: Path):
    site = Store(tmp_path / "site" / "gemma_notebook")
    put(site, "everyones", b"shared")
    put(site, "both", b"shared")
    put(store, "both", b"own")
    assert store.find("everyones").shared
    assert not store.find("both").shared
    assert [model.name for model in store.installed()] == ["both", "everyones"]
    with pytest.raises(StoreError, match="shared by all users"):
        store.remove("everyones")
    store.remove("both")
    assert store.find("both").path.read_bytes() == b"shared"


def test_models_of_any_directory_for_the_site_are_found(store: Store, tmp_path: Path, monkeypatch):
    put(Store(tmp_path / "other" / "gemma_notebook"), "everyones")
    monkeypatch.setenv("XDG_DATA_DIRS", f"{tmp_path / 'site'}:{tmp_path / 'other'}")
    assert Store().find("everyones").shared


def test_what_is_left_of_an_own_download_of_a_shared_model_is_removed(store: Store, tmp_path: Path):
    put(Store(tmp_path / "site" / "gemma_notebook"), "everyones", b"shared")
    with store.staging("everyones") as folder:
        (folder / "1.part").write_bytes(b"half")
    assert store.remove("everyones") == len(b"half")
    assert store.find("everyones").shared


def test_a_link_to_what_is_gone_is_removed(store: Store, tmp_path: Path):
    link = store.directory / "mine.litertlm"
    store.directory.mkdir(parents=True)
    link.symlink_to(tmp_path / "gone")
    store.remove("mine")
    assert not link.is_symlink()


def test_a_model_that_is_copied_from_another_disk_needs_no_room_in_the_staging(store: Store, monkeypatch):
    here = os.stat_result
    stat = Path.stat

    def on_another_disk(path: Path, **options: bool) -> os.stat_result:
        found = stat(path, **options)
        return here((*found[:2], 99, *found[3:])) if path.name == "file" else found

    monkeypatch.setattr(Path, "stat", on_another_disk)
    copied: list[Path] = []
    copy = shutil.copyfile
    monkeypatch.setattr(shutil, "copyfile", lambda a, b: copied.append(Path(b)) or copy(a, b))
    path = put(store, "mine")
    assert path.read_bytes() == b"a model"
    assert [place.parent for place in copied] == [store.directory]
    assert sorted(one.name for one in store.directory.iterdir()) == [".staging", "mine.json", "mine.litertlm"]


def test_a_note_that_is_damaged_takes_nothing_away(store: Store):
    path = put(store, "mine")
    for content in ("{", "[]", "\udcff", "[" * 10_000):
        path.with_suffix(".json").write_bytes(content.encode("utf-8", "surrogateescape"))
        assert store.find("mine").origin == {}


def test_a_note_that_is_older_than_its_file_cannot_be(store: Store):
    path = put(store, "mine", b"the new one", revision="2")
    assert json.loads(path.with_suffix(".json").read_text()) == {"revision": "2"}


def test_a_home_that_is_read_only_is_used_without_writing(store: Store, tmp_path: Path, monkeypatch):
    """As another user of a server does; a file in the place of the cache stands for a directory that refuses."""
    put(store, "mine", TINY.read_bytes())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    verdicts = store.home / "checked-models.json"
    verdicts.mkdir()
    with gn.load("mine") as manager:
        assert manager.create_chat().send("Hello").text
    assert (tmp_path / "cache" / "gemma_notebook" / "checked-models.json").is_file()
