"""The regression kit on the real engine: it passes what forgets, and fails what remembers."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from support import tiny_only

import gemma_notebook as gn
from gemma_notebook import _determinism
from gemma_notebook.chat import Chat
from gemma_notebook.errors import ClosedError, OptionTypeError, OptionValueError
from gemma_notebook.session import Session
from gemma_notebook.testing import assert_forgets, assert_same_as_fresh, deterministic

NAME = "My name is Ada."
ASK = "What is my name?"


@tiny_only
def test_a_chat_forgets_and_others_are_left_alone(real_manager: gn.SessionManager):
    mine = real_manager.create_chat()
    mine.send("My name is Grace.")
    found = assert_forgets(real_manager, [NAME, "I live in Paris."], ASK)
    assert "Ada" in found.told.text
    assert found.after_reset.text == found.fresh_engine.text
    assert found.after_reset.text in found._repr_html_()
    assert mine.send(ASK).text == "Your name is Grace."
    assert real_manager.handles.live == 1


def test_a_reset_that_keeps_the_turns_is_caught(
    real_manager: gn.SessionManager, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Session, "_reset", lambda self, options: self._restart(keep=len(self.turns)))
    with pytest.raises(AssertionError, match="remembers after its reset.*Ada"):
        assert_forgets(real_manager, NAME, ASK)


def test_a_reset_that_does_nothing_is_caught(
    real_manager: gn.SessionManager, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Chat, "reset", lambda _self: None)
    with pytest.raises(AssertionError, match="remembers"):
        assert_forgets(real_manager, NAME, ASK)
    assert real_manager.handles.live == 0


@tiny_only
def test_something_harmless_that_stays_in_the_context_is_caught(
    real_manager: gn.SessionManager, monkeypatch: pytest.MonkeyPatch
):
    reset = Chat.reset

    def leak(self: Chat) -> None:
        reset(self)
        self.send("Thank you.")

    monkeypatch.setattr(Chat, "reset", leak)
    with pytest.raises(AssertionError, match="in the context after the reset"):
        assert_forgets(real_manager, NAME, ASK)


def test_a_handle_that_outlives_its_reset_is_caught(
    real_manager: gn.SessionManager, monkeypatch: pytest.MonkeyPatch
):
    kept = []

    def leak(self: Chat) -> None:
        kept.append(self._session)
        self._session = self.manager._open(self.options)

    monkeypatch.setattr(Chat, "reset", leak)
    with pytest.raises(AssertionError, match=r"did not close handle 1 before it created handle \d"):
        assert_forgets(real_manager, NAME, ASK)
    kept[0].close()


@tiny_only
def test_a_probe_that_cannot_tell_is_no_test(real_manager: gn.SessionManager):
    with pytest.raises(AssertionError, match="cannot tell"):
        assert_forgets(real_manager, NAME, "Who are you?")


def test_options_are_those_of_the_chat(real_manager: gn.SessionManager):
    found = assert_forgets(real_manager, NAME, ASK, system_instruction="Your name is Bob.")
    assert "Ada" in found.told.text


def test_a_chat_is_the_same_as_a_fresh_one_when_it_was_reset_and_when_it_was_not(
    real_manager: gn.SessionManager,
):
    chat = real_manager.create_chat()
    chat.send(NAME)
    before = chat.messages
    assert_same_as_fresh(chat)
    assert chat.messages == before
    chat.reset()
    assert_same_as_fresh(chat, ASK)
    assert chat.messages == ()


@tiny_only
def test_the_fresh_chat_may_use_the_tools_that_the_chat_may_use(real_manager: gn.SessionManager):
    def get_weather(city: str) -> str:
        """Get the weather in a city."""
        return "sunny"

    chat = real_manager.create_chat(tools=[get_weather], approve_tool=lambda _: False)
    assert_same_as_fresh(chat, "What is the weather in Paris?")  # denied in both


def test_a_chat_whose_handle_knows_more_than_its_turns_is_caught(real_manager: gn.SessionManager):
    chat = real_manager.create_chat()
    chat.send(NAME)
    chat.session._history.turns = ()  # the KV cache still has the turn
    with pytest.raises(AssertionError, match="something else is in its memory"):
        assert_same_as_fresh(chat, ASK)


@tiny_only
@pytest.mark.parametrize(
    ("heard", "turns"),
    [
        (["The code is 1234.", "I live in Paris."], 1),
        (["My name is Ada.", "My name is Bob."], 1),
        (["Hello"] * 5, 1),
        (["Hello"] * 12, 11),
    ],
)
def test_a_chat_whose_handle_heard_more_than_its_turns_is_caught_though_it_answers_alike(
    real_manager: gn.SessionManager, heard: list[str], turns: int
):
    chat = real_manager.create_chat()
    for message in heard:
        chat.send(message)
    chat.session._history.turns = chat.session.turns[-turns:]
    with pytest.raises(
        AssertionError, match=f"the chat has {turns} turns, and more in its context than they"
    ):
        assert_same_as_fresh(chat, "Hello")


@tiny_only
@pytest.mark.parametrize("message", ["What is 2.50 plus 1.10?", "Add 3.0 and 4.00.", "Add 1e3 and 2."])
def test_a_call_that_is_written_anew_in_a_replay_is_no_other_memory(
    real_manager: gn.SessionManager, message: str
):
    def add(a: float, b: float) -> float:
        """Add two numbers."""
        return a + b

    chat = real_manager.create_chat(tools=[add])
    assert chat.send(message).tool_calls
    assert_same_as_fresh(chat, "Thank you.")


@tiny_only
def test_a_reply_of_other_tokens_than_its_text_is_made_of_is_no_other_memory(
    real_manager: gn.SessionManager, monkeypatch: pytest.MonkeyPatch
):
    chat = real_manager.create_chat()
    chat.send(NAME)
    used = chat.context.tokens
    (turn,) = chat.session.turns
    # As if the model had written two of its tokens in four pieces.
    usage = replace(turn.reply.usage, output_tokens=turn.reply.usage.output_tokens + 2)
    turn.reply = replace(turn.reply, usage=replace(usage, context_tokens=used + 2))
    send = Chat.send

    def longer(self: Chat, probe: str) -> gn.Reply:
        reply = send(self, probe)
        extra = 2 if self is chat else 0
        return replace(reply, usage=replace(reply.usage, context_tokens=reply.usage.context_tokens + extra))

    monkeypatch.setattr(Chat, "send", longer)
    assert_same_as_fresh(chat, "Thank you.")


def test_a_chat_that_samples_says_nothing_of_what_it_forgot(real_manager: gn.SessionManager):
    with pytest.raises(OptionValueError, match="samples"):
        assert_forgets(real_manager, "Hello", "Say a word.", temperature=2.0, top_k=40)
    with deterministic(), pytest.raises(AssertionError, match="cannot tell"):
        assert_forgets(real_manager, "Hello", "Say a word.", temperature=2.0, top_k=40)
    assert real_manager.handles.live == 0


def test_what_cannot_be_compared_is_refused(real_manager: gn.SessionManager):
    with pytest.raises(OptionValueError, match="samples"):
        assert_same_as_fresh(real_manager.create_chat(top_k=40))
    with pytest.raises(OptionTypeError):
        assert_same_as_fresh(real_manager)
    with pytest.raises(OptionTypeError):
        assert_forgets(real_manager.create_chat(), NAME, ASK)
    real_manager.close()
    with pytest.raises(ClosedError):
        assert_forgets(real_manager, NAME, ASK)


def test_deterministic_is_greedy_seeded_and_tells_no_time_until_its_end(real_manager: gn.SessionManager):
    with deterministic(seed=7):
        drawn = random.random()
        chat = real_manager.create_chat(top_k=40, top_p=0.9, temperature=2.0, random_seed=3)
        assert (chat.options.top_k, chat.options.top_p, chat.options.random_seed) == (1, None, 7)
        assert chat.send(NAME).timing == gn.Timing(None, None, None, 0.0)
        assert {event.at_s for event in real_manager.events} == {0.0}
    assert chat.send(NAME).timing.total_s > 0
    assert real_manager.create_chat(top_k=40).options.top_k == 40
    with deterministic(seed=7):
        assert random.random() == drawn


def test_deterministic_holds_without_a_block_and_blocks_may_be_nested(real_manager: gn.SessionManager):
    state = random.getstate()
    held = deterministic()
    try:
        with deterministic(seed=2):
            assert real_manager.create_chat().options.random_seed == 2
        assert real_manager.create_chat(random_seed=9).options.random_seed == 1
        assert "holds" in repr(held)
    finally:
        held.end()
        held.end()
    assert "ended" in repr(held)
    assert real_manager.create_chat(random_seed=9).options.random_seed == 9
    assert random.getstate() == state


def test_deterministic_seeds_a_numpy_that_has_drawn_nothing_yet():
    code = (
        "import numpy as np; from gemma_notebook.testing import deterministic; deterministic(); "
        "print(np.random.rand())"
    )
    draws = {subprocess.check_output([sys.executable, "-c", code]) for _ in range(2)}
    assert len(draws) == 1


def test_deterministic_gives_numpys_generator_back_too_and_takes_its_numbers():
    everybodys = np.random.mtrand._rand  # which np.random's functions draw of
    everybodys.seed(5)
    wanted = everybodys.rand(2)
    everybodys.seed(5)
    assert everybodys.rand() == wanted[0]
    with deterministic(seed=np.int64(3)):
        everybodys.rand()
    assert everybodys.rand() == wanted[1]


@pytest.mark.parametrize("seed", [-1, 2**40, "one"])
def test_deterministic_with_a_seed_that_cannot_be_fixes_nothing(seed):
    with pytest.raises((OptionValueError, OptionTypeError), match="random_seed"):
        deterministic(seed=seed)
    assert _determinism._fixed == _determinism.Fixed()


def test_deterministic_called_again_takes_the_place_of_the_call_before():
    held = deterministic()
    with deterministic(seed=2):
        assert _determinism._fixed.options["random_seed"] == 2
    assert _determinism._fixed.options["random_seed"] == 1, "a block gives back what held before"
    for seed in (3, 4):
        held = deterministic(seed=seed)
    with held:
        pass
    assert _determinism._fixed.options["random_seed"] == 3, "of what was called before it"
    deterministic(seed=5).end()
    assert _determinism._fixed == _determinism.Fixed()


def test_an_interrupted_probe_is_taken_back(real_manager: gn.SessionManager, monkeypatch):
    chat = real_manager.create_chat()
    chat.send(NAME)
    before, send = chat.messages, Chat.send

    def interrupted(*arguments: object) -> None:
        send(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(Chat, "send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        assert_same_as_fresh(chat)
    assert chat.messages == before
