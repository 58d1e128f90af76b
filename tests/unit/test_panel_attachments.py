"""Files attached in a panel reach the chat, also when a prompt is answered again; errors give the prompt back."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image
from scripted_chat import FrontEnd, ScriptedChat, answer, connected

import gemma_notebook as gn

CAT = {"name": "cat.png", "type": "image/png"}


def png() -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(written, "PNG")
    return written.getvalue()


def send_with(front: FrontEnd, data: bytes, text: str = "What is this?", file: dict[str, str] = CAT) -> str:
    request = f"with-{text}"
    message = {"type": "send", "id": request, "epoch": 1, "text": text, "files": [file]}
    front.controller.handle(message, [memoryview(data)])
    return request


def test_files_reach_the_chat_and_are_named_with_the_prompt(front: FrontEnd, chat: ScriptedChat) -> None:
    stream = answer(front, chat, send_with(front, b"PNG"), "A cat.")
    (attached,) = stream.attachments
    assert (attached.name, attached.media_type, attached.data) == ("cat.png", "image/png", b"PNG")
    assert front.snapshot()["messages"][0]["files"] == [{**CAT, "size": 3}]


def test_a_reply_that_is_generated_again_and_a_prompt_that_is_edited_have_the_files_again(
    front: FrontEnd, chat: ScriptedChat
) -> None:
    answer(front, chat, send_with(front, b"PNG"), "A cat.")
    again = answer(front, chat, front.ask("regenerate", epoch=1, turn=2), "A dog.")
    assert [a.data for a in again.attachments] == [b"PNG"]
    edited = answer(front, chat, front.ask("edit", epoch=1, turn=1, text="Which colour?"), "Red.")
    assert [a.data for a in edited.attachments] == [b"PNG"]
    first = front.snapshot()["messages"][0]
    assert (first["text"], first["files"]) == ("Which colour?", [{**CAT, "size": 3}])


@pytest.fixture
def open_front(
    fake: Any, make_fake_manager: Callable[..., gn.SessionManager]
) -> Iterator[Callable[..., FrontEnd]]:
    """A panel's controller on a real chat, whose engine is the stub of a model that sees."""
    with contextlib.ExitStack() as opened:

        def make(**info: int) -> FrontEnd:
            fake.set(**info)
            return opened.enter_context(connected(make_fake_manager().create_chat()))

        yield make


def test_what_the_panel_hands_over_reaches_the_engine(fake: Any, open_front: Callable[..., FrontEnd]) -> None:
    front = open_front(info_supports_vision=1)
    request = send_with(front, png())
    front.wait(type="turn", role="assistant", state="done", request=request)
    sent = json.loads(fake.options("conversation", 1)["send_message"])
    assert [part["type"] for part in sent["content"]] == ["image", "text"]


def test_a_branch_that_is_shown_again_has_its_file_in_the_models_context(
    fake: Any, open_front: Callable[..., FrontEnd]
) -> None:
    front = open_front(info_supports_vision=1)
    front.wait(type="turn", role="assistant", state="done", request=send_with(front, png()))
    front.wait(type="turn", role="assistant", state="done", request=front.send("Thank you."))
    request = front.ask("edit", epoch=1, turn=3, text="And now?")
    front.wait(type="turn", role="assistant", state="done", request=request)
    request = front.ask("switch", epoch=1, turn=5, index=1)
    front.wait(type="state", request=request, status="idle")
    front.wait(type="turn", role="assistant", state="done", request=front.send("Good."))
    created = max(int(line.split()[1]) for line in fake.log if line.startswith("create "))
    history = json.loads(fake.options("conversation", created)["messages"])
    assert [part["type"] for part in history[0]["content"]] == ["image", "text"]
    assert [message["content"][-1]["text"] for message in history[::2]] == ["What is this?", "Thank you."]


@pytest.mark.parametrize("sees", [True, False])
def test_an_exported_file_has_the_image_which_is_imported_where_the_model_sees(
    fake: Any, open_front: Callable[..., FrontEnd], sees: bool
) -> None:
    front = open_front(info_supports_vision=1)
    front.wait(type="turn", role="assistant", state="done", request=send_with(front, png()))
    files = {
        kind: front.wait(type="exported", request=front.ask("export", format=kind))["text"]
        for kind in ("json", "markdown", "html")
    }
    assert json.loads(files["json"])["messages"][0]["parts"][0]["type"] == "image"
    assert "1 image" in files["markdown"]
    assert "1 image" in files["html"]
    other = front if sees else open_front(info_supports_vision=0)
    request = other.ask("import", epoch=1, text=files["json"])
    other.wait(type="state", status="idle", epoch=2, request=request)
    other.wait(type="turn", role="assistant", state="done", request=other.send("Go on.", epoch=2))
    created = max(int(line.split()[1]) for line in fake.log if line.startswith("create "))
    history = json.loads(fake.options("conversation", created)["messages"])
    assert [part["type"] for part in history[0]["content"]] == (["image", "text"] if sees else ["text"])


def test_an_imported_image_is_shown_and_sent_again_with_its_prompt(
    fake: Any, open_front: Callable[..., FrontEnd]
) -> None:
    front = open_front(info_supports_vision=1)
    front.wait(type="turn", role="assistant", state="done", request=send_with(front, png()))
    text = front.wait(type="exported", request=front.ask("export", format="json"))["text"]
    front.wait(type="state", status="idle", epoch=2, request=front.ask("import", epoch=1, text=text))
    prompt, reply = front.snapshot()["messages"]
    assert prompt["files"] == [{"name": "image", "type": "image/png", "size": len(png())}]
    for _ in range(2):
        request = front.ask("regenerate", epoch=2, turn=reply["turn"])
        reply = front.wait(type="turn", role="assistant", state="done", request=request)
        created = max(int(line.split()[1]) for line in fake.log if line.startswith("create "))
        sent = json.loads(fake.options("conversation", created)["send_message"])
        assert [part["type"] for part in sent["content"]] == ["image", "text"]
    again = front.wait(type="exported", request=front.ask("export", format="json"))["text"]
    assert json.loads(again)["messages"][0]["parts"] == json.loads(text)["messages"][0]["parts"]


@pytest.mark.parametrize(
    ("info", "data", "file", "kind", "words"),
    [
        ({"info_supports_vision": 1}, png()[:50], CAT, "OptionValueError", "'cat.png' is a broken image"),
        ({"info_supports_vision": 1}, b"", CAT, "OptionValueError", "'cat.png' is empty"),
        ({"info_supports_vision": 1}, b"<svg/>", CAT, "OptionValueError", "'cat.png' is text"),
        ({"info_supports_audio": 1}, png(), CAT, "UnsupportedError", "takes no images"),
        ({}, b"", {"name": "a.wav", "type": "audio/wav"}, "UnsupportedError", "takes no"),
    ],
)
def test_an_error_about_a_file_gives_the_prompt_back_and_the_chat_goes_on(
    open_front: Callable[..., FrontEnd],
    info: dict[str, int],
    data: bytes,
    file: dict[str, str],
    kind: str,
    words: str,
) -> None:
    front = open_front(**info)
    request = send_with(front, data, file=file)
    told = front.wait(type="error", request=request)
    assert (told["kind"], told["text"], told["retry"]) == (kind, "What is this?", None)
    assert words in told["message"]
    front.settle()
    assert front.shown() == []
    front.wait(type="turn", role="assistant", state="done", request=front.send("Hello"))
