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
RATES = (
    (-1, 0.0),
    (59, 2.5e-3),
    (1800, 2.5e-3),
    (4400, 1.1e-3),
    (5000, 1.1e-3),
    (5020, 9e-4),
    (6400, 9e-4),
    (6450, 1.1e-3),
    (13_800, 1.1e-3),
    (21_200, 1e-5),
    (21_230, 5e-4),
    (22_600, 1e-5),
)
STEPS = RATES[-1][0]
# Of Muon and of AdamW.
RATE_FACTORS = (2.0, 1.0)
TOKENS_A_STEP, LONGEST = 4096, 1400
POOL = 24
# Lengths are rounded up to a multiple of this, so that few shapes occur: oneDNN makes code for each.
SAME_LENGTHS = 32
# Each process computes with one thread: on two cores that is faster than one process with two, and far less
# disturbed by whatever else runs.
PROCESSES = 2
# Products are computed in bfloat16, of weights that are kept in float32, where the processor has instructions for it: elsewhere
# that is eleven times as slow.
PRODUCT_TYPE = (
    torch.bfloat16
    if any(map(torch.cpu.get_capabilities().get, ("amx_bf16", "avx512_bf16")))
    else torch.float32
)
# In bfloat16 plain products are faster than the fused kernel, in float32 slower: a step is 1.09 times as long.
ATTENTION = "training" if PRODUCT_TYPE is torch.bfloat16 else "sdpa"
# Of glibc: what is freed is kept for the next step, in large pages. A step takes 0.92 times as long.
ALLOCATION = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 33),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
SAVE_EVERY, REPORT_EVERY, REPLIES_EVERY = 200, 50, 1000

# Once replies are copied well, what is slower to learn.
_MORE: dict[str, float] = {
    "counts": 0.03,
    "sums": 0.05,
    "small_talk": 0.03,
    "lower_names": 0.06,
    "instructed": 0.30,
    "tools": 0.33,
    "forms": 0.12,
    "calls": 0.30,
    "renamed": 0.4,
}
_LAST: dict[str, float] = {
    "shortest_count": 1,
    "longest_count": 60,
    "counts": 0.03,
    "stopped_counts": 0.03,
    "passed_counts": 0.03,
    "round_counts": 0.5,
    "long_share": 0.15,
    "sums": 0.06,
    "small_talk": 0.03,
    "lower_names": 0.10,
    "bare_names": True,
    "rare_names": 0.05,
    "stopped": 0.3,
    "renamed": 0.3,
    "instructed": 0.30,
    "tools": 0.40,
    "forms": 0.10,
}
# What is shown more of, from which step on. Counting is learned once copying works: to stop at the right number
# is to find that number in the prompt.
PHASES = (
    (0, data.Mix()),
    (500, data.Mix(longest_count=40, counts=0.05, small_talk=0.03, lower_names=0.06)),
    (900, data.Mix(1, 40, counts=0.04, stopped_counts=0.07, small_talk=0.03, lower_names=0.06)),
    (1000, data.Mix(1, 40, stopped_counts=0.05, **_MORE)),
    (2800, data.Mix(1, 60, stopped_counts=0.03, passed_counts=0.05, bare_names=True, stopped=0.4, **_MORE)),
    (
        4000,
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
    # To refuse a topic is to compare two places of the prompt. Among much else it is not learned at all; alone, in chats of
    # nothing but that, in some hundred steps, and then in others too.
    (5000, data.Mix(topics=0.95, bare_topics=0.95, drills=0.02, **_LAST)),
    (5800, data.Mix(topics=0.50, drills=0.05, calls=0.35, **_LAST)),
    (6400, data.Mix(topics=0.14, drills=0.10, calls=0.56, **_LAST)),
    (7800, data.Mix(topics=0.08, drills=0.25, calls=0.40, **_LAST)),
    (9000, data.Mix(topics=0.10, drills=0.32, calls=0.38, fewest_tools=2, **_LAST)),
    (10_400, data.Mix(topics=0.05, drills=0.36, calls=0.44, fewest_tools=2, **_LAST)),
    (13_800, data.Mix(topics=0.05, drills=0.36, calls=0.44, fewest_tools=2, direct=0.35, **_LAST)),
    (16_600, data.Mix(topics=0.04, drills=0.50, calls=0.32, fewest_tools=2, direct=0.35, **_LAST)),
    (
        21_200,
        data.Mix(
            topics=0.04,
            drills=0.44,
            untold=0.25,
            calls=0.36,
            fewest_tools=2,
            direct=0.35,
            **{**_LAST, "stopped": 0.5, "counts": 0.06, "long_share": 0.25},
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
    """Causal attention with one key-value head, as plain products: in bfloat16 they are faster on a CPU than the fused kernel."""
    batch, heads, length, size = query.shape
    mask = torch.full((length, length), -torch.inf, dtype=query.dtype).triu(1).repeat(heads, 1)
    rows = (query * scaling).reshape(batch, heads * length, size)
    shares = torch.baddbmm(mask, rows, key[:, 0].transpose(1, 2)).softmax(-1)
    out = torch.bmm(shares, value[:, 0])
    return out.view(batch, heads, length, size).transpose(1, 2), None


AttentionInterface.register("training", training_attention)


def batches(pieces: tokenizer.Tokenizer, mix: data.Mix, seed: int) -> Iterator[list[Batch]]:
    """Write dialogues without end and batch those of like length, so that little is padded.

    Yields:
        What one step learns from: a batch for each process, all of about the same cost.
    """
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
            if len(example.ids) * (len(groups[-1]) + 1) > TOKENS_A_STEP // PROCESSES:
                groups.append([])
            groups[-1].append(example)
        steps = [*zip(*(groups[rank::PROCESSES] for rank in range(PROCESSES)), strict=False)]
        rng.shuffle(steps)
        for step in steps:
            yield [_batch(group, rng) for group in step]


def batches_from(step: int, pieces: tokenizer.Tokenizer, seed: int) -> Iterator[list[Batch]]:
    """Continue the batches of a run at the given step."""
    index, (first_step, mix) = [phase for phase in enumerate(PHASES) if phase[1][0] <= step][-1]
    stream = batches(pieces, mix, seed + index)
    for _ in range(step - first_step):
        next(stream)
    return stream


def _batch(group: list[tokenizer.Example], rng: random.Random) -> Batch:
    longest = max(len(example.ids) for example in group)
    padded = -(-longest // SAME_LENGTHS) * SAME_LENGTHS
    ids = torch.zeros((len(group), padded), dtype=torch.long)
    positions = torch.arange(padded).repeat(len(group), 1)
    weights = torch.zeros((len(group), padded))
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


def loss_of(model: Gemma3ForCausalLM, batch: Batch, weight: float) -> torch.Tensor:
    """The loss over the tokens of the replies, weighted, of a batch that is a part of this weight."""
    weights, targets = batch.weights[:, 1:].flatten(), batch.ids[:, 1:].flatten()
    chosen = weights.nonzero()[:, 0]
    # The first place, which fills up what is missing, has no weight.
    chosen = torch.nn.functional.pad(chosen, (0, -len(chosen) % SAME_LENGTHS))
    with torch.autocast("cpu", PRODUCT_TYPE, enabled=PRODUCT_TYPE is torch.bfloat16):
        hidden = hidden_states(model, batch.ids, batch.positions)[:, :-1]
        logits = model.lm_head(hidden.flatten(0, 1)[chosen])
    losses = torch.nn.functional.cross_entropy(logits.float(), targets[chosen], reduction="none")
    return (losses * weights[chosen]).sum() / weight


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
        hidden = hidden_states(model, ids, torch.arange(len(example.ids))[None])
        guesses = model.lm_head(hidden)[0].argmax(-1).tolist()
        for kind, start, end in example.replies:
            checked = [place for place in range(start, end) if example.weights[place] > 0]
            total[kind] += 1
            right[kind] += all(guesses[place - 1] == example.ids[place] for place in checked)
    return {kind: f"{right[kind]}/{total[kind]}" for kind in sorted(total)}


class Muon(torch.optim.Optimizer):
    """Momentum whose updates are made orthogonal, for the matrices inside of the layers.

    It learns in some 0.6 times the steps of AdamW. Each process works out the updates of its share of the matrices.
    Method: Keller Jordan, https://kellerjordan.github.io/posts/muon/; the size of an update as in https://arxiv.org/abs/2502.16982,
    so that AdamW's rates fit. torch.optim.Muon computes in bfloat16, which takes ten times as long on a CPU without instructions for it.
    """

    def __init__(self, parameters: list[torch.nn.Parameter], rank: int) -> None:
        super().__init__(parameters, {"lr": 0.0, "momentum": 0.95, "weight_decay": 0.05})
        self.rank = rank

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # noqa: ARG002
        """Change the parameters by their gradients, which all processes share."""
        for group in self.param_groups:
            by_shape = collections.defaultdict[torch.Size, list[torch.nn.Parameter]](list)
            for parameter in group["params"]:
                by_shape[parameter.shape].append(parameter)
            flat = torch.zeros(sum(parameter.numel() for parameter in group["params"]))
            updates, start = [], 0
            for shape, alike in by_shape.items():
                update = flat[start : (start := start + len(alike) * shape.numel())].view(len(alike), *shape)
                mine = slice(self.rank, None, PROCESSES)
                moved = [self._momentum(parameter, group["momentum"]) for parameter in alike]
                update[mine] = _orthogonal(torch.stack(moved[mine]))
                updates.append(update)
            torch.distributed.all_reduce(flat)
            for (shape, alike), update in zip(by_shape.items(), updates, strict=True):
                size = 0.2 * max(shape) ** 0.5
                for parameter, change in zip(alike, update, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(change, alpha=-group["lr"] * size)

    def _momentum(self, parameter: torch.nn.Parameter, momentum: float) -> torch.Tensor:
        state = self.state[parameter]
        if not state:
            state["mean"] = torch.zeros_like(parameter)
        state["mean"].lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(state["mean"], momentum)


def _orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Bring all singular values near 1, by five Newton-Schulz steps."""
    turned = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if turned else matrices
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).to(PRODUCT_TYPE)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return (x.mT if turned else x).float()


def optimizers_for(model: Gemma3ForCausalLM, rank: int) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for the embedding and the scales."""
    inner = [parameter for parameter in model.model.layers.parameters() if parameter.ndim > 1]
    named = {id(parameter) for parameter in inner}
    other = [parameter for parameter in model.parameters() if id(parameter) not in named]
    adam = torch.optim.AdamW(other, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    return [Muon(inner, rank), adam]


def _learn_from(model: Gemma3ForCausalLM, batches: list[Batch], rank: int) -> float:
    """Compute the gradients of a step: each process those of its batch, and then all get the sum.

    Returns:
        The part of the loss that is this process's.
    """
    weight = sum(float(batch.weights[:, 1:].sum()) for batch in batches)
    loss = loss_of(model, batches[rank], weight)
    loss.backward()
    parameters = [*model.parameters()]
    flat = torch.cat([parameter.grad.flatten() for parameter in parameters])
    torch.distributed.all_reduce(flat)
    for parameter, gradient in zip(parameters, flat.split([one.numel() for one in parameters]), strict=True):
        parameter.grad = gradient.view_as(parameter)
    return loss.item()


def train(rank: int, meeting: str, options: argparse.Namespace) -> None:
    """Train to the given step as one of several processes, which see the same batches and keep the same weights."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=PROCESSES)
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    pieces = tokenizer.Tokenizer()
    model = new_model(pieces.pieces.GetPieceSize(), ATTENTION)
    for layer in model.model.layers:
        layer.compile(dynamic=True)
    optimizers = optimizers_for(model, rank)
    step = 0
    if options.checkpoint.exists():
        saved = torch.load(options.checkpoint)
        model.load_state_dict(saved["model"])
        if "optimizers" in saved:  # not in a checkpoint that is made of a bundle
            for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
                optimizer.load_state_dict(state)
        step = saved["step"]
    stream = batches_from(step, pieces, options.seed)
    if rank == 0:
        print(f"{sum(one.numel() for one in model.parameters()):,} parameters, from step {step}", flush=True)
    began, first, total = time.monotonic(), step, 0.0
    while step < options.steps:
        for optimizer, factor in zip(optimizers, RATE_FACTORS, strict=True):
            optimizer.param_groups[0]["lr"] = factor * learning_rate(step)
            optimizer.zero_grad(set_to_none=True)
        if step in {first_step for first_step, _ in PHASES}:
            stream = batches_from(step, pieces, options.seed)
        total += PROCESSES * _learn_from(model, next(stream), rank)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        step += 1
        if rank > 0:
            continue
        if step % REPORT_EVERY == 0:
            pace = (time.monotonic() - began) / (step - first)
            print(f"step {step} loss {total / REPORT_EVERY:.4f} {pace:.3f} s a step", flush=True)
            total = 0.0
        if step % SAVE_EVERY == 0 or step == options.steps:
            if step % REPLIES_EVERY == 0 or step == options.steps:
                print(exact_replies(model, pieces), flush=True)
            states = [optimizer.state_dict() for optimizer in optimizers]
            saved = {"model": model.state_dict(), "optimizers": states, "step": step}
            torch.save(saved, options.checkpoint.with_suffix(".new"))
            options.checkpoint.with_suffix(".new").rename(options.checkpoint)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    os.environ.update(ALLOCATION)  # glibc reads it when the processes begin
    with tempfile.TemporaryDirectory() as folder:
        arguments = (f"file://{folder}/meeting", parser.parse_args())
        torch.multiprocessing.spawn(train, arguments, nprocs=PROCESSES)
