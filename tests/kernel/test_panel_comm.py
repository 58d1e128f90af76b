"""A panel in a real kernel, driven over its comm as the front end does it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from live_kernel import FrontEnd, LiveKernel

WIRE = json.loads((Path(__file__).parents[1] / "wire_messages.json").read_text(encoding="utf-8"))
NOT_TOLD = "You have not told me your name."


def test_a_reply_streams_as_deltas_and_the_snapshot_tells_the_same(panel: FrontEnd):
    text = panel.ask("Count to 200.")
    assert len(panel.of_type("delta")) > 3
    assert text.startswith("1, 2, 3")
    assert [(m["role"], m["text"]) for m in panel.snapshot()["messages"]] == [
        ("user", "Count to 200."),
        ("assistant", text),
    ]


def test_messages_are_numbered_without_a_gap(panel: FrontEnd):
    panel.ask("My name is Ada.")
    panel.snapshot()
    assert [m["seq"] for m in panel.messages] == list(range(1, len(panel.messages) + 1))


def test_a_stop_ends_the_reply_and_the_chat_goes_on_with_its_history(panel: FrontEnd):
    panel.ask("My name is Ada.")
    for _ in range(20):  # on a busy machine a reply may end before the stop reaches it
        request = panel.say_at_length("Count to 200.")
        panel.request("stop", epoch=1)
        ended = panel.wait_for_end(request)
        if ended["state"] == "cancelled":
            break
    assert ended["finish_reason"] == "cancelled"
    assert "200" not in panel.text_of(request)
    assert "Ada" in panel.ask("What is my name?")


def test_a_reset_in_mid_reply_is_acknowledged_and_nothing_of_the_old_chat_follows(
    panel: FrontEnd, kernel: LiveKernel
):
    assert "Ada" in panel.ask("My name is Ada.")
    panel.say_at_length("Count to 200.")
    reset = panel.request("reset", epoch=1)
    acknowledged = panel.wait_for("state", request=reset)

    assert (acknowledged["epoch"], acknowledged["status"], acknowledged["handle"]) == (2, "idle", 2)
    assert acknowledged["handles"] == {"created": 2, "closed": 1, "live": 1, "checkpoints": 0}
    assert acknowledged["context"]["tokens"] == 0
    assert panel.ask("What is my name?", epoch=2) == NOT_TOLD
    kernel.read_all()
    resetting = panel.messages.index(panel.of_type("state", status="resetting")[0])
    later = panel.messages[resetting + 1 :]
    assert [m for m in later if m["type"] in ("delta", "turn") and m["epoch"] == 1] == []
    assert {m["epoch"] for m in later[later.index(acknowledged) :]} == {2}
    events = kernel.run("print(*(f'{event.handle}-{event.kind}' for event in manager.events))").text.split()
    assert events == [
        *("1-created", "1-sent", "1-ended", "1-turn", "1-checkpoint"),
        *("1-sent", "1-cancelled", "1-ended", "1-spent", "1-turn", "1-closed", "1-checkpoint_closed"),
        *("2-created", "2-sent", "2-ended", "2-turn"),
    ]


def test_a_reset_during_a_reset_joins_it(panel: FrontEnd, kernel: LiveKernel):
    panel.say_at_length("Count to 200.")
    both = [panel.request("reset", epoch=1) for _ in range(2)]
    for request in both:
        assert panel.wait_for("state", request=request)["epoch"] == 2
    assert "created=2, closed=1, live=1" in kernel.run("manager.handles").text


def test_a_prompt_from_before_the_reset_comes_back_unread(panel: FrontEnd):
    panel.wait_for("state", request=panel.request("reset", epoch=1))
    late = panel.say("My name is Ada.", epoch=1)
    refused = panel.wait_for("error", request=late)
    assert (refused["text"], refused["retry"]) == ("My name is Ada.", "send")
    assert panel.ask("What is my name?", epoch=2) == NOT_TOLD


def test_a_view_that_comes_in_mid_reply_gets_the_part_that_is_there(panel: FrontEnd):
    request = panel.say_at_length("Count to 200.")
    streaming = panel.snapshot()["messages"][-1]
    assert streaming["state"] == "streaming"
    panel.wait_for("turn", state="done", request=request)
    assert panel.text_of(request).startswith(streaming["text"])


@pytest.mark.parametrize("content", WIRE["invalid_panel"].values(), ids=WIRE["invalid_panel"].keys())
def test_a_message_that_makes_no_sense_leaves_the_panel_working(content: object, panel: FrontEnd):
    panel.post(content)
    refused = panel.wait_for("error", kind="BadRequestError")
    if isinstance(content, dict) and isinstance(content.get("id"), str):
        assert refused["request"] == content["id"]
    assert "Ada" in panel.ask("My name is Ada.")
