"""``gn.load`` of what cannot be loaded, in a kernel: a typed error in one sentence, and a kernel that lives on."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from live_kernel import LiveKernel

from gemma_notebook.models.resolve import resolve_model


def missing(folder: Path) -> str:
    return f"gn.load({str(folder / 'nowhere.litertlm')!r})"


def directory(folder: Path) -> str:
    return f"gn.load({str(folder)!r})"


def empty(folder: Path) -> str:
    return _load_file(folder, b"")


def no_model(folder: Path) -> str:
    return _load_file(folder, b"This is not a model. " * 1000)


def truncated(folder: Path) -> str:
    good = resolve_model("tiny").read_bytes()
    return _load_file(folder, good[: len(good) // 2])


def flipped_bytes(folder: Path) -> str:
    damaged = bytearray(resolve_model("tiny").read_bytes())
    for place in range(64, 4096, 7):
        damaged[place] ^= 0xFF
    return _load_file(folder, bytes(damaged))


def unwritable_cache(folder: Path) -> str:
    file = folder / "file"
    file.touch()
    return f"gn.load(cache_dir={str(file)!r})"


def unknown_backend(_: Path) -> str:
    return "gn.load(backend='quantum')"


def nonsense_context(_: Path) -> str:
    return "gn.load(context_tokens=-5)"


def nonsense_threads(_: Path) -> str:
    return "gn.load(threads='many')"


def unknown_option(_: Path) -> str:
    return "gn.load(colour='red')"


def not_a_path(_: Path) -> str:
    return "gn.load(42)"


def _load_file(folder: Path, content: bytes) -> str:
    file = folder / "model.litertlm"
    file.write_bytes(content)
    return f"gn.load({str(file)!r})"


CASES = [
    (missing, "ModelNotFoundError", "nowhere.litertlm.*; check the path"),
    (directory, "ModelLoadError", "is a directory; give the path of the .litertlm file"),
    (empty, "ModelLoadError", "is empty; download or copy it again"),
    (no_model, "ModelLoadError", "engine code 3.*; check that"),
    (truncated, "ModelLoadError", "check that .*model.litertlm. is a whole|download it again"),
    (flipped_bytes, "ModelLoadError", "check that .*model.litertlm. is a whole|download it again"),
    (unwritable_cache, "CacheDirectoryError", "file"),
    (unknown_backend, "OptionValueError", "unknown backend 'quantum'; use one of"),
    (nonsense_context, "OptionValueError", "context_tokens=-5 is out of range; use"),
    (nonsense_threads, "OptionTypeError", "threads must be a whole number or None, not 'many'"),
    (unknown_option, "TypeError", "colour"),
    (not_a_path, "OptionTypeError", "model must be a path or a name.* not 42"),
]


@pytest.mark.parametrize(("code", "kind", "words"), CASES, ids=[case[0].__name__ for case in CASES])
def test_the_error_says_what_to_do_and_the_kernel_lives_on(
    code: Callable[[Path], str], kind: str, words: str, kernel: LiveKernel, tmp_path: Path
):
    kernel.run(f"import os; os.environ['GEMMA_NOTEBOOK_HOME'] = {str(tmp_path / 'home')!r}")
    cell = kernel.try_to_run(code(tmp_path))
    assert cell.error is not None
    assert cell.error[0] == kind
    assert re.search(words, cell.error[1], re.DOTALL)
    assert len(cell.error[1].splitlines()) == 1

    answer = kernel.run(
        "with gn.load() as manager: print(manager.create_chat().send('My name is Ada.').text)"
    )
    assert "Ada" in answer.text
