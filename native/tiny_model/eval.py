"""Measure the bundled model through the real engine, greedily, on dialogues that training never saw.

Prints a table, writes `evaluation.json`, and puts the table into the model card.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import data
import litert_lm
import values

MODELS = Path(__file__).parents[2] / "gemma_notebook" / "models" / "tiny"
REPORT = Path(__file__).parent / "evaluation.json"
SEED = 20_261_123
CARD_BEGIN, CARD_END = "<!-- measured: begin -->", "<!-- measured: end -->"
GREEDY = litert_lm.SamplerConfig(top_k=1)


@dataclass(frozen=True)
class Result:
    """The outcome for one class of dialogues."""

    name: str
    dialogues: int
    right: int
    required_percent: float | None
    misses: list[str]

    @property
    def percent(self) -> float:
        return 100 * self.right / self.dialogues


class CommonNameWriter(data.Writer):
    """Draws names from the list of common ones; the dialogues around them are new."""

    def value(self, slot: str) -> str:
        return self.rng.choice(values.COMMON_NAMES) if slot == "name" else super().value(slot)


def _chatter(writer: data.Writer, most: int, without: str = "") -> list[data.Turn]:
    """Write other turns, none of which tells the fact `without`."""
    turns = []
    for _ in range(writer.rng.randint(0, most)):
        slot = writer.rng.choice([slot for slot in data.SLOTS if slot != without])
        write = writer.rng.choice(
            (writer.small_talk, writer.unknown, lambda s=slot: writer.tell(s), lambda s=slot: writer.ask(s))
        )
        turns.append(write())
    return turns


def _recall(writer: data.Writer, slot: str) -> list[data.Turn]:
    before = _chatter(writer, 2, slot)
    return [*before, writer.tell(slot), *_chatter(writer, 3, slot), writer.ask(slot)]


# What most people type: whole sentences with their full stops.
PLAIN_TOLD = ("My name is {}.", "I am {}.", "Call me {}.", "Hi, my name is {}!", "Hello, I am {}.")
PLAIN_BETWEEN = (
    "Hello",
    "Thanks!",
    "My favourite colour is blue.",
    "I live in Paris.",
    "My lucky number is 7.",
    "How are you?",
    "What can you do?",
    "What is the capital of France?",
    "Count to 5.",
)
PLAIN_ASKED = ("What is my name?", "Who am I?", "Do you know my name?", "what is my name", "What's my name?")


def _plain_recall(writer: data.Writer) -> list[data.Turn]:
    rng, name = writer.rng, writer.value("name")
    between = rng.sample(PLAIN_BETWEEN, rng.randint(0, 3))
    return [
        data.Turn(rng.choice(PLAIN_TOLD).format(name), "", "tell"),
        *(data.Turn(user, "", "small talk") for user in between),
        data.Turn(rng.choice(PLAIN_ASKED), f"Your name is {name}.", "recall"),
    ]


def _recall_other(writer: data.Writer) -> list[data.Turn]:
    return _recall(writer, writer.rng.choice(data.SLOTS[1:]))


def _fresh(writer: data.Writer) -> list[data.Turn]:
    return [writer.ask(writer.rng.choice(("name", *data.SLOTS)))]


def _not_this_one(writer: data.Writer) -> list[data.Turn]:
    slot = writer.rng.choice(data.SLOTS)
    others = writer.rng.sample([other for other in data.SLOTS if other != slot], writer.rng.randint(1, 3))
    return [writer.tell(*others), *_chatter(writer, 3, slot), writer.ask(slot)]


def _several(writer: data.Writer) -> list[data.Turn]:
    slots = writer.rng.sample(data.SLOTS, writer.rng.randint(2, 4))
    told = [writer.tell(*slots)] if writer.rng.random() < 0.4 else [writer.tell(slot) for slot in slots]
    return [*told, *_chatter(writer, 2, slots[0]), writer.ask(slots[0])]


def _changed(writer: data.Writer) -> list[data.Turn]:
    slot = writer.rng.choice(data.SLOTS)
    first = writer.tell(slot)
    return [
        first,
        *_chatter(writer, 2, slot),
        writer.tell(slot),
        *_chatter(writer, 2, slot),
        writer.ask(slot),
    ]


def _after_stop(writer: data.Writer) -> list[data.Turn]:
    turns = _recall(writer, "name")
    return [data.Turn(turn.user, turn.reply, turn.kind, writer.rng.random()) for turn in turns[:-1]] + turns[
        -1:
    ]


def _after_long(writer: data.Writer) -> list[data.Turn]:
    told = writer.tell("name")
    last = writer.rng.randint(100, 200)
    long = (
        writer.story()
        if writer.rng.random() < 0.4
        else data.Turn(f"Count to {last}.", data.counted(1, last), "count")
    )
    return [told, long, writer.ask("name")]


def _story(writer: data.Writer) -> list[data.Turn]:
    return [*([writer.tell("name")] if writer.rng.random() < 0.7 else []), writer.story()]


CLASSES: list[tuple[str, int, float | None, type[data.Writer], Callable[[data.Writer], list[data.Turn]]]] = [
    ("name told, common names", 500, 99.0, CommonNameWriter, lambda writer: _recall(writer, "name")),
    ("name told, unseen names", 500, 90.0, data.Writer, lambda writer: _recall(writer, "name")),
    ("colour, home or number told", 500, None, data.Writer, _recall_other),
    ("not told, fresh chat", 500, 99.5, data.Writer, _fresh),
    ("not told, other facts told", 500, None, data.Writer, _not_this_one),
    ("several facts told, one asked", 300, None, data.Writer, _several),
    ("told twice, the latest wins", 300, None, data.Writer, _changed),
    ("history replayed with stopped replies", 300, None, data.Writer, _after_stop),
    ("name after a long reply", 100, None, data.Writer, _after_long),
    (
        "everything told, asked at once",
        500,
        None,
        data.Writer,
        lambda writer: [*_chatter(writer, 4), writer.ask_all()],
    ),
    ("count, up to 300", 100, None, data.Writer, lambda writer: [writer.count(data.MAX_COUNT)]),
    ("story with the name", 100, None, data.Writer, _story),
    ("small talk", 300, None, data.Writer, lambda writer: [*_chatter(writer, 2), writer.small_talk()]),
    ("out of scope", 300, None, data.Writer, lambda writer: [*_chatter(writer, 2), writer.unknown()]),
    ("plain sentences, common names", 500, 99.0, CommonNameWriter, _plain_recall),
    ("plain sentences, unseen names", 500, 90.0, data.Writer, _plain_recall),
]


def ask(engine: litert_lm.Engine, dialogue: data.Dialogue) -> str:
    """Play a dialogue and return the last reply. Stopped replies are replayed, all others are the model's own."""
    stopped = any(turn.keep < 1 for turn in dialogue.turns)
    history = [message for turn in dialogue.turns[:-1] for message in _replayed(turn)] if stopped else None
    live = dialogue.turns[-1:] if stopped else dialogue.turns
    with engine.create_conversation(
        messages=history, system_message=dialogue.system or None, sampler_config=GREEDY
    ) as conversation:
        return [str(conversation.send_message(turn.user)) for turn in live][-1]


def _replayed(turn: data.Turn) -> list[dict[str, str]]:
    shown = turn.reply[: int(turn.keep * len(turn.reply))]
    return [{"role": "user", "content": turn.user}, {"role": "assistant", "content": shown}]


def measure(engine: litert_lm.Engine, share: float) -> list[Result]:
    """Play every class of dialogues; a quarter of them with a system instruction."""
    results = []
    for index, (name, dialogues, required, writer_class, write) in enumerate(CLASSES):
        rng = random.Random(SEED + index)
        misses = []
        count = max(1, round(dialogues * share))
        for _ in range(count):
            writer = writer_class(rng, held_out=True)
            system = writer.system() if rng.random() < 0.25 else ""
            turns = write(writer)
            reply = ask(engine, data.Dialogue(turns, system))
            if reply != turns[-1].reply:
                misses.append(f"{' | '.join(turn.user for turn in turns)} -> {reply}"[:400])
        results.append(Result(name, count, count - len(misses), required, misses[:12]))
        print(f"{name:40} {results[-1].percent:6.1f} % of {count}", flush=True)
    return results


def speed(bundle: Path) -> dict[str, float]:
    """Measure load time and the rates of prefill and decode with blocking sends."""
    with tempfile.TemporaryDirectory() as cache:
        loads = []
        for _ in range(6):
            began = time.perf_counter()
            engine = litert_lm.Engine(
                str(bundle), backend=litert_lm.Backend.CPU(thread_count=2), cache_dir=cache
            )
            loads.append(time.perf_counter() - began)
            rates = [_rates(engine) for _ in range(3)]
            engine.close()
    decode, prefill = (statistics.median(column) for column in zip(*rates, strict=True))
    return {
        "first_load_s": round(loads[0], 3),
        "load_s": round(statistics.median(loads[1:]), 3),
        "decode_tokens_per_s": round(decode),
        "prefill_tokens_per_s": round(prefill),
    }


def _rates(engine: litert_lm.Engine) -> tuple[float, float]:
    with engine.create_conversation(sampler_config=GREEDY) as conversation:
        began = time.perf_counter()
        conversation.send_message("Count to 200.")
        decode = conversation.token_count / (time.perf_counter() - began)
    with engine.create_conversation(sampler_config=GREEDY) as conversation:
        began = time.perf_counter()
        conversation.send_message("zzz " * 300)
        prefill = conversation.token_count / (time.perf_counter() - began)
    return decode, prefill


def table(results: list[Result], facts: dict[str, float | str]) -> str:
    """Write the figures as Markdown."""
    lines = [
        "| Dialogues (greedy, seeded, held out) | right | of | percent | required |",
        "|---|---:|---:|---:|---:|",
    ]
    for result in results:
        required = f"≥ {result.required_percent:g}" if result.required_percent else ""
        lines.append(
            f"| {result.name} | {result.right} | {result.dialogues} | {result.percent:.1f} | {required} |"
        )
    lines += [
        "",
        "| | |",
        "|---|---|",
        *(f"| {name.replace('_', ' ')} | {value} |" for name, value in facts.items()),
    ]
    return "\n".join(lines)


def main(bundle: Path, share: float, keep: bool) -> None:
    """Evaluate the bundle and, if asked to, keep the figures."""
    litert_lm.set_min_log_severity(litert_lm.LogSeverity.ERROR)
    facts: dict[str, float | str] = {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "engine": "litert-lm-api 0.18.1, 2 threads",
        "bytes": bundle.stat().st_size,
        "sha256": hashlib.sha256(bundle.read_bytes()).hexdigest(),
        **speed(bundle),
    }
    with (
        tempfile.TemporaryDirectory() as cache,
        litert_lm.Engine(
            str(bundle), backend=litert_lm.Backend.CPU(thread_count=2), cache_dir=cache
        ) as engine,
    ):
        results = measure(engine, share)
    print(table(results, facts))
    if keep:
        report = {"facts": facts, "seed": SEED, "results": [asdict(result) for result in results]}
        REPORT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        card = MODELS / "MODEL_CARD.md"
        head, _, rest = card.read_text(encoding="utf-8").partition(CARD_BEGIN)
        tail = rest.partition(CARD_END)[2]
        card.write_text(f"{head}{CARD_BEGIN}\n{table(results, facts)}\n{CARD_END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=MODELS / "model.litertlm")
    parser.add_argument("--share", type=float, default=1.0, help="share of the dialogues to play")
    parser.add_argument(
        "--keep", action="store_true", help="write evaluation.json and the table in the model card"
    )
    options = parser.parse_args()
    main(options.bundle, options.share, options.keep)
