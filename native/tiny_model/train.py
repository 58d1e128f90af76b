"""Train the tiny model on generated dialogues. Resumes from its last checkpoint; a finished run is left as it is."""

from __future__ import annotations

import argparse
import collections
import os
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import data
import numpy as np
import tokenizer
import torch
import torch.multiprocessing
from transformers import AttentionInterface, Gemma3ForCausalLM, Gemma3TextConfig

CHECKPOINT = tokenizer.BUILD / "checkpoint.pt"
CONTEXT = 2048
# (step, learning rate); between these it changes linearly.
RATES = ((-1, 0.0), (99, 2.5e-3), (2000, 2.5e-3), (3700, 1.3e-3), (10_000, 1e-5))
STEPS = RATES[-1][0]
TOKENS_A_STEP, LONGEST = 4096, 1400
POOL = 24
# Each process computes with one thread: on two cores that is faster than one process with two, and far less
# disturbed by whatever else runs.
PROCESSES = 2
SAVE_EVERY, REPORT_EVERY = 200, 50
SHORT_ATTENTION = 320

# Once replies are copied well, what is slower to learn.
_MORE: dict[str, float] = {
    "counts": 0.03,
    "sums": 0.05,
    "small_talk": 0.03,
    "lower_names": 0.06,
    "instructed": 0.30,
    "tools": 0.33,
    "forms": 0.12,
}
# What is shown more of, from which step on. Counting is learned once copying works: to stop at the right number
# is to find that number in the prompt.
PHASES = (
    (0, data.Mix()),
    (1200, data.Mix(longest_count=40, counts=0.05, small_talk=0.03, lower_names=0.06)),
    (1900, data.Mix(1, 40, counts=0.04, stopped_counts=0.07, small_talk=0.03, lower_names=0.06)),
    (2000, data.Mix(1, 40, stopped_counts=0.05, **_MORE)),
    (5000, data.Mix(1, 60, stopped_counts=0.03, passed_counts=0.05, bare_names=True, stopped=0.4, **_MORE)),
    (
        8000,
        data.Mix(
            1,
            60,
            stopped_counts=0.03,
            passed_counts=0.04,
            round_counts=0.5,
            long_share=0.25,
            bare_names=True,
            stopped=0.4,
            **_MORE,
        ),
    ),
)
SHOWN = data.Mix(longest_count=30, instructed=0.3, tools=0.3, forms=0.2, thinking=0.2, stopped=0.0)


@dataclass(frozen=True)
class Batch:
    """Dialogues of about one length, padded on the right."""

    ids: torch.Tensor
    positions: torch.Tensor
    weights: torch.Tensor
    weight: float

    def part(self, rank: int) -> Batch:
        """The dialogues of one process; the weight stays that of all of them."""
        mine = slice(rank, None, PROCESSES)
        return Batch(self.ids[mine], self.positions[mine], self.weights[mine], self.weight)


def new_model(vocabulary: int, attention: str = "sdpa") -> Gemma3ForCausalLM:
    """Make the untrained model.

    All layers see the whole context: the facts to recall may stand far back. One key-value head keeps the cache small, which is
    what decoding has to read for every token.
    """
    rope = {"rope_type": "default", "rope_theta": 100_000.0}
    config = Gemma3TextConfig(
        vocab_size=vocabulary,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=5,
        num_attention_heads=6,
        num_key_value_heads=1,
        head_dim=32,
        query_pre_attn_scalar=32,
        max_position_embeddings=CONTEXT,
        sliding_window=CONTEXT,
        layer_types=["full_attention"] * 5,
        rope_parameters={"full_attention": rope, "sliding_attention": rope},
        pad_token_id=tokenizer.PAD,
        eos_token_id=[tokenizer.EOS, tokenizer.END_OF_TURN],
        bos_token_id=tokenizer.BOS,
        tie_word_embeddings=True,
        attn_implementation=attention,
    )
    return Gemma3ForCausalLM(config)


def training_attention(
    _module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: torch.Tensor | None,
    scaling: float,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Causal attention with one key-value head; on short dialogues plain products are three times as fast on a CPU as the
    fused kernel.
    """
    batch, heads, length, size = query.shape
    if length > SHORT_ATTENTION:
        key, value = key.expand(-1, heads, -1, -1), value.expand(-1, heads, -1, -1)
        out = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scaling
        )
        return out.transpose(1, 2), None
    mask = torch.full((length, length), -torch.inf, dtype=query.dtype).triu(1).repeat(heads, 1)
    rows = (query * scaling).reshape(batch, heads * length, size)
    shares = torch.baddbmm(mask, rows, key[:, 0].transpose(1, 2)).softmax(-1)
    out = torch.bmm(shares, value[:, 0])
    return out.view(batch, heads, length, size).transpose(1, 2), None


AttentionInterface.register("training", training_attention)


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
    return Batch(ids, positions, weights, float(weights[:, 1:].sum()))


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
    return (losses * weights[chosen]).sum() / batch.weight


@torch.no_grad()
def exact_replies(
    model: Gemma3ForCausalLM, pieces: tokenizer.Tokenizer, seed: int = 777, dialogues: int = 60
) -> dict[str, str]:
    """Count the replies that greedy decoding would get right, by kind; names are held out."""
    rng = random.Random(seed)
    right, total = collections.Counter[str](), collections.Counter[str]()
    for _ in range(dialogues):
        example = pieces.example(data.training_dialogue(rng, mix=SHOWN, held_out=True))
        ids = torch.tensor([example.ids])
        with torch.autocast("cpu", torch.bfloat16):
            hidden = hidden_states(model, ids, torch.arange(len(example.ids))[None])
            guesses = model.lm_head(hidden)[0].argmax(-1).tolist()
        for kind, start, end in example.replies:
            checked = [place for place in range(start, end) if example.weights[place] > 0]
            total[kind] += 1
            right[kind] += all(guesses[place - 1] == example.ids[place] for place in checked)
    return {kind: f"{right[kind]}/{total[kind]}" for kind in sorted(total)}


def _learn_from(model: Gemma3ForCausalLM, batch: Batch) -> float:
    """Compute the gradients of a batch: each process those of its dialogues, and then all get the sum.

    Returns:
        The part of the loss that is this process's.
    """
    loss = 0.0
    if len(batch.ids):
        with torch.autocast("cpu", torch.bfloat16):
            part = loss_of(model, batch)
        part.backward()
        loss = part.item()
    parameters = [*model.parameters()]
    flat = torch.cat(
        [
            (torch.zeros_like(parameter) if parameter.grad is None else parameter.grad).flatten()
            for parameter in parameters
        ]
    )
    torch.distributed.all_reduce(flat)
    for parameter, gradient in zip(parameters, flat.split([one.numel() for one in parameters]), strict=True):
        parameter.grad = gradient.view_as(parameter)
    return loss


def train(rank: int, meeting: str, options: argparse.Namespace) -> None:
    """Train to the given step as one of several processes, which see the same batches and keep the same weights."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=PROCESSES)
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    pieces = tokenizer.Tokenizer()
    model = new_model(pieces.pieces.GetPieceSize(), "training")
    decayed = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    other = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": other, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
    step = 0
    if options.checkpoint.exists():
        saved = torch.load(options.checkpoint)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        step = saved["step"]
    stream = batches_from(step, pieces, options.seed)
    if rank == 0:
        print(f"{sum(one.numel() for one in model.parameters()):,} parameters, from step {step}", flush=True)
    began, first, total = time.monotonic(), step, 0.0
    while step < options.steps:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        if step in {first_step for first_step, _ in PHASES}:
            stream = batches_from(step, pieces, options.seed)
        optimizer.zero_grad(set_to_none=True)
        total += PROCESSES * _learn_from(model, next(stream).part(rank))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if rank > 0:
            continue
        if step % REPORT_EVERY == 0:
            pace = (time.monotonic() - began) / (step - first)
            print(f"step {step} loss {total / REPORT_EVERY:.4f} {pace:.3f} s a step", flush=True)
            total = 0.0
        if step % SAVE_EVERY == 0 or step == options.steps:
            print(exact_replies(model, pieces), flush=True)
            saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
            torch.save(saved, options.checkpoint.with_suffix(".new"))
            options.checkpoint.with_suffix(".new").rename(options.checkpoint)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    with tempfile.TemporaryDirectory() as folder:
        arguments = (f"file://{folder}/meeting", parser.parse_args())
        torch.multiprocessing.spawn(train, arguments, nprocs=PROCESSES)
