"""Regenerate, edit, undo, branches: what is shown is what the model remembers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from scripted_chat import WAIT_S, FrontEnd, ScriptedChat, answer, connected, said, say, streaming

import gemma_notebook as gn
from gemma_notebook.errors import EngineError
from gemma_notebook.messages import Asked, Delta


def branches(front: FrontEnd) -> list[tuple[int, int] | None]:
    """Which alternative of how many each message that is shown is."""
    found = [message.get("branch") for message in front.snapshot()["messages"]]
    return [None if branch is None else (branch["index"], branch["count"]) for branch in found]


def test_regenerate_answers_the_same_prompt_again_and_keeps_the_first_reply(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    say(front, chat, "Hello", "Hi!")
    request = front.ask("regenerate", epoch=1, turn=2)
    stream = answer(front, chat, request, "Good day!")
    assert stream.prompt == "Hello"
    assert (chat.undos, chat.again) == (1, True)
    assert front.shown() == ["Hello", "Good day!"]
    assert branches(front) == [None, (2, 2)]
    assert front.wait(type="branch", request=request)["messages"] == []


def test_regenerating_an_earlier_reply_makes_the_model_forget_what_came_after(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    say(front, chat, "One", "1")
    say(front, chat, "Two", "2")
    answer(front, chat, front.ask("regenerate", epoch=1, turn=2), "I")
    assert front.shown() == ["One", "I"]
    assert chat.messages == said("One", "I")


def test_an_edited_prompt_stands_beside_the_old_one_and_is_answered(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    say(front, chat, "One", "1")
    say(front, chat, "Two", "2")
    say(front, chat, "Three", "3")
    stream = answer(front, chat, front.ask("edit", epoch=1, turn=3, text="Zwei"), "2!")
    assert stream.prompt == "Zwei"
    assert chat.messages == said("One", "1", "Zwei", "2!")
    assert front.shown() == ["One", "1", "Zwei", "2!"]
    assert branches(front) == [None, None, (2, 2), None]


def test_switching_shows_the_other_branch_to_its_end_and_makes_it_the_models_context(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    say(front, chat, "One", "1")
    say(front, chat, "Two", "2")
    answer(front, chat, front.ask("edit", epoch=1, turn=1, text="Eins"), "I")
    request = front.ask("switch", epoch=1, turn=5, index=1)
    front.wait(type="state", request=request, status="idle")
    assert front.shown() == ["One", "1", "Two", "2"]
    assert chat.restored[-1] == said("One", "1", "Two", "2")
    assert [m["text"] for m in front.wait(type="branch", after=None, epoch=1)["messages"]] == ["Eins"]
    request = front.ask("switch", epoch=1, turn=1, index=2)
    front.wait(type="state", request=request, status="idle")
    assert front.shown() == ["Eins", "I"]
    assert chat.messages == said("Eins", "I")


def test_undo_takes_the_last_turn_back_from_screen_and_model(front: FrontEnd, chat: ScriptedChat) -> None:
    say(front, chat, "One", "1")
    say(front, chat, "Two", "2")
    request = front.ask("undo", epoch=1)
    assert front.wait(type="state", request=request)["status"] == "idle"
    assert front.shown() == ["One", "1"]
    assert (chat.undos, chat.restored, chat.messages) == (1, [], said("One", "1"))
    say(front, chat, "Three", "3")
    assert branches(front) == [None] * 4


def test_an_undo_of_everything_leaves_an_empty_chat(front: FrontEnd, chat: ScriptedChat) -> None:
    say(front, chat, "One", "1")
    front.wait(type="state", request=front.ask("undo", epoch=1))
    assert front.shown() == []
    assert "not in the chat" in front.wait(type="error", request=front.ask("undo", epoch=1))["message"]


def test_undo_of_an_edited_prompt_shows_the_version_before_it(front: FrontEnd, chat: ScriptedChat) -> None:
    say(front, chat, "One", "1")
    say(front, chat, "Two", "2")
    answer(front, chat, front.ask("edit", epoch=1, turn=1, text="Eins"), "I")
    front.wait(type="state", request=front.ask("undo", epoch=1), status="idle")
    assert front.shown() == ["One", "1", "Two", "2"]
    assert chat.messages == said("One", "1", "Two", "2")
    assert branches(front) == [None] * 4


def test_alternatives_that_differ_only_in_what_a_tool_returned_are_told_apart(
    fake: Any, make_fake_manager: Callable[..., gn.SessionManager]
) -> None:
    call = {"type": "function", "function": {"name": "roll", "arguments": {}}}
    each = ({"tool_calls": [call]}, {"content": [{"type": "text", "text": "I rolled it."}]})
    replies = "\x1d".join(json.dumps({"role": "assistant", **one}) for one in (*each, *each))
    fake.set(info_supports_function_calling=1, chunk_replies=replies)
    rolled = iter((11, 22))

    def roll() -> int:
        """Roll a die."""
        return next(rolled)

    chat = make_fake_manager().create_chat(tools=[roll])
    with connected(chat) as front:
        for ask in (lambda: front.send("Roll it."), lambda: front.ask("regenerate", epoch=1, turn=2)):
            front.wait(type="turn", role="assistant", state="done", request=ask())
            front.settle()
        front.wait(type="state", status="idle", request=front.ask("switch", epoch=1, turn=3, index=1))
        (shown,) = front.snapshot()["messages"][1]["tool_calls"]
        (remembered,) = [one for message in chat.messages for one in message.tool_results]
        assert (shown["result"], remembered.value) == ("11", 11)


def test_a_reply_that_failed_is_replaced_by_the_next_try(front: FrontEnd, chat: ScriptedChat) -> None:
    stream = streaming(front, chat, "Ni")
    stream.pieces.put(EngineError("the engine broke off; send the message again"))
    front.wait(type="turn", state="error")
    front.settle()
    answer(front, chat, front.ask("regenerate", epoch=1, turn=2), "Nice")
    assert front.shown() == ["Hello", "Nice"]
    assert branches(front) == [None, None]


def test_a_failure_to_answer_again_is_told_in_the_place_of_the_reply(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    say(front, chat, "Hello", "Hi!")
    chat.refusals.append(EngineError("no memory; close other chats"))
    request = front.ask("edit", epoch=1, turn=1, text="Hallo")
    failed = front.wait(type="turn", state="error", request=request)
    assert failed["error"]["message"] == "no memory; close other chats"
    front.settle()
    assert front.shown() == ["Hallo", ""]
    answer(front, chat, front.ask("regenerate", epoch=1, turn=failed["turn"]), "Tag!")
    assert front.shown() == ["Hallo", "Tag!"]


def test_after_a_switch_that_failed_the_next_prompt_brings_the_model_to_what_is_shown(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    say(front, chat, "One", "1")
    say(front, chat, "Two", "2")
    answer(front, chat, front.ask("edit", epoch=1, turn=1, text="Eins"), "I")
    chat.restore_error = EngineError("no memory; close other chats")
    request = front.ask("switch", epoch=1, turn=5, index=1)
    assert front.wait(type="error", request=request)["message"] == "no memory; close other chats"
    chat.restore_error = None
    say(front, chat, "Three", "3")
    assert chat.messages == said("One", "1", "Two", "2", "Three", "3")


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("regenerate", {"turn": 2}),
        ("edit", {"turn": 1, "text": "x"}),
        ("undo", {}),
        ("switch", {"turn": 1, "index": 1}),
    ],
)
def test_the_past_stands_still_while_a_reply_is_on_its_way(
    front: FrontEnd, chat: ScriptedChat, kind: str, fields: dict[str, object]
) -> None:
    say(front, chat, "Hello", "Hi!")
    streaming(front, chat, "more")
    refused = front.wait(type="error", request=front.ask(kind, epoch=1, **fields))
    assert refused["message"] == "Wait for the reply, or stop it."
    assert front.shown() == ["Hello", "Hi!", "Hello", "more"]


def test_prompts_that_wait_together_are_each_followed_by_their_reply(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    chat.admit.clear()  # as while another chat has the engine
    first, second, third = (front.send(text) for text in ("One", "Two", "Three"))
    chat.admit.set()
    for request, reply in ((first, "1"), (second, "2"), (third, "3")):
        stream = chat.next_stream()
        stream.pieces.put(reply)
        stream.pieces.put(None)
        front.wait(type="turn", role="assistant", state="done", request=request)
    front.settle()
    assert front.shown() == ["One", "1", "Two", "2", "Three", "3"]
    told = front.wait(type="branch", request=first)
    assert [message["text"] for message in told["messages"]] == ["", "Two", "Three"]
    answer(
        front, chat, front.ask("regenerate", epoch=1, turn=front.snapshot()["messages"][-1]["turn"]), "III"
    )
    assert front.shown() == ["One", "1", "Two", "2", "Three", "III"]
    assert chat.messages == said("One", "1", "Two", "2", "Three", "III")


def test_a_prompt_that_is_refused_leaves_the_one_that_waits_behind_it(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    say(front, chat, "Zero", "0")
    chat.admit.clear()
    chat.refusals.append(EngineError("It does not fit.", operation="generate"))
    refused, second = front.send("word " * 3000), front.send("Two")
    chat.admit.set()
    assert "It does not fit" in front.wait(type="error", request=refused)["message"]
    moved = front.wait(type="branch", after=2)["messages"]
    assert [message["text"] for message in moved] == ["Two"]
    answer(front, chat, second, "2")
    assert front.shown() == ["Zero", "0", "Two", "2"]


def test_what_the_model_thought_is_in_its_context_again_after_going_back(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    stream = streaming(front, chat)
    stream.pieces.put(Delta(thinking="Who is it?"))
    stream.pieces.put("Hi!")
    stream.pieces.put(None)
    front.settle()
    say(front, chat, "Two", "2")
    say(front, chat, "Three", "3")
    answer(front, chat, front.ask("edit", epoch=1, turn=3, text="Zwei"), "2!")
    assert [message.thinking for message in chat.restored[0]] == ["", "Who is it?"]


@pytest.mark.parametrize("verb", ["regenerate", "edit", "undo", "switch"])
def test_the_past_stands_still_while_a_cell_waits_for_a_reply(
    fake: Any, fake_manager: gn.SessionManager, verb: str
) -> None:
    chat = fake_manager.create_chat()
    chat.send("Hello")
    with connected(chat) as front:
        fake.set(gate="1", reply="one two")
        stream = chat.stream("Count.")  # as a cell does
        more = {
            "regenerate": {"turn": 2},
            "edit": {"turn": 1, "text": "Hey"},
            "switch": {"turn": 1, "index": 1},
        }
        refused = front.wait(type="error", request=front.ask(verb, epoch=1, **more.get(verb, {})))
        assert "a cell or another panel has asked for" in refused["message"]
        fake.let_go()
        assert stream.reply.finish_reason == "stop"
        assert [message.role for message in chat.messages] == ["user", "assistant"] * 2
        front.wait(type="snapshot", request=None)  # the panel has caught up
        request = front.ask("undo", epoch=1)
        front.wait(type="state", status="idle", request=request)
        assert len(chat.messages) == 2


def test_the_past_stands_still_while_a_tool_of_a_cells_message_runs(
    fake: Any, make_fake_manager: Callable[..., gn.SessionManager]
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        assert go_on.wait(WAIT_S)
        return "x"

    def made_of(**message: Any) -> str:
        return json.dumps({"role": "assistant", **message})

    call = {"type": "function", "function": {"name": "slow", "arguments": {}}}
    fake.set(
        info_supports_function_calling=1,
        chunk_replies="\x1d".join(
            (
                made_of(content=[{"type": "text", "text": "Hello!"}]),
                made_of(tool_calls=[call]),
                made_of(content=[{"type": "text", "text": "Done."}]),
            )
        ),
    )
    chat = make_fake_manager().create_chat(tools=[slow])
    chat.send("Hello")
    with connected(chat) as front:
        replies: list[gn.Reply] = []
        cell = threading.Thread(target=lambda: replies.append(chat.send("Use the tool.")))
        cell.start()
        assert begun.wait(WAIT_S)
        refused = front.wait(type="error", request=front.ask("undo", epoch=1))
        assert "a cell or another panel has asked for" in refused["message"]
        go_on.set()
        cell.join(WAIT_S)
        assert replies[0].text == "Done."
        assert chat.messages[0].text == "Hello"
        front.wait(type="snapshot", request=None)  # the panel has caught up
        front.wait(type="state", status="idle", request=front.ask("undo", epoch=1))
        assert [message.text for message in chat.messages] == ["Hello", "Hello!"]


def test_a_reset_while_a_prompt_is_answered_again_gives_nothing_back(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    say(front, chat, "Hello", "Hi!")
    chat.admit.clear()
    front.ask("regenerate", epoch=1, turn=2)
    front.wait(type="state", status="queued")
    front.ask("reset", epoch=1)
    chat.admit.set()
    front.wait(type="state", epoch=2, status="idle")
    assert front.shown() == []
    assert not any(message["type"] == "error" for message in front.messages)


def test_messages_of_code_stay_in_the_context_of_what_is_said_in_the_panel(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    chat.messages = said("From a cell", "Yes")
    say(front, chat, "Hello", "Hi!")
    assert (chat.undos, chat.restored) == (0, [])


def test_the_oldest_turns_that_made_room_are_not_brought_back_by_an_undo(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    for text in "abc":
        say(front, chat, text, text.upper())
    chat.messages = chat.messages[2:]  # trimmed
    front.wait(type="state", request=front.ask("undo", epoch=1))
    assert chat.messages == said("b", "B")
    assert chat.restored == []


def test_how_much_the_model_has_forgotten_is_told_whoever_said_it_and_after_going_back(
    fake: Any, make_fake_manager: Callable[..., gn.SessionManager]
) -> None:
    fake.set(reply="one two three four five")
    chat = make_fake_manager(context_tokens=256).create_chat(max_output_tokens=64)
    before = 0
    while not before:  # in cells
        chat.send("one two three four five six seven eight")
        before = chat._forgotten_turns
    with connected(chat) as front:
        shown = front.snapshot()
        assert shown["context"]["forgotten_turns"] == before
        turn = shown["messages"][-1]["turn"]
        request = front.ask("regenerate", epoch=1, turn=turn)
        front.wait(type="turn", role="assistant", state="done", request=request)
        front.settle()
        assert front.snapshot()["context"]["forgotten_turns"] == before
        request = front.ask("switch", epoch=1, turn=front.snapshot()["messages"][-1]["turn"], index=1)
        front.wait(type="state", status="idle", request=request)
        assert front.snapshot()["context"].get("forgotten_turns", 0) == chat._forgotten_turns


def test_what_made_room_stays_shown_when_somebody_else_goes_back(front: FrontEnd, chat: ScriptedChat) -> None:
    for text in "abc":
        say(front, chat, text, text.upper())
    chat.dropped, chat.messages = chat.messages[:2], chat.messages[2:]
    chat.said_elsewhere(*said("b", "B"))  # chat.undo() in a cell
    front.wait(type="snapshot", epoch=2)
    assert front.shown() == ["a", "A", "b", "B"]


@pytest.mark.parametrize("verb", ["regenerate", "edit"])
def test_a_cells_message_is_answered_again_with_the_format_and_limit_that_it_was_sent_with(
    front: FrontEnd, chat: ScriptedChat, verb: str
) -> None:
    asked = Asked(max_output_tokens=6, response_format="Ada|Bo")
    chat.said_elsewhere(gn.Message("user", "Who?", asked=asked), *said("Who?", "Ada")[1:])
    front.wait(type="snapshot", request=None)
    more = {"turn": 2} if verb == "regenerate" else {"turn": 1, "text": "And who?"}
    answer(front, chat, front.ask(verb, epoch=1, **more), "Bo")
    assert chat.asked == {"max_output_tokens": 6, "response_format": "Ada|Bo"}
    answer(front, chat, front.send("And now?"), "Now.")
    assert chat.asked == {"max_output_tokens": None, "response_format": None}
