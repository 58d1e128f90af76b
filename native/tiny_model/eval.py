"""Measure the bundled model through the real engine, greedily, on dialogues of a seed that training does not use.

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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cases
import data
import litert_lm
import tools
from litert_lm import interfaces
from litert_lm.conversation import LiteRtLmConstraintProviderType

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


GRAMMAR = interfaces.ConstrainedDecodingConfig(
    enable=True, provider=LiteRtLmConstraintProviderType.LL_GUIDANCE
)
LAYOUT = {"whitespace_flexible": False, "key_separator": ": ", "item_separator": ", "}
MOST_FORM_TOKENS = 400


class _Declared(interfaces.Tool):
    """A tool of a dialogue, for the engine."""

    def __init__(self, tool: tools.Tool) -> None:
        self._json = tools.openai_json(tool)

    def get_tool_description(self) -> dict[str, Any]:
        return self._json

    def execute(self, param: Any) -> Any:
        raise NotImplementedError


def play(engine: litert_lm.Engine, dialogue: data.Dialogue, toolbox: list[tools.Tool]) -> dict[str, Any]:
    """Play a dialogue and return the last message. Stopped replies are replayed, all others are the model's own."""
    stopped = any(turn.keep < 1 for turn in dialogue.turns)
    history = [message for turn in dialogue.turns[:-1] for message in _replayed(turn)] if stopped else None
    live = dialogue.turns[-1:] if stopped else dialogue.turns
    with engine.create_conversation(
        messages=history,
        tools=[_Declared(tool) for tool in toolbox] or None,
        automatic_tool_calling=False,
        system_message=dialogue.system or None,
        sampler_config=GREEDY,
        constrained_decoding_config=GRAMMAR if dialogue.turns[-1].free else None,
    ) as conversation:
        return [_send(conversation, turn) for turn in live][-1]


def _send(conversation: litert_lm.Conversation, turn: data.Turn) -> dict[str, Any]:
    conversation.extra_context = {"enable_thinking": turn.thinks}
    message: Any = turn.user
    if turn.results:
        message = {"role": "tool", "content": [{"type": "text", "text": turn.results[0]}]}
    options: dict[str, Any] = {}
    if turn.free:
        kind = interfaces.ResponseFormat.Type.JSON_OBJECT
        options["response_format"] = interfaces.ResponseFormat(
            type=kind, schema_or_pattern=json.dumps(schema_of(turn.reply))
        )
        options["max_output_tokens"] = MOST_FORM_TOKENS
    return dict(conversation.send_message(message, **options).to_json())


def schema_of(reply: str) -> dict[str, Any]:
    """Write the schema that a form was made for."""
    properties = {key: _schema_of_value(value) for key, value in json.loads(reply).items()}
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {**schema, "x-guidance": LAYOUT}


def _schema_of_value(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"type": "array", "items": {"type": "string"}}
    return {"type": {bool: "boolean", int: "integer", float: "number", str: "string"}[type(value)]}


def _replayed(turn: data.Turn) -> list[dict[str, str]]:
    shown = turn.reply[: int(turn.keep * len(turn.reply))]
    return [{"role": "user", "content": turn.user}, {"role": "assistant", "content": shown}]


def text_of(message: dict[str, Any]) -> str:
    """Join the text of a message."""
    return "".join(part.get("text", "") for part in message.get("content", []))


def is_right(judge: str, message: dict[str, Any], turn: data.Turn) -> bool:
    """Judge the last message of a dialogue by its right reply; a thought by its form alone."""
    text = text_of(message)
    if judge == "calls":
        made = [call["function"] for call in message.get("tool_calls", [])]
        return not text and _is_same(made, tools.calls_of(turn.reply))
    if judge == "thought":
        thought = message.get("channels", {}).get("thought", "")
        return (
            bool(thought.strip())
            and bool(text or message.get("tool_calls"))
            and "<think>" not in text + thought
        )
    if judge in ("schema", "values"):
        return _is_right_form(judge, text, json.loads(turn.reply))
    return text == turn.reply and not message.get("tool_calls")


def _is_right_form(judge: str, text: str, right: dict[str, Any]) -> bool:
    try:
        filled = json.loads(text)
    except ValueError:
        return False
    if judge == "values":
        return _is_same(filled, right)
    return list(filled) == list(right) and all(
        _is_of(filled[key], _schema_of_value(right[key])) for key in right
    )


def _is_same(value: Any, right: Any) -> bool:
    """Whether two values are the same JSON: in Python 1 is True, and 1.0."""
    return json.dumps(value, sort_keys=True) == json.dumps(right, sort_keys=True)


def _is_of(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is of one of the schemas that `schema_of` writes."""
    kind = schema["type"]
    if kind == "array":
        return isinstance(value, list) and all(_is_of(item, schema["items"]) for item in value)
    kinds = {"boolean": (bool,), "integer": (int,), "number": (int, float), "string": (str,)}[kind]
    return type(value) in kinds


def measure(engine: litert_lm.Engine, share: float, only: str = "") -> list[Result]:
    """Play every class of dialogues."""
    results = []
    for index, kind in enumerate(cases.CLASSES):
        if only not in kind.name:
            continue
        rng = random.Random(SEED + index)
        misses = []
        count = max(1, round(kind.dialogues * share))
        for _ in range(count):
            dialogue, toolbox = cases.case(kind, rng)
            try:
                message = play(engine, dialogue, toolbox)
            except RuntimeError as error:
                message = {"content": [{"type": "text", "text": f"error: {error}"}]}
            if not is_right(kind.judge, message, dialogue.turns[-1]):
                misses.append(_miss(dialogue, message))
        results.append(Result(kind.name, count, count - len(misses), kind.required, misses[:12]))
        print(f"{kind.name:40} {results[-1].percent:6.1f} % of {count}", flush=True)
    return results


def _miss(dialogue: data.Dialogue, message: dict[str, Any]) -> str:
    said = " | ".join(turn.user or turn.results[0] for turn in dialogue.turns)
    calls = (
        json.dumps([call["function"] for call in message["tool_calls"]]) if message.get("tool_calls") else ""
    )
    return f"{dialogue.system[:80]} {said[-300:]} -> {text_of(message)}{calls} / {dialogue.turns[-1].reply}"[
        :700
    ]


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
        "| Dialogues (greedy, seeded) | right | of | percent | required |",
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


def main(bundle: Path, share: float, keep: bool, only: str = "") -> None:
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
        results = measure(engine, share, only)
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
    parser.add_argument("--only", default="", help="play only the classes with this in their names")
    options = parser.parse_args()
    main(options.bundle, options.share, options.keep, options.only)
