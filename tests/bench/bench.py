"""Speed, against the official binding, on the same model file and in one run: prints a table and JSON.

    make bench                       # the bundled model
    make bench-gemma                 # a real Gemma, built first when it is not there
    .venv/bin/python tests/bench/bench.py --model FILE --rounds 20 --json out.json

Candidates take turns within each round, and what is compared is the ratio of two of them in the same round:
a machine whose speed drifts drifts for both. What shall be nearly alike, our streaming and a blocking send, takes turns
several times in each round. Figures are medians, ranges are the 10th and 90th percentile.
"GIL held" runs a Python thread that computes all the while, as a busy cell does. The machine should be idle:
its load is printed, and a decode on two cores feels every other process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import litert_lm

import gemma_notebook as gn
from gemma_notebook.models.resolve import resolve_model
from gemma_notebook.options import usable_cores

# A reply of some seven hundred tokens from the bundled model.
PROMPT = "Count to 200."
CHATS = 8
PAIRS = 3


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

    def __init__(self, model: Path, prompt: str, limit: int | None) -> None:
        self.prompt = prompt
        self.limit = limit
        self.manager = gn.load(model)
        self.chat = self.manager.create_chat(max_output_tokens=limit)
        self.tokens = self.chat.send(prompt).usage.output_tokens

    def stream(self) -> float:
        """Tokens per second of one streamed reply, from the send to its end, as its reader sees it."""
        self.chat.reset()
        return rate(lambda: self.chat.stream(self.prompt), self.tokens)

    def python_time_per_token_us(self) -> float:
        self.chat.reset()
        before = time.thread_time()
        for _ in self.chat.stream(self.prompt):
            pass
        return (time.thread_time() - before) / self.tokens * 1e6

    def reset_idle_ms(self) -> float:
        self.chat.send("Hello", max_output_tokens=8)
        return timed_ms(self.chat.reset)

    def reset_in_mid_reply_ms(self) -> float:
        stream = self.chat.stream(self.prompt)
        next(stream)
        return timed_ms(self.chat.reset)

    def turns_s(self, *, chats: int) -> float:
        """Seconds for two turns in each of eight conversations: one after the other, or all open at once."""
        if chats == 1:
            return sum(timed_ms(lambda: self.talk([None])) for _ in range(CHATS)) / 1e3
        return timed_ms(lambda: self.talk([None] * CHATS)) / 1e3

    def talk(self, places: list[None]) -> None:
        with contextlib.ExitStack() as stack:
            chats = [stack.enter_context(self.manager.open_chat(max_output_tokens=32)) for _ in places]
            for _ in range(2):
                for chat in chats:
                    chat.send(self.prompt)


class Official:
    """litert_lm, the vendor's ctypes binding: a Python callback for each token."""

    def __init__(self, model: Path, prompt: str, limit: int | None, threads: int | None) -> None:
        backend = litert_lm.Backend.CPU(thread_count=threads) if threads else litert_lm.Backend.CPU()
        self.prompt = prompt
        self.limit = limit
        self.engine = litert_lm.Engine(str(model), backend=backend, cache_dir=":nocache")

    def stream(self, tokens: int) -> float:
        with self.conversation() as conversation:
            return rate(lambda: conversation.send_message_async(self.prompt), tokens)

    def blocking(self, tokens: int) -> float:
        """Tokens per second of a send without callbacks, whose reply is known to have ``tokens``."""
        with self.conversation() as conversation:
            return rate(lambda: [conversation.send_message(self.prompt)], tokens)

    def conversation(self) -> Any:
        greedy = litert_lm.SamplerConfig(top_k=1, top_p=1.0, temperature=0.8, seed=1)
        return self.engine.create_conversation(sampler_config=greedy, max_output_tokens=self.limit)


def rate(send: Callable[[], Iterable[Any]], tokens: int) -> float:
    start = time.perf_counter()
    for _ in send():
        pass
    return tokens / (time.perf_counter() - start)


def timed_ms(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) * 1e3


def import_ms() -> float:
    """What ``import gemma_notebook`` adds to the start of a Python that is warm in the page cache."""
    script = "import time; t = time.perf_counter(); import gemma_notebook; print(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return float(done.stdout) * 1e3


@dataclass(frozen=True)
class Figure:
    """One measured thing."""

    name: str
    unit: str
    median: float
    p10: float
    p90: float
    p99: float


@dataclass(frozen=True)
class Goal:
    """A figure, the bound it is held to, and whether it keeps it."""

    name: str
    measured: float
    bound: str
    met: bool


def figure(name: str, unit: str, values: list[float]) -> Figure:
    cuts = statistics.quantiles(values, n=100, method="inclusive") if len(values) > 1 else values * 99
    return Figure(name, unit, statistics.median(values), cuts[9], cuts[89], cuts[98])


class Bench:
    """All measurements of one model, their figures, and the goals that they are held to."""

    def __init__(self, model: Path, prompt: str, limit: int | None, rounds: int) -> None:
        self.rounds = rounds
        self.figures: list[Figure] = []
        self.goals: list[Goal] = []
        self.ours = Ours(model, prompt, limit)
        self.official = Official(model, prompt, limit, usable_cores())
        self.official_default = Official(model, prompt, limit, None)

    def run(self) -> None:
        self.decode()
        self.resets()
        self.switching()
        self.python()
        self.ours.manager.close()

    def decode(self) -> None:
        tokens = self.ours.tokens
        candidates: dict[str, Callable[[], float]] = {
            "ours": self.ours.stream,
            "blocking": lambda: self.official.blocking(tokens),
            "official": lambda: self.official.stream(tokens),
            "default": lambda: self.official_default.stream(tokens),
            "default blocking": lambda: self.official_default.blocking(tokens),
        }
        for function in candidates.values():
            function()  # warm up
        for busy in (False, True):
            rates: dict[str, list[float]] = {name: [] for name in candidates}
            for number in range(self.rounds):
                close, others = ["ours", "blocking"], ["official", "default", "default blocking"]
                turned = number % len(others)
                with gil_held() if busy else contextlib.nullcontext():
                    for pair in range(PAIRS):
                        for name in close if (number + pair) % 2 else reversed(close):
                            rates[name].append(candidates[name]())
                    for name in others[turned:] + others[:turned]:
                        rates[name].append(candidates[name]())
            self.told_rates(rates, ", GIL held" if busy else "")

    def told_rates(self, rates: dict[str, list[float]], state: str) -> None:
        words = {
            "ours": "decode, streamed by us",
            "blocking": "decode, blocking send without callbacks",
            "official": "decode, streamed by the official binding",
            "default": "decode, streamed by the official binding, its own thread count",
            "default blocking": "decode, blocking send, its own thread count",
        }
        for name, values in rates.items():
            self.figures.append(figure(words[name] + state, "tokens/s", values))
        ratios = paired(rates["ours"], rates["blocking"])
        self.figures.append(figure(f"ours / blocking send{state}", "", ratios))
        self.figures.append(
            figure(
                f"official / blocking send{state}", "", paired(rates["official"], rates["blocking"][::PAIRS])
            )
        )
        self.goal(f"streaming / blocking send{state}", statistics.median(ratios), at_least=0.95)
        if not state:
            threads = statistics.median(paired(rates["ours"][::PAIRS], rates["default"]))
            self.goal("ours / official binding with its default threads", threads, at_least=1.1)
            step_ms = 1e3 / statistics.median(rates["ours"])
            self.figures.append(Figure("one decode step", "ms", step_ms, step_ms, step_ms, step_ms))
            self.step_ms = step_ms

    def resets(self) -> None:
        idle = figure(
            "reset, idle", "ms", [self.ours.reset_idle_ms() for _ in range(max(100, 20 * self.rounds))]
        )
        busy = figure(
            "reset, in mid-reply", "ms", [self.ours.reset_in_mid_reply_ms() for _ in range(10 * self.rounds)]
        )
        self.figures += [idle, busy]
        self.goal("reset, idle, median (ms)", idle.median, at_most=1.0)
        self.goal("reset, idle, 99th percentile (ms)", idle.p99, at_most=3.0)
        self.goal(
            "reset, in mid-reply (ms), a decode step and 10 ms", busy.median, at_most=self.step_ms + 10.0
        )

    def switching(self) -> None:
        one, many = [], []
        for _ in range(self.rounds):
            one.append(self.ours.turns_s(chats=1))
            many.append(self.ours.turns_s(chats=CHATS))
        self.figures.append(figure(f"two turns each in {CHATS} chats, one after the other", "s", one))
        self.figures.append(figure(f"the same in {CHATS} chats that are open at once, in turn", "s", many))
        self.goal(
            f"switching among {CHATS} chats / one at a time",
            statistics.median(paired(many, one)),
            at_most=1.1,
        )

    def python(self) -> None:
        spent = figure(
            "Python time per token", "µs", [self.ours.python_time_per_token_us() for _ in range(self.rounds)]
        )
        imported = figure("import gemma_notebook", "ms", [import_ms() for _ in range(self.rounds)])
        self.figures += [spent, imported]
        self.goal("Python time per token (µs)", spent.median, at_most=30.0)
        self.goal("import gemma_notebook (ms)", imported.median, at_most=50.0)

    def goal(
        self, name: str, measured: float, *, at_least: float | None = None, at_most: float | None = None
    ) -> None:
        if at_least is not None:
            self.goals.append(Goal(name, measured, f">= {at_least:g}", measured >= at_least))
        elif at_most is not None:
            self.goals.append(Goal(name, measured, f"<= {at_most:.4g}", measured <= at_most))


def paired(one: list[float], other: list[float]) -> list[float]:
    """The ratios of what was measured in the same round."""
    return [a / b for a, b in zip(one, other, strict=True)]


def table(bench: Bench) -> str:
    lines = [f"{'':66} {'median':>9} {'10 %':>9} {'90 %':>9} {'99 %':>9}"]
    for row in bench.figures:
        name = f"{row.name} ({row.unit})" if row.unit else row.name
        lines.append(f"{name:66} {row.median:9.2f} {row.p10:9.2f} {row.p90:9.2f} {row.p99:9.2f}")
    lines.append("")
    for goal in bench.goals:
        verdict = "met" if goal.met else "MISSED"
        lines.append(f"{goal.name:66} {goal.measured:9.3f}  {goal.bound:10} {verdict}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=resolve_model, default="tiny", help="a name or a file")
    parser.add_argument("--prompt", default=PROMPT)
    parser.add_argument("--limit", type=int, help="tokens of a reply, for models that do not know an end")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    litert_lm.set_min_log_severity(litert_lm.LogSeverity.FATAL)
    load = os.getloadavg()
    bench = Bench(arguments.model, arguments.prompt, arguments.limit, arguments.rounds)
    bench.run()
    print(
        f"{arguments.model.name} on {usable_cores()} cores, {bench.ours.tokens} tokens a reply; load {load[0]:.1f}\n"
    )
    print(table(bench))
    if arguments.json:
        record = {
            "model": str(arguments.model),
            "machine": platform.machine(),
            "cores": usable_cores(),
            "load_before": load,
            "reply_tokens": bench.ours.tokens,
            "figures": [asdict(row) for row in bench.figures],
            "goals": [asdict(goal) for goal in bench.goals],
        }
        arguments.json.write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
