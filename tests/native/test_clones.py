"""What a clone is, on the real engine with the bundled model and on the stub: undo and fork rest on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import psutil
import pytest
from driver import Shim
from fake_engine import FakeEngine

from gemma_notebook.engine import _shim, load_library
from gemma_notebook.models.resolve import resolve_model

FACT = "My name is Ada."
QUESTION = "What is my name?"
LONG = "Count to 200."
ADA = "Your name is Ada."
UNKNOWN = "You have not told me your name."


def real_shim() -> Shim:
    return Shim(_shim, load_library().path, resolve_model("tiny"))


@pytest.fixture(params=["real engine", "stub"])
def either(request: pytest.FixtureRequest) -> Shim:
    """The same rule on both."""
    return real_shim() if request.param == "real engine" else request.getfixturevalue("shim")


@pytest.fixture
def real() -> Shim:
    return real_shim()


class Lab:
    """An engine and its conversations, all deleted at the end."""

    def __init__(self, shim: Shim, cache: Path, **options: Any) -> None:
        self.shim = shim
        cache_dir = shim.ffi.new("char[]", str(cache).encode())
        self.engine = shim.make_engine(cache_dir=cache_dir, num_threads=2, **options)
        self.alive: list[Any] = []

    def make(self, messages: list[dict[str, Any]] | None = None) -> Any:
        greedy = {"has_sampler": 1, "sampler_type": 2, "top_k": 1}
        self.alive.append(self.shim.make_conversation(self.engine, messages, **greedy))
        return self.alive[-1]

    def clone(self, conversation: Any) -> Any:
        clone = self.shim.lib.gn_conversation_clone(self.shim.api, conversation, self.shim.error)
        assert clone, self.shim.reason()
        self.alive.append(clone)
        return clone

    def tokens(self, conversation: Any) -> int:
        return int(self.shim.lib.gn_conversation_token_count(self.shim.api, conversation, self.shim.error))

    def cancel(self, conversation: Any) -> tuple[list[str], str | None]:
        """Send something long and stop it."""
        stream = self.shim.send(conversation, LONG)
        self.cancel_until_it_ends(conversation, stream)
        return self.shim.read(stream)

    def cancel_until_it_ends(self, conversation: Any, stream: Any) -> None:
        """Ask more than once: the real engine loses some cancels that come while a reply begins."""
        lib = self.shim.lib
        lib.gn_conversation_cancel(self.shim.api, conversation)
        while not lib.gn_stream_wait_end(stream, 0.02):
            lib.gn_conversation_cancel(self.shim.api, conversation)

    def delete(self, conversation: Any) -> None:
        self.alive.remove(conversation)
        self.shim.delete(conversation)

    def close(self) -> None:
        self.shim.delete(*self.alive, self.engine)


@pytest.fixture
def open_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    labs: list[Lab] = []

    def make(shim: Shim, **options: Any) -> Lab:
        labs.append(Lab(shim, tmp_path, **options))
        return labs[-1]

    yield make
    for lab in labs:
        lab.close()


def counts_nothing_when_spent(lab: Lab, clone: Any, why: str) -> bool:
    """Whether a clone's count tells if it can be used.

    The stub's clone of a spent chat is spent. The real engine marks a chat as spent a moment after the terminal
    event: what reaches it before that, a clone or a send, finds the chat alive and keeps it so.
    """
    tokens = lab.tokens(clone)
    texts, error = lab.shim.read(lab.shim.send(clone, QUESTION))
    return (texts, error) == ([], why) if tokens == 0 else (bool(texts) and error is None)


def test_a_clone_and_its_parent_do_not_know_of_each_other(either: Shim, open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(either)
    chat = lab.make()
    fresh = lab.clone(chat)
    either.ask(chat, FACT)
    told = lab.clone(chat)
    assert lab.tokens(told) == lab.tokens(chat) > 0
    another = lab.clone(fresh)
    either.ask(another, "My name is Bob.")
    assert either.ask(told, QUESTION) == either.ask(chat, QUESTION) == ADA
    assert either.ask(another, QUESTION) == "Your name is Bob."
    assert either.ask(fresh, QUESTION) == UNKNOWN


def test_a_clone_of_a_clone_outlives_both(either: Shim, open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(either)
    chat = lab.make()
    either.ask(chat, FACT)
    clone = lab.clone(chat)
    last = lab.clone(clone)
    lab.delete(chat)
    lab.delete(clone)
    assert either.ask(last, QUESTION) == ADA


def test_a_clone_has_the_history_that_no_send_has_brought_into_the_kv_cache(
    either: Shim, open_lab: Callable[..., Lab]
) -> None:
    lab = open_lab(either)
    chat = lab.make([{"role": "user", "content": FACT}, {"role": "assistant", "content": "Hello, Ada!"}])
    clone, second = lab.clone(chat), lab.clone(chat)
    assert lab.tokens(chat) == lab.tokens(clone) == 0
    assert either.ask(clone, QUESTION) == ADA
    lab.delete(chat)
    assert either.ask(second, QUESTION) == ADA
    assert lab.tokens(clone) == lab.tokens(second) > 0


def test_a_clone_and_a_replay_of_the_history_answer_alike(either: Shim, open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(either)
    chat = lab.make()
    history: list[dict[str, Any]] = []
    for message in (FACT, QUESTION, "Count to 20."):
        others = [lab.clone(chat), lab.clone(lab.clone(chat)), lab.make(history or None)]
        expected = either.read(either.send(chat, message))
        assert [either.read(either.send(other, message)) for other in others] == [expected] * 3
        assert {lab.tokens(other) for other in others} == {lab.tokens(chat)}
        history += [
            {"role": "user", "content": message},
            {"role": "assistant", "content": "".join(expected[0])},
        ]


def test_a_clone_from_before_a_cancelled_turn_answers_as_the_chat_stood(
    either: Shim, fake: FakeEngine, open_lab: Callable[..., Lab]
) -> None:
    lab = open_lab(either)
    chat = lab.make()
    either.ask(chat, FACT)
    clone, second = lab.clone(chat), lab.clone(chat)
    fake.set(gate=1)
    assert lab.cancel(chat)[1] == "CANCELLED: Task cancelled"
    fake.set(gate=None)
    assert either.ask(clone, QUESTION) == ADA
    lab.delete(chat)
    assert either.ask(second, QUESTION) == ADA


def test_a_clone_from_before_a_failed_turn_answers_as_the_chat_stood(
    either: Shim, open_lab: Callable[..., Lab]
) -> None:
    lab = open_lab(either, max_num_tokens=128)
    chat = lab.make()
    either.ask(chat, FACT)
    before = lab.clone(chat)
    error = either.read(either.send(chat, "word " * 300))[1]
    assert error is not None
    assert error.startswith("INVALID_ARGUMENT: Input token ids are too long")
    assert either.ask(before, QUESTION) == ADA
    assert counts_nothing_when_spent(lab, lab.clone(chat), "INTERNAL: Task failed with state: 7")


def test_a_clone_of_a_cancelled_chat_counts_nothing_when_it_is_spent(
    either: Shim, fake: FakeEngine, open_lab: Callable[..., Lab]
) -> None:
    lab = open_lab(either)
    chat = lab.make()
    either.ask(chat, FACT)
    fake.set(gate=1)  # else the stub may be done before it is stopped
    assert lab.cancel(chat)[1] == "CANCELLED: Task cancelled"
    assert counts_nothing_when_spent(lab, lab.clone(chat), "CANCELLED: Task cancelled")


def test_a_clone_of_an_overfull_chat_says_nothing_whatever_it_counts(
    either: Shim, open_lab: Callable[..., Lab]
) -> None:
    lab = open_lab(either, max_num_tokens=128)
    chat = lab.make()
    while either.ask(chat, "My name is Ada and I like to count to ten."):
        pass
    clone = lab.clone(chat)
    assert lab.tokens(clone) in {0, lab.tokens(chat)}  # 0 as a rule, not always on a busy machine
    assert either.ask(clone, QUESTION) == ""


def test_cancelling_a_clone_leaves_its_parent_alone(
    either: Shim, fake: FakeEngine, open_lab: Callable[..., Lab]
) -> None:
    lab = open_lab(either)
    chat = lab.make()
    either.ask(chat, FACT)
    clone = lab.clone(chat)
    fake.set(gate=1)  # else the stub may be done before it is stopped
    assert lab.cancel(clone)[1] == "CANCELLED: Task cancelled"
    fake.set(gate=None)
    assert either.ask(chat, QUESTION) == ADA


def test_a_parent_is_deleted_at_once_while_its_clone_generates(
    either: Shim, open_lab: Callable[..., Lab]
) -> None:
    lab = open_lab(either)
    chat = lab.make()
    either.ask(chat, FACT)
    clone = lab.clone(chat)
    stream = either.send(clone, LONG)
    lab.delete(chat)
    texts, error = either.read(stream)
    assert error is None
    assert "".join(texts) == LONG or "".join(texts).endswith(" 200.")
    assert either.ask(clone, QUESTION) == ADA


def test_the_real_engine_lets_no_one_in_while_it_generates(real: Shim, open_lab: Callable[..., Lab]) -> None:
    """What the stub's ``serial`` imitates: these calls come back when the last token of another chat is there."""
    lab = open_lab(real)
    busy, idle = lab.make(), lab.make()
    real.ask(idle, FACT)
    batch = real.ffi.new("gn_batch *")
    for call in (lab.make, lambda: lab.clone(idle), lambda: lab.tokens(idle)):
        stream = real.send(busy, LONG)
        # Not before the first token: between prefill and decode there is a gap, and they slip through it.
        assert real.lib.gn_stream_take(stream, 20.0, batch) == 1
        call()
        assert real.lib.gn_stream_take(stream, 0, batch) == 1
        assert "".join(real.texts(batch)).endswith(" 200.")
        real.read(stream)
        lab.delete(busy)
        busy = lab.make()


def test_a_cancel_lets_the_waiting_in(
    real: Shim, open_lab: Callable[..., Lab], in_thread: Callable[..., Future[Any]]
) -> None:
    lab = open_lab(real)
    busy, idle = lab.make(), lab.make()
    real.ask(idle, FACT)
    stream = real.send(busy, LONG)
    waiting = in_thread(lab.clone, idle)
    lab.cancel_until_it_ends(busy, stream)
    assert real.ask(waiting.result(20), QUESTION) == ADA
    assert real.read(stream)[1] == "CANCELLED: Task cancelled"


def test_a_thousand_clones_cost_the_real_engine_no_memory(real: Shim, open_lab: Callable[..., Lab]) -> None:
    lab = open_lab(real)
    chat = lab.make()
    real.ask(chat, FACT)
    for _ in range(100):
        lab.delete(lab.clone(chat))
    before = psutil.Process().memory_info().rss
    held = [lab.clone(chat) for _ in range(50)]
    for _ in range(1000):
        lab.delete(lab.clone(chat))
    assert psutil.Process().memory_info().rss - before < 4_000_000
    assert real.ask(held[0], QUESTION) == ADA
