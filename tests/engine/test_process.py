"""What happens to the engine when the process ends, forks, or forgets: no hang, no crash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

START = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import gemma_notebook as gn, os, threading
from support import load_test_model
manager = load_test_model()
chat = manager.create_chat()
stream = chat.stream("My name is Ada.")
next(stream)
"""


def run(script, code=0):
    # From Python 3.12 on a fork beside threads is warned of, which is what these tests are about.
    quiet = "ignore:This process:DeprecationWarning"
    child = subprocess.run(
        [sys.executable, "-W", quiet, "-c", START + script], capture_output=True, timeout=60, check=False
    )
    assert (child.returncode, child.stderr.decode()) == (code, "")
    return child.stdout.decode()


@pytest.mark.parametrize("_", range(5))
def test_a_process_ends_cleanly_in_mid_stream(_):
    run("")


def test_sys_exit_and_os_exit_in_mid_stream_end_at_once():
    run("sys.exit(3)", 3)
    run("os._exit(4)", 4)


def test_a_daemon_thread_in_mid_stream_does_not_keep_the_process():
    run("threading.Thread(target=lambda: list(stream), daemon=True).start()")


def test_a_process_with_a_panel_ends():
    run("panel = gn.ChatPanel(manager)")
    run("panel = gn.ChatPanel(chat); panel.close()")


def test_a_forked_child_gets_an_error_and_ends_and_the_parent_goes_on():
    script = """
child = os.fork()
if child == 0:
    try:
        chat.send("What is my name?")
    except gn.errors.ClosedError as error:
        assert "forked" in str(error)
        manager.close()
        os._exit(7)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
list(stream)
print(chat.send("What is my name?").text)
"""
    assert "Ada" in run(script)


def test_a_forked_child_neither_waits_for_a_reply_of_its_parent_nor_pretends_to_reset():
    script = """
child = os.fork()
if child == 0:
    for use in (lambda: list(stream), lambda: stream.reply, chat.reset):
        try:
            use()
        except gn.errors.ClosedError as error:
            assert "forked" in str(error)
        else:
            os._exit(1)
    del stream, chat, manager
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
print(len(list(stream)) > 0)
"""
    assert run(script) == "True\n"


def test_a_handle_whose_end_never_comes_is_given_up_and_everyone_told(fake_engine_path, tmp_path):
    model = tmp_path / "stub.litertlm"
    model.write_bytes(b"the stub reads nothing")
    script = f"""
import contextlib, gemma_notebook as gn, threading
from gemma_notebook.engine import conversation
conversation.TERMINAL_TIMEOUT_S = 0.3
manager = gn.load({str(model)!r}, check=False)
chat, other = manager.open_chat(), manager.open_chat()
stream = chat.stream("Hello")

def talk():
    with contextlib.suppress(gn.errors.EngineError):
        other.send("Hello")

waiting = threading.Thread(target=talk)
waiting.start()
chat.stop()
try:
    stream.reply
except gn.errors.EngineError as error:
    print("given up" in str(error) or "lost" in str(error))
other.stop()
waiting.join()
try:
    manager.close()
except gn.errors.EngineError as error:
    print("given up" in str(error))
print(manager.closed)
"""
    environment = {
        **os.environ,
        "GEMMA_NOTEBOOK_ENGINE_LIBRARY": str(fake_engine_path),
        "FAKE_ENGINE_NEVER_FINISH": "1",
        "FAKE_ENGINE_STRICT": "1",  # ends the process when the engine is deleted under the lost handle
    }
    child = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        timeout=60,
        check=False,
        env=environment,
        text=True,
    )
    assert (child.stdout.split(), child.returncode) == (["True", "True", "True"], 0), child.stderr


def test_a_fresh_process_gives_the_same_reply_as_a_reset(real_manager):
    fresh = run("chat.reset(); print(chat.send('What is my name?').text)").strip()
    chat = real_manager.create_chat()
    assert chat.send("What is my name?").text == fresh
    chat.send("My name is Ada.")
    chat.reset()
    assert chat.send("What is my name?").text == fresh


def test_importing_the_package_imports_neither_jupyter_nor_the_engine():
    script = (
        "import sys, gemma_notebook\n"
        "loaded = {'anywidget', 'ipywidgets', 'IPython', 'traitlets', 'cffi', 'litert_lm'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_chatting_needs_no_jupyter():
    script = (
        "import sys, gemma_notebook as gn\n"
        "gn.load().create_chat().send('Hello')\n"
        "loaded = {'anywidget', 'ipywidgets', 'IPython', 'traitlets', 'litert_lm'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_forked_child_waits_for_no_lock_that_another_thread_of_its_parent_holds(fake_engine_path, tmp_path):
    model = tmp_path / "stub.litertlm"
    model.write_bytes(b"the stub reads nothing")
    script = f"""
import contextlib, sys, os, threading
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import fake_engine, gemma_notebook as gn
from gemma_notebook.engine import library
fake = fake_engine.FakeEngine({str(fake_engine_path)!r})
manager = gn.load({str(model)!r}, backend="cpu", check=False)
chat = manager.create_chat()
conversation = chat.session._holding.conversation
fake.set(hold_engine_tokenize="1")
threading.Thread(target=manager.count_tokens, args=("x",), daemon=True).start()
fake.wait("engine_tokenize", 1)
held, let_go = threading.Event(), threading.Event()

def hold():
    ours = library._libraries_lock, manager._engine.ledger._lock, conversation._life.lock
    mine = chat.session._lock, manager._changed, manager._queue._changed
    with contextlib.ExitStack() as locks:
        for lock in (*ours, *mine):
            locks.enter_context(lock)
        held.set()
        let_go.wait()

threading.Thread(target=hold, daemon=True).start()
held.wait()
child = os.fork()
if child == 0:
    for use in (lambda: manager.count_tokens("x"), lambda: chat.send("x"), chat.reset):
        try:
            use()
        except gn.errors.ClosedError as error:
            assert "forked" in str(error), error
        else:
            os._exit(1)
    library.load_library(fake.library)
    chat.close()
    manager.close()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
let_go.set()
fake.set(hold_engine_tokenize=None)
assert chat.send("Hello").text
"""
    subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "GEMMA_NOTEBOOK_ENGINE_LIBRARY": str(fake_engine_path)},
        timeout=60,
        check=True,
    )
