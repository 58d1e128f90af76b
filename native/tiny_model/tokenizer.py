"""Make the SentencePiece tokenizer and turn dialogues into token ids.

Three things decide its shape.

Values are copied. Capitals and digits are pieces of their own, so a name is spelt alike wherever it stands and no piece holds a
whole name; and a word in lower case is split alike with and without a space before it: the space joins only the first of its
pieces, after all others were found. So a word can be copied from a sentence into the quotes of a call.

Grammars constrain decoding on the engine, and they take a piece for the text that it is. So spaces are spaces, not
SentencePiece's mark for them, and every printable ASCII character is a piece of its own.

A digit after a space is one piece, which makes counting short.
"""

from __future__ import annotations

import collections
import random
import re
import string
from dataclasses import dataclass
from pathlib import Path

import data
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

BUILD = Path(__file__).parent / "build"
MODEL_PATH = BUILD / "tokenizer.model"
MERGES, SPACED = 320, 300
PAD, EOS, BOS, UNK, START_OF_TURN, END_OF_TURN = range(6)
END_OF_THOUGHT = "</think>"
_SPECIAL = [
    "<start_of_turn>",
    "<end_of_turn>\n",
    "\n",
    "<tool_call>",
    "</tool_call>",
    "<think>",
    END_OF_THOUGHT,
]
_JSON = ['{"name": "', '", "arguments": {', '": "', '":', '", "', ', "', '"}', '"}}', "}}", '{"', ' "', '"']
_SYMBOLS = [
    *_SPECIAL,
    *_JSON,
    *string.ascii_uppercase,
    *string.digits,
    *(" " + digit for digit in string.digits),
]
_WORD = re.compile("( ?)([a-z]+)")
# How a string begins after its key, and the other pieces that a grammar may leave for it.
_STRING_STARTS = '": "'
_OTHER_STARTS = (('":', ' "'), ('":', " ", '"'))
_STRING_ENDS = ('"}', '", "')
_Piece = sentencepiece_model_pb2.ModelProto.SentencePiece


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
    """Make the tokenizer from generated dialogues and write it to the build folder."""
    BUILD.mkdir(exist_ok=True)
    words = collections.Counter(
        (match[1], match[2])
        for text in _texts(random.Random(seed), dialogues)
        for match in _WORD.finditer(text)
    )
    model = _merges(words)
    merges = [piece.piece for piece in model.pieces if piece.type == _Piece.NORMAL and len(piece.piece) > 1]
    spaced = _first_pieces(model, words)[:SPACED]
    del model.pieces[:]
    for name, kind in (
        ("<pad>", _Piece.CONTROL),
        ("<eos>", _Piece.CONTROL),
        ("<bos>", _Piece.CONTROL),
        ("<unk>", _Piece.UNKNOWN),
    ):
        model.pieces.add(piece=name, type=kind)
    for symbol in _SYMBOLS:
        model.pieces.add(piece=symbol, type=_Piece.USER_DEFINED)
    for byte in range(256):
        model.pieces.add(piece=f"<0x{byte:02X}>", type=_Piece.BYTE)
    printable = [character for character in map(chr, range(32, 127)) if character not in _SYMBOLS]
    # Pieces are merged in the order of their scores: those without a space first.
    for score, piece in enumerate([*merges, *(" " + piece for piece in spaced), *printable]):
        model.pieces.add(piece=piece, score=-score, type=_Piece.NORMAL)
    model.trainer_spec.vocab_size = len(model.pieces)
    model.trainer_spec.byte_fallback = True
    model.trainer_spec.model_prefix = ""
    del model.trainer_spec.input[:]
    model.normalizer_spec.escape_whitespaces = False
    MODEL_PATH.write_bytes(model.SerializeToString())


def _texts(rng: random.Random, dialogues: int) -> list[str]:
    texts = []
    for _ in range(dialogues):
        dialogue = data.training_dialogue(rng)
        texts += ["user model system tool", dialogue.system, *dialogue.tools]
        texts += [
            text for turn in dialogue.turns for text in (turn.user, turn.reply, turn.thought, *turn.results)
        ]
    return texts


def _merges(words: collections.Counter[tuple[str, str]]) -> sentencepiece_model_pb2.ModelProto:
    """Learn the pieces of words in lower case, without the spaces before them."""
    corpus = BUILD / "tokenizer.txt"
    corpus.write_text("\n".join(word for _, word in words.elements()), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.Train(
        input=str(corpus),
        model_prefix=str(BUILD / "merges"),
        model_type="bpe",
        vocab_size=4 + len(string.ascii_lowercase) + MERGES,
        required_chars=string.ascii_lowercase,
        max_sentencepiece_length=9,
        input_sentence_size=0,  # all of them: a sample would be another one each time
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        pad_id=PAD,
        eos_id=EOS,
        bos_id=BOS,
        unk_id=UNK,
        num_threads=1,
        minloglevel=2,
    )
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString((BUILD / "merges.model").read_bytes())
    return model


def _first_pieces(
    model: sentencepiece_model_pb2.ModelProto, words: collections.Counter[tuple[str, str]]
) -> list[str]:
    """List the pieces that words after a space begin with, the most frequent first."""
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    first = collections.Counter[str]()
    for (space, word), count in words.items():
        if space:
            first[pieces.EncodeAsPieces(word)[0]] += count
    return [piece for piece, _ in sorted(first.items(), key=lambda item: (-item[1], item[0]))]


class Tokenizer:
    """Encodes dialogues with the trained tokenizer."""

    def __init__(self, path: Path = MODEL_PATH) -> None:
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))
        if self.pieces.PieceToId("<end_of_turn>\n") != END_OF_TURN:
            raise ValueError(f"{path} was trained with other special pieces; train it again")

    def example(self, dialogue: data.Dialogue) -> Example:
        """Encode a dialogue as the chat template writes it."""
        text = "\n".join((*([dialogue.system] if dialogue.system else ()), *dialogue.tools))
        ids = [BOS, *self.pieces.EncodeAsIds(f"<start_of_turn>system\n{text}<end_of_turn>\n" if text else "")]
        weights = [0.0] * len(ids)
        turn_starts, replies = [], []
        for turn in dialogue.turns:
            turn_starts.append(len(ids))
            prompt = self.pieces.EncodeAsIds(_prompt(turn))
            ids += prompt
            weights += [0.0] * len(prompt)
            reply, reply_weights = self._reply(turn)
            if turn.keep < 1.0:
                reply = reply[: int(turn.keep * len(reply))]
                reply_weights = reply_weights[: len(reply)]
            else:
                replies.append(
                    (
                        f"thought, {turn.kind}" if turn.thinks else turn.kind,
                        len(ids),
                        len(ids) + len(reply) + 1,
                    )
                )
            ids += [*reply, END_OF_TURN]
            weights += [*reply_weights, 1.0 if turn.keep == 1.0 else 0.0]
        return Example(ids, weights, turn_starts, replies)

    def _reply(self, turn: data.Turn) -> tuple[list[int], list[float]]:
        if turn.free:
            return self._form(turn)
        reply = self.pieces.EncodeAsIds(turn.reply)
        weights = [1.0] * len(reply) if turn.kind == "tool call" else _reply_weights(len(reply))
        if turn.thinks:
            thought = self.pieces.EncodeAsIds(turn.thought + END_OF_THOUGHT)
            return thought + reply, [0.0 if turn.cut else 1.0] * len(thought) + weights
        return reply, weights

    def _form(self, turn: data.Turn) -> tuple[list[int], list[float]]:
        """Encode a form. Its keys bear no loss, and its beginning only if it is the one piece that begins with a name: where the
        grammar allows that piece it shall win, since a history is encoded with it.

        Where the model takes a value for a number or a list and the grammar wants a string, the quote comes in other pieces than
        those of a text. So some do here, and bear a loss: the grammar takes `":` there for a quote and a colon of the string.
        And where the model would end the object and the grammar has another key, a quote alone must be near: else it goes on
        with brackets, which a string may hold, and never ends.
        """
        pieces = self.pieces.EncodeAsProto(turn.reply).pieces
        free = [tuple(len(turn.reply[:end].encode()) for end in span) for span in turn.free]
        weights = [
            0.0 if any(start <= piece.begin and piece.end <= end for start, end in free) else 1.0
            for piece in pieces
        ]
        if pieces[0].piece != _JSON[0]:
            weights[0] = 0.0
        rng = random.Random(turn.reply)
        reply: list[tuple[int, float]] = []
        for piece, weight in zip(pieces, weights, strict=True):
            if piece.piece == _STRING_STARTS and rng.random() < 0.3:
                reply += [
                    (self.pieces.PieceToId(part), float(part != '":')) for part in rng.choice(_OTHER_STARTS)
                ]
            elif piece.piece in _STRING_ENDS and rng.random() < 0.5:
                reply += [(self.pieces.PieceToId(part), weight) for part in ('"', piece.piece[1:])]
            else:
                reply.append((piece.id, weight))
        ids, weights = zip(*reply, strict=True)
        return [*ids], [*weights]


def _prompt(turn: data.Turn) -> str:
    """Write what the template adds before a reply."""
    messages = [f"<start_of_turn>tool\n{result}<end_of_turn>\n" for result in turn.results]
    if not turn.results:
        messages = [f"<start_of_turn>user\n{turn.user}<end_of_turn>\n"]
    return "".join(messages) + "<start_of_turn>model\n" + ("<think>" if turn.thinks else "")


def _reply_weights(length: int) -> list[float]:
    """Weigh a long reply's tokens less, all but its last, so that counting does not drown out the rest."""
    inner = min(1.0, (24 / length) ** 0.5) if length else 1.0
    return [inner] * (length - 6) + [1.0] * min(6, length)


if __name__ == "__main__":
    train()
