"""The fake engine behaves as the real one does where that matters, and lets no misuse pass."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from c_programs import MISUSE_CASES
from driver import Shim
from fake_engine import FakeEngine

from gemma_notebook.engine import load_library


@pytest.mark.parametrize("case", MISUSE_CASES)
def test_misuse_aborts_with_a_word_about_it(case: str, misuse: Callable[[str], str]) -> None:
    assert "fake_engine: misuse: " in misuse(case)


def test_it_has_the_symbols_of_the_shim_and_so_has_the_real_library(shim: Shim) -> None:
    names = shim.ffi.string(shim.lib.gn_api_symbols()).decode().split("\n")
    assert len(names) == len(set(names)) > 70
    assert shim.api
    assert load_library()


def test_it_remembers_within_a_chat_and_not_beyond(shim: Shim) -> None:
    engine = shim.make_engine()
    told, fresh = shim.make_conversation(engine), shim.make_conversation(engine)
    assert shim.ask(told, "My name is Ada.") == "Nice to meet you, Ada!"
    assert shim.ask(told, "What is my name?") == "Your name is Ada."
    assert shim.ask(fresh, "What is my name?") == "You have not told me your name."
    shim.delete(told, fresh, engine)


def test_it_reads_a_replayed_history(shim: Shim, fake: FakeEngine) -> None:
    engine = shim.make_engine()
    history: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "text", "text": "My name is Žofie 🙂."}]},
        {"role": "assistant", "content": "Hello!"},
    ]
    chat = shim.make_conversation(engine, history)
    assert shim.ask(chat, "What is my name?") == "Your name is Žofie 🙂."
    assert fake.turns(1)[:2] == ["user: My name is Žofie 🙂.", "assistant: Hello!"]
    shim.delete(chat, engine)


def test_a_cancelled_conversation_is_spent(shim: Shim, fake: FakeEngine) -> None:
    fake.set(gate=1)
    engine = shim.make_engine()
    chat = shim.make_conversation(engine)
    stream = shim.send(chat, "one two")
    shim.lib.gn_conversation_cancel(shim.api, chat)
    assert shim.read(stream) == ([], "CANCELLED: Task cancelled")
    assert shim.read(shim.send(chat, "three")) == ([], "CANCELLED: Task cancelled")
    fake.set(spent="silent")
    assert shim.read(shim.send(chat, "four")) == ([], None)
    shim.delete(chat, engine)


def test_a_cancel_without_a_generation_spends_nothing(shim: Shim) -> None:
    engine = shim.make_engine()
    chat = shim.make_conversation(engine)
    shim.lib.gn_conversation_cancel(shim.api, chat)
    assert shim.ask(chat, "one") == "one"
    shim.delete(chat, engine)


def test_a_failed_conversation_is_spent(shim: Shim, fake: FakeEngine) -> None:
    engine = shim.make_engine()
    chat = shim.make_conversation(engine)
    fake.set(end_error="INTERNAL: no luck")
    assert shim.read(shim.send(chat, "one")) == (["one"], "INTERNAL: no luck")
    fake.set(end_error=None)
    assert shim.read(shim.send(chat, "two")) == ([], "INTERNAL: Task failed with state: 7")
    shim.delete(chat, engine)


def test_a_full_context_is_silent(shim: Shim) -> None:
    engine = shim.make_engine(max_num_tokens=6)
    chat = shim.make_conversation(engine)
    assert shim.ask(chat, "a b c d") == "a b"  # four of the message, and two of room
    assert shim.ask(chat, "e") == "e"  # no room left, and one token all the same
    assert shim.ask(chat, "f") == ""
    assert shim.lib.gn_conversation_token_count(shim.api, chat, shim.error) == 8
    shim.delete(chat, engine)


def test_a_prompt_longer_than_the_context_is_an_error(shim: Shim) -> None:
    engine = shim.make_engine(max_num_tokens=4)
    chat = shim.make_conversation(engine)
    texts, error = shim.read(shim.send(chat, "a b c d e"))
    assert texts == []
    assert error is not None
    assert error.endswith("allowed: 5 >= 4")
    shim.delete(chat, engine)


def test_a_message_counts_in_the_context_as_its_rendering_does(shim: Shim) -> None:
    engine = shim.make_engine()
    chat = shim.make_conversation(engine)
    count = shim.ffi.new("size_t *")
    message = b'{"role":"user","content":"a b c"}'
    rendered = shim.lib.gn_conversation_render(shim.api, chat, message, shim.error)
    shim.lib.gn_free(shim.lib.gn_engine_tokenize(shim.api, engine, rendered, count, shim.error))
    shim.lib.gn_free(rendered)
    shim.ask(chat, "a b c")
    assert shim.lib.gn_conversation_token_count(shim.api, chat, shim.error) == count[0] + 3
    shim.delete(chat, engine)


def test_one_engine_decodes_one_stream_at_a_time(shim: Shim, fake: FakeEngine) -> None:
    fake.set(gate=1)
    engine = shim.make_engine()
    first, second = shim.make_conversation(engine), shim.make_conversation(engine)
    streams = [shim.send(first, "one two"), shim.send(second, "three")]
    fake.allow(3)
    assert [shim.read(stream) for stream in streams] == [(["one", " two"], None), (["three"], None)]
    assert fake.log[-4:] == ["send 1", "send 2", "end 1 stop", "end 2 stop"]
    shim.delete(first, second, engine)


def test_a_queued_stream_can_be_cancelled_alone(shim: Shim, fake: FakeEngine) -> None:
    fake.set(gate=1)
    engine = shim.make_engine()
    first, second = shim.make_conversation(engine), shim.make_conversation(engine)
    streams = [shim.send(first, "one"), shim.send(second, "two")]
    shim.lib.gn_conversation_cancel(shim.api, second)
    assert shim.read(streams[1]) == ([], "CANCELLED: Task cancelled")
    fake.allow(1)
    assert shim.read(streams[0]) == (["one"], None)
    shim.delete(first, second, engine)


def test_a_sampler_type_that_the_engine_lacks_works_only_after_another(shim: Shim) -> None:
    engine = shim.make_engine()
    top_k, plain = (
        shim.lib.gn_conversation_create(
            shim.api,
            engine,
            shim.ffi.new("gn_conversation_options *", {"has_sampler": 1, "sampler_type": kind, "top_k": 1}),
            shim.error,
        )
        for kind in (1, 2)
    )
    assert shim.read(shim.send(top_k, "one"))[1] == "UNIMPLEMENTED: Sampler type: 1 not implemented yet."
    assert shim.ask(plain, "one") == "one"
    shim.delete(top_k, plain, engine)


def test_replies_can_be_scripted_in_turn(shim: Shim, fake: FakeEngine) -> None:
    fake.set(reply="first\x1eand last")
    engine = shim.make_engine()
    chat = shim.make_conversation(engine)
    assert [shim.ask(chat, "?") for _ in range(3)] == ["first", "and last", "and last"]
    shim.delete(chat, engine)


def test_a_call_can_be_held(shim: Shim, fake: FakeEngine, in_thread: Callable[..., Future[Any]]) -> None:
    fake.set(hold_conversation_create=1)
    engine = shim.make_engine()
    creation = in_thread(shim.make_conversation, engine)
    assert fake.wait("conversation_create", 1)
    assert fake.count("live_conversations") == 0
    fake.set(hold_conversation_create=None)
    shim.delete(creation.result(20), engine)


def test_settings_can_come_from_the_environment(
    shim: Shim, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ENGINE_REPLY", "from outside")
    engine = shim.make_engine()
    chat = shim.make_conversation(engine)
    assert shim.ask(chat, "?") == "from outside"
    fake.set(reply="from inside")
    assert shim.ask(chat, "?") == "from inside"
    shim.delete(chat, engine)


def test_an_engine_deleted_too_early_leaves_conversations_dangling(shim: Shim, fake: FakeEngine) -> None:
    engine = shim.make_engine()
    chat = shim.make_conversation(engine)
    shim.delete(engine)
    assert fake.count("dangling") == 1
    shim.delete(chat)
    assert fake.log[-2:] == ["engine_delete 1", "delete 1"]


def test_the_log_has_the_order_of_events(shim: Shim, fake: FakeEngine) -> None:
    engine = shim.make_engine()
    chat = shim.make_conversation(engine)
    clone = shim.lib.gn_conversation_clone(shim.api, chat, shim.error)
    shim.ask(clone, "one")
    shim.delete(chat, clone, engine)
    assert fake.log == [
        *("engine_create 1", "create 1", "clone 1 2", "send 2", "end 2 stop"),
        *("delete 1", "delete 2", "engine_delete 1"),
    ]
