"""LoRA files: passed to an engine that was loaded for them, refused with the remedy by any other."""

from __future__ import annotations

import pytest

import gemma_notebook as gn
from gemma_notebook.errors import EngineError, OptionValueError, UnsupportedError


@pytest.fixture
def lora(tmp_path):
    file = tmp_path / "tone.lora"
    file.write_bytes(b"\0\0\0\0TFL3weights")
    return file


def test_a_lora_is_passed_to_an_engine_that_was_loaded_with_a_rank(fake, make_fake_manager, lora):
    manager = make_fake_manager(lora_rank=8)
    session = manager.create_session(lora_path=str(lora))
    assert fake.options("engine", 1)["lora_rank"] == "8"
    assert fake.options("conversation", session.handle_id)["lora_path"] == str(lora)


def test_a_lora_without_a_rank_is_refused_with_its_path_and_the_remedy(manager, lora):
    with pytest.raises(UnsupportedError, match=rf"{lora.name}.*lora_rank="):
        manager.create_session(lora_path=str(lora))
    assert manager.handles.created == 0


def test_a_lora_that_the_engine_refuses_leaves_no_handle(fake, make_fake_manager, lora):
    manager = make_fake_manager(lora_rank=8)
    fake.set(fail_session_config_set_lora_path="1:3:not a LoRA file")
    with pytest.raises(EngineError, match="not a LoRA file"):
        manager.create_session(lora_path=str(lora))
    assert manager.handles.live == 0


def test_a_file_that_is_no_lora_never_reaches_the_engine_which_would_break_off_the_other_chats(tmp_path):
    letter = tmp_path / "letter.lora"
    letter.write_text("Dear Ada")
    with gn.load(lora_rank=8) as manager, manager.open_chat() as chat:
        with pytest.raises(OptionValueError, match=r"letter\.lora.*is no LoRA"):
            manager.create_session(lora_path=letter)
        assert chat.send("My name is Ada.").text == "Nice to meet you, Ada."


def test_the_engine_that_was_given_a_wrong_lora_says_what_to_do(tmp_path, lora):
    with gn.load(lora_rank=8) as manager, manager.open_chat() as chat:
        with pytest.raises(EngineError, match=r"tone\.lora.*manager\.reload\(\)"):
            manager.create_session(lora_path=lora)
        with pytest.raises(EngineError, match=r"No LoRA.*manager\.reload\(\)"):
            chat.send("My name is Ada.")
        manager.reload()
        assert chat.send("My name is Bo.").text == "Nice to meet you, Bo."
