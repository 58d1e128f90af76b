"""Undo, regenerate, edit, fork and restore: by a native clone or by a replay, with the same result."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest
from support import WAIT_S, tiny_only, wait_until

import gemma_notebook as gn
from gemma_notebook.errors import (
    ClosedError,
    ContextFullError,
    EngineError,
    OptionTypeError,
    OptionValueError,
)
from gemma_notebook.holding import CHECKPOINTS_KEPT

TOLD = ("My name is Ada.", "I live in Paris.", "What is my name?")
PROBE = "Where do I live?"


def told(chat, messages=TOLD):
    for message in messages:
        chat.send(message)
    return chat


def forget(chats, manager):
    chats.clear()
    wait_until(lambda: manager.handles.live == 0)


def native(fake, *kinds):
    return [line for line in fake.log if line.split()[0] in kinds]


# What a native clone gives is what a replay gives


def undone(chat):
    chat.undo()
    return chat


def regenerated(chat):
    chat.regenerate()
    return chat


def edited(chat):
    chat.edit(2, "I live in Rome.")
    return chat


def forked(chat):
    return chat.fork()


def twice_undone(chat):
    return undone(undone(chat))


@pytest.mark.parametrize("verb", [undone, twice_undone, regenerated, edited, forked])
def test_a_clone_gives_what_a_replay_gives(manager, verb):
    ways = {}
    for way in ("clone", "replay"):
        chat = manager.open_chat()
        chat.session.keeps_checkpoints = way == "clone"
        told(chat)
        if way == "replay":  # a spent handle cannot be cloned
            chat.session._holding.conversation.retire("a test")
        after = verb(chat)
        reply = after.send(PROBE)
        ways[way] = (after.messages, reply.text, reply.usage.context_tokens, reply.finish_reason)
        after.close()
        chat.close()
    assert ways["clone"] == ways["replay"]


@pytest.mark.parametrize("verb", [undone, regenerated, edited])
def test_going_back_natively_creates_no_conversation(fake, fake_manager, verb):
    chat = told(fake_manager.create_chat())
    verb(chat)
    assert native(fake, "create") == ["create 1"]
    assert chat.handle_id != 1
    made = [event for event in fake_manager.events if event.kind == "created"]
    assert [event.handle for event in made] == [1, 2]
    assert made[1].detail.startswith("from checkpoint")


def test_the_old_handle_is_closed_before_a_checkpoint_takes_its_place(fake_manager):
    chat = told(fake_manager.create_chat())
    chat.undo()
    events = [(event.kind, event.handle) for event in fake_manager.events]
    assert events.index(("closed", 1)) < events.index(("created", chat.handle_id))


@tiny_only
def test_a_fork_is_a_clone_and_each_goes_its_own_way(manager):
    ada = told(manager.open_chat(), TOLD[:1])
    bo = ada.fork()
    bo.send("My name is Bo.")
    ada.send("I live in Paris.")
    assert "Bo" in bo.send("What is my name?").text
    assert "Ada" in ada.send("What is my name?").text
    clones = [event.detail for event in manager.events if event.detail.startswith("clone")]
    assert clones == [f"clone of handle {ada.handle_id}"]
    ada.close()
    assert "Bo" in bo.send("What is my name?").text


def test_a_fork_while_the_parent_generates_replays_what_is_finished(fake, fake_manager):
    chat = told(fake_manager.open_chat(), TOLD[:1])
    fake.set(gate="1", reply="one two")
    stream = chat.stream("Count.")
    fake.allow(1)
    next(stream)
    fake.let_go()
    with chat.fork() as fork:
        assert fork.messages[:2] == chat.messages[:2]
    assert stream.reply.finish_reason == "stop"


@pytest.mark.parametrize("verb", ["stop", "undo", "reset", "close"])
def test_what_one_does_to_a_fork_does_not_stop_the_tools_of_its_parent(real_manager, in_thread, verb):
    began, goes_on = threading.Event(), threading.Event()

    def get_weather(city: str) -> str:
        """Get the weather of a city."""
        began.set()
        goes_on.wait(WAIT_S)
        return "sunny"

    chat = real_manager.open_chat(tools=[get_weather])
    chat.send("My name is Ada.")
    said = chat.messages
    reply = in_thread(chat.send, "What is the weather in Paris?")
    assert began.wait(WAIT_S)
    with chat.fork() as fork:
        assert fork.messages == said
        getattr(fork, verb)()
    goes_on.set()
    assert reply.result(WAIT_S).tool_results[0].outcome == "done"
    assert "sunny" in reply.result(WAIT_S).text


# What cannot be sent


AGAIN = {
    "edit": lambda chat, text: chat.edit(0, text),
    "aedit": lambda chat, text: asyncio.run(chat.aedit(0, text)),
    "regenerate": lambda chat, _: chat.regenerate(),
    "aregenerate": lambda chat, _: asyncio.run(chat.aregenerate()),
}


@pytest.mark.parametrize("tools", [(), (told,)])
@pytest.mark.parametrize("verb", AGAIN)
def test_a_message_that_cannot_be_sent_again_leaves_the_chat_as_it_was(fake, fake_manager, verb, tools):
    fake.set(info_supports_function_calling=1)
    chat = told(fake_manager.create_chat(tools=tools))
    before = chat.messages
    fake.set(fail_conversation_send_message_stream="-1:8:no memory")
    with pytest.raises(EngineError, match="no memory"):
        AGAIN[verb](chat, "My name is Bo.")
    assert chat.messages == before
    fake.set(fail_conversation_send_message_stream="")
    chat.send("And now?")
    [*_, created] = (int(line.split()[1]) for line in native(fake, "create"))
    assert "user: My name is Ada." in fake.turns(created)


@tiny_only
@pytest.mark.parametrize("verb", ["edit", "aedit"])
def test_an_edit_that_does_not_fit_leaves_the_models_memory_as_it_was(real_manager, verb):
    chat = told(real_manager.create_chat())
    with pytest.raises(ContextFullError):
        AGAIN[verb](chat, "word " * 3000)
    assert len(chat.messages) == 6
    assert "Ada" in chat.send("What is my name?").text


def test_a_failed_edit_does_not_take_back_what_was_said_meanwhile(fake_manager):
    chat = told(fake_manager.create_chat())
    taken = chat.session._rewind_before(chat.session.turns[-1])
    chat.send("Something else.")
    chat.session._put_back(taken)
    assert [message.text for message in chat.messages if message.role == "user"] == [
        *TOLD[:2],
        "Something else.",
    ]


@pytest.mark.parametrize("verb", ["undo", "reset"])
def test_a_failed_edit_does_not_bring_back_what_was_forgotten_meanwhile(fake_manager, verb):
    chat = told(fake_manager.create_chat())
    taken = chat.session._rewind_before(chat.session.turns[-1])
    getattr(chat, verb)()
    left = chat.messages
    chat.session._put_back(taken)
    assert chat.messages == left


def test_a_failed_regenerate_keeps_the_reply_that_it_broke_off(fake, fake_manager):
    chat = told(fake_manager.create_chat(), TOLD[:1])
    fake.set(gate="1", reply="one two")
    stream = chat.stream("Count.")
    fake.allow(1)
    next(stream)
    fake.let_go()
    fake.set(fail_conversation_send_message_stream="-1:8:no memory")
    with pytest.raises(EngineError, match="no memory"):
        chat.regenerate()
    assert [message.text for message in chat.messages[2:3]] == ["Count."]
    assert chat.messages[3].text.startswith("one")


@pytest.mark.parametrize("verb", ["edit", "regenerate"])
def test_an_interrupt_before_the_message_is_sent_again_forgets_nothing(fake_manager, monkeypatch, verb):
    def interrupted(*_):
        raise KeyboardInterrupt

    chat = told(fake_manager.create_chat())
    before = chat.messages
    monkeypatch.setattr(chat.session._conversations, "with_room", interrupted)
    with pytest.raises(KeyboardInterrupt):
        AGAIN[verb](chat, "My name is Bo.")
    assert chat.messages == before


def test_a_regenerate_that_cannot_be_sent_uses_no_seed_up(fake, fake_manager, monkeypatch):
    chat = told(fake_manager.create_chat(top_k=40))
    chat.regenerate()
    create, created = chat.session._engine.create_conversation, []

    def note(options):
        created.append(options.random_seed)
        return create(options)

    monkeypatch.setattr(chat.session._engine, "create_conversation", note)
    fake.set(fail_conversation_send_message_stream="-1:8:no memory")
    with pytest.raises(EngineError):
        chat.regenerate()
    fake.set(fail_conversation_send_message_stream="")
    chat.send("And now?")
    assert created[-2:] == [chat.options.random_seed + 2, chat.options.random_seed + 1]


@pytest.mark.parametrize("tools", [(), (told,)])
@pytest.mark.parametrize("verb", ["regenerate", "aregenerate"])
def test_a_message_that_is_stopped_before_it_is_sent_again_leaves_the_chat_as_it_was(
    fake, fake_manager, in_thread, verb, tools
):
    fake.set(info_supports_function_calling=1)
    chat, other = told(fake_manager.open_chat(tools=tools)), fake_manager.open_chat()
    before = chat.messages
    fake.set(gate="1", reply="one two")
    busy = other.stream("Count.")
    again = in_thread(AGAIN[verb], chat, "My name is Bo.")
    wait_until(lambda: len(chat.messages) == len(before) - 1)
    chat.stop()
    assert again.result(WAIT_S).finish_reason == "cancelled"
    assert chat.messages == before
    fake.let_go()
    assert busy.reply.finish_reason == "stop"


def test_turns_are_not_lost_where_going_back_fails(fake, fake_manager):
    chat = told(fake_manager.create_chat(top_k=40))
    before = chat.messages
    fake.set(fail_conversation_create="-1:8:no memory")
    for verb in (chat.undo, chat.regenerate, lambda: chat.edit(0, "My name is Bo.")):
        with pytest.raises(EngineError, match="no memory"):
            verb()
        assert chat.messages == before
    fake.let_go()
    chat.send("And now?")
    created = max(int(line.split()[1]) for line in native(fake, "create"))
    assert "user: My name is Ada." in fake.turns(created)


@pytest.mark.parametrize("keeper", ["chat", "session"])
def test_the_async_twin_refuses_what_are_no_messages_alike(fake_manager, keeper):
    chat = fake_manager.create_chat()
    with pytest.raises(OptionTypeError, match="list of Message"):
        asyncio.run((chat if keeper == "chat" else chat.session).arestore(None))


def test_what_is_answered_again_has_the_limit_that_it_was_sent_with(real_manager):
    chat = real_manager.create_chat()
    short = chat.send("My name is Ada.", max_output_tokens=3).text
    assert chat.regenerate().text == short
    assert asyncio.run(chat.aregenerate()).text == short
    assert chat.edit(0, "My name is Ada.").text == short
    assert len(chat.regenerate(max_output_tokens=50).text) > len(short)


# How many, and how long


def test_clones_are_bounded(manager):
    chat = told(manager.create_chat(), ["My name is Ada."] * (CHECKPOINTS_KEPT + 4))
    assert manager.handles == gn.HandleCounts(1, 0, 1, CHECKPOINTS_KEPT)
    for _ in range(CHECKPOINTS_KEPT + 3):  # the last of them by replay
        chat.undo()
    assert manager.handles.checkpoints == 0
    assert "Ada" in chat.send("What is my name?").text


def test_a_reset_closes_every_clone_before_it_creates_the_next_handle(fake, fake_manager):
    chat = told(fake_manager.create_chat())
    assert fake_manager.handles.checkpoints == 2
    chat.reset()
    assert fake_manager.handles == gn.HandleCounts(2, 1, 1, 0)
    log = native(fake, "create", "delete")
    assert log[0] == "create 1"
    assert sorted(log[1:4]) == ["delete 1", "delete 2", "delete 3"]
    assert log[4].startswith("create")
    assert len(log) == 5


@pytest.mark.parametrize("verb", ["close", "forget", "close the manager"])
def test_a_chat_takes_its_clones_along(manager, verb):
    chat = told(manager.open_chat())
    if verb == "close":
        chat.close()
    elif verb == "forget":
        chats = [chat]
        del chat
        with pytest.warns(ResourceWarning, match="never closed"):
            forget(chats, manager)
    else:
        manager.close()
    wait_until(lambda: manager.handles == gn.HandleCounts(1, 1, 0, 0))


def test_a_session_without_a_chat_keeps_no_clones(manager):
    session = manager.create_session()
    for message in TOLD:
        session.send(message)
    assert manager.handles == gn.HandleCounts(1, 0, 1, 0)


def test_a_clone_that_the_engine_refuses_costs_nothing_but_a_replay(fake, fake_manager):
    chat = fake_manager.create_chat()
    fake.set(fail_conversation_clone="-1:8:no memory")
    told(chat)
    assert fake_manager.handles == gn.HandleCounts(1, 0, 1, 0)
    chat.undo()
    assert len(chat.messages) == 4
    assert "Ada" in chat.send("What is my name?").text


def test_an_undo_after_a_stop_needs_no_replay(fake, fake_manager):
    chat = told(fake_manager.create_chat(), TOLD[:2])
    fake.set(gate="1", reply="one two three")
    stream = chat.stream("Count.")
    fake.allow(1)
    next(stream)
    chat.stop()
    assert stream.reply.finish_reason == "cancelled"
    fake.let_go()
    chat.undo()
    assert native(fake, "create") == ["create 1"]
    assert "Ada" in chat.send("What is my name?").text


def test_what_a_trim_forgot_cannot_be_gone_back_to(fake, make_fake_manager):
    manager = make_fake_manager(context_tokens=64)
    chat = manager.create_chat()
    replies = [chat.send("one two three four five six seven eight") for _ in range(8)]
    assert sum(reply.trimmed_turns for reply in replies) > 0
    kept = [checkpoint.turns for checkpoint in chat.session._holding._checkpoints]
    assert all(turns == chat.session.turns[: len(turns)] for turns in kept)


# Sampling


def test_a_chat_that_samples_keeps_no_clones(fake_manager):
    kept = []
    for top_k in (1, 40):
        told(fake_manager.create_chat(top_k=top_k))
        kept.append(fake_manager.handles.checkpoints)
    assert kept[0] > 0
    assert kept[1] == 0


def test_a_chat_that_samples_answers_again_with_the_next_seed(real_manager):
    def answers():
        chat = real_manager.create_chat(temperature=3.0, top_k=40, random_seed=1)
        for _ in range(2):
            chat.send("Hello", max_output_tokens=12)
        return [chat.regenerate(max_output_tokens=12).text for _ in range(3)]

    first = answers()
    assert len(set(first)) > 1
    assert answers() == first


def test_another_branch_is_answered_with_a_seed_that_was_not_used(fake_manager, monkeypatch):
    chat = told(fake_manager.create_chat(top_k=40), TOLD[:1])
    first = chat.messages
    create, created = chat.session._engine.create_conversation, []

    def note(options):
        created.append(options.random_seed)
        return create(options)

    monkeypatch.setattr(chat.session._engine, "create_conversation", note)
    chat.regenerate()
    chat._switch_to(first)
    chat.regenerate()
    assert created[-1] not in (chat.options.random_seed, chat.options.random_seed + 1)


def test_a_reset_begins_with_the_first_seed_again(real_manager):
    chat = real_manager.create_chat(temperature=3.0, top_k=40, random_seed=1)
    first = chat.send("Hello", max_output_tokens=12).text
    chat.regenerate(max_output_tokens=12)
    chat.reset()
    assert chat.send("Hello", max_output_tokens=12).text == first


# Restore


def test_a_chat_goes_on_from_restored_messages(manager):
    said = told(manager.open_chat(), TOLD[:1]).messages
    chat = manager.create_chat()
    chat.send("My name is Bo.")
    chat.restore(said)
    assert chat.messages == said
    assert "Ada" in chat.send("What is my name?").text
    assert len(chat.metrics) == 1
    assert chat.context.tokens > 0


def test_the_context_of_restored_messages_is_told_before_the_first_send(real_manager):
    chat = real_manager.create_chat()
    chat.restore([gn.Message("user", "My name is Ada."), gn.Message("assistant", "Nice to meet you, Ada.")])
    told_tokens = chat.context.tokens
    assert 0 < told_tokens <= chat.send("What is my name?").usage.context_tokens


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        (["Hello"], OptionTypeError),
        ([gn.Message("assistant", "Hello")], OptionValueError),
        ([gn.Message("user", "Hi"), *[gn.Message("assistant", "Hello")] * 2], OptionValueError),
        ([gn.Message("user", " ")], OptionValueError),
        ([gn.Message("user", "Hi"), gn.Message("assistant", "a\0b")], OptionValueError),
        ([gn.Message("system", "Hi")], OptionValueError),
        ([gn.Message("user", "Hi"), gn.Message("assistant", "a", "weird")], OptionValueError),
        ([gn.Message("user", "Hi"), gn.Message("assistant", "a", thinking=None)], OptionTypeError),
        (None, OptionTypeError),
    ],
)
def test_messages_that_are_no_chat_are_refused_and_nothing_is_forgotten(fake_manager, messages, error):
    chat = told(fake_manager.create_chat(), TOLD[:1])
    before = chat.messages, chat.handle_id
    with pytest.raises(error):
        chat.restore(messages)
    assert (chat.messages, chat.handle_id) == before


# Other options


def test_a_reset_may_change_options_and_those_alone(real_manager):
    chat = real_manager.create_chat(system_instruction="Be brief.", max_output_tokens=30)
    chat.send("My name is Ada.")
    chat.reset(max_output_tokens=3)
    assert chat.options.system_instruction == "Be brief."
    assert chat.send("Count to 100.").finish_reason == "length"
    chat.reset()
    assert chat.options.max_output_tokens == 3
    assert real_manager.handles.live == 1


def test_a_change_that_cannot_be_made_forgets_nothing(fake_manager):
    chat = told(fake_manager.create_chat(), TOLD[:1])
    before = chat.messages, chat.handle_id, chat.options
    for change in ({"temperature": -1}, {"no_such_option": 1}, {"enable_thinking": True}):
        with pytest.raises((OptionValueError, OptionTypeError, NotImplementedError)):
            chat.reset(**change)
    assert (chat.messages, chat.handle_id, chat.options) == before


def test_a_superseded_chat_takes_its_lane_back_with_other_options(fake_manager):
    old = fake_manager.create_chat()
    fake_manager.create_chat()
    old.reset(system_instruction="Be kind.")
    assert old.options.system_instruction == "Be kind."
    assert fake_manager.session is old.session


# Several turns at once in one chat


def test_the_turns_of_a_chat_are_answered_in_their_order(fake, fake_manager, in_thread):
    chat = fake_manager.create_chat()
    fake.set(gate="1")
    sends = []
    for number in range(4):
        sends.append(in_thread(chat.send, f"message {number}"))
        wait_until(lambda number=number: len(chat.session.turns) == number + 1)
    fake.let_go()
    for send in sends:
        send.result(WAIT_S)
    users = [message.text for message in chat.messages if message.role == "user"]
    assert users == [f"message {number}" for number in range(4)]
    assert [turn.split(": ")[1] for turn in fake.turns(chat.handle_id)[::2]] == users


def test_a_trim_does_not_drop_a_turn_that_waits(fake, make_fake_manager, in_thread):
    manager = make_fake_manager(context_tokens=64)
    chat = manager.create_chat()
    fake.set(gate="1")
    large = "one " * 26  # for which all before it has to go
    sends = []
    for number, message in enumerate(["one two three four five six", large, "two"]):
        sends.append(in_thread(chat.send, message))
        wait_until(lambda number=number: len(manager._queue._waiting) == number)
    fake.let_go()
    replies = [send.result(WAIT_S) for send in sends]
    assert replies[1].trimmed_turns > 0
    assert [reply.finish_reason for reply in replies] == ["stop"] * 3


def test_a_creation_waits_for_a_reply_without_the_engine(fake, fake_manager, in_thread):
    talking = fake_manager.open_chat()
    fake.set(gate="1", reply="one two three", serial="1")
    stream = talking.stream("Count.")
    creating = in_thread(fake_manager.create_session)
    wait_until(lambda: len(fake_manager._engine._wanting_quiet) == 1)
    assert fake_manager.count_tokens("one two") == 2
    assert fake.count("conversation_create") == 1
    fake.let_go()
    assert stream.reply.finish_reason == "stop"
    assert not creating.result(WAIT_S).closed


def test_a_creation_that_waits_goes_before_the_next_reply(fake, fake_manager, in_thread):
    talking, next_one = fake_manager.open_chat(), fake_manager.open_chat()
    fake.set(gate="1", reply="one two three")
    stream = talking.stream("Count.")
    sending = in_thread(next_one.send, "Count.")
    wait_until(lambda: fake_manager._queue._waiting)
    creating = in_thread(fake_manager.create_session)
    wait_until(lambda: len(fake_manager._engine._wanting_quiet) == 1)
    talking.stop()
    creating.result(WAIT_S)
    log = native(fake, "create", "send")
    assert log.index("create 3") == 3, log
    fake.let_go()
    assert sending.result(WAIT_S).finish_reason == "stop"
    assert stream.reply.finish_reason == "cancelled"


def test_a_turns_numbers_are_told_in_the_events(manager):
    chat = told(manager.create_chat())
    turns = [event for event in manager.events if event.kind == "turn"]
    assert [event.timing for event in turns] == list(chat.metrics)
    assert [event.detail for event in turns] == ["stop"] * len(TOLD)
    used = [event.usage.context_tokens for event in turns]
    assert used == sorted(used)
    assert used[-1] == chat.context.tokens
    for before, after in itertools.pairwise(turns):
        assert before.at_s <= after.at_s


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (gn.Message("user", "Hi", parts=None), r"messages\[0\]\.parts must be a list"),
        (gn.Message("assistant", "", tool_calls=(gn.ToolCall(5, {}),)), "texts for names"),
        (
            gn.Message("tool", "", tool_results=(gn.ToolResult(gn.ToolCall("a", {}), 1, "odd"),)),
            "'odd'.*denied",
        ),
    ],
    ids=["no parts", "a call of a number", "an outcome that there is not"],
)
def test_what_no_saved_chat_could_have_is_not_restored(fake_manager, message, why):
    chat = fake_manager.create_chat()
    chat.send("My name is Ada.")
    with pytest.raises((OptionTypeError, OptionValueError), match=why):
        chat.restore([message])
    assert len(chat.messages) == 2


def test_a_closed_chat_restores_nothing(fake_manager):
    chat = fake_manager.create_chat()
    chat.close()
    with pytest.raises(ClosedError):
        chat.restore([])


# Whoever watches the chat


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.mark.parametrize(
    "act",
    [
        lambda chat: chat.send("Hello"),
        lambda chat: list(chat.stream("Hello")),
        lambda chat: next(iter(chat.stream("Count to 200."))),
        lambda chat: asyncio.run(chat.asend("Hello")),
        lambda chat: chat.undo(),
        lambda chat: chat.edit(0, "Hello"),
        lambda chat: chat.restore([]),
        lambda chat: chat.reset(),
    ],
    ids=["send", "stream", "break", "asend", "undo", "edit", "restore", "reset"],
)
@pytest.mark.parametrize("tools", [[], [add]], ids=["plain", "tools"])
def test_who_watches_a_chat_is_told_when_something_was_said_or_forgotten(fake_manager, tools, act):
    chat = told(fake_manager.create_chat(tools=tools), TOLD[:1])
    seen = []
    watch = lambda: seen.append(chat.messages)  # noqa: E731
    chat._watch(watch)
    act(chat)
    assert seen and seen[-1] == chat.messages
    chat._unwatch(watch)
    count = len(seen)
    chat.send("Hello")
    assert len(seen) == count


def test_a_restore_closes_the_checkpoints_of_what_it_forgets(real_manager):
    chat = real_manager.create_chat()
    for message in ("My name is Ada.", "I live in Paris.", "My pet is Rex."):
        chat.send(message)
    saved = chat.messages
    assert real_manager.handles.checkpoints > 0
    chat.restore(saved)
    assert real_manager.handles.checkpoints == 0
    for message in ("What is my name?", "Where do I live?"):
        chat.send(message)
    chat.undo()
    assert "Ada" in chat.send("What is my name?").text
    chat.restore(saved[:2])
    assert real_manager.handles.checkpoints == 0
