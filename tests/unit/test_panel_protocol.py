"""The wire: what the kernel reads, what it writes, and what the panel remembers of a chat."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gemma_notebook.messages import Message, Reply, Timing, Usage
from gemma_notebook.panel.protocol import utf16_length, well_formed
from gemma_notebook.panel.record import Record
from gemma_notebook.panel.requests import (
    MOST_BYTES,
    Attachment,
    BadRequestError,
    ChatsRequest,
    CloseChat,
    EditRequest,
    ExportRequest,
    HoodRequest,
    ImportRequest,
    OpenChat,
    OptionsRequest,
    RegenerateRequest,
    ResetRequest,
    SendRequest,
    SnapshotRequest,
    StopRequest,
    SwitchRequest,
    ToolDecision,
    UndoRequest,
    parse_request,
)

WIRE = json.loads((Path(__file__).parents[1] / "wire_messages.json").read_text(encoding="utf-8"))
REPLY = Reply("Hi!", "stop", Usage(14, 8, 27, 1024), Timing(0.05, 310.5, None, 0.2))


def test_every_message_of_the_fixture_is_read() -> None:
    read = {name: parse_request(message) for name, message in WIRE["panel"].items()}
    kept = {"turn": 1, "role": "user", "text": "Hello", "state": "done"}
    assert read == {
        "send": SendRequest("r1", 1, "Hello 👋"),
        "stop": StopRequest("s1", 1),
        "reset": ResetRequest("reset-1", 1),
        "regenerate": RegenerateRequest("g1", 1, 2),
        "edit": EditRequest("d1", 1, 1, "Hello again"),
        "undo": UndoRequest("u1", 1),
        "switch": SwitchRequest("b1", 1, 3, 1),
        "tool decision": ToolDecision("t1", 1, "1", allow=True),
        "options": OptionsRequest("o1", 1, {"temperature": 1, "tools": False}),
        "options taken back": OptionsRequest("o2", 1, None),
        "hood request": HoodRequest("h1"),
        "export": ExportRequest("e1", "markdown"),
        "export of a chat that is gone": ExportRequest("e2", "json", [kept]),
        "import": ImportRequest("i1", 1, "{}"),
        "snapshot request": SnapshotRequest("q1"),
        "chats request": ChatsRequest("c1"),
        "open chat": OpenChat("c2", like="1"),
        "close chat": CloseChat("c3", "2"),
    }


def test_files_come_with_their_contents_in_binary_buffers() -> None:
    message = {
        "type": "send",
        "id": "r",
        "epoch": 1,
        "text": "Look",
        "files": [{"name": "a.png", "type": "image/png"}],
    }
    request = parse_request(message, [memoryview(b"PNG")])
    assert request == SendRequest("r", 1, "Look", (Attachment("a.png", "image/png", b"PNG"),))


@pytest.mark.parametrize(
    ("media", "data", "words"),
    [
        ("text/html", b"<b>", "Only images and audio"),
        ("image/png", bytes(MOST_BYTES + 1), "attach smaller ones"),
        ("image/png", None, "do not match"),
    ],
)
def test_files_that_cannot_be_sent_are_refused_in_words(media: str, data: bytes | None, words: str) -> None:
    message = {"type": "send", "id": "r", "epoch": 1, "text": "Look", "files": [{"name": "a", "type": media}]}
    with pytest.raises(BadRequestError, match=words):
        parse_request(message, [] if data is None else [data])


@pytest.mark.parametrize("name", WIRE["invalid_panel"])
def test_an_invalid_message_is_refused_with_its_id(name: str) -> None:
    message = WIRE["invalid_panel"][name]
    with pytest.raises(BadRequestError) as refused:
        parse_request(message)
    request = message.get("id") if isinstance(message, dict) else None
    assert refused.value.request == (request if isinstance(request, str) else None)


@pytest.mark.parametrize(("text", "length"), WIRE["utf16_lengths"].items())
def test_lengths_count_as_in_javascript(text: str, length: int) -> None:
    assert utf16_length(text) == length


def test_half_a_surrogate_pair_is_replaced_because_utf8_cannot_carry_it() -> None:
    assert well_formed("a\ud83d b👋") == "a\ufffd b👋"
    request = parse_request({"type": "send", "id": "r", "epoch": 1, "text": "\ude00"})
    assert request == SendRequest("r", 1, "\ufffd")
    record = Record()
    record.begin_reply("r")
    delta = record.append("a\ud83d")
    assert delta is not None
    assert delta["text"].encode() == "a\ufffd".encode()


def shape(message: Any) -> Any:
    """The keys and the types of the values, all the way down."""
    if isinstance(message, dict):
        return {key: shape(value) for key, value in message.items()}
    return type(message).__name__


def test_turns_and_deltas_have_the_shape_of_the_fixture() -> None:
    record = Record()
    wire = WIRE["kernel"]
    told = {
        "turn of the user": record.add_prompt("Hello", "r1"),
        "turn of the model that begins": record.begin_reply("r1"),
        "delta": record.append("Hi"),
        "turn of the model that was stopped": record.end_reply(
            Reply("Hi", "cancelled", REPLY.usage, Timing(None, None, None, 0.2))
        ),
    }
    record.begin_reply("r1")
    told["turn of the model that failed"] = record.end_reply(
        {"kind": "EngineError", "message": "It broke.", "retry": "send"}
    )
    for name, message in told.items():
        expected = {key: value for key, value in wire[name].items() if key != "seq"}
        assert shape(message) == shape(expected), name


def test_offsets_go_on_where_the_last_delta_ended_in_utf16_units() -> None:
    record = Record()
    record.begin_reply("r1")
    deltas = [record.append(piece) for piece in ("👋 ", "", "Zoë ", "👩‍🚀", "!")]
    assert [d and d["offset"] for d in deltas] == [0, None, 3, 7, 12]


def test_the_end_of_a_reply_tells_its_text_only_where_the_deltas_did_not() -> None:
    record = Record()
    record.begin_reply("r1")
    record.append("Hi!")
    told = record.end_reply(REPLY)
    assert told is not None
    assert "text" not in told
    assert told["finish_reason"] == "stop"
    record.begin_reply("r2")
    record.append("Hi")
    told = record.end_reply(REPLY)
    assert told is not None
    assert told["text"] == "Hi!"
    assert [m["text"] for m in record.messages] == ["Hi!", "Hi!"]


def test_a_reply_that_made_room_for_itself_says_so() -> None:
    record = Record()
    record.begin_reply("r1")
    told = record.end_reply(Reply("", "stop", REPLY.usage, REPLY.timing, trimmed_turns=2))
    assert told is not None
    assert told["trimmed_turns"] == 2


def test_the_record_begins_with_what_the_chat_has_said() -> None:
    record = Record([Message("user", "Hello"), Message("assistant", "Ni", "cancelled")])
    assert record.messages == [
        {"turn": 1, "role": "user", "text": "Hello", "state": "done"},
        {"turn": 2, "role": "assistant", "text": "Ni", "state": "cancelled", "finish_reason": "cancelled"},
    ]


def test_a_snapshot_has_the_reply_as_far_as_it_has_come_and_does_not_change_later() -> None:
    record = Record()
    record.begin_reply("r1")
    record.append("Ni")
    messages = record.messages
    record.append("ce")
    assert messages[0]["text"] == "Ni"
    assert record.messages[0]["text"] == "Nice"


def test_a_new_epoch_begins_empty_and_with_turns_never_used_before() -> None:
    record = Record()
    record.add_prompt("Hello", "r1")
    record.begin_reply("r1")
    record.begin_epoch()
    assert record.epoch == 2
    assert record.messages == []
    assert record.append("late") is None
    assert record.end_reply(REPLY) is None
    assert record.add_prompt("Again", "r2")["turn"] == 3
