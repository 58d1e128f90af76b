"""A short, repeatable run of the fuzzer; ``make fuzz`` has the long one."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzzing import NATIVE, build_fuzzer, run_fuzzer

REPEATABLE = ("-runs=20000", "-seed=1")


def test_a_reader_gets_what_the_engine_sent_whatever_it_sends(tmp_path: Path) -> None:
    done = run_fuzzer(build_fuzzer(tmp_path), *REPEATABLE)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("buffer->size + size)) {", "buffer->size + size - 1)) {"),
        ("free_buffer.size = 0;", ""),
        ("if (stream->ended) {\n        stream->stats.late_events++;", "if (false) {"),
        ("drop(stream, ended_before ? 1 : 2, 0);", "drop(stream, ended_before ? 2 : 2, 0);"),
        ("stream->unread || stream->lost_chunks", "stream->unread"),
    ],
)
def test_the_fuzzer_finds_a_broken_buffer(right: str, wrong: str, tmp_path: Path) -> None:
    source = (NATIVE / "streams.c").read_text(encoding="utf-8")
    assert source.count(right) == 1
    broken = tmp_path / "streams.c"
    broken.write_text(source.replace(right, wrong), encoding="utf-8")
    assert run_fuzzer(build_fuzzer(tmp_path, broken), *REPEATABLE).returncode > 0
