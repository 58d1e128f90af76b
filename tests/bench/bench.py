"""Speed, against the official binding, on the same model file and in one run: prints a table and JSON.

    make bench                       # the bundled model
    .venv/bin/python tests/bench/bench.py --model FILE --rounds 20 --json out.json

Every figure is a median over rounds in which the candidates take turns, so that a machine whose speed
drifts drifts for all of them. "GIL held" runs a Python thread that computes all the while, as a busy cell does.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import litert_lm

import gemma_notebook as gn
from gemma_notebook.models.resolve import resolve_model
from gemma_notebook.options import usable_cores

# A reply of some hundred tokens from the bundled model.
PROMPT = "Count to 100."


@contextlib.contextmanager
def gil_held() -> Iterator[None]:
    """A Python thread that computes without pause."""
    stop = threading.Event()

    def compute() -> None:
        number = 0
        while not stop.is_set():
            number = (number * 31 + 7) % 1_000_003

    thread = threading.Thread(target=compute, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Ours:
    """gemma_notebook: chunks collected in C, taken in batches."""

    def __init__(self, model: Path) -> None:
        self.manager = gn.load(model)
        self.chat = self.manager.create_chat()

    def stream(self) -> float:
        """Tokens per second of one streamed reply, as its reader sees it."""
        self.chat.reset()
        return rate(lambda: self.chat.stream(PROMPT))

    def python_time_per_token_us(self) -> float:
        self.chat.reset()
        before = time.thread_time()
        tokens = sum(1 for _ in self.chat.stream(PROMPT))
        return (time.thread_time() - before) / tokens * 1e6

    def reset_idle_ms(self) -> float:
        self.chat.send("My name is Ada.")
        return timed_ms(self.chat.reset)

    def reset_in_mid_reply_ms(self) -> float:
        stream = self.chat.stream(PROMPT)
        next(stream)
        return timed_ms(self.chat.reset)

    def reply_tokens(self) -> int:
        self.chat.reset()
        return self.chat.send(PROMPT).usage.output_tokens


class Official:
    """litert_lm, the vendor's ctypes binding: a Python callback for each token."""

    def __init__(self, model: Path, threads: int | None) -> None:
        backend = litert_lm.Backend.CPU(thread_count=threads) if threads else litert_lm.Backend.CPU()
        self.engine = litert_lm.Engine(str(model), backend=backend, cache_dir=":nocache")

    def stream(self) -> float:
        with self.engine.create_conversation(sampler_config=greedy()) as conversation:
            return rate(lambda: conversation.send_message_async(PROMPT))

    def blocking(self, tokens: int) -> float:
        """Tokens per second of a send without callbacks, whose reply is known to have ``tokens``."""
        with self.engine.create_conversation(sampler_config=greedy()) as conversation:
            start = time.perf_counter()
            conversation.send_message(PROMPT)
            return tokens / (time.perf_counter() - start)


def greedy() -> Any:
    return litert_lm.SamplerConfig(top_k=1, top_p=1.0, temperature=0.8, seed=1)


def rate(send: Callable[[], Iterable[Any]]) -> float:
    """Tokens per second from the send to the end of the stream: one chunk is one token."""
    start = time.perf_counter()
    tokens = sum(1 for _ in send())
    return tokens / (time.perf_counter() - start)


def timed_ms(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) * 1e3


def measure(model: Path, rounds: int) -> dict[str, list[float]]:
    ours, official = Ours(model), Official(model, usable_cores())
    official_default = Official(model, None)
    candidates: dict[str, Callable[[], float]] = {
        "decode, ours": ours.stream,
        "decode, official binding": official.stream,
        "decode, official binding, its own thread count": official_default.stream,
        "blocking send, no callbacks": functools.partial(official.blocking, ours.reply_tokens()),
    }
    figures: dict[str, list[float]] = {name: [] for name in candidates}
    figures |= {f"{name}, GIL held": [] for name in candidates}
    for function in candidates.values():
        function()  # warm up
    for _ in range(rounds):
        for name, function in candidates.items():
            figures[name].append(function())
        with gil_held():
            for name, function in candidates.items():
                figures[f"{name}, GIL held"].append(function())
    for name, function in {
        "Python time per token, ours (µs)": ours.python_time_per_token_us,
        "reset, idle (ms)": ours.reset_idle_ms,
        "reset, in mid-reply (ms)": ours.reset_in_mid_reply_ms,
    }.items():
        figures[name] = [function() for _ in range(rounds * 10)]
    ours.manager.close()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=resolve_model("tiny"))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    litert_lm.set_min_log_severity(litert_lm.LogSeverity.FATAL)
    figures = measure(arguments.model, arguments.rounds)
    rows = {
        name: {"median": statistics.median(values), "min": min(values), "max": max(values)}
        for name, values in figures.items()
    }
    for name, row in rows.items():
        unit = "" if name.endswith(")") else " tokens/s"
        print(f"{name + unit:68} {row['median']:10.2f}  ({row['min']:.2f} to {row['max']:.2f})")
    limit = rows["blocking send, no callbacks"]["median"]
    for name in ("decode, ours", "decode, official binding"):
        for held in ("", ", GIL held"):
            print(f"{name + held + ' / blocking send':68} {rows[name + held]['median'] / limit:10.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"model": str(arguments.model), "figures": rows}, indent=1))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
