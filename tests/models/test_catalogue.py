"""The catalogue: what it knows, what a user adds, what fits."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

import gemma_notebook as gn
from gemma_notebook.errors import ModelNotFoundError, ModelNotInstalledError, OptionValueError, StoreError
from gemma_notebook.models.catalogue import bytes_text, load_entries, table_row
from gemma_notebook.models.machine import Machine
from gemma_notebook.models.resolve import resolve_model
from gemma_notebook.models.store import Store


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEMMA_NOTEBOOK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "site"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def catalogue(home: Path, text: str) -> None:
    (home / "catalogue.toml").write_text(text, encoding="utf-8")


def test_it_knows_the_family_and_tiny():
    assert gn.models().names == (
        "tiny", "gemma3-270m", "gemma3-1b", "gemma3n-e2b", "gemma3n-e4b", "gemma4-e2b", "gemma4-e4b",
        "functiongemma-270m",
    )  # fmt: skip


def test_every_entry_says_what_one_has_to_know():
    for model in gn.models():
        assert model.title and model.licence and model.licence_url.startswith("https://")
        assert model.size_bytes and model.memory_bytes and model.context_tokens and model.abilities
        if model.name != "tiny":
            assert model.file.endswith(".litertlm")
            assert re.fullmatch(r"[0-9a-f]{40}", model.revision), "a revision that cannot change"
            assert model.source == f"https://huggingface.co/{model.repo}"
            assert model.memory_bytes > model.size_bytes
            assert "memory_bytes" in model.unverified


def test_tiny_is_as_the_catalogue_says():
    model = gn.models()["tiny"]
    assert model.path == resolve_model("tiny")
    assert model.installed
    assert model.size_bytes == model.path.stat().st_size
    with gn.load() as manager:
        assert manager.model.context_limit == model.context_tokens


def test_its_repr_is_the_same_on_every_machine_and_it_displays_as_a_table(home: Path):
    before = repr(gn.models())
    assert before.startswith("ModelList(tiny, gemma3-270m, ")
    catalogue(home, '[evil]\ntitle = "<script>alert(1)</script>"\n')
    page = gn.models()._repr_html_()
    assert "<script>" not in page
    assert page.count("<tr>") == len(gn.models()) + 1
    assert "gemma-notebook models pull" in page


def test_a_catalogue_of_ones_own_adds_and_replaces(home: Path):
    catalogue(
        home,
        '[mine]\nrepo = "me/mine"\nfile = "mine.litertlm"\nsize_bytes = 5\nabilities = ["chat"]\ngated = true\n'
        '[gemma3-1b]\ntitle = "Another"\n',
    )
    models = gn.models()
    assert models["mine"].source == "https://huggingface.co/me/mine"
    assert models["mine"].revision == "main"
    assert models["gemma3-1b"].title == "Another"
    with pytest.raises(ModelNotInstalledError, match="models pull mine") as caught:
        gn.load("mine")
    assert caught.value.name == "mine"


def test_the_sites_catalogue_is_for_everyone_and_ones_own_wins(home: Path, tmp_path: Path):
    site = tmp_path / "site" / "gemma_notebook"
    site.mkdir(parents=True)
    catalogue(site, '[a]\ntitle = "site"\n[b]\ntitle = "site"\n')
    catalogue(home, '[b]\ntitle = "mine"\n')
    assert (gn.models()["a"].title, gn.models()["b"].title) == ("site", "mine")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[mine", "is not TOML"),
        ("mine = 1", "a model is a table of fields"),
        ("[mine]\nsize = 1", "unknown field 'size'; the fields are title"),
        ('[mine]\nsize_bytes = "big"', "size_bytes must be a whole number"),
        ("[mine]\nsize_bytes = -1", "size_bytes must be a whole number"),
        ("[mine]\nsize_bytes = true", "size_bytes must be a whole number"),
        ("[mine]\ngated = 1", "gated must be true or false"),
        ("[mine]\ntitle = 1", "title must be text"),
        ('[mine]\nabilities = "chat"', "abilities must be a list of texts"),
        ('[mine]\nabilities = ["fly"]', "abilities must be some of chat"),
        ('[mine]\nsha256 = "abc"', "64 hexadecimal digits"),
        ('[mine]\nrepo = "mine"', "OWNER/NAME"),
        ('[mine]\nrepo = "me/mine"', "repo and file belong together"),
        ('["../up"]\ntitle = "x"', "is no name for a model"),
        ("[mine]\npath = '/etc/passwd'", "unknown field 'path'"),
    ],
)
def test_a_wrong_catalogue_is_told_with_its_place(home: Path, text: str, words: str):
    catalogue(home, text)
    with pytest.raises(OptionValueError, match=re.escape(words)) as caught:
        gn.models()
    assert str(home / "catalogue.toml") in str(caught.value)


def test_a_catalogue_that_cannot_be_read_is_told(home: Path):
    (home / "catalogue.toml").mkdir()
    with pytest.raises(OptionValueError, match="cannot be read"):
        gn.models()


def test_a_sites_catalogue_that_this_user_may_not_read_is_none(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "a file").touch()
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "a file"))  # a path through it is no directory
    assert "tiny" in gn.models().names


def test_without_a_home_a_model_is_loaded_by_its_path_and_a_name_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch,
):
    def no_home(*_: object, **__: object) -> Path:
        raise RuntimeError("could not determine the home directory for '~/.cache'")

    monkeypatch.delenv("GEMMA_NOTEBOOK_HOME")
    for name in ("user_cache_path", "user_data_path"):
        monkeypatch.setattr(platformdirs, name, no_home)
    gn.load(resolve_model("tiny")).close()
    with pytest.raises(StoreError, match="GEMMA_NOTEBOOK_HOME"):
        gn.load("gemma3-1b")


def test_a_note_with_a_context_that_is_no_number_hides_no_model(home: Path):
    models = home / "models"
    models.mkdir()
    (models / "gemma3-270m.litertlm").write_bytes(b"LITERTLM")
    (models / "gemma3-270m.json").write_text('{"weights": "int8", "context_tokens": "2k"}')
    assert gn.models()["gemma3-270m"].context_tokens == 0


def test_a_catalogue_that_is_wrong_does_not_keep_a_model_from_loading(home: Path):
    catalogue(home, "[mine")
    gn.load().close()


def test_a_file_named_tiny_in_the_store_is_not_the_bundled_model(home: Path):
    (home / "models").mkdir()
    (home / "models" / "tiny.litertlm").write_bytes(b"something else")
    assert gn.models()["tiny"].path == resolve_model("tiny")


def test_what_does_not_fit_says_why():
    machine = Machine(memory_bytes=2_000, disk_bytes=1_000)
    assert machine.obstacle(1_999, 999) == ""
    assert machine.obstacle(2_001, 0) == "too little memory"
    assert machine.obstacle(0, 1_001) == "too little disk"
    assert Machine(None, None).obstacle(10**15, 10**15) == ""


def test_the_memory_of_a_container_is_its_limit(monkeypatch, tmp_path: Path):
    limit = tmp_path / "memory.max"
    limit.write_text("1000000\n")
    monkeypatch.setattr("gemma_notebook._cgroups._ROOT", tmp_path)
    monkeypatch.setattr("gemma_notebook._cgroups._OWN_GROUPS", tmp_path / "not in sight")
    assert Machine.here(Store()).memory_bytes == 1_000_000
    assert not gn.models()["gemma3-1b"].fits
    limit.write_text("max\n")
    assert Machine.here(Store()).memory_bytes > 1_000_000


def test_an_estimate_is_marked_as_one():
    row = table_row(gn.models()["gemma3-1b"])
    assert row[2:4] == ("584 MB", "≈ 2.2 GB")
    assert row[1] in ("fits", "too little memory", "too little disk")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, ""),
        (1, "1 kB"),
        (999, "1 kB"),
        (2_255_392, "2.3 MB"),
        (584_417_280, "584 MB"),
        (999_600_000, "1.0 GB"),
    ],
)
def test_sizes_are_written_for_people(count, text):
    assert bytes_text(count) == text


def test_a_list_is_read_by_name_by_number_and_by_slice():
    models = gn.models()
    assert models["tiny"] is models[0]
    assert "tiny" in models and models[0] in models and "nothing" not in models
    assert models[:2].names == ("tiny", "gemma3-270m")
    with pytest.raises(ModelNotFoundError, match="did you mean 'gemma3-1b'"):
        models["gemma3-1B-it"]


def test_nothing_heavy_is_imported_before_it_is_needed():
    script = (
        "import sys, gemma_notebook as gn\ngn.models()\ngn.load().close()\n"
        "print([name for name in ('huggingface_hub', 'click', 'filelock', 'httpx2', 'tqdm') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "[]\n"


@pytest.mark.parametrize("first", ["gn.models", "gn.load().close()", "import gemma_notebook.models.store"])
def test_the_name_models_means_the_same_whatever_was_imported_before(first):
    script = f"import gemma_notebook as gn\n{first}\nprint(gn.models()['tiny'].name)\nfrom gemma_notebook.models import resolve"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "tiny\n"


def test_an_installed_model_is_found_by_name_before_a_file_of_that_name(
    home: Path, monkeypatch, tmp_path: Path
):
    (home / "models").mkdir()
    (home / "models" / "mine.litertlm").write_bytes(b"in the store")
    monkeypatch.chdir(tmp_path)
    Path("mine").write_bytes(b"in the current directory")
    Path("only-here").write_bytes(b"in the current directory")
    assert resolve_model("mine") == home / "models" / "mine.litertlm"
    assert resolve_model("./mine") == tmp_path / "mine"
    assert resolve_model("only-here") == tmp_path / "only-here"


def test_a_name_that_nobody_knows_lists_near_ones():
    with pytest.raises(ModelNotFoundError, match=r"no model 'gema3-1b'; did you mean 'gemma3-1b'"):
        gn.load("gema3-1b")
    with pytest.raises(ModelNotFoundError, match=r"no model 'zzz'; there are tiny, "):
        gn.load("zzz")


def test_entries_are_read_without_looking_at_the_store(home: Path):
    assert not load_entries()["gemma3-1b"].installed
    assert not list(home.iterdir())
