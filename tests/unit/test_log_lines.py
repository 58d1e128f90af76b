"""The lines of the engine's four writers, as messages."""

from __future__ import annotations

import logging

import pytest

from gemma_notebook.engine.logs import LineReader, native_level

ABSL = "0000 00:00:1795532824.186156   11288 "


def read(*lines):
    reader = LineReader()
    return [(m.level, m.text) for m in reader.read(list(lines)) + reader.flush()]


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        (f"I{ABSL}engine.cc:1] Created", logging.DEBUG, "engine.cc:1: Created"),
        (f"W{ABSL}litert_lm_loader.cc:514] Not found", logging.INFO, "litert_lm_loader.cc:514: Not found"),
        (f"E{ABSL}conversation.cc:553] Bad JSON", logging.WARNING, "conversation.cc:553: Bad JSON"),
        (f"F{ABSL}darts.h:9] failed", logging.CRITICAL, "darts.h:9: failed"),
        ("VERBOSE: [a.cc:1] Replacing", logging.DEBUG, "a.cc:1: Replacing"),
        ("<Unknown severity>: [tensor_buffer.cc:2] x", logging.DEBUG, "tensor_buffer.cc:2: x"),
        ("INFO: [environment.cc:36] Creating", logging.DEBUG, "environment.cc:36: Creating"),
        ("WARNING: [npu_registry.cc:34] No NPU", logging.INFO, "npu_registry.cc:34: No NPU"),
        ("ERROR: [delegate_webgpu.cc:359] No", logging.WARNING, "delegate_webgpu.cc:359: No"),
        ("INFO: Created XNNPACK delegate.", logging.DEBUG, "Created XNNPACK delegate."),
        ("Warning: Couldn't load Vulkan: no", logging.INFO, "Couldn't load Vulkan: no"),
        ("Error: device lost", logging.WARNING, "device lost"),
    ],
)
def test_each_writers_line_has_a_level_one_lower_and_its_place(line, level, text):
    assert read(line) == [(level, text)]


def test_a_line_without_a_level_continues_the_message_before():
    assert read(
        f"E{ABSL}engine.cc:854] Failed: INTERNAL",
        "└ ERROR: [a.cc:1]",
        "=== Source Location Trace: ===",
        "",
        "Warning: Couldn't load Vulkan",
        "    at operator() (BackendVk.cpp:368)",
        "",
    ) == [
        (
            logging.WARNING,
            "engine.cc:854: Failed: INTERNAL\n└ ERROR: [a.cc:1]\n=== Source Location Trace: ===",
        ),
        (logging.INFO, "Couldn't load Vulkan\n    at operator() (BackendVk.cpp:368)"),
    ]


def test_what_continues_a_message_that_was_handed_over_has_its_level():
    reader = LineReader()
    reader.read(["ERROR: [a.cc:1] first"])
    reader.flush()
    reader.read(["  second"])
    [rest] = reader.flush()
    assert (rest.level, rest.text) == (logging.WARNING, "  second")


def test_absls_word_about_stderr_is_left_out():
    untrue = "WARNING: Logging before InitGoogle() is written to STDERR"
    assert read("ERROR: [a.cc:1] first", untrue, "second") == [(logging.WARNING, "a.cc:1: first\nsecond")]


def test_nothing_that_a_terminal_obeys_is_left_in_a_message():
    assert read("INFO: [a.cc:1] \x1b[2J\x07 %s \x00 ö\t.") == [
        (logging.DEBUG, "a.cc:1: \\x1b[2J\\x07 %s \\x00 ö\t.")
    ]


@pytest.mark.parametrize(
    ("level", "native"),
    [(5, 0), (logging.DEBUG, 2), (logging.INFO, 3), (logging.WARNING, 4), (logging.ERROR, 5)],
)
def test_the_engine_is_asked_for_what_the_logger_lets_through(level, native, caplog):
    with caplog.at_level(level, "gemma_notebook.engine"):
        assert native_level() == native
