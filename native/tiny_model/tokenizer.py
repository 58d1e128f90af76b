"""Train the SentencePiece tokenizer and turn dialogues into token ids.

Names decide its shape. Capitals and digits are pieces of their own, so a name is spelt alike wherever it stands and no piece
holds a whole name; a digit after a space is one piece, which makes counting short.
"""

from __future__ import annotations

import random
import string
from dataclasses import dataclass
from pathlib import Path

import data
import sentencepiece

BUILD = Path(__file__).parent / "build"
MODEL_PATH = BUILD / "tokenizer.model"
VOCABULARY = 640
PAD, EOS, BOS, UNK, START_OF_TURN, END_OF_TURN = range(6)
_SPACE = "\u2581"


@dataclass(frozen=True)
class Example:
    """One dialogue as the model sees it.

    Attributes:
        ids: The tokens.
        weights: The weight of each token as a prediction; 0 where nothing is to be learned.
        turn_starts: Where each turn begins in `ids`.
        replies: For each turn its kind and the range in `ids` of its reply with the end mark; none if it was stopped.
    """

    ids: list[int]
    weights: list[float]
    turn_starts: list[int]
    replies: list[tuple[str, int, int]]


def train(seed: int = 1, dialogues: int = 12_000) -> None:
    """Train the tokenizer on generated dialogues and write it to the build folder."""
    BUILD.mkdir(exist_ok=True)
    rng = random.Random(seed)
    corpus = BUILD / "tokenizer.txt"
    with corpus.open("w", encoding="utf-8") as file:
        for _ in range(dialogues):
            dialogue = data.training_dialogue(rng)
            texts = [
                "user",
                "model",
                dialogue.system,
                *(text for turn in dialogue.turns for text in (turn.user, turn.reply)),
            ]
            file.writelines(line + "\n" for text in texts for line in text.splitlines() if line)
    symbols = ["<start_of_turn>", "<end_of_turn>", "\n", *string.ascii_uppercase, *string.digits]
    symbols += [_SPACE + digit for digit in string.digits]
    sentencepiece.SentencePieceTrainer.Train(
        input=str(corpus),
        model_prefix=str(MODEL_PATH.with_suffix("")),
        model_type="bpe",
        vocab_size=VOCABULARY,
        character_coverage=0.9995,
        required_chars=string.ascii_lowercase + string.punctuation,
        max_sentencepiece_length=12,
        byte_fallback=True,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        pad_id=PAD,
        eos_id=EOS,
        bos_id=BOS,
        unk_id=UNK,
        pad_piece="<pad>",
        eos_piece="<eos>",
        bos_piece="<bos>",
        user_defined_symbols=symbols,
        num_threads=2,
        minloglevel=2,
    )


class Tokenizer:
    """Encodes dialogues with the trained tokenizer."""

    def __init__(self, path: Path = MODEL_PATH) -> None:
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))
        if self.pieces.PieceToId("<end_of_turn>") != END_OF_TURN:
            raise ValueError(f"{path} was trained with other special pieces; train it again")

    def example(self, dialogue: data.Dialogue) -> Example:
        """Encode a dialogue in the turn format of Gemma, the system instruction folded into the first user turn."""
        ids, weights = [BOS], [0.0]
        turn_starts, replies = [], []
        for index, turn in enumerate(dialogue.turns):
            turn_starts.append(len(ids))
            user = f"{dialogue.system}\n\n{turn.user}" if index == 0 and dialogue.system else turn.user
            prompt = self.pieces.EncodeAsIds(
                f"<start_of_turn>user\n{user}<end_of_turn>\n<start_of_turn>model\n"
            )
            ids += prompt
            weights += [0.0] * len(prompt)
            reply = self.pieces.EncodeAsIds(turn.reply)
            if turn.keep < 1.0:
                reply = reply[: int(turn.keep * len(reply))]
                end_weight = 0.0
            else:
                replies.append((turn.kind, len(ids), len(ids) + len(reply) + 1))
                end_weight = 1.0
            ids += [*reply, END_OF_TURN, *self.pieces.EncodeAsIds("\n")]
            weights += [*_reply_weights(len(reply)), end_weight, 0.0]
        return Example(ids, weights, turn_starts, replies)


def _reply_weights(length: int) -> list[float]:
    """Weigh a long reply's tokens less, all but its last, so that counting does not drown out the rest."""
    inner = min(1.0, (24 / length) ** 0.5) if length else 1.0
    return [inner] * (length - 6) + [1.0] * min(6, length)


if __name__ == "__main__":
    train()
