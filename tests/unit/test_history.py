"""The turns of a session: where a turn is put, how far one goes back, and what is put back again."""

from __future__ import annotations

import pytest

from gemma_notebook.errors import OptionValueError
from gemma_notebook.history import History
from gemma_notebook.messages import Reply, Timing, ToolCall, ToolResult, Usage
from gemma_notebook.options import SendOptions
from gemma_notebook.turns import Turn

CALL = ToolCall("get_weather", {"city": "Paris"})


def said(message: str, *calls: ToolCall) -> Turn:
    reply = Reply("Fine.", "stop", Usage(3, 2, 5, 100), Timing(None, None, None, 0.0), tool_calls=calls)
    return Turn.of_the_past(message, reply)


def waiting(message: str) -> Turn:
    return Turn(message, SendOptions())


def answer(asked: Turn) -> Turn:
    return Turn.of_the_past("", said("").reply, results=[ToolResult(CALL, "sun")], follows=asked)


def test_results_stand_behind_the_calls_that_they_answer_though_a_message_waits() -> None:
    asked, later = said("What is the weather in Paris?", CALL), waiting("And now?")
    history = History([asked, later])
    results = answer(asked)
    assert history.take_in(results)
    assert history.turns == (asked, results, later)


def test_results_of_calls_that_are_forgotten_are_not_taken_in() -> None:
    history = History([said("Hello.")])
    before = history.turns
    assert not history.take_in(answer(said("What is the weather in Paris?", CALL)))
    assert history.turns == before


def test_going_back_to_between_a_call_and_its_answer_takes_back_the_call_too() -> None:
    hello, asked = said("Hello."), said("What is the weather in Paris?", CALL)
    history = History([hello, asked, answer(asked)])
    assert history.place(2) == 1
    assert history.last_said is asked


@pytest.mark.parametrize("turns", [-1, 3])
def test_going_back_to_more_turns_than_there_are_is_an_error(turns: int) -> None:
    with pytest.raises(OptionValueError, match="the chat has 2 turns"):
        History([said("Hello."), said("And now?")]).place(turns)


def test_going_back_to_before_a_turn_that_is_forgotten_keeps_all() -> None:
    history = History([said("Hello.")])
    assert history.place(said("And now?")) == 1


def test_a_message_is_found_by_its_place_among_all_messages() -> None:
    asked = said("What is the weather in Paris?", CALL)
    later = said("And now?")
    history = History([asked, answer(asked), later])
    roles = "user assistant tool assistant user assistant"
    assert [message.role for message in history.messages] == roles.split()
    assert history.said_at(4) is later
    for index in (1, 2, 3, 5, 6, -1):
        with pytest.raises(OptionValueError, match=r"see chat\.messages"):
            history.said_at(index)


def test_what_was_taken_back_is_put_back_save_what_never_came_to_an_end() -> None:
    hello, again, unsent = said("Hello."), said("And now?"), waiting("Are you there?")
    history = History([hello, again, unsent])
    taken = history.go_back(1)
    assert history.turns == (hello,)
    assert history.put_back(taken)
    assert history.turns == (hello, again)


def test_what_was_taken_back_replaces_a_message_that_could_not_be_sent() -> None:
    hello, again = said("Hello."), said("And now?")
    history = History([hello, again])
    taken = history.go_back(1)
    refused = waiting("word " * 1000)
    history.take_in(refused)
    refused.finish_unstarted()
    assert history.put_back(taken)
    assert history.turns == (hello, again)


def test_what_was_taken_back_stays_away_when_another_message_waits() -> None:
    history = History([said("Hello."), said("And now?")])
    taken = history.go_back(1)
    history.take_in(waiting("Something else."))
    before = history.turns
    assert not history.put_back(taken)
    assert history.turns == before


@pytest.mark.parametrize("then", [(), (said("I am Bo."),)], ids=["forgotten", "restored"])
def test_what_was_taken_back_stays_away_when_all_was_forgotten_meanwhile(then: tuple[Turn, ...]) -> None:
    history = History([said("Hello."), said("And now?")])
    taken = history.go_back(1)
    history.go_back(0, then)
    assert not history.put_back(taken)
    assert history.turns == then


def test_what_is_put_back_cannot_be_put_back_twice() -> None:
    history = History([said("Hello."), said("And now?")])
    taken = history.go_back(1)
    assert history.put_back(taken)
    assert not history.put_back(taken)


def test_turns_that_are_dropped_are_still_among_all_turns_once_and_in_order() -> None:
    turns = (said("Hello."), said("And now?"), said("And then?"))
    history = History(turns)
    history.drop_oldest(1)
    history.drop_oldest(1)
    assert history.turns == turns[2:]
    assert history.dropped == turns[:2]
    assert history.all_turns == turns
    history.turns = turns  # as a reader sees it that looks between the two assignments
    assert history.all_turns == turns
