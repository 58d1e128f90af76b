"""Transcripts: what they hold, how they are written, and that what comes back is checked."""

from __future__ import annotations

import asyncio
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import gemma_notebook as gn
from gemma_notebook.errors import (
    ExportError,
    ExportExistsError,
    GemmaNotebookError,
    OptionTypeError,
    OptionValueError,
    TranscriptError,
)
from gemma_notebook.messages import Message, Timing, Usage
from gemma_notebook.transcript import Entry, ToolUse, Transcript, math_rules

CORPUS = [
    text
    for texts in json.loads((Path(__file__).parents[1] / "xss_corpus.json").read_text()).values()
    for text in texts
]
FULL = Transcript(
    entries=(
        Entry("user", "What is 2 + 2?\nIn one word."),
        Entry(
            "assistant",
            "**Four.**",
            thinking="Two and two\nare four.",
            tool_calls=(ToolUse("add", {"a": 2, "b": 2}, 4),),
            finish_reason="length",
            trimmed_turns=2,
            usage=Usage(10, 5, 15, 1024),
            timing=Timing(0.25, 40.0, 12.5, 0.6),
        ),
        Entry("user", "And 3 + 3?"),
        Entry("assistant", "S", error="The engine broke off; send it again."),
    ),
    model="tiny",
    system_instruction="Be brief.",
    options={"top_k": 1, "temperature": 0.8},
    date=datetime(2026, 1, 31, 12, 0, tzinfo=UTC),
)


def headings(markdown: str) -> list[str]:
    """The headings that a reader of Markdown shows outside of quotations."""
    tokens = MarkdownIt("commonmark", {"html": True}).parse(markdown)
    return [
        t.content for i, t in enumerate(tokens) if i and tokens[i - 1].type == "heading_open" and t.level == 1
    ]


def names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


# What is in it


def test_a_chat_gives_its_transcript(fake_manager):
    chat = fake_manager.create_chat(system_instruction="Be brief.", temperature=0.5)
    reply = chat.send("My name is Ada.")
    transcript = chat.transcript()
    assert transcript.messages == chat.messages
    assert transcript.model == fake_manager.model.name
    assert transcript.system_instruction == "Be brief."
    assert transcript.options["temperature"] == 0.5
    assert transcript.entries[1].timing == reply.timing
    assert transcript.entries[1].usage == reply.usage
    assert transcript.date is not None and transcript.date.tzinfo is not None


def test_of_a_reply_on_its_way_what_has_come_is_in_it(fake_manager, fake):
    fake.set(hold_tokens=1)
    chat = fake_manager.create_chat()
    with chat.stream("Hello") as stream:
        transcript = chat.transcript()
        assert [entry.role for entry in transcript.entries][:1] == ["user"]
        fake.let_go()
        del stream


def test_a_restored_chat_has_its_messages_and_no_numbers(fake_manager):
    chat = fake_manager.create_chat()
    chat.restore(Transcript.from_json(FULL.to_json()).messages)
    assert [(e.role, e.text) for e in chat.transcript().entries] == [(e.role, e.text) for e in FULL.entries]
    assert all(entry.timing is None and entry.usage is None for entry in chat.transcript().entries)


def test_a_failed_reply_of_which_nothing_came_is_not_restored():
    transcript = Transcript((Entry("user", "Hi"), Entry("assistant", "", error="no memory")), "tiny")
    assert transcript.messages == (Message("user", "Hi"),)


# As an output of a cell


def test_as_an_output_it_is_the_same_in_every_run(fake_manager):
    def output() -> dict[str, str]:
        chat = fake_manager.create_chat()
        chat.send("Hello")
        return chat.transcript()._repr_mimebundle_()

    first, second = output(), output()
    assert first == second
    assert set(first) == {"text/plain", "text/markdown", "text/html"}
    assert re.fullmatch(r"Transcript\('\w+', 2 messages\)", first["text/plain"])


def test_the_html_holds_everything_and_folds_thinking_and_tools():
    html = FULL.to_html()
    assert "<details><summary>Thinking</summary>" in html
    assert "Two and two\nare four." in html
    assert "<summary>Tool: add</summary>" in html
    assert "<strong>Four.</strong>" in html
    assert "Ended at the output limit · The oldest 2 turns were forgotten to make room" in html
    assert "0.25 s to first token · 12.5 tokens/s · 10 + 5 tokens" in html
    assert "Failed: The engine broke off; send it again." in html
    assert "2026-01-31" in html


def test_the_page_forbids_all_but_its_own_style():
    html = FULL.to_html()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/]{43}='; base-uri 'none'; form-action 'none'", policy
    )
    assert not re.search(r"<script|<link|\sstyle=|\ssrc=|\son\w+=", html)


def test_mathjax_leaves_the_output_alone():
    assert 'class="gn-transcript tex2jax_ignore mathjax_ignore"' in FULL._repr_mimebundle_()["text/html"]


# Markdown


def test_the_markdown_holds_everything():
    markdown = FULL.to_markdown()
    assert headings(markdown) == ["Chat with tiny", "System instruction", "You", "tiny", "You", "tiny"]
    assert "> What is 2 + 2?\\\n> In one word." in markdown
    assert "> **Four.**" in markdown
    assert '> {\n>   "a": 2,\n>   "b": 2\n> }' in markdown
    assert "- Date: 2026-01-31 12:00+00:00" in markdown


@pytest.mark.parametrize("place", ["user", "reply", "thinking", "result", "system", "model", "error"])
def test_no_text_can_forge_a_heading_of_another_speaker(place):
    for text in CORPUS if place in ("user", "reply") else CORPUS[::3]:
        entry = Entry(
            "assistant",
            text if place == "reply" else "Yes.",
            thinking=text if place == "thinking" else "",
            tool_calls=(ToolUse("add", text, text),) if place == "result" else (),
            error=text if place == "error" else None,
        )
        prompt = Entry("user", text if place == "user" else "Hi")
        model = text if place == "model" else "tiny"
        system = text if place == "system" else "Be brief."
        found = headings(Transcript((prompt, entry, prompt), model, system).to_markdown())
        assert len(found) == 5, text
        assert found[1::2] == ["System instruction", found[3]]
        assert [found[2], found[4]] == ["You", "You"]


@pytest.mark.parametrize("place", ["user", "reply", "thinking", "result"])
def test_nothing_in_the_file_is_html_or_an_image_to_a_reader_that_lets_all_through(place):
    for text in CORPUS:
        entry = Entry(
            "assistant",
            text if place == "reply" else "Yes.",
            thinking=text if place == "thinking" else "",
            tool_calls=(ToolUse("add", text, text),) if place == "result" else (),
        )
        written = Transcript((Entry("user", text if place == "user" else "Hi"), entry), "tiny").to_markdown()
        tokens = MarkdownIt("commonmark", {"html": True}).parse(written)
        kinds = {one.type for token in tokens for one in (token, *(token.children or ()))}
        assert not kinds & {"html_block", "html_inline", "image"}, text


def test_a_model_that_is_named_like_the_user_is_told_apart():
    assert headings(Transcript((Entry("assistant", "x"),), " you").to_markdown())[1] == "you (model)"


# Files


@pytest.mark.parametrize("name", ["chat.md", "chat.html", "chat.json", "CHAT.HTM", "chat.markdown"])
def test_the_ending_says_as_what_it_is_written(fake_manager, tmp_path, name):
    folder = tmp_path / "chats"
    folder.mkdir()
    chat = fake_manager.create_chat()
    chat.send("My name is Ada.")
    path = chat.export(folder / name)
    text = path.read_text(encoding="utf-8")
    begin = {"m": "# Chat with", "h": "<!doctype html>", "j": "{"}[path.suffix[1].lower()]
    assert text.startswith(begin)
    assert "Ada" in text
    assert names_in(folder) == [name]


def test_format_overrules_the_ending(tmp_path):
    path = FULL.export(tmp_path / "chat.txt", format="json")
    assert Transcript.from_json(path.read_bytes()) == FULL


def test_a_file_is_replaced_only_where_that_is_asked_for(tmp_path):
    path = tmp_path / "chat.md"
    path.write_text("mine")
    with pytest.raises(ExportExistsError, match="overwrite=True"):
        FULL.export(path)
    with pytest.raises(FileExistsError):
        FULL.export(path)
    assert path.read_text() == "mine"
    FULL.export(path, overwrite=True)
    assert path.read_text().startswith("# Chat with tiny")


def test_a_file_that_is_made_meanwhile_is_not_replaced_either(tmp_path, monkeypatch):
    path = tmp_path / "chat.md"
    path.write_text("mine")
    monkeypatch.setattr(os.path, "lexists", lambda _: False)
    with pytest.raises(ExportExistsError):
        FULL.export(path)
    assert path.read_text() == "mine"
    assert names_in(tmp_path) == ["chat.md"]


def test_a_file_that_is_replaced_stays_as_private_as_it_was(tmp_path):
    path = FULL.export(tmp_path / "chat.json")
    path.chmod(0o600)
    FULL.export(path, overwrite=True)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_stays_a_link_to_the_file_that_is_replaced(tmp_path):
    (tmp_path / "kept").mkdir()
    path = tmp_path / "kept" / "chat.md"
    path.write_text("old")
    link = tmp_path / "chat.md"
    link.symlink_to(path)
    FULL.export(link, overwrite=True)
    assert link.is_symlink()
    assert path.read_text() == FULL.to_markdown()


def test_a_name_as_long_as_the_file_system_takes_can_be_written(tmp_path):
    path = FULL.export(tmp_path / f"{'对' * 80}.md")
    assert names_in(tmp_path) == [path.name]


def test_a_failed_write_leaves_the_old_file_and_no_half(tmp_path, monkeypatch):
    path = tmp_path / "chat.md"
    path.write_text("mine")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(ExportError, match="No space left"):
        FULL.export(path, overwrite=True)
    assert path.read_text() == "mine"
    assert names_in(tmp_path) == ["chat.md"]


def test_without_hard_links_it_is_moved(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", fail)
    path = FULL.export(tmp_path / "chat.json")
    assert Transcript.from_json(path.read_text()) == FULL
    assert names_in(tmp_path) == ["chat.json"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(ExportError, match="choose another place"):
        FULL.export(tmp_path / "missing" / "chat.md")


@pytest.mark.parametrize(
    ("path", "format_name", "error"),
    [
        ("chat.pdf", None, OptionValueError),
        ("chat", None, OptionValueError),
        ("chat.md", "pdf", OptionValueError),
        ("chat.md", "", OptionValueError),
        (".", None, OptionValueError),
        ("a\0b.md", None, OptionValueError),
        ("~nobody-of-that-name/chat.md", None, ExportError),
        (3, None, OptionTypeError),
        (None, None, OptionTypeError),
    ],
)
def test_what_cannot_be_written_is_refused_with_what_can(tmp_path, monkeypatch, path, format_name, error):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error):
        FULL.export(path, format=format_name)
    assert names_in(tmp_path) == []


def test_the_async_twin_writes_the_same(fake_manager, tmp_path):
    chat = fake_manager.create_chat()
    chat.send("Hello")
    path = asyncio.run(chat.aexport(tmp_path / "chat.json"))
    assert Transcript.from_json(path.read_text()).messages == chat.messages


def test_text_that_utf8_cannot_carry_is_written_all_the_same(tmp_path):
    transcript = Transcript((Entry("user", "half \ud800 pair"),), "tiny")
    for name in ("chat.md", "chat.html", "chat.json"):
        assert "half" in transcript.export(tmp_path / name).read_text(encoding="utf-8")


# JSON that comes back


def test_json_comes_back_as_it_was():
    again = Transcript.from_json(FULL.to_json())
    assert again == FULL
    assert again.date == FULL.date
    assert again.entries[1].timing == FULL.entries[1].timing
    assert gn.Transcript is Transcript


def test_unknown_fields_are_passed_over():
    value = json.loads(FULL.to_json())
    value["later"] = value["messages"][0]["later"] = {"x": 1}
    assert Transcript.from_json(json.dumps(value)) == FULL


def broken(**changes: object) -> str:
    value = json.loads(FULL.to_json()) | changes
    return json.dumps(value)


def broken_message(**changes: object) -> str:
    return broken(messages=[{"role": "user", "text": "Hi"} | changes])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        (b"\xff\xfe{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no object"),
        ("{}", "no chat of gemma_notebook"),
        ('{"format": "gemma_notebook.chat"}', "version None"),
        (broken(version=2), "version 2"),
        (broken(version=True), "version True"),
        (broken(model=3), "the file: 'model' must be text, not 3"),
        (broken(messages={}), "'messages' must be a list"),
        (broken(messages=["Hi"]), r"messages\[0\] must be an object, not 'Hi'"),
        (broken(options=[1]), "'options' must be an object"),
        (broken(date="yesterday"), "'date' must be a date"),
        (broken(system_instruction=1), "'system_instruction' must be text"),
        (
            broken_message(role="system"),
            r"messages\[0\]: 'role' must be one of 'user', 'assistant', not 'system'",
        ),
        (broken_message(text=None), "'text' must be text, not None"),
        (broken_message(finish_reason="bored"), "'finish_reason' must be one of 'stop'"),
        (broken_message(finish_reason=[]), "'finish_reason'"),
        (broken_message(tool_calls=[{"name": 1}]), r"messages\[0\].tool_calls\[0\]: 'name' must be text"),
        (broken_message(tool_calls=3), "'tool_calls' must be a list"),
        (broken_message(trimmed_turns=-1), "'trimmed_turns' must be a whole number"),
        (broken_message(trimmed_turns=True), "'trimmed_turns' must be a whole number"),
        (broken_message(usage={"prompt_tokens": 1.5}), r"messages\[0\].usage: 'prompt_tokens'"),
        (broken_message(timing={"total_s": "1"}), "'total_s' must be a number"),
        (broken_message(timing=[1]), "'timing' must be an object"),
        (broken_message(parts=[{"type": "video", "blob": "QUJD"}]), "'type' must be one of 'image'"),
        (broken_message(parts=[{"type": "image", "blob": "no"}]), r"parts\[0\]: 'blob' must be Base64 text"),
        (broken(options={"x": float("nan")}), "NaN is no number"),
        ('{"format": 1e999}', "too large"),
        (broken(options={"x": [[[]]]}).replace("[[[]]]", "[" * 60 + "]" * 60), "nested too deeply"),
        ("1" * 5000, "no JSON"),
    ],
)
def test_what_is_no_chat_is_refused_with_what_is_wrong(text, says):
    with pytest.raises(TranscriptError, match=says) as caught:
        Transcript.from_json(text)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 400


def test_only_text_is_read():
    with pytest.raises(TranscriptError, match="not from dict"):
        Transcript.from_json({})  # type: ignore[arg-type]


def test_a_huge_text_is_refused_unread(monkeypatch):
    monkeypatch.setattr("gemma_notebook.transcript.as_json.MAX_BYTES", 100)
    with pytest.raises(TranscriptError, match="more than"):
        Transcript.from_json(FULL.to_json())


def test_what_could_not_be_read_again_is_not_written(monkeypatch, tmp_path):
    monkeypatch.setattr("gemma_notebook.transcript.as_json.MAX_BYTES", 100)
    with pytest.raises(ExportError, match=r"can be read again.*\.html"):
        FULL.export(tmp_path / "chat.json")
    assert names_in(tmp_path) == []
    FULL.export(tmp_path / "chat.html")


def test_a_path_in_the_place_of_the_text_is_told_apart_from_a_bad_file():
    with pytest.raises(TranscriptError, match="give what is in a file"):
        Transcript.from_json("chat.json")


def test_a_text_of_endless_brackets_is_shown_as_it_is_written():
    text = "![<b>" * 5000
    transcript = Transcript((Entry("assistant", text),), "tiny")
    assert "![&lt;b&gt;" * 5000 in transcript.to_html()
    assert f"> ```markdown\n> {text}\n> ```" in transcript.to_markdown()


def test_halves_of_surrogate_pairs_anywhere_in_a_file_are_replaced():
    calls = [{"name": "f", "arguments": {"\ud800": ["\udc00"]}, "result": "\ud800"}]
    text = broken_message(role="assistant", tool_calls=calls)
    read = Transcript.from_json(text)
    json.dumps(read._repr_mimebundle_(), ensure_ascii=False).encode()
    assert read.entries[0].tool_calls[0].arguments == {"\ufffd": ["\ufffd"]}


def test_a_time_too_large_for_any_clock_is_refused():
    timing = {"time_to_first_token_s": 10**400, "total_s": 1}
    with pytest.raises(TranscriptError, match="not as large"):
        Transcript.from_json(broken_message(role="assistant", timing=timing))


@pytest.mark.parametrize("opener", ["\\(", "\\["])
def test_a_text_of_nothing_but_openers_of_formulas_is_read_through_once(monkeypatch, opener):
    looks = []
    look = math_rules._closer_at
    monkeypatch.setattr(math_rules, "_closer_at", lambda *where: looks.append(1) or look(*where))
    Transcript((Entry("assistant", "x " + opener * 500 + "x"),), "tiny").to_html()
    assert len(looks) < 20


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(["model", "date", "system_instruction", "options", "messages", "version", "format"]),
    json_values,
)
def test_any_value_in_any_field_is_taken_or_refused_and_never_worse(name, value):
    try:
        transcript = Transcript.from_json(broken(**{name: value}))
    except GemmaNotebookError:
        return
    assert transcript.to_html()
    assert transcript.to_markdown()


@example("error", "")
@given(
    st.sampled_from(
        [
            "role",
            "text",
            "thinking",
            "tool_calls",
            "finish_reason",
            "error",
            "trimmed_turns",
            "usage",
            "timing",
            "parts",
        ]
    ),
    json_values,
)
def test_any_value_in_any_field_of_a_message_is_taken_or_refused_and_never_worse(name, value):
    try:
        transcript = Transcript.from_json(broken_message(**{name: value}))
    except GemmaNotebookError:
        return
    assert transcript.to_html()
    assert Transcript.from_json(transcript.to_json()) == transcript
