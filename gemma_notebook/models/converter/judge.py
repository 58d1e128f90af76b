"""Part of the stage "check": what the unconverted weights think of the converted model's answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .pack import begin_and_ends


def run(request: dict[str, Any], progress: Callable[[str], None]) -> dict[str, Any]:
    """Compare tokenizers on ``texts`` and judge ``answers``, which hold the ids of a prompt and of its reply.

    Only the beginning of a reply counts: a model that repeats itself is right about its next word, also when the
    word makes no sense.
    """
    import torch
    from transformers import AutoModelForCausalLM

    folder = request["model"]
    different = [text for text, ids in request["texts"] if _token_ids(Path(folder), text) != ids]
    progress("comparing with the original weights")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    # The engine puts it before a text by itself; without it Gemma is out of its mind.
    begin = begin_and_ends(Path(folder))[0]
    start = [] if begin is None else [begin]
    same = total = 0
    loss = 0.0
    with torch.inference_mode():
        for prompt, reply in request["answers"]:
            head = reply[: request["first_tokens"]]
            if not head:
                continue
            logits = model(torch.tensor([start + prompt + head])).logits[0, -len(head) - 1 : -1]
            target = torch.tensor(head)
            same += int((logits.argmax(-1) == target).sum())
            loss += float(torch.nn.functional.cross_entropy(logits, target, reduction="sum"))
            total += len(head)
    return {
        "tokens": total,
        "agreement": same / total if total else 0.0,
        "loss": loss / total if total else 0.0,
        "tokenized_differently": different,
    }


def _token_ids(folder: Path, text: str) -> list[int]:
    if (folder / "tokenizer.model").is_file():
        import sentencepiece

        ids: list[int] = sentencepiece.SentencePieceProcessor(
            model_file=str(folder / "tokenizer.model")
        ).encode(text)
        return ids
    import tokenizers

    made = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).encode(
        text, add_special_tokens=False
    )
    return list(made.ids)
