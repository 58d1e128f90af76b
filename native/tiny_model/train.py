"""Train the tiny model on generated dialogues. Resumes from its last checkpoint; a finished run is left as it is."""

from __future__ import annotations

import argparse
import collections
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import data
import numpy as np
import tokenizer
import torch
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

CHECKPOINT = tokenizer.BUILD / "checkpoint.pt"
CONTEXT = 2048
# (step, learning rate); between these it changes linearly.
RATES = (
    (-1, 0.0),
    (99, 3e-3),
    (1800, 3e-3),
    (3000, 5e-5),
    (3030, 1e-3),
    (4000, 2e-5),
    (4020, 7e-4),
    (4400, 1e-5),
)
STEPS = RATES[-1][0]
TOKENS_A_STEP, LONGEST = 4096, 1400
POOL = 24
SAVE_EVERY, REPORT_EVERY = 200, 50


# What is shown more of, from which step on. Counting is learned once copying works: to stop at the right number is to find
# that number in the prompt.
PHASES = (
    (0, data.Mix()),
    (1400, data.Mix(longest_count=40, counts=0.08)),
    (2000, data.Mix(longest_count=40, counts=0.08, small_talk=0.08, lower_names=0.08)),
    (2200, data.Mix(1, 40, counts=0.06, stopped_counts=0.12, small_talk=0.05, lower_names=0.08)),
    (
        3000,
        data.Mix(
            1,
            60,
            counts=0.05,
            stopped_counts=0.06,
            passed_counts=0.1,
            small_talk=0.04,
            lower_names=0.08,
            bare_names=True,
            stopped=0.5,
        ),
    ),
    (
        4000,
        data.Mix(
            1,
            60,
            counts=0.05,
            stopped_counts=0.03,
            passed_counts=0.05,
            round_counts=0.5,
            long_share=0.35,
            small_talk=0.04,
            lower_names=0.05,
            bare_names=True,
            stopped=0.5,
        ),
    ),
)


@dataclass(frozen=True)
class Batch:
    """Dialogues of about one length, padded on the right."""

    ids: torch.Tensor
    positions: torch.Tensor
    weights: torch.Tensor


def new_model(vocabulary: int) -> Gemma3ForCausalLM:
    """Make the untrained model. All layers see the whole context: the facts to recall may stand far back."""
    rope = {"rope_type": "default", "rope_theta": 100_000.0}
    config = Gemma3TextConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        query_pre_attn_scalar=32,
        max_position_embeddings=CONTEXT,
        sliding_window=CONTEXT,
        layer_types=["full_attention"] * 4,
        rope_parameters={"full_attention": rope, "sliding_attention": rope},
        pad_token_id=tokenizer.PAD,
        eos_token_id=[tokenizer.EOS, tokenizer.END_OF_TURN],
        bos_token_id=tokenizer.BOS,
        tie_word_embeddings=True,
        attn_implementation="sdpa",
    )
    return Gemma3ForCausalLM(config)


def batches(pieces: tokenizer.Tokenizer, mix: data.Mix, seed: int) -> Iterator[Batch]:
    """Write dialogues without end and batch those of like length, so that little is padded."""
    rng = random.Random(seed)
    while True:
        pool = [pieces.example(data.training_dialogue(rng, mix=mix)) for _ in range(24 * POOL)]
        long_tokens = 0
        while long_tokens < mix.long_share * POOL * TOKENS_A_STEP:
            example = pieces.example(data.training_dialogue(rng, long=True, mix=mix))
            if len(example.ids) <= LONGEST:
                pool.append(example)
                long_tokens += len(example.ids)
        pool.sort(key=lambda example: len(example.ids))
        groups: list[list[tokenizer.Example]] = [[]]
        for example in pool:
            if len(example.ids) * (len(groups[-1]) + 1) > TOKENS_A_STEP:
                groups.append([])
            groups[-1].append(example)
        rng.shuffle(groups)
        for group in groups:
            yield _batch(group, rng)


def batches_from(step: int, pieces: tokenizer.Tokenizer, seed: int) -> Iterator[Batch]:
    """Continue the batches of a run at the given step."""
    index, (first_step, mix) = [phase for phase in enumerate(PHASES) if phase[1][0] <= step][-1]
    stream = batches(pieces, mix, seed + index)
    for _ in range(step - first_step):
        next(stream)
    return stream


def _batch(group: list[tokenizer.Example], rng: random.Random) -> Batch:
    longest = max(len(example.ids) for example in group)
    ids = torch.zeros((len(group), longest), dtype=torch.long)
    positions = torch.arange(longest).repeat(len(group), 1)
    weights = torch.zeros((len(group), longest))
    for row, example in enumerate(group):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        weights[row, : len(example.ids)] = torch.tensor(example.weights)
        if rng.random() < 0.35:
            _spread(positions[row], example, longest, rng)
    return Batch(ids, positions, weights)


def _spread(positions: torch.Tensor, example: tokenizer.Example, longest: int, rng: random.Random) -> None:
    """Leave gaps between turns, so that short dialogues teach the distances of a full context."""
    room = rng.randint(0, CONTEXT - longest)
    for start in example.turn_starts:
        gap = rng.randint(0, room)
        positions[start:] += gap
        room -= gap


def learning_rate(step: int) -> float:
    """Follow the schedule."""
    steps, rates = zip(*RATES, strict=True)
    return float(np.interp(step, steps, rates))


def hidden_states(model: Gemma3ForCausalLM, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Run the layers; a mask of None means plain causal attention, as padding stands on the right."""
    mask = {"full_attention": None, "sliding_attention": None}
    return model.model(
        input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False
    ).last_hidden_state


def loss_of(model: Gemma3ForCausalLM, batch: Batch) -> torch.Tensor:
    """Weighted mean of the loss over the tokens of the replies."""
    hidden = hidden_states(model, batch.ids, batch.positions)[:, :-1]
    weights, targets = batch.weights[:, 1:], batch.ids[:, 1:]
    chosen = weights > 0
    losses = torch.nn.functional.cross_entropy(
        model.lm_head(hidden[chosen]), targets[chosen], reduction="none"
    )
    return (losses * weights[chosen]).sum() / weights.sum()


@torch.no_grad()
def exact_replies(
    model: Gemma3ForCausalLM, pieces: tokenizer.Tokenizer, seed: int = 777, dialogues: int = 60
) -> dict[str, str]:
    """Count the replies that greedy decoding would get right, by kind; names are held out."""
    rng = random.Random(seed)
    right, total = collections.Counter[str](), collections.Counter[str]()
    for _ in range(dialogues):
        writer = data.Writer(rng, held_out=True)
        example = pieces.example(data.Dialogue([writer.turn(40) for _ in range(6)]))
        ids = torch.tensor([example.ids])
        guesses = (
            model.lm_head(hidden_states(model, ids, torch.arange(len(example.ids))[None]))[0]
            .argmax(-1)
            .tolist()
        )
        for kind, start, end in example.replies:
            total[kind] += 1
            right[kind] += guesses[start - 1 : end - 1] == example.ids[start:end]
    return {kind: f"{right[kind]}/{total[kind]}" for kind in sorted(total)}


def train(steps: int, seed: int, checkpoint: Path) -> None:
    """Train to the given step."""
    torch.manual_seed(seed)
    torch.set_num_threads(2)
    pieces = tokenizer.Tokenizer()
    model = new_model(pieces.pieces.GetPieceSize())
    decayed = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    other = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": other, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
    step = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        step = saved["step"]
    stream = batches_from(step, pieces, seed)
    print(
        f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters, from step {step}",
        flush=True,
    )
    began, first, total = time.monotonic(), step, 0.0
    while step < steps:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        if step in {first_step for first_step, _ in PHASES}:
            stream = batches_from(step, pieces, seed)
        loss = loss_of(model, next(stream))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step, total = step + 1, total + loss.item()
        if step % REPORT_EVERY == 0:
            pace = (time.monotonic() - began) / (step - first)
            print(f"step {step} loss {total / REPORT_EVERY:.4f} {pace:.3f} s a step", flush=True)
            total = 0.0
        if step % SAVE_EVERY == 0 or step == steps:
            print(exact_replies(model, pieces), flush=True)
            saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
            torch.save(saved, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").rename(checkpoint)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    options = parser.parse_args()
    train(options.steps, options.seed, options.checkpoint)
