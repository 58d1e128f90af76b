"""Does a chat forget? Asked in the strictest way: against an engine that never heard it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gemma_notebook.chat import Chat
from gemma_notebook.displays import Table, TableDisplay
from gemma_notebook.engine import Engine
from gemma_notebook.errors import OptionTypeError, OptionValueError
from gemma_notebook.loading import open_manager
from gemma_notebook.messages import Message, Reply
from gemma_notebook.sessions import SessionManager
from gemma_notebook.turns import Turn, copies_of

__all__ = ["Forgetting", "assert_forgets", "assert_same_as_fresh"]


@dataclass(frozen=True, slots=True)
class Forgetting(TableDisplay):
    """The replies to one probe: of the chat that was told, of the chat after its reset, and of a fresh engine."""

    told: Reply
    after_reset: Reply
    fresh_engine: Reply

    def _table(self) -> Table:
        rows = (
            ("told", self.told.text),
            ("after the reset", self.after_reset.text),
            ("on a fresh engine", self.fresh_engine.text),
        )
        return Table(("asked", "reply"), rows)


def assert_forgets(
    manager: SessionManager, told: str | Iterable[str], probe: str, **options: Any
) -> Forgetting:
    """Tell, ask, reset, ask again, and compare with what an engine says that never heard it.

    The chat is one of its own, on a lane of its own, and is closed in the end; no other chat is touched. The fresh
    engine is the same model, loaded once more.

    Args:
        manager: The model to try it on.
        told: What to tell: one message, or several.
        probe: The question whose answer depends on what was told.
        **options: The chat's, as for ``manager.open_chat``.

    Returns:
        The three replies, which a notebook shows as a table.

    Raises:
        AssertionError: The reset left something behind, the old handle outlived it, or the probe cannot tell:
            its answer is the same whether or not the chat was told.
        OptionValueError: The options make the chat sample, so its answers say nothing.

    Example:
        >>> assert_forgets(manager, "My name is Ada.", "What is my name?").after_reset.text
        'You have not told me your name.'
    """
    if not isinstance(manager, SessionManager):
        raise OptionTypeError(f"assert_forgets needs a SessionManager, not {type(manager).__name__!r}")
    if not isinstance(told, Iterable):
        raise OptionTypeError(f"told must be a message, or a list of messages, not {told!r}")
    with manager.open_chat(**options) as chat:
        _require_greedy(chat)
        for message in (told,) if isinstance(told, str) else tuple(told):
            chat.send(message)
        remembered = chat.send(probe)
        old = chat.handle_id
        chat.reset()
        new = chat.handle_id
        order = _order(manager, old, new)
        after = chat.send(probe)
    with _fresh_manager(manager) as fresh:
        expected = fresh.create_chat(**options).send(probe)
    found = Forgetting(remembered, after, expected)
    if remembered.text == expected.text:
        raise AssertionError(
            f"the probe {probe!r} cannot tell whether the chat remembers: the answer is {expected.text!r} "
            "whether or not it was told; ask what only a chat that was told can answer"
        )
    if after.text != expected.text:
        raise AssertionError(
            f"the chat remembers after its reset: asked {probe!r} it said {after.text!r}, "
            f"and a fresh engine says {expected.text!r}"
        )
    if after.usage != expected.usage:
        raise AssertionError(
            f"something of the old chat is in the context after the reset: {after.usage}, "
            f"and on a fresh engine {expected.usage}"
        )
    if order != ["closed", "created"]:
        raise AssertionError(
            f"the reset did not close handle {old} before it created handle {new}: {', '.join(order) or 'neither'}"
        )
    return found


def assert_same_as_fresh(chat: Chat, probe: str = "What do you know about me?") -> None:
    """Raise unless the chat answers as one on a fresh engine does that has had the same turns, and no others.

    So a chat that was just reset must answer like one that never heard anything. It must do so from as many tokens, since an
    answer can be the same all the same, except where the turns themselves may differ: a token less for each turn is none too
    few, because some chat templates (Gemma's) put a line end between turns that is missing while a chat goes on; a reply may
    be of other tokens than its text is made of; and calls of tools are written anew, so with those nothing is counted. The
    probe is taken back afterwards: the chat's messages are then as before, on a handle that is another.

    Args:
        chat: A greedy chat (``top_k=1``, the default).
        probe: What to ask both.

    Raises:
        AssertionError: The answers differ, or the tokens in the context.
        OptionValueError: The chat samples, so its answers say nothing.
    """
    if not isinstance(chat, Chat):
        raise OptionTypeError(f"assert_same_as_fresh needs a Chat, not {type(chat).__name__!r}")
    _require_greedy(chat)
    turns = [turn for turn in chat.session.turns if turn.done]
    before = chat.messages
    try:
        actual = chat.send(probe)
    except BaseException:  # a Ctrl-C
        if chat.messages != before:
            chat.undo()
        raise
    chat.undo()
    _require_same_messages(before, chat.messages)
    with _fresh_manager(chat.manager) as manager:
        session = manager._open(chat.options, copies_of(turns))
        fresh = Chat(
            manager,
            chat.options,
            own_lane=True,
            context_policy=chat._policy,
            tool_policy=chat._tool_policy,
            session=session,
        )
        expected = fresh.send(probe)
        slack = _slack(turns, manager._engine)
    if actual.text != expected.text:
        raise AssertionError(
            f"asked {probe!r} the chat said {actual.text!r}, and a fresh engine with the same {len(turns)} turns "
            f"says {expected.text!r}: something else is in its memory"
        )
    fewer = expected.usage.context_tokens - actual.usage.context_tokens
    if slack is not None and not -slack <= fewer <= len(turns) + slack:
        raise AssertionError(
            f"the chat has {len(turns)} turns, and {'more' if fewer < 0 else 'less'} in its context than they: "
            f"{actual.usage}, and on a fresh engine {expected.usage}"
        )


def _slack(turns: Sequence[Turn], engine: Engine) -> int | None:
    """By how many tokens the same turns may differ when they are replayed; None where that cannot be told."""
    if any(turn.tool_calls for turn in turns):
        return None
    replies = [(turn.raw_text + turn.thinking, turn.reply) for turn in turns if turn.reply is not None]
    return sum(abs(len(engine.tokenize(text)) - reply.usage.output_tokens) for text, reply in replies)


def _require_greedy(chat: Chat) -> None:
    if chat.options.top_k != 1:
        raise OptionValueError(
            f"the chat samples (top_k={chat.options.top_k}), so that its answers cannot be compared; "
            "use top_k=1, or deterministic() before the chat is made"
        )


def _require_same_messages(before: tuple[Message, ...], after: tuple[Message, ...]) -> None:
    if before != after:
        raise AssertionError(
            f"taking back the probe left {len(after)} messages of {len(before)}: the probe pushed the oldest out of "
            "the full context; reset the chat, or load the model with a larger context"
        )


def _fresh_manager(manager: SessionManager) -> SessionManager:
    """The same model, loaded once more."""
    engine = manager._engine
    options = dataclasses.replace(engine.options, backend=engine.backend)
    return open_manager(options, check=False, library=engine.library)


def _order(manager: SessionManager, old: int | None, new: int | None) -> list[str]:
    """What happened first: the old handle's end, or the new one's beginning."""
    wanted = {(old, "closed"), (new, "created")}
    return [event.kind for event in manager.events if (event.handle, event.kind) in wanted]
