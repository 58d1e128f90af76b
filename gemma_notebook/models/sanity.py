"""The sanity turn: a converted file, opened by the engine in a process of its own, has to talk sense.

That a file loads says little: with its weights rounded to four bits per channel, Gemma 3 270M loaded, ran faster,
and said noise. So the first words of some greedy replies are shown to the weights that the file was made from.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemma_notebook.models.check import child_environment
from gemma_notebook.models.stages import run_child

__all__ = ["FIRST_TOKENS", "LEAST_AGREEMENT", "Verdict", "answers_of"]

# Past its first words a model that repeats itself agrees with everybody.
FIRST_TOKENS = 8

# The share of words that have to be the original's own first choice. Measured with Gemma 3 270M: 0.93 to 0.96 with
# eight bits; 0.74 to 0.80 with four bits in blocks of 32 (it made sentences, and no longer kept to its turn or to what
# it was told); 0.28 with four bits per channel (noise).
LEAST_AGREEMENT = 0.85
_LEAST_TOKENS = 16

_PROMPTS = (
    "What is the capital of France?",
    "Write a short story about a fox.",
    "Tell me about the sea.",
    "What can you do?",
    "Who wrote Hamlet?",
    "Where do penguins live?",
    "Explain why the sky is blue.",
    "What is a good breakfast?",
)
_TEXTS = ("The capital of France is Paris.", "  two spaces,\n\n\ta tab", "Größe, 東京, Привет, 👋🏽")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the original weights think of the converted model's replies.

    Attributes:
        tokens: How many tokens were judged.
        agreement: The share of them that the original would have said, too.
        loss: Mean negative log-likelihood under the original, in nats per token.
        tokenized_differently: Texts of which the file makes other tokens than the original.
    """

    tokens: int
    agreement: float
    loss: float
    tokenized_differently: tuple[str, ...] = ()

    @property
    def objection(self) -> str:
        """Why the file is not fit for use, or ``""``."""
        if self.tokenized_differently:
            return f"it splits {self.tokenized_differently[0]!r} into other tokens than the original"
        if self.tokens < _LEAST_TOKENS:
            return f"it said next to nothing ({self.tokens} tokens in {len(_PROMPTS)} replies)"
        if self.agreement < LEAST_AGREEMENT:
            return (
                f"only {self.agreement:.0%} of its words are those of the original weights "
                f"(at least {LEAST_AGREEMENT:.0%} are wanted; loss {self.loss:.1f} nats per token)"
            )
        return ""


def answers_of(file: Path, *, log: Path, say: Callable[[str], None], remedy: str) -> dict[str, Any]:
    """Greedy replies of the file, as token ids, from the engine in a child process.

    Raises:
        ConversionError: The engine refused the file, or died of it.
    """
    return run_child(
        [sys.executable, "-P", "-m", __name__],
        {"file": str(file)},
        stage="check",
        log=log,
        say=say,
        environment=child_environment(),
        remedy=remedy,
    )


def _answers(file: Path, say: Callable[[str], None]) -> dict[str, Any]:
    from gemma_notebook.engine import ConversationOptions, Engine
    from gemma_notebook.options import EngineOptions, SendOptions

    say("opening the file")
    engine = Engine(EngineOptions(file))
    answers, replies = [], []
    for prompt in _PROMPTS:
        say(f"asking: {prompt}")
        options = ConversationOptions(max_output_tokens=2 * FIRST_TOKENS)
        conversation = engine.create_conversation(options)
        message = json.dumps({"role": "user", "content": [{"type": "text", "text": prompt}]})
        asked = engine.tokenize(engine.render(options, message))
        generation = conversation.send(message, SendOptions())
        chunks = []
        while not generation.ended:
            chunks += generation.take()
        conversation.settle()
        conversation.close()
        reply = "".join(_text(chunk) for chunk in chunks)
        replies.append(reply)
        answers.append([asked, engine.tokenize(reply)])
    texts = [[text, engine.tokenize(text)] for text in _TEXTS]
    engine.close()
    return {"answers": answers, "replies": replies, "texts": texts}


def _text(chunk: bytes) -> str:
    message = json.loads(chunk)
    return "".join(part.get("text", "") for part in message.get("content", ()) if isinstance(part, dict))


def _main() -> int:
    request = json.loads(sys.stdin.readline())

    def say(**message: Any) -> None:
        print(json.dumps(message), flush=True)

    try:
        result = _answers(Path(request["file"]), lambda words: say(progress=words))
    except Exception as error:
        say(error=str(error))
        return 1
    say(result=result)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
