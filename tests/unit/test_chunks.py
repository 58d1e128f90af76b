"""A chunk of the engine becomes deltas, whatever is in it."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gemma_notebook.chunks import deltas_in, deltas_of
from gemma_notebook.messages import Delta, ToolCall

ANY_TEXT = st.text(st.characters())
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(ANY_TEXT, values, max_size=4),
    max_leaves=12,
)
KEYS = (
    "role",
    "content",
    "type",
    "text",
    "channels",
    "thought",
    "tool_calls",
    "function",
    "name",
    "arguments",
)
NEARLY_MESSAGES = st.recursive(
    JSON_VALUES | st.sampled_from(["text", "assistant"]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.sampled_from(KEYS), values, max_size=4),
    max_leaves=12,
)


def chunk(**message: Any) -> bytes:
    return json.dumps({"role": "assistant", **message}).encode()


def text_chunk(text: str) -> bytes:
    return chunk(content=[{"type": "text", "text": text}])


def check(deltas: list[Delta]) -> None:
    assert isinstance(deltas, list)
    for delta in deltas:
        assert isinstance(delta, Delta)
        (delta.text + delta.thinking).encode()  # as a front end and a file have it


@given(st.binary())
@example(b"[" * 100_000)
@example(b'{"content":' * 100_000)
@example(b"\xff\xfe\x00")
@example(b"1e999")
def test_any_bytes_give_deltas(data: bytes) -> None:
    check(deltas_of(data))


@given(NEARLY_MESSAGES)
@example({"content": [{"type": "text", "text": "\ud83d"}]})
@example({"channels": {"thought": "\udc00"}})
@example({"content": [{"type": "text", "text": None}]})
def test_any_json_givesdeltas_of(value: Any) -> None:
    check(deltas_of(json.dumps(value).encode()))


@given(st.text(), st.lists(st.integers(min_value=0, max_value=200)))
def test_a_text_comes_out_whole_however_it_is_split(text: str, cuts: list[int]) -> None:
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[start:end] for start, end in itertools.pairwise(edges)]
    deltas = [delta for piece in pieces for delta in deltas_of(text_chunk(piece))]
    assert "".join(delta.text for delta in deltas) == text
    assert all(not delta.thinking and delta.tool_call is None for delta in deltas)


@given(st.lists(st.text(), max_size=4), st.text(), st.text(min_size=1))
def test_the_parts_of_one_chunk_are_joined_in_order(texts: list[str], thinking: str, name: str) -> None:
    parts = [{"type": "text", "text": text} for text in texts]
    call = {"type": "function", "function": {"name": name, "arguments": {"a": 1}}}
    deltas = deltas_of(chunk(content=parts, channels={"thought": thinking}, tool_calls=[call]))
    assert "".join(delta.text for delta in deltas) == "".join(texts)
    assert "".join(delta.thinking for delta in deltas) == thinking
    assert [delta.tool_call for delta in deltas if delta.tool_call] == [ToolCall(name, {"a": 1})]


@pytest.mark.parametrize("data", [b"no JSON", b"[1]", b'"text"', b'{"content":5}', b"\xe2\x82"])
def test_what_is_no_message_is_shown_as_it_is(data: bytes) -> None:
    assert deltas_of(data) == [Delta(text=data.decode("utf-8", "replace"))]


CHUNKS = st.lists(
    ANY_TEXT.map(text_chunk) | NEARLY_MESSAGES.map(lambda value: json.dumps(value).encode()) | st.binary(),
    max_size=6,
)


@given(CHUNKS)
@example([b'{"content": [{"type": "text", "text": "a"}', b'{"b": 1}]}'])
@example(
    [
        text_chunk("a"),
        b'{"role":"assistant","content":[{"type":"text","text":"b"},{"type":"text","text":"c"}]}',
    ]
)
@example([text_chunk("a"), chunk(content=[{"type": "text", "text": "b"}], channels={"thought": "t"})])
@example([b'{"content":[{"type":"text","text":"a"}],"channels":{"thought":"t"}}'])
@example([text_chunk("a"), text_chunk("\ud83d")])
@example([b'{"role":"assistant","content":[{"type":"text","text":"\xed\xa0\x80"}]}'])
def test_many_chunks_give_the_deltas_that_each_gives(chunks: list[bytes]) -> None:
    assert deltas_in(chunks) == [delta for one in chunks for delta in deltas_of(one)]
