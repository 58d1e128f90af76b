"""What only shows after very many rounds. Run by ``make soak``, not by ``make test``: it takes some minutes."""

from __future__ import annotations

import random
import subprocess
import sys

import psutil
import pytest

import gemma_notebook as gn
from gemma_notebook.errors import EngineError
from gemma_notebook.models.resolve import resolve_model

pytestmark = pytest.mark.timeout(3600)


def test_ten_thousand_resets_with_a_turn_each_keep_one_handle_and_the_memory_flat(real_manager):
    chat = real_manager.create_chat()
    process = psutil.Process()

    def resident_after(rounds: int) -> int:
        for _ in range(rounds):
            chat.send("My name is Ada.")
            chat.reset()
        return process.memory_info().rss

    before = resident_after(2_000)  # the event list and the allocator fill up
    after = resident_after(10_000)
    counts = real_manager.handles
    assert (counts.live, counts.created - counts.closed) == (1, 1)
    assert after - before <= 2_000_000


def test_two_hundred_processes_end_in_mid_stream_without_a_crash():
    script = (
        "import gemma_notebook as gn, threading, sys\n"
        "stream = gn.load().create_chat().stream('Count to 200.')\n"
        "next(stream)\n"
        "threading.Thread(target=lambda: list(stream), daemon=True).start()\n"
        "if sys.argv[1] == 'os':\n    import os; os._exit(0)\n"
    )
    for number in range(200):
        how = "os" if number % 2 else "sys"
        child = subprocess.run(
            [sys.executable, "-c", script, how], capture_output=True, timeout=60, check=False
        )
        assert (child.returncode, child.stderr) == (0, b""), number


def test_five_hundred_damaged_files_leave_this_process_alive(tmp_path, monkeypatch):
    monkeypatch.setenv("GEMMA_NOTEBOOK_HOME", str(tmp_path / "home"))
    good = resolve_model("tiny").read_bytes()
    chance = random.Random(1)
    loaded = refused = 0
    for number in range(500):
        damaged = bytearray(good)
        if number % 4 == 0:
            del damaged[chance.randrange(1, len(damaged)) :]
        else:
            # The metadata and the tokenizer lie at the front: there a flipped bit does most.
            reach = len(damaged) if number % 2 else 65_536
            for _ in range(2 ** chance.randrange(8)):
                damaged[chance.randrange(reach)] ^= 1 << chance.randrange(8)
        file = tmp_path / "damaged.litertlm"
        file.write_bytes(damaged)
        try:
            gn.load(file).close()
            loaded += 1
        except EngineError:
            refused += 1
    print(f"{loaded} loaded all the same, {refused} refused")
    assert loaded + refused == 500
    assert refused > 100
