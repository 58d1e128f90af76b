"""The compiled extension module, on the fake engine."""

from __future__ import annotations

import gc
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from driver import Shim
from fake_engine import FakeEngine
from fake_engine.build import NATIVE

from gemma_notebook.engine import _shim


def test_the_module_is_built_for_every_later_python() -> None:
    assert Path(_shim.__file__).suffixes == [".abi3", ".so"]


def test_the_module_has_every_name_of_the_header() -> None:
    header = (NATIVE / "shim.h").read_text(encoding="utf-8")
    functions = set(re.findall(r"^[\w *]*?\b(gn_\w+)\(", header, re.MULTILINE))
    constants = set(re.findall(r"^#define (GN_ERROR_\w+)", header, re.MULTILINE))
    assert functions | constants == {name for name in dir(_shim.lib) if name.lower().startswith("gn_")}


def test_text_of_any_kind_arrives_as_it_was(shim: Shim) -> None:
    engine = shim.make_engine()
    chat = shim.make_conversation(engine)
    text = 'Grüße, 世界! 🙂 "quoted" \\ tab\tline\n' + "x" * 100_000
    assert shim.ask(chat, text) == text
    shim.delete(chat, engine)


def test_a_waiting_reader_lets_other_threads_run(
    shim: Shim, fake: FakeEngine, in_thread: Callable[..., Future[Any]]
) -> None:
    fake.set(gate=1)
    engine = shim.make_engine()
    chat = shim.make_conversation(engine)
    reply = in_thread(shim.read, shim.send(chat, "one two"))
    fake.allow(2)  # could not run while a reader that holds the GIL waits for these tokens
    assert reply.result(20) == (["one", " two"], None)
    shim.delete(chat, engine)


def test_two_threads_read_two_streams(
    shim: Shim, fake: FakeEngine, in_thread: Callable[..., Future[Any]]
) -> None:
    gc.collect()
    alive = shim.lib.gn_streams_alive()  # what earlier tests' tracebacks hold
    engine = shim.make_engine()
    chats = [shim.make_conversation(engine) for _ in range(2)]
    for turn in range(20):
        replies = [in_thread(shim.read, shim.send(chat, f"{turn} a b c")) for chat in chats]
        for reply in replies:
            assert reply.result(20) == ([str(turn), " a", " b", " c"], None)
    shim.delete(*chats, engine)
    gc.collect()
    assert shim.lib.gn_streams_alive() <= alive


def test_a_library_path_may_have_any_letters(shim: Shim, tmp_path: Path, fake: FakeEngine) -> None:
    elsewhere = tmp_path / "größe 模型"
    elsewhere.mkdir()
    copy = shutil.copy(fake.library, elsewhere)
    assert Shim(_shim, Path(copy), shim.model).api


def test_an_error_message_is_text_even_when_cut(shim: Shim, fake: FakeEngine) -> None:
    fake.set(fail_engine_create="1:13:" + "€" * 3000)
    with pytest.raises(AssertionError, match="€€€"):
        shim.make_engine()


EXIT_IN_MID_STREAM = """
import os, sys
from pathlib import Path
sys.path[:0] = [{here!r}, {tests!r}]
from driver import Shim
from gemma_notebook.engine import _shim
shim = Shim(_shim, Path({library!r}), Path({model!r}))
chat = shim.make_conversation(shim.make_engine())
stream = shim.send(chat, "word " * 500)
batch = shim.ffi.new("gn_batch *")
assert shim.lib.gn_stream_take(stream, 20.0, batch) == 1
{leave}
"""


@pytest.mark.parametrize("leave", ["pass", "sys.exit(0)", "os._exit(0)"])
def test_the_interpreter_may_exit_in_mid_stream(
    leave: str, shim: Shim, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ENGINE_TOKEN_DELAY_US", "100")
    here = Path(__file__).parent
    code = EXIT_IN_MID_STREAM.format(
        here=str(here), tests=str(here.parent), library=str(fake.library), model=str(shim.model), leave=leave
    )
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
