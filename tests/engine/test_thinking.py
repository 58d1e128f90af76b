"""Thinking: the options reach the engine, and thoughts come apart from the reply. On the stub."""

from __future__ import annotations

import json

import pytest
from support import load_test_model, wait_until

import gemma_notebook as gn
from gemma_notebook.errors import OptionValueError, UnsupportedError
from gemma_notebook.panel.tabs import Tabs


def thinks(text: str) -> str:
    return json.dumps({"role": "assistant", "channels": {"thought": text}, "reasoning_content": text})


def says(text: str) -> str:
    return json.dumps({"role": "assistant", "content": [{"type": "text", "text": text}]})


@pytest.fixture
def manager(fake, make_fake_manager):
    fake.set(info_supports_thinking=1)
    return make_fake_manager()


def test_thoughts_are_in_thinking_and_never_in_the_text(fake, manager):
    fake.set(chunks="\x1e".join([thinks("Who "), thinks("asks?"), says("You are "), says("Ada.")]))
    chat = manager.create_chat(enable_thinking=True)
    stream = chat.stream("Who am I?")
    deltas = list(stream)
    assert "".join(delta.thinking for delta in deltas) == "Who asks?" == stream.reply.thinking
    assert "".join(delta.text for delta in deltas) == "You are Ada." == stream.reply.text
    assert chat.messages[1].thinking == "Who asks?"
    assert chat.transcript().entries[1].thinking == "Who asks?"


def test_the_options_reach_the_engine(fake, manager):
    manager.create_chat(enable_thinking=True, thinking_token_budget=20, keep_thinking=True)
    options = fake.options("conversation", 1)
    assert options["enable_thinking"] == "1"
    assert options["thinking_budget"] == "20"
    assert options["filter_channel_content"] == "0"
    manager.create_chat()
    assert fake.options("conversation", 2).get("enable_thinking") != "1"


@pytest.mark.parametrize("keep", [False, True])
def test_a_replay_has_the_thoughts_only_when_they_are_kept(fake, manager, keep):
    fake.set(chunks="\x1e".join([thinks("Hm."), says("Hello.")]))
    chat = manager.create_chat(enable_thinking=True, keep_thinking=keep)
    chat.send("Hi")
    fork = gn.Transcript.from_json(chat.transcript().to_json())
    chat.restore(fork.messages)
    created = [int(line.split()[1]) for line in fake.log if line.startswith("create ")]
    history = json.loads(fake.options("conversation", created[-1])["messages"])
    assert ("reasoning_content" in history[1]) is keep
    assert chat.messages[1].thinking == "Hm."


def test_a_budget_without_thinking_is_refused(manager):
    with pytest.raises(OptionValueError, match="thinking_token_budget is for a model that thinks"):
        manager.create_chat(thinking_token_budget=5)
    with pytest.raises(OptionValueError, match="out of range"):
        manager.create_chat(enable_thinking=True, thinking_token_budget=0)


def test_thinking_can_be_switched_off_by_a_reset_whatever_belongs_to_it(fake, manager):
    chat = manager.create_chat(enable_thinking=True, thinking_token_budget=5, keep_thinking=True)
    chat.reset(enable_thinking=False)
    assert fake.options("conversation", 2).get("enable_thinking") != "1"
    assert chat.options.thinking_token_budget is None


def test_a_model_without_thinking_refuses_to(make_fake_manager):
    with pytest.raises(UnsupportedError, match="has no thinking"):
        make_fake_manager().create_chat(enable_thinking=True)


@pytest.mark.parametrize("keep", [False, True], ids=["dropped", "kept"])
@pytest.mark.parametrize(
    "go_on", ["undo and send", "regenerate", "edit", "fork and send", "restore and send"]
)
def test_going_back_leaves_the_thoughts_in_the_kv_cache_that_going_on_leaves(real_manager, go_on, keep):
    chat = real_manager.create_chat(enable_thinking=True, keep_thinking=keep)
    assert chat.send("My name is Ada.").thinking
    assert chat.send("What is my name?").thinking
    straight = chat.send("Thank you.")
    assert straight.thinking
    if go_on == "regenerate":
        again = chat.regenerate()
    elif go_on == "edit":
        again = chat.edit(4, "Thank you.")
    elif go_on == "restore and send":
        chat.restore(chat.messages[:4])
        again = chat.send("Thank you.")
    else:
        other = chat.fork() if go_on == "fork and send" else chat
        other.undo()
        again = other.send("Thank you.")
    assert again.text == straight.text
    assert again.usage.context_tokens == straight.usage.context_tokens


def test_a_turn_that_came_to_thoughts_alone_is_not_forgotten(fake, manager):
    fake.set(chunks=thinks("Hm."))
    chat = manager.create_chat(enable_thinking=True)
    chat.send("My name is Ada.", max_output_tokens=1)
    fake.set(chunks=says("Hello."))
    chat.send("Hi")
    created = [int(line.split()[1]) for line in fake.log if line.startswith("create ")]
    history = json.loads(fake.options("conversation", created[-1])["messages"])
    assert [message["role"] for message in history] == ["user", "assistant"]


def test_from_the_second_turn_on_a_thinking_reply_cut_by_its_limit_says_so(real_manager):
    """What the engine takes out of the KV cache with the next message is not there any more when that is counted."""
    whole = real_manager.create_chat(enable_thinking=True)
    whole.send("My name is Ada.")
    tokens = whole.send("What is 40 + 21?").usage.output_tokens
    for limit in (tokens - 4, tokens - 1):
        chat = real_manager.create_chat(enable_thinking=True)
        chat.send("My name is Ada.")
        reply = chat.send("What is 40 + 21?", max_output_tokens=limit)
        assert (reply.finish_reason, reply.usage.output_tokens) == ("length", limit)
        assert chat.send("What is my name?").text == "Your name is Ada."


def test_thoughts_that_are_taken_out_leave_their_room_to_the_next_message():
    with load_test_model(context_tokens=256) as manager:
        chat = manager.open_chat(enable_thinking=True, context_policy="error")
        for message in ("Count to 32.", "What is 40 + 21?", "What is 31 + 22?"):
            chat.send(message)
        with manager.open_chat(enable_thinking=True, context_policy="error") as replayed:
            replayed.restore(chat.messages)
            expected = replayed.send("What is 33 + 45?")
        reply = chat.send("What is 33 + 45?")
        assert (reply.text, reply.trimmed_turns) == (expected.text, 0)
        assert reply.usage.context_tokens == expected.usage.context_tokens


def test_a_chat_opened_beside_one_that_is_to_think_no_more_does_not_think(manager):
    chat = manager.create_chat(enable_thinking=True, thinking_token_budget=30)
    told = []
    tabs = Tabs([chat], told.append)
    tabs.handle(
        {"type": "options", "id": "1", "epoch": 1, "chat": "1", "options": {"enable_thinking": False}}
    )
    tabs.handle({"type": "open_chat", "id": "2", "like": "1"})
    wait_until(lambda: len(tabs.chats) == 2)
    assert not tabs.chats[1].options.enable_thinking
    assert tabs.chats[1].options.thinking_token_budget is None
    tabs.close()
