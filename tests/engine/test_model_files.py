"""``gn.load`` with anything but a good file: one sentence with the remedy, and a process that lives on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from unittest import mock

import filelock
import pytest
from support import WAIT_S, threads_inside, wait_until

import gemma_notebook as gn
from gemma_notebook.errors import (
    CacheDirectoryError,
    EngineError,
    LibraryLoadError,
    ModelLoadError,
    ModelNotFoundError,
    OptionValueError,
)
from gemma_notebook.models.check import check_model_file
from gemma_notebook.models.resolve import resolve_model

TINY = resolve_model("tiny")


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("GEMMA_NOTEBOOK_HOME", str(tmp_path / "home"))


@pytest.fixture
def model(tmp_path):
    copy = tmp_path / "model.litertlm"
    copy.write_bytes(TINY.read_bytes())
    return copy


def test_a_file_anywhere_loads_and_answers(model):
    with gn.load(model) as manager:
        assert manager.model.name == "model"
        assert manager.model.size_bytes == model.stat().st_size
        assert "Ada" in manager.create_chat().send("My name is Ada.").text
    with gn.load(str(model), check=False) as manager:
        assert manager.create_session().send("My name is Ada.").text


def test_nothing_is_written_beside_the_model(model):
    before = set(model.parent.iterdir())
    with gn.load(model, check=False) as manager:
        manager.create_chat().send("My name is Ada.")
    assert set(model.parent.iterdir()) == before


def test_a_missing_path_is_named_and_is_a_file_not_found_error(tmp_path):
    missing = tmp_path / "nowhere.litertlm"
    with pytest.raises(ModelNotFoundError, match="nowhere.litertlm.*check the path") as caught:
        gn.load(missing)
    assert isinstance(caught.value, FileNotFoundError)


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(ModelLoadError, match="is a directory; give the path of the .litertlm file"):
        gn.load(tmp_path)


def test_an_empty_file_is_refused(tmp_path):
    empty = tmp_path / "empty.litertlm"
    empty.touch()
    with pytest.raises(ModelLoadError, match="is empty"):
        gn.load(empty)


@pytest.mark.parametrize("check", [True, False])
def test_a_file_that_is_no_model_is_refused_with_the_engines_code_and_words(tmp_path, check):
    text = tmp_path / "text.litertlm"
    text.write_text("This is not a model. " * 1000)
    with pytest.raises(ModelLoadError, match=r"engine code 3") as caught:
        gn.load(text, check=check)
    assert caught.value.code == 3
    assert caught.value.operation == "load"


def test_damaged_files_are_refused_or_load_and_never_end_this_process(tmp_path):
    good = TINY.read_bytes()
    chance = random.Random(7)
    for number in range(12):
        damaged = bytearray(good)
        if number % 3 == 0:
            del damaged[chance.randrange(1, len(damaged)) :]
        else:
            for _ in range(1 + number * 8):
                damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        file = tmp_path / f"damaged-{number}.litertlm"
        file.write_bytes(damaged)
        try:
            gn.load(file).close()
        except EngineError as error:
            assert "engine code" in str(error) or "end its process" in str(error)


def test_a_file_that_aborts_the_engine_is_an_error_here(fake_engine_path, model, monkeypatch):
    monkeypatch.setenv("GEMMA_NOTEBOOK_ENGINE_LIBRARY", str(fake_engine_path))
    monkeypatch.setenv("FAKE_ENGINE_CRASH_ON_LOAD", "1")
    with pytest.raises(ModelLoadError, match="made the engine end its process .SIGABRT"):
        check_model_file(model, "cpu")


def test_a_machine_without_memory_is_not_blamed_on_the_file(model, monkeypatch):
    run = subprocess.run

    def killed(*given, **options):
        child = run(*given, **options)
        return subprocess.CompletedProcess(child.args, -signal.SIGKILL, b"opening\n", b"")

    monkeypatch.setattr(subprocess, "run", killed)
    with pytest.raises(ModelLoadError, match="was killed, most often because the machine had no memory left"):
        check_model_file(model, "cpu")


def test_a_wrong_option_is_not_blamed_on_the_file(model):
    with pytest.raises(OptionValueError, match="context_tokens=10000000 is more than"):
        gn.load(model, context_tokens=10**7)


def test_a_missing_engine_is_not_blamed_on_the_file(model, tmp_path, monkeypatch):
    monkeypatch.setenv("GEMMA_NOTEBOOK_ENGINE_LIBRARY", str(tmp_path / "missing.so"))
    with pytest.raises(LibraryLoadError):
        gn.load(model)


def test_a_module_in_the_notebooks_folder_is_not_blamed_on_the_file(model, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise RuntimeError('not the real one')")
    monkeypatch.chdir(tmp_path)
    check_model_file(model, "cpu")
    assert list((tmp_path / "home").iterdir()), "the file was not tried"


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.litertlm")
    with pytest.raises(ModelLoadError, match="is not a file"):
        gn.load(tmp_path / "pipe.litertlm")


def test_a_home_directory_of_nobody_is_a_missing_file():
    with pytest.raises(ModelNotFoundError, match="~nobody-at-all"):
        gn.load("~nobody-at-all/model.litertlm")


def test_a_good_verdict_is_remembered_until_the_file_changes(model, monkeypatch):
    children = []
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: children.append(a) or run(*a, **k))
    for _ in range(2):
        check_model_file(model, "cpu")
    assert len(children) == 1
    model.write_bytes(TINY.read_bytes() + b"\0")
    check_model_file(model, "cpu")
    assert len(children) == 2


def test_a_cache_directory_that_cannot_be_used_is_refused(model, tmp_path):
    with pytest.raises(CacheDirectoryError, match="is not a directory"):
        gn.load(model, cache_dir=tmp_path / "missing", check=False)
    with pytest.raises(CacheDirectoryError, match="cannot be written") as caught:
        gn.load(model, cache_dir="/proc", check=False)
    assert isinstance(caught.value, ModelLoadError)
    assert isinstance(caught.value, ValueError)


def test_a_cache_directory_whose_lock_is_anothers_is_refused(model, tmp_path):
    (tmp_path / ".gemma_notebook.lock").mkdir()  # as little to be opened as another user's file
    with pytest.raises(CacheDirectoryError, match="its lock cannot be had.*give a directory of your own"):
        gn.load(model, cache_dir=tmp_path, check=False)


def test_a_cache_directory_is_used(model, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    with gn.load(model, cache_dir=cache, check=False):
        assert list(cache.glob("*.xnnpack_cache"))


def test_a_cache_directory_is_filled_by_one_process_at_a_time(model, tmp_path, in_thread):
    cache = tmp_path / "cache"
    cache.mkdir()
    with filelock.FileLock(cache / ".gemma_notebook.lock"):  # as the other process holds it
        loading = in_thread(gn.load, model, cache_dir=cache, check=False)
        wait_until(lambda: threads_inside("_cache_lock") == 1)
        assert not list(cache.glob("*.xnnpack_cache"))
    loading.result(WAIT_S).close()
    assert list(cache.glob("*.xnnpack_cache"))


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"backend": "tpu"}, ValueError, "unknown backend 'tpu'; use one of 'auto', 'cpu'"),
        ({"backend": 3}, TypeError, "backend must be one of"),
        ({"context_tokens": 3}, ValueError, "context_tokens=3 is out of range"),
        ({"context_tokens": 10**7}, ValueError, "context_tokens=10000000 is more than"),
        ({"context_tokens": "many"}, TypeError, "context_tokens must be a whole number"),
        ({"threads": 0}, ValueError, "threads=0 is out of range"),
        ({"threads": True}, TypeError, "threads must be a whole number"),
        ({"vision_backend": "auto"}, ValueError, "unknown vision_backend"),
        ({"lora_rank": -1}, ValueError, "lora_rank=-1"),
        ({"max_sessions": 0}, ValueError, "max_sessions=0"),
        ({"max_sessions": 1.5}, TypeError, "max_sessions must be"),
        ({"cache_dir": 5}, TypeError, "cache_dir must be a path"),
        ({"check": "no"}, TypeError, "check must be True or False"),
    ],
)
def test_a_wrong_option_of_load_is_named_with_its_value(options, kind, words):
    with pytest.raises(kind, match=words) as caught:
        gn.load(**options)
    assert isinstance(caught.value, gn.errors.GemmaNotebookError)


@pytest.mark.parametrize("model", [None, 3, b"bytes"])
def test_a_model_that_is_no_path_is_a_type_error(model):
    with pytest.raises(TypeError, match="model must be a path"):
        gn.load(model)


def test_an_unknown_name_says_that_there_is_no_such_file():
    with pytest.raises(ModelNotFoundError, match="gemma3-1b"):
        gn.load("gemma3-1b")


def test_a_backend_that_this_machine_lacks_is_an_error_with_the_engines_words(fake, make_fake_manager):
    with pytest.raises(ModelLoadError, match="load failed"):
        make_fake_manager(backend="gpu")


def test_auto_tries_the_gpu_then_the_cpu_and_keeps_the_reason(fake, make_fake_manager):
    manager = make_fake_manager(backend="auto")
    assert manager.active_backend == "cpu"
    assert list(manager.refused_backends) == ["gpu"]
    assert "load failed" in manager.refused_backends["gpu"]
    manager.close()
    fake.set(backends="cpu,gpu")
    manager = make_fake_manager(backend="auto")
    assert manager.active_backend == "gpu"
    assert manager.refused_backends == {}


def test_auto_reports_the_last_reason_when_no_backend_takes_the_file(fake, make_fake_manager):
    fake.set(fail_engine_create="-1:3:no such section")
    with pytest.raises(ModelLoadError, match="no such section"):
        make_fake_manager(backend="auto")


def test_a_library_that_is_none_is_refused(tmp_path, monkeypatch):
    library = tmp_path / "liblitert-lm.so"
    library.write_text("not a library")
    monkeypatch.setenv("GEMMA_NOTEBOOK_ENGINE_LIBRARY", str(library))
    with pytest.raises(LibraryLoadError, match="check or unset GEMMA_NOTEBOOK_ENGINE_LIBRARY"):
        gn.load()


def test_the_threads_are_the_cores_that_this_process_may_use(fake, make_fake_manager):
    manager = make_fake_manager()
    assert int(fake.options("engine", 1)["num_threads"]) <= len(os.sched_getaffinity(0))
    manager.close()
    make_fake_manager(threads=3)
    assert fake.options("engine", 2)["num_threads"] == "3"


def test_the_bundled_model_is_small_and_says_what_it_is():
    assert TINY.stat().st_size <= 6_000_000
    assert (TINY.parent / "MODEL_CARD.md").is_file()
    with gn.load() as manager:
        assert manager.model.name == "tiny"
        assert manager.model.context_limit >= 1024
        assert manager.active_backend == "cpu"


def test_loading_prints_nothing(model):
    script = (
        f"import gemma_notebook as gn; m = gn.load({str(model)!r}); m.create_chat().send('Hello'); m.close()"
    )
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert child.stdout == b""
    assert child.stderr == b""


def test_loading_by_a_relative_path_works(model, monkeypatch):
    monkeypatch.chdir(model.parent)
    gn.load(Path(model.name), check=False).close()


def test_two_loads_into_one_cache_directory_at_once_do_not_meet(tmp_path):
    from gemma_notebook.engine.engine import _check_cache_dir
    from gemma_notebook.options import EngineOptions

    options = EngineOptions(tmp_path / "model.litertlm", cache_dir=tmp_path)
    loads = [
        threading.Thread(target=lambda: [_check_cache_dir(options) for _ in range(100)]) for _ in range(3)
    ]
    failed = []
    with mock.patch.object(threading, "excepthook", failed.append):
        for load in loads:
            load.start()
        for load in loads:
            load.join()
    assert failed == []
    assert list(tmp_path.iterdir()) == []


def test_an_engine_of_another_package_is_told_by_its_place(monkeypatch):
    from gemma_notebook.engine import library

    def missing(name):
        raise library.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.delenv(library.LIBRARY_VARIABLE, raising=False)
    monkeypatch.setattr(library.importlib.metadata, "version", missing)
    with pytest.raises(LibraryLoadError, match="not from the package litert-lm-api"):
        library.find_library()
    monkeypatch.setenv(library.LIBRARY_VARIABLE, "liblitert-lm.so")
    assert library.find_library().is_absolute()
