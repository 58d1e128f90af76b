"""What must hold with a real Gemma, run by ``make test-gemma`` beside the lifecycle suite; not by ``make test``.

The model is the one that ``gemma-notebook models build gemma3-270m`` makes: a pretrained checkpoint that answers by
the examples in its chat template.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import load_test_model

import gemma_notebook as gn
from gemma_notebook.errors import ContextFullError

NAMES = ("Ada", "Bo", "Liam", "Zoe", "Maria", "Chen", "Omar", "Ruth")
QUESTIONS = (
    "What is my name?",
    "What is the capital of France?",
    "Tell me about the sea.",
    "Go on: 1, 2, 3, 4, 5, 6, 7, 8,",
)
# A model that repeats what it reads finds no end to it.
ENDLESS = "Say:" + " la" * 24

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def manager():
    with load_test_model() as loaded:
        yield loaded


@pytest.fixture(scope="module")
def fresh_answers():
    """Each question's answer as the first thing that a process ever asks."""
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "import json\nfrom support import load_test_model\n"
        "chat = load_test_model().create_chat(max_output_tokens=48)\n"
        "print(json.dumps(chat.send(sys.argv[1]).text))"
    )
    answers = {}
    for question in QUESTIONS:
        done = subprocess.run(
            [sys.executable, "-c", script, question], capture_output=True, check=True, text=True
        )
        answers[question] = json.loads(done.stdout)
    return answers


def test_the_tokenizer_is_gemmas(manager):
    # transformers makes other merges of the GGUF file's vocabulary: ten tokens, and a model that talks nonsense.
    assert manager._engine.tokenize("The capital of France is") == [818, 5279, 529, 7001, 563]


def test_it_knows_something_and_remembers_what_it_was_told(manager):
    chat = manager.create_chat()
    assert "Paris" in chat.send("What is the capital of France?").text
    chat.send("My name is Ada.")
    assert "Ada" in chat.send("What is my name?").text
    chat.reset()
    assert "Ada" not in chat.send("What is my name?").text


def test_a_greedy_answer_after_a_reset_is_byte_for_byte_that_of_a_fresh_process(manager, fresh_answers):
    chat = manager.create_chat(max_output_tokens=48)
    for history in (["My name is Ada."], [ENDLESS], ["My name is Bo.", "What is my name?", ENDLESS]):
        for question, expected in fresh_answers.items():
            for message in history:
                chat.send(message)
            chat.reset()
            assert chat.send(question).text == expected
            chat.reset()


def test_nothing_is_left_after_a_reset_in_mid_reply_or_after_a_stop(manager, fresh_answers):
    chat = manager.create_chat(max_output_tokens=48)
    for question, expected in fresh_answers.items():
        stream = chat.stream(ENDLESS)
        next(stream)
        chat.reset()
        assert chat.send(question).text == expected
        stream = chat.stream("My name is Ada.")
        next(stream)
        chat.stop()
        chat.reset()
        assert chat.send(question).text == expected
        chat.reset()


def test_a_stop_keeps_the_partial_reply_and_the_next_send_answers_with_the_history(manager):
    chat = manager.create_chat()
    stream = chat.stream(ENDLESS)
    for _ in range(5):
        next(stream)
    chat.stop()
    assert stream.reply.finish_reason == "cancelled"
    assert stream.reply.text
    assert chat.messages[-1].text == stream.reply.text
    chat.send("My name is Ada.")
    assert ENDLESS + "\nAssistant:\n" + stream.reply.text in chat.rendered().text
    assert "Ada" in chat.send("What is my name?").text
    assert manager.handles.live == 1


def test_a_reply_that_runs_into_the_end_of_the_context_says_so_and_the_chat_goes_on(manager):
    chat = manager.create_chat()
    reply = chat.send(ENDLESS)
    assert reply.finish_reason == "context_full"
    assert reply.usage.context_tokens <= manager.model.context_limit
    chat.reset()
    assert "Paris" in chat.send("What is the capital of France?").text


def test_a_full_context_is_trimmed_or_refused_and_never_silently_overrun(manager):
    long = "The river rises in the hills and runs through the town down to the sea. " * 16
    trimming = manager.create_chat(context_policy="trim", max_output_tokens=16)
    replies = [trimming.send(long) for _ in range(10)]
    assert sum(reply.trimmed_turns for reply in replies) > 0
    assert all(reply.usage.context_tokens <= manager.model.context_limit for reply in replies)
    assert all(reply.text for reply in replies)
    refusing = manager.create_chat(context_policy="error", max_output_tokens=16)
    with pytest.raises(ContextFullError):
        for _ in range(10):
            refusing.send(long)


def test_eight_chats_at_once_keep_their_own_histories(manager):
    chats = {name: manager.open_chat() for name in NAMES}
    for name, chat in chats.items():
        chat.send(f"My name is {name}.")
    for name in NAMES[::2]:
        assert name in chats[name].send("What is my name?").text
    for name in NAMES[::2]:
        chats.pop(name).close()
    for name, chat in chats.items():
        text = chat.send("What is my name?").text
        assert name in text
        assert not [other for other in NAMES if other != name and other in text]
        chat.close()
    assert manager.handles.live == 0 or manager.session is not None


def test_the_figures_of_a_benchmark_are_there(manager):
    figures = gn.benchmark(manager, rounds=1, prompt_tokens=128, output_tokens=32)
    assert {measure.name for measure in figures.measures} == {
        "prefill",
        "decode",
        "time to first token",
        "reset",
    }
