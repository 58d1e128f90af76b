"""What the model sees: a chat as its template writes it, with the tokens counted."""

from __future__ import annotations

import html
import itertools
from dataclasses import dataclass

from gemma_notebook.engine import ConversationOptions, Engine
from gemma_notebook.prompts import user_json

__all__ = ["Rendered", "rendered"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """The text that a model reads, control tokens and all. In a notebook it shows itself as it is, escaped.

    Attributes:
        text: The whole of it.
        tokens: Its tokens. What the engine puts in for images and sounds is not among them, nor is the token that it
            begins each sequence with: they have no text.
        pieces: The text of each token, for looking at them one by one; ``"".join(pieces)`` need not be the text
            where several tokens make one character.

    Example:
        >>> print(chat.rendered("And now?"))
        <start_of_turn>user
        …
    """

    text: str
    tokens: int
    pieces: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Rendered({self.tokens} tokens)\n{self.text}"

    def _repr_html_(self) -> str:
        return (
            f'<pre style="white-space: pre-wrap">{html.escape(self.text)}</pre>'
            f"<p><em>{self.tokens:,} tokens</em></p>"
        )

    def _repr_markdown_(self) -> str:
        fence = "`" * max(3, self._longest_run() + 1)
        return f"{fence}text\n{self.text}\n{fence}\n\n*{self.tokens:,} tokens*"

    def _longest_run(self) -> int:
        longest = run = 0
        for character in self.text:
            run = run + 1 if character == "`" else 0
            longest = max(longest, run)
        return longest


def rendered(engine: Engine, options: ConversationOptions, message: str | None) -> Rendered:
    """What a conversation with these options holds, and what ``message`` would add.

    Raises:
        ClosedError: The engine is closed.
        EngineError: The engine refused.
    """
    if message is not None:
        return _counted(engine, engine.render(options, user_json(message)))
    # The template writes a chat only with a message to come. What comes before that message's text is found by
    # writing it with two; the opening of its turn is what stands there in a chat that has said nothing.
    before, opening = (_before_message(engine, one) for one in (options, ConversationOptions()))
    opening = opening.removeprefix("<bos>")
    if opening and before.endswith(opening):
        before = _without_line_end(engine, before.removesuffix(opening))
    return _counted(engine, before)


def _without_line_end(engine: Engine, text: str) -> str:
    """The line end between two turns is of the turn to come, unless it is a part of the last turn's last token."""
    ids = engine.tokenize(text) if text.endswith("\n") else []
    return text if ids and engine.detokenize([ids[-1]]).strip() else text.rstrip("\n")


def _before_message(engine: Engine, options: ConversationOptions) -> str:
    one, other = (engine.render(options, user_json(text)) for text in ("a", "b"))
    alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return "".join(character for character, _ in alike)


def _counted(engine: Engine, text: str) -> Rendered:
    ids = engine.tokenize(text) if text else []
    pieces = tuple(engine.detokenize([one]) for one in ids)
    return Rendered(text, len(ids), pieces)
