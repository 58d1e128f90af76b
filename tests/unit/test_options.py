"""Options are checked before anything native sees them; errors say what to do."""

from __future__ import annotations

import asyncio
import inspect
import pickle

import numpy as np
import pytest

import gemma_notebook as gn
from gemma_notebook import errors
from gemma_notebook.options import SendOptions, SessionOptions


def test_the_defaults_are_those_of_the_contract():
    options = SessionOptions()
    assert (options.temperature, options.random_seed, options.top_k, options.top_p) == (0.8, 1, 1, None)
    assert (options.enable_thinking, options.tools, options.max_output_tokens) == (False, (), None)


def test_equal_options_are_the_same_request():
    assert SessionOptions.of(temperature=0.5, tools=[]) == SessionOptions.of(tools=(), temperature=0.5)
    assert SessionOptions.of(temperature=0.5) != SessionOptions.of(temperature=0.6)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"temperature": -0.1}, ValueError, "temperature=-0.1"),
        ({"temperature": float("nan")}, ValueError, "temperature=nan"),
        ({"temperature": "hot"}, TypeError, "temperature must be a number"),
        ({"temperature": True}, TypeError, "temperature must be a number"),
        ({"random_seed": -1}, ValueError, "random_seed=-1"),
        ({"random_seed": 2**31}, ValueError, "random_seed=2147483648"),
        ({"top_k": 0}, ValueError, "top_k=0"),
        ({"top_k": 1.0}, TypeError, "top_k must be a whole number"),
        ({"top_p": 0}, ValueError, "use top_k=1"),
        ({"top_p": 1.1}, ValueError, "top_p=1.1"),
        ({"max_output_tokens": 0}, ValueError, "max_output_tokens=0"),
        ({"enable_thinking": 1}, TypeError, "enable_thinking must be True or False"),
        ({"enable_vision_modality": "yes"}, TypeError, "enable_vision_modality"),
        ({"system_instruction": 42}, TypeError, "system_instruction must be a string"),
        ({"system_instruction": "\udc00"}, ValueError, "surrogate"),
        ({"tools": "abc"}, TypeError, "tools must be a list"),
        ({"tools": [3]}, TypeError, "cannot be called"),
        ({"lora_path": "/nowhere.lora"}, FileNotFoundError, "/nowhere.lora"),
        ({"lora_path": 3}, TypeError, "lora_path must be a path"),
        ({"lora_path": "~nobody-of-that-name/x.lora"}, FileNotFoundError, "~nobody-of-that-name"),
        ({"temperature": 10**400}, ValueError, "temperature=1000"),
        ({"temperature": 1e39}, ValueError, r"temperature=1e\+39"),
        ({"temprature": 1}, TypeError, "unknown option 'temprature'; the options are temperature"),
    ],
)
def test_a_wrong_option_of_a_session_is_named_with_its_value(options, kind, words):
    with pytest.raises(kind, match=words) as caught:
        SessionOptions.of(**options)
    assert isinstance(caught.value, errors.GemmaNotebookError)


def test_what_the_model_lacks_is_unsupported_and_says_what_to_leave_out(fake_manager, tmp_path):
    lora = tmp_path / "file.lora"
    lora.write_bytes(b"\0\0\0\0TFL3")
    for options in (
        {"enable_thinking": True},
        {"enable_vision_modality": True},
        {"enable_audio_modality": True},
        {"lora_path": str(lora)},
    ):
        with pytest.raises(errors.UnsupportedError) as caught:
            fake_manager.create_session(**options)
        assert isinstance(caught.value, NotImplementedError)
    assert fake_manager.handles.created == 0


@pytest.mark.parametrize("name", sorted(errors.__all__))
def test_every_error_is_one_of_ours_and_survives_pickling(name):
    kind = getattr(errors, name)
    assert issubclass(kind, errors.GemmaNotebookError)
    copy = pickle.loads(pickle.dumps(kind("what failed; what to do")))
    assert type(copy) is kind
    assert str(copy) == "what failed; what to do"


def test_every_public_name_is_there_and_documented():
    for name in gn.__all__:
        value = getattr(gn, name)
        if name not in ("__version__",):
            assert value.__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = gn.nonsense


def test_every_sync_verb_has_its_async_twin():
    for kind, verbs in {
        gn.Chat: ("send", "stream", "stop", "reset", "undo", "regenerate", "edit", "fork", "export", "close"),
        gn.Session: ("send", "stream", "stop", "reset", "rewind", "restore", "close"),
        gn.SessionManager: (
            "create_session",
            "open_session",
            "create_chat",
            "open_chat",
            "count_tokens",
            "close",
        ),
    }.items():
        for verb in verbs:
            assert callable(getattr(kind, verb))
            assert callable(getattr(kind, f"a{verb}"))


def test_the_options_of_every_verb_that_makes_a_chat_or_session_can_be_seen():
    for name in ("create_session", "open_session", "create_chat", "open_chat"):
        for verb in (name, f"a{name}"):
            shown = inspect.signature(getattr(gn.SessionManager, verb)).parameters
            assert shown["temperature"].default == 0.8
            assert ("context_policy" in shown) == name.endswith("chat")


def test_options_by_their_places_are_the_same_on_every_lane(fake_manager):
    async def open_one():
        return await fake_manager.aopen_session(0.5, 7), await fake_manager.acreate_session(0.5, 7)

    for session in (fake_manager.open_session(0.5, 7), *asyncio.run(open_one())):
        assert (session.options.temperature, session.options.random_seed) == (0.5, 7)
        session.close()
    with pytest.raises(TypeError, match="temperature is given twice"):
        fake_manager.open_session(0.5, temperature=0.5)


def test_an_empty_path_is_not_this_directory():
    with pytest.raises(errors.OptionValueError, match="model is empty"):
        gn.load("")
    with pytest.raises(errors.OptionValueError, match="cache_dir is empty"):
        gn.load(cache_dir="")


def test_reprs_carry_no_address_and_no_timing(fake_manager):
    chat = fake_manager.create_chat()
    reply = chat.send("My name is Ada.")
    things = [
        fake_manager,
        chat,
        chat.session,
        reply,
        fake_manager.handles,
        fake_manager.events,
        chat.messages,
    ]
    for thing in (*things, chat.context, fake_manager.model, fake_manager._engine, chat.session.turns[0]):
        text = repr(thing)
        assert "0x" not in text, text
        assert "time" not in text, text
        assert "at_s" not in text, text


def test_numbers_of_numpy_are_numbers(make_fake_manager):
    options = SessionOptions.of(top_k=np.int64(3), temperature=np.float32(0.5), random_seed=np.uint8(7))
    assert (options.top_k, options.temperature, options.random_seed) == (3, 0.5, 7)
    assert {type(value) for value in (options.top_k, options.temperature, options.random_seed)} == {
        int,
        float,
    }
    assert type(SendOptions(max_output_tokens=np.int32(5)).max_output_tokens) is int
    manager = make_fake_manager(max_sessions=np.int64(1))
    chat = manager.open_chat(max_tool_turns=np.int64(3))
    assert type(chat._tool_policy.max_turns) is int
    with pytest.raises(errors.SessionLimitError, match="max_sessions=1;"):
        manager.open_chat()
    with pytest.raises(errors.OptionTypeError, match="whole number"):
        SessionOptions.of(top_k=np.float64(3))
