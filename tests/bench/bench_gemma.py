"""Speed with a real Gemma, against the official binding, in one run: prints tables and JSON.

    make bench-gemma                                  # builds the model first, when it is not there
    make bench-gemma GEMMA=FILE BENCH_ARGS="--rounds 10"

The candidates take turns in every round, so that a machine whose speed drifts drifts for all of them; the ratios
are those of the same round. All decode the same 64 tokens of the same greedy reply. "GIL held" runs a Python thread
that computes all the while, as a busy cell does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import litert_lm
from bench import gil_held

import gemma_notebook as gn
from gemma_notebook.models.resolve import resolve_model
from gemma_notebook.options import usable_cores

PROMPT = "Go on: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,"
TOKENS = 64


def greedy() -> Any:
    """The sampling that our sessions have by default."""
    return litert_lm.SamplerConfig(top_k=1, top_p=1.0, temperature=0.8, seed=1)


def rate(chunks: Iterable[Any]) -> float:
    """Tokens per second from the first to the last, as the reader sees them."""
    times = [time.perf_counter() for _ in chunks]
    return (TOKENS - 1) / (times[-1] - times[0])


class Candidates:
    """Both bindings with the same file, threads and sampling."""

    def __init__(self, model: Path, cache_dir: str) -> None:
        self.manager = gn.load(model, backend="cpu", check=False, cache_dir=cache_dir)
        self.chat = self.manager.create_chat(max_output_tokens=TOKENS)
        cpu = litert_lm.Backend.CPU(thread_count=usable_cores())
        self.engine = litert_lm.Engine(str(model), backend=cpu, cache_dir=cache_dir)

    def ours(self) -> float:
        self.chat.reset()
        return rate(self.chat.stream(PROMPT))

    def official(self) -> float:
        with self.engine.create_conversation(sampler_config=greedy()) as conversation:
            return rate(conversation.send_message_async(PROMPT, max_output_tokens=TOKENS))

    def blocking(self) -> float:
        """A send without callbacks. Its prefill is taken out by the difference to a reply of one token."""
        return (TOKENS - 1) / (self._blocking_s(TOKENS) - self._blocking_s(1))

    def _blocking_s(self, tokens: int) -> float:
        with self.engine.create_conversation(sampler_config=greedy()) as conversation:
            start = time.perf_counter()
            conversation.send_message(PROMPT, max_output_tokens=tokens)
            return time.perf_counter() - start


def measure(candidates: Candidates, rounds: int) -> dict[str, list[float]]:
    functions: dict[str, Callable[[], float]] = {
        "ours, streaming": candidates.ours,
        "official binding, streaming": candidates.official,
        "official binding, blocking send": candidates.blocking,
    }
    figures: dict[str, list[float]] = {
        f"{name}{held}": [] for held in ("", ", GIL held") for name in functions
    }
    for function in functions.values():
        function()  # warm up
    for _ in range(rounds):
        for name, function in functions.items():
            figures[name].append(function())
        with gil_held():
            for name, function in functions.items():
                figures[f"{name}, GIL held"].append(function())
    return figures


def ratios(figures: dict[str, list[float]]) -> dict[str, list[float]]:
    """Ours over the official binding's, round by round."""
    return {
        f"ours / official{held}": [
            ours / other
            for ours, other in zip(
                figures[f"ours, streaming{held}"], figures[f"official binding, streaming{held}"], strict=True
            )
        ]
        for held in ("", ", GIL held")
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=os.environ.get("GEMMA_NOTEBOOK_TEST_MODEL", "gemma3-270m"))
    parser.add_argument("--cache-dir", default=os.environ.get("GEMMA_NOTEBOOK_TEST_CACHE", ":nocache"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    litert_lm.set_min_log_severity(litert_lm.LogSeverity.FATAL)
    candidates = Candidates(resolve_model(arguments.model), arguments.cache_dir)
    before = os.getloadavg()
    figures = measure(candidates, arguments.rounds)
    own = gn.benchmark(candidates.manager, rounds=arguments.rounds)
    candidates.manager.close()
    paired = ratios(figures)
    print(f"load average {before[0]:.1f} before, {os.getloadavg()[0]:.1f} after")
    for name, values in (figures | paired).items():
        unit = "" if name in paired else " tokens/s"
        print(f"{name + unit:56} {statistics.median(values):8.2f}  ({min(values):.2f} to {max(values):.2f})")
    print(own)
    result = {
        "load": [before[0], os.getloadavg()[0]],
        "figures": figures,
        "ratios": paired,
        "own": own.to_dict(),
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))
    else:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
