"""Media in chats: what the engine would get, on the stub; and the bundled model takes none, and says so."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import struct
import threading
import wave
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gemma_notebook as gn
from gemma_notebook import attachments
from gemma_notebook.attachments import content_parts
from gemma_notebook.errors import ContextFullError, OptionTypeError, OptionValueError, UnsupportedError


def wav_of(seconds: float) -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * int(16_000 * seconds)))
    return written.getvalue()


def png_without_rows() -> bytes:
    """It says that it is 1 x 0, and has more pixels than none."""
    made = b"\x89PNG\r\n\x1a\n"
    ihdr = struct.pack(">IIBBBBB", 1, 0, 8, 2, 0, 0, 0)
    for name, content in ((b"IHDR", ihdr), (b"IDAT", zlib.compress(bytes(1_000_000))), (b"IEND", b"")):
        made += struct.pack(">I", len(content)) + name + content
        made += struct.pack(">I", zlib.crc32(name + content))
    return made


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    return file.getvalue()


def test_a_model_without_encoders_refuses_before_a_file_is_read(real_manager, monkeypatch):
    def read(self):
        raise AssertionError("a file was read")

    monkeypatch.setattr(Path, "read_bytes", read)
    name = real_manager.model.name
    for given in (__file__, "cat.png", "voice.wav", np.zeros((2, 2)), (np.zeros(16_000), 16_000)):
        with pytest.raises(UnsupportedError, match=f"the model '{name}' takes no (images|sound)"):
            content_parts([given], model=real_manager.model, vision=True, audio=True)


@pytest.fixture
def seeing(fake, make_fake_manager):
    fake.set(info_supports_vision=1, info_supports_audio=1)
    return make_fake_manager()


def test_the_engine_gets_the_attachments_before_the_text(fake, seeing):
    picture = base64.b64encode(png(2, 2)).decode()
    seeing.create_chat().send("What is this?", attachments=[png(2, 2)])
    sent = json.loads(fake.options("conversation", 1)["send_message"])
    assert sent == {
        "role": "user",
        "content": [{"type": "image", "blob": picture}, {"type": "text", "text": "What is this?"}],
    }


def test_an_async_send_reads_its_attachments_off_the_loop(fake, seeing, monkeypatch):
    threads = []
    read = attachments.content_parts

    def note(*arguments, **named):
        threads.append(threading.current_thread())
        return read(*arguments, **named)

    monkeypatch.setattr(attachments, "content_parts", note)
    chat = seeing.create_chat()
    asyncio.run(chat.asend("What is this?", attachments=[png(2, 2)]))
    assert threads and threads[0] is not threading.main_thread()
    assert json.loads(fake.options("conversation", 1)["send_message"])["content"][0]["type"] == "image"
    with pytest.raises(OptionValueError):
        asyncio.run(chat.asend("And this?", attachments=["missing.png"]))
    assert len(chat.messages) == 2


def test_a_replay_has_the_attachments_again(fake, seeing):
    chat = seeing.create_chat()
    chat.send("What is this?", attachments=[png(2, 2)])
    fork = chat.fork()
    fork.undo()
    chat.session._holding.conversation.retire("for the test")
    chat.send("And now?")
    created = [int(line.split()[1]) for line in fake.log if line.startswith("create ")]
    history = json.loads(fake.options("conversation", created[-1])["messages"])
    assert history[0]["content"][0]["type"] == "image"


def test_regenerate_and_edit_send_the_attachments_again(fake, seeing):
    chat = seeing.create_chat()
    chat.send("What is this?", attachments=[png(2, 2)])
    chat.regenerate()
    last = max(int(line.split()[1]) for line in fake.log if line.startswith("send "))
    assert json.loads(fake.options("conversation", last)["send_message"])["content"][0]["type"] == "image"


def test_a_message_that_is_edited_keeps_its_image(fake, seeing):
    chat = seeing.create_chat()
    chat.send("What is this?", attachments=[png(2, 2)])
    chat.edit(0, "Which colour is it?")
    assert [part["type"] for part in last_content(fake)] == ["image", "text"]


@pytest.mark.parametrize(
    "send",
    [
        lambda chat, **more: chat.send("Look.", **more),
        lambda chat, **more: list(chat.stream("Look.", **more)),
        lambda chat, **more: asyncio.run(chat.asend("Look.", **more)),
    ],
)
def test_every_way_to_send_takes_attachments(fake, seeing, send):
    chat = seeing.create_chat()
    send(chat, attachments=[png(2, 2), (np.zeros(22_050), 22_050)])
    assert [part["type"] for part in last_content(fake)] == ["image", "audio", "text"]
    send(chat)
    assert [part["type"] for part in last_content(fake)] == ["text"]


@pytest.mark.parametrize("given", ["no-such.png", b"", b"text", 7])
def test_what_cannot_be_attached_sends_nothing_and_the_chat_goes_on(fake, seeing, given):
    chat = seeing.create_chat()
    with pytest.raises((OptionValueError, OptionTypeError)):
        chat.send("Look.", attachments=[given])
    assert (chat.messages, fake.count("conversation_send_message_stream")) == ((), 0)
    assert chat.send("Hello").finish_reason == "stop"


def test_a_chat_with_the_modality_off_refuses_and_sends_nothing(fake, seeing):
    chat = seeing.create_chat(enable_vision_modality=False)
    with pytest.raises(UnsupportedError):
        chat.send("What is this?", attachments=[png(2, 2)])
    assert chat.messages == ()


def test_a_model_without_encoders_refuses_an_image_in_a_chat(real_manager):
    chat = real_manager.create_chat()
    with pytest.raises(UnsupportedError, match="takes no images"):
        chat.send("What is this?", attachments=[png(2, 2)])
    assert chat.messages == ()
    assert "Ada" in chat.send("My name is Ada.").text


def last_content(fake) -> list[dict[str, str]]:
    """What the engine was sent last."""
    last = [int(line.split()[1]) for line in fake.log if line.startswith("send ")][-1]
    content: list[dict[str, str]] = json.loads(fake.options("conversation", last)["send_message"])["content"]
    return content


def test_a_restored_chat_has_its_images_again(fake, seeing):
    chat = seeing.create_chat()
    chat.send("What is this?", attachments=[png(2, 2)])
    chat.send("Thank you.")
    said = chat.messages
    other = seeing.open_chat()
    other.restore(said)
    assert other.messages == said
    other.send("And now?")
    created = max(int(line.split()[1]) for line in fake.log if line.startswith("create "))
    history = json.loads(fake.options("conversation", created)["messages"])
    assert [[part["type"] for part in message["content"]] for message in history[::2]] == [
        ["image", "text"],
        ["text"],
    ]


def test_a_saved_chat_has_its_images_and_says_so(fake, seeing, tmp_path):
    chat = seeing.create_chat()
    chat.send("What is this?", attachments=[png(2, 2), (np.zeros(16_000), 16_000)])
    file = chat.export(tmp_path / "chat.json")
    saved = gn.Transcript.from_json(file.read_text())
    assert saved == chat.transcript()
    assert saved.messages == chat.messages
    assert [part["type"] for part in saved.messages[0].parts] == ["image", "audio"]
    assert "1 image, 1 sound" in saved.to_markdown()
    assert "1 image, 1 sound" in saved.to_html()
    chat.restore(saved.messages)
    chat.send("And now?")
    history = json.loads(fake.options("conversation", seeing.handles.created)["messages"])
    assert [part["type"] for part in history[0]["content"]] == ["image", "audio", "text"]


def test_a_model_without_an_encoder_restores_no_image_and_forgets_nothing(seeing, real_manager):
    chat = seeing.create_chat()
    chat.send("What is this?", attachments=[png(2, 2)])
    blind = real_manager.create_chat()
    blind.send("My name is Ada.")
    with pytest.raises(UnsupportedError, match="carries an image"):
        blind.restore(chat.messages)
    assert len(blind.messages) == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png(4000, 1), "not as the engine takes it"),
        (png(2, 2)[:40], "broken"),
        (png_without_rows(), "no pixels"),
        (wav_of(1), "not as the engine takes it"),
        (b"GIF89a", "not as the engine takes it"),
        (b"no image", "is text"),
    ],
    ids=["huge", "cut", "empty", "a sound", "gif", "text"],
)
def test_an_image_that_is_not_as_a_chat_sends_it_is_not_restored(seeing, data, words):
    part = {"type": "image", "blob": base64.b64encode(data).decode()}
    with pytest.raises(OptionValueError, match=words):
        seeing.create_chat().restore([gn.Message("user", "What is this?", parts=(part,))])


@pytest.mark.parametrize(
    "data", [b"fLaC and more", wav_of(0.01), wav_of(1)[:-20]], ids=["flac", "short", "cut"]
)
def test_a_sound_that_is_not_as_a_chat_sends_it_is_not_restored(seeing, data):
    part = {"type": "audio", "blob": base64.b64encode(data).decode()}
    with pytest.raises(OptionValueError, match="not as the engine takes it"):
        seeing.create_chat().restore([gn.Message("user", "What is this?", parts=(part,))])


@pytest.mark.parametrize(
    "part",
    [
        "cat.png",
        {"type": "text", "text": "hi"},
        {"type": "image", "blob": b"bytes"},
        {"type": "image", "blob": "abc"},
    ],
)
def test_what_is_no_part_of_a_message_is_not_restored(seeing, part):
    chat = seeing.create_chat()
    with pytest.raises(OptionTypeError, match="parts must be"):
        chat.restore([gn.Message("user", "What is this?", parts=(part,))])


@pytest.mark.parametrize("attachments", [np.zeros((2, 2), "uint8"), "", b"", np.array([])])
def test_attachments_that_are_no_list_are_refused_in_words(fake, seeing, attachments):
    chat = seeing.create_chat()
    for send in (chat.send, lambda *given, **more: asyncio.run(chat.asend(*given, **more))):
        with pytest.raises(OptionTypeError, match=r"write attachments=\[…\] around it"):
            send("Look.", attachments=attachments)
    assert chat.messages == ()


@pytest.mark.parametrize("given", ["data:image/png;base64," + "A" * 5000, "A" * 5000])
def test_the_content_of_a_file_is_no_path_and_is_not_quoted(seeing, given):
    with pytest.raises(OptionValueError) as refused:
        seeing.create_chat().send("Look.", attachments=[given])
    assert len(str(refused.value)) < 400
    assert "data URL" in str(refused.value) or "cannot be read" in str(refused.value)


def test_a_required_call_is_asked_for_with_the_attachments(fake, seeing):
    def note(text: str) -> str:
        """Note it."""
        return text

    seeing._engine._constrains["ascii"] = True
    fake.set(reply='{"name": "note", "arguments": {"text": "a"}}')
    chat = seeing.create_chat(tools=[note], tool_choice="required", max_tool_turns=1)
    asyncio.run(chat.asend("Look.", attachments=[png(2, 2)]))
    last = int(fake.log[-1].split()[1])
    assert json.loads(fake.options("conversation", last)["messages"])[0]["content"][0]["type"] == "image"
    with pytest.raises(OptionValueError, match="no file"):
        asyncio.run(chat.asend("Look.", attachments=["missing.png"]))


def test_what_the_engine_puts_in_for_an_image_is_of_the_prompt_and_not_of_the_reply(fake, seeing):
    fake.set(reply="A cat.")
    chat = seeing.create_chat()
    usage = chat.send("What is it?", attachments=[png(2, 2)], max_output_tokens=100).usage
    assert chat.send("Thank you.", max_output_tokens=100).finish_reason == "stop"
    assert usage.output_tokens < 10
    assert usage.prompt_tokens > 256
    chat.session._holding.conversation.retire("for the test")
    replayed = chat.send("Thank you.", max_output_tokens=100)
    assert (replayed.finish_reason, replayed.usage.output_tokens < 10) == ("stop", True)


def test_images_that_do_not_fit_into_the_context_are_told_before_the_send(fake, seeing):
    chat = seeing.create_chat()
    with pytest.raises(ContextFullError):
        chat.send("What are these?", attachments=[png(2, 2)] * 8)
    assert fake.count("conversation_send_message_stream") == 0


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_images_of_16_bits_are_scaled_whichever_end_comes_first(seeing, mode):
    order = "<u2" if mode == "I;16" else ">u2"
    pixels = np.array([[0, 0xFF00], [0x8000, 0x4000]], order)
    image = Image.frombytes(mode, (2, 2), pixels.tobytes())
    (part,) = content_parts([image], model=seeing.model, vision=True, audio=False)
    assert np.asarray(Image.open(io.BytesIO(part.data))).tolist() == [[0, 255], [128, 64]]
