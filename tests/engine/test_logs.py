"""What the engine logs is in Python's logging when the call that caused it returns, and nowhere else."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys

import pytest
from support import threads_inside, wait_until

import gemma_notebook as gn
from gemma_notebook.engine import load_library
from gemma_notebook.models.check import check_model_file
from gemma_notebook.models.resolve import resolve_model

LOGGER = "gemma_notebook.engine"


@pytest.fixture
def texts(caplog):
    """The messages so far of what the engine logged."""
    return lambda: [record.getMessage() for record in caplog.records if record.name == LOGGER]


@pytest.fixture(autouse=True)
def everything(caplog):
    with caplog.at_level(logging.DEBUG, LOGGER):
        yield


# The stub, which prints what it is told.


def test_records_of_a_load_are_there_when_it_returns(fake, make_fake_manager, texts, capfd):
    for number in range(50):
        fake.set(print_engine_create=f"INFO: [engine.cc:{number}] hello")
        make_fake_manager(backend="cpu")
        assert texts()[-1] == f"engine.cc:{number}: hello"
    assert len(texts()) == 50
    assert capfd.readouterr() == ("", "")


def test_records_of_a_failure_are_there_when_it_raises(fake, make_fake_manager, texts):
    fake.set(print_engine_create="ERROR: [engine.cc:1] no", fail_engine_create="1:13:no")
    with pytest.raises(gn.errors.ModelLoadError):
        make_fake_manager(backend="cpu")
    assert texts() == ["engine.cc:1: no"]
    fake.set(print_engine_create=None)
    chat = make_fake_manager(backend="cpu").create_chat()
    fake.set(
        print_conversation_send_message_stream="ERROR: [c.cc:2] bad", fail_conversation_send_message_stream=1
    )
    with pytest.raises(gn.errors.EngineError):
        chat.send("Hello")
    assert texts() == ["engine.cc:1: no", "c.cc:2: bad"]
    fake.set(print_conversation_create="ERROR: [c.cc:3] full", fail_conversation_create="1:13:full")
    with pytest.raises(gn.errors.EngineError):
        chat.reset()
    assert texts()[2:] == ["c.cc:3: full"]


def test_records_of_a_close_are_there_when_it_returns(fake, fake_manager, texts):
    fake.set(print_engine_delete="INFO: [engine.cc:3] bye")
    fake_manager.close()
    assert texts() == ["engine.cc:3: bye"]


def test_what_nobody_waits_for_comes_by_itself(fake, fake_manager, texts):
    fake.set(print_conversation_cancel_process="WARNING: [c.cc:1] cancelled\x1e  and more of it", gate=1)
    chat = fake_manager.create_chat()
    stream = chat.stream("one two three")
    chat.stop()
    wait_until(texts)
    fake.let_go()
    assert stream.reply.finish_reason == "cancelled"
    assert texts() == ["c.cc:1: cancelled\n  and more of it"]


def test_a_record_says_where_it_comes_from(fake, make_fake_manager, caplog):
    fake.set(print_engine_create="E0000 00:00:1795532824.186156   11288 engine.cc:854] Failed %s")
    make_fake_manager(backend="cpu")
    [record] = caplog.records
    assert (record.levelno, record.filename, record.lineno) == (logging.WARNING, "engine.cc", 854)
    assert record.getMessage() == "engine.cc:854: Failed %s"


def test_a_level_that_nobody_hears_is_neither_asked_for_nor_recorded(fake, make_fake_manager, caplog):
    fake.set(print_engine_create="INFO: [engine.cc:1] hello")
    with caplog.at_level(logging.ERROR, LOGGER):
        make_fake_manager(backend="cpu")
    assert not caplog.records
    make_fake_manager(backend="cpu")
    assert [line for line in fake.log if line.startswith("log_level")][-2:] == ["log_level 5", "log_level 2"]


def test_lost_lines_are_counted(fake, fake_manager, texts):
    lines, long = 400, "x" * 2000
    library = load_library(fake.library)
    with library._log._lock:  # nobody takes any
        fake.set(print_set_min_log_level="\x1e".join(f"INFO: [a.cc:{n}] {long}" for n in range(lines)))
        library.lib.gn_set_min_log_level(library.api, 5)
        fake.set(print_set_min_log_level=None)
    library.drain_logs()
    lost, *kept = texts()
    assert lost == f"{lines - len(kept)} lines of the engine's log are lost, because they came too fast"
    assert kept[-1] == f"a.cc:{lines - 1}: {long}"


def test_a_handler_that_fails_fails_no_load(fake, make_fake_manager, caplog):
    def fail(record):
        raise ValueError(record)

    logger = logging.getLogger(LOGGER)
    fake.set(print_engine_create="INFO: [engine.cc:1] hello")
    logger.addFilter(fail)
    try:
        make_fake_manager(backend="cpu")
    finally:
        logger.removeFilter(fail)
    make_fake_manager(backend="cpu")
    assert len(caplog.records) == 1


def test_a_handler_may_use_the_library(fake, fake_manager, make_fake_manager, texts):
    replies = []

    def ask(record):
        if not replies:
            replies.append("")
            replies[0] = fake_manager.create_chat().send("Hello").text
        return True

    logger = logging.getLogger(LOGGER)
    fake.set(print_engine_create="INFO: [engine.cc:1] hello")
    logger.addFilter(ask)
    try:
        make_fake_manager(backend="cpu")
    finally:
        logger.removeFilter(ask)
    assert replies == ["Hello"]
    assert texts() == ["engine.cc:1: hello"]


def test_one_thread_follows_whatever_is_loaded(make_fake_manager):
    for _ in range(3):
        make_fake_manager(backend="cpu")
    assert threads_inside("_follow") == 1


def test_a_forked_child_gets_its_own_records(fake_engine_path, tmp_path):
    model = tmp_path / "stub.litertlm"
    model.write_bytes(b"the stub reads nothing")
    script = f"""
import logging, os, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="%(message)s")
import threading
import gemma_notebook as gn
from gemma_notebook.engine import logs
gn.load({str(model)!r}, backend="cpu", check=False)
held = threading.Event()
threading.Thread(target=lambda: (logs._started._lock.acquire(), held.set(), threading.Event().wait()), daemon=True).start()
held.wait()
child = os.fork()
if child == 0:
    gn.load({str(model)!r}, backend="cpu", check=False).close()
    sys.stdout.flush()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
sys.stdout.flush()
os._exit(0)
"""
    output = run(
        script, GEMMA_NOTEBOOK_ENGINE_LIBRARY=fake_engine_path, FAKE_ENGINE_PRINT_ENGINE_CREATE="hello"
    )
    assert output == ("hello\nhello\n", "", 0)


def test_the_variable_leaves_stderr_as_it_is(fake_engine_path, tmp_path):
    model = tmp_path / "stub.litertlm"
    model.write_bytes(b"the stub reads nothing")
    output = run(
        f"import gemma_notebook as gn; gn.load({str(model)!r}, backend='cpu', check=False)",
        GEMMA_NOTEBOOK_ENGINE_LIBRARY=fake_engine_path,
        GEMMA_NOTEBOOK_ENGINE_LOGS="stderr",
        FAKE_ENGINE_PRINT_ENGINE_CREATE="F0000 1: last words",
    )
    assert output == ("", "F0000 1: last words\n", 0)


def run(script, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script],
        env=os.environ | {name: str(value) for name, value in environment.items()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout, done.stderr, done.returncode


# The real engine.


def test_the_librarys_memory_is_protected_as_it_was():
    script = """
import os
from gemma_notebook.engine import _shim
from gemma_notebook.engine.library import find_library

def mapped():
    with open("/proc/self/maps") as maps:
        return [line for line in maps if line.rstrip().endswith("liblitert-lm.so")]

path = os.fsencode(find_library())
assert _shim.lib.gn_api_open(path, _shim.ffi.NULL)
before = mapped()
assert _shim.lib.gn_logs_capture(path) == 1
print(len(before) > 3, mapped() == before)
"""
    assert run(script) == ("True True\n", "", 0)


def test_the_real_engines_lines_become_records(real_manager, caplog, capfd):
    records = caplog.get_records("setup")
    assert {record.levelno for record in records} == {logging.DEBUG, logging.INFO}
    assert all(record.name == LOGGER for record in records)
    assert any("XNNPACK" in record.getMessage() for record in records)
    assert any(record.filename == "litert_lm_loader.cc" for record in records)
    assert "Ada" in real_manager.create_chat().send("My name is Ada.").text
    assert capfd.readouterr() == ("", "")


def test_a_backend_that_is_not_there_is_explained_in_logging_alone(caplog, capfd):
    with contextlib.suppress(gn.errors.ModelLoadError):
        gn.load(backend="gpu", check=False).close()
    assert capfd.readouterr() == ("", "")
    assert any("GPU" in record.getMessage() for record in caplog.records)


def test_the_last_words_of_an_engine_that_ends_the_process_are_printed(tmp_path):
    damaged = resolve_model("tiny").read_bytes().replace(b"<start_of_turn>", b"<star\0_of_turn>")
    file = tmp_path / "damaged.litertlm"
    file.write_bytes(damaged)
    load = f"import gemma_notebook as gn; gn.load({str(file)!r}, backend='cpu', check=False)"
    output, errors, status = run(load)
    assert (output, status) == ("", -signal.SIGABRT)
    assert errors.startswith("F0000 ")
    assert "darts.h" in errors.splitlines()[0]
    with pytest.raises(gn.errors.ModelLoadError, match=r"SIGABRT: F0000 .*darts\.h"):
        check_model_file(file, "cpu")


QUIET = """
import gemma_notebook as gn, logging, os, subprocess, sys
with gn.load() as manager:
    print(manager.create_chat().send("My name is Ada.").text)
try:
    gn.load(backend="gpu").close()
except gn.errors.ModelLoadError:
    pass
sys.stderr.write("Python's\\n")
os.write(2, b"the descriptor's\\n")
subprocess.run(["sh", "-c", "echo a child\\\\'s >&2"])
"""


def test_without_handlers_nothing_is_printed_and_the_users_own_stderr_is():
    _, errors, status = run(QUIET)
    assert (errors, status) == ("Python's\nthe descriptor's\na child's\n", 0)


def test_many_loads_leave_no_file_open_and_no_thread():
    script = """
import gemma_notebook as gn, logging, os
logging.getLogger("gemma_notebook.engine").setLevel(logging.DEBUG)

def cost():
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

gn.load().close()
first = cost()
for _ in range(30):
    gn.load().close()
print(cost() == first)
"""
    assert run(script) == ("True\n", "", 0)
