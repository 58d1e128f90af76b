"""The command line, as a user and a script meet it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from installed_command import Command
from support import WAIT_S

import gemma_notebook
from gemma_notebook import cli
from gemma_notebook.cli import models as models_group
from gemma_notebook.cli.models import check
from gemma_notebook.models.resolve import resolve_model

TINY = resolve_model("tiny")


@pytest.fixture
def mine(command: Command) -> Path:
    """A model in the store, under the name ``mine``."""
    path = command.home / "models" / "mine.litertlm"
    path.parent.mkdir()
    path.write_bytes(TINY.read_bytes())
    return path


# All of it


def test_the_installed_script_is_the_module(command: Command):
    script = Path(sys.executable).with_name("gemma-notebook")
    version = f"gemma-notebook {gemma_notebook.__version__}\n"
    assert subprocess.check_output([script, "--version"], text=True) == version
    assert command("--version").stdout == version


def test_every_command_teaches(command: Command):
    for name in cli.COMMANDS:
        help_ = command(name, "--help").stdout
        assert "Usage: gemma-notebook" in help_
        assert name in command("--help").stdout
        assert "\\b" not in help_
    for name in models_group.COMMANDS:
        help_ = command("models", name, "-h").stdout
        assert len(help_.splitlines()) > 5
        assert "\\b" not in help_


def test_no_line_of_help_is_wider_than_a_terminal(command: Command):
    for arguments in (
        [],
        ["models"],
        *([name] for name in cli.COMMANDS),
        *(["models", n] for n in models_group.COMMANDS),
    ):
        for line in command(*arguments, "--help", COLUMNS="120").stdout.splitlines():
            assert len(line) <= 110, line


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["modles"], 2, "did you mean 'models'?"),
        (["models", "pul"], 2, "did you mean 'pull'?"),
        (["models", "pull"], 2, "Missing argument"),
        (["chat", "--top-k", "0"], 2, "top_k=0 is out of range"),
        (["chat", "no-such-model"], 3, "there is no model 'no-such-model'"),
        (["chat", "gemma3-1b"], 3, "gemma-notebook models pull gemma3-1b"),
        (["models", "info", "no-such-model"], 3, "there is no model"),
        (["models", "info", "/nowhere.litertlm"], 3, "there is no model file"),
        (["models", "remove", "no-such-model", "--yes"], 3, "no model 'no-such-model' is installed"),
        (["models", "remove", "no-such-model", "--yes"], 3, "`gemma-notebook models list --installed`"),
        (["models", "remove", "tiny", "--yes"], 1, "'tiny' comes with the package"),
        (["models", "remove", "../etc", "--yes"], 2, "is no name for a model"),
        (["models", "path", "gemma3-1b"], 3, "is not on this machine"),
        (["models", "convert", str(Path(__file__).parent)], 2, "there is no config.json, no *.safetensors"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_a_status(command: Command, arguments, status, words):
    done = command(*arguments, status=status)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_output_that_cannot_be_written_is_one_sentence(command: Command):
    with Path("/dev/full").open("w") as full:
        process = command.start("models", "list", stdout=full)
        words = process.stderr.read()
        assert process.wait(WAIT_S) == 1
        process.stderr.close()
    assert words.startswith("error: the output cannot be written")
    assert len(words.splitlines()) == 1


def test_models_are_removed_one_by_one_and_only_where_somebody_can_be_asked(command: Command, mine: Path):
    nobody = command("models", "remove", "mine", status=2, stdin=subprocess.DEVNULL)
    assert "--yes" in nobody.stderr
    other = mine.with_name("other.litertlm")
    other.write_bytes(mine.read_bytes())
    done = command("models", "remove", "mine", "other", input="n\ny\n", status=1)
    assert "kept mine" in done.stdout
    assert (mine.exists(), other.exists()) == (True, False)


def test_a_reader_that_has_seen_enough_ends_it_in_silence(command: Command):
    process = command.start("models", "list")
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    assert process.wait(WAIT_S) == 1
    process.stderr.close()


def test_the_shell_completes_commands_names_and_models(command: Command, mine: Path):
    def complete(line: str) -> list[str]:
        words = {"COMP_WORDS": line, "COMP_CWORD": len(line.split()) - (0 if line.endswith(" ") else 1)}
        done = command(status=None, _GEMMA_NOTEBOOK_COMPLETE="bash_complete", **words)
        return [one.partition(",")[2] for one in done.stdout.splitlines()]

    assert complete("gemma-notebook mo") == ["models"]
    assert "pull" in complete("gemma-notebook models p")
    assert complete("gemma-notebook models pull gemma4") == ["gemma4-e2b", "gemma4-e4b"]
    assert complete("gemma-notebook chat m") == ["mine"]
    assert complete("gemma-notebook models remove ") == ["mine"]


# Models


def test_the_list_shows_what_is_here_and_what_is_not(command: Command, mine: Path):
    lines = command("models", "list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "HERE", "SIZE", "MEMORY", "CONTEXT", "LICENCE", "CAN", "MODEL"]
    assert [line.split()[0] for line in lines[1:]][:3] == ["tiny", "gemma3-270m", "gemma3-1b"]
    assert "(installed here)" in lines[-1]
    assert [line.split()[0] for line in command("models", "list", "--installed").stdout.splitlines()[1:]] == [
        "tiny",
        "mine",
    ]


def test_the_list_as_json_has_all_fields(command: Command, mine: Path):
    found = {one["name"]: one for one in json.loads(command("models", "list", "--json").stdout)}
    assert found["mine"]["path"] == str(mine)
    assert found["mine"]["installed"] is True
    assert found["gemma3-1b"]["installed"] is False
    assert found["gemma3-1b"]["size_bytes"] == 584_417_280
    assert "memory_bytes" in found["gemma3-1b"]["unverified"]


def test_path_says_where_the_store_is_and_where_a_model_lies(command: Command, mine: Path):
    assert command("models", "path").stdout.strip() == str(command.home / "models")
    assert command("models", "path", "mine").stdout.strip() == str(mine)
    assert command("models", "path", "tiny").stdout.strip() == str(TINY)
    assert json.loads(command("models", "path", "--json").stdout)["home"] == str(command.home)


def test_remove_asks_first(command: Command, mine: Path):
    assert "kept mine" in command("models", "remove", "mine", input="n\n", status=1).stdout
    assert mine.exists()
    assert "3.9 MB freed" in command("models", "remove", "mine", input="y\n").stdout
    assert not mine.exists()


def test_info_tells_what_is_in_a_file(command: Command, mine: Path):
    by_name, by_path = command("models", "info", "mine").stdout, command("models", "info", mine).stdout
    assert by_name == by_path
    for words in ("2,048 tokens", "SentencePiece (bpe), 1,003 pieces", "prefill_decode", "qwen3"):
        assert words in by_name
    values = json.loads(command("models", "info", mine, "--json").stdout)
    assert values["abilities"] == ["chat", "tools", "thinking"]
    assert values["sections"][3]["size_bytes"] > 2_000_000
    assert command("models", "info", mine, "--template").stdout.startswith(
        "{#- How a chat with Tiny is written."
    )


def test_info_of_a_model_that_is_not_here_is_what_the_catalogue_says(command: Command):
    told = command("models", "info", "gemma3-1b").stdout
    for words in ("models pull gemma3-1b", "huggingface.co/litert-community/Gemma3-1B-IT", "4,096 tokens"):
        assert words in told
    assert json.loads(command("models", "info", "gemma3-1b", "--json").stdout)["installed"] is False
    assert "is not on this machine" in command("models", "info", "gemma3-1b", "--template", status=3).stderr


def test_a_model_that_was_made_here_is_not_taken_for_the_one_that_is_fetched(command: Command, mine: Path):
    made = mine.rename(mine.with_name("gemma3-270m.litertlm"))
    note = {"title": "Gemma 3 270M, pretrained", "weights": "int8", "source": "a-package==1.0.0"}
    made.with_suffix(".json").write_text(json.dumps(note))
    assert "Gemma 3 270M, pretrained" in command("models", "list", "--installed").stdout
    pulled = command("models", "pull", "gemma3-270m").stdout
    assert "it was made on this machine: Gemma 3 270M, pretrained; --force fetches" in pulled


def test_info_of_a_damaged_file_tells_what_is_wrong_and_fails(command: Command, mine: Path):
    mine.write_bytes(TINY.read_bytes()[:100_000])
    done = command("models", "info", mine, status=1)
    assert "problem: section 3 (prefill_decode) is cut off" in done.stdout
    assert json.loads(command("models", "info", mine, "--json", status=1).stdout)["problems"]


def test_info_lets_no_file_write_to_the_terminal(command: Command, mine: Path):
    content = TINY.read_bytes()
    place = content.index(b"ODML")
    mine.write_bytes(content[:place] + b"\x1b]0;" + content[place + 4 :])
    assert "\x1b" not in command("models", "info", mine).stdout


def test_a_list_lets_no_note_write_to_the_terminal(command: Command, mine: Path):
    mine.with_suffix(".json").write_text(json.dumps({"title": "good\x1b[2J\nmodel"}))
    shown = command("models", "list").stdout
    assert "\x1b" not in shown
    assert "good[2J model" in shown


@pytest.mark.parametrize(
    ("line", "words"),
    [("chat <&-", ""), ("models check tiny 2>&-", "the model works")],
    ids=["input", "errors"],
)
def test_a_stream_that_was_closed_before_is_no_terminal(command: Command, line: str, words: str):
    shell = ["sh", "-c", f'"{sys.executable}" -m gemma_notebook {line}']
    done = subprocess.run(
        shell, env=command.environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert words in done.stdout


def test_a_mark_at_the_beginning_of_a_piped_file_is_no_text(command: Command):
    assert command("chat", input="\ufeff/undo\n", status=2).stdout == ""


def test_check_uses_a_model_and_tells_each_step(command: Command, mine: Path):
    done = command("models", "check", "mine").stdout
    for step in ("file", "load", "tokenizer", "turn", "reset", "the model works"):
        assert step in done
    result = json.loads(command("models", "check", "mine", "--json").stdout)
    assert result["ok"] is True
    turn = result["steps"][3]
    assert turn["reply"] and turn["decode_tokens_per_s"] > 0


def test_check_of_a_damaged_file_fails_and_says_where(command: Command, mine: Path):
    mine.write_bytes(TINY.read_bytes()[:100_000])
    done = command("models", "check", mine, status=1)
    assert "✗ file" in done.stdout
    assert "✗ load" in done.stdout
    result = json.loads(command("models", "check", mine, "--json", status=1).stdout)
    assert result["ok"] is False


def test_check_survives_a_file_that_ends_the_engines_process(
    command: Command, mine: Path, fake_engine_path: Path
):
    engine = {"GEMMA_NOTEBOOK_ENGINE_LIBRARY": fake_engine_path, "FAKE_ENGINE_CRASH_ON_LOAD": 1}
    done = command("models", "check", mine, "--backend", "cpu", status=1, **engine)
    assert "made the engine end its process (SIGABRT" in done.stdout


@pytest.mark.parametrize("status", [0, 1, 3])
def test_check_that_ends_before_its_last_step_is_no_success(tmp_path: Path, monkeypatch, status):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexit {status}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    *_, last = check._steps(TINY, "cpu")
    assert f"exit status {status}" in last["problem"]


def test_an_output_that_is_not_of_utf8_has_question_marks_and_no_traceback(command: Command):
    assert "?" in command("models", "list", PYTHONIOENCODING="latin-1").stdout


# Chat


def test_a_line_of_a_pipe_that_is_not_of_utf8_is_refused_in_words(command: Command):
    environment = command.environment | {"PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(
        command.line("chat"),
        env=environment,
        input=b"caf\xe9\n",
        capture_output=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 2
    assert b"line 1 of the input is not UTF-8" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_chat_in_a_pipe_prints_the_replies_and_nothing_else(command: Command):
    done = command("chat", input="My name is Ada.\n\nWhat is my name?\n/reset\nWhat is my name?\n")
    first, second, third = done.stdout.splitlines()
    assert "Ada" in first
    assert "Ada" in second
    assert "Ada" not in third
    assert "forgotten" in done.stderr


def test_the_commands_of_a_chat(command: Command):
    lines = [
        "My name is Ada.",
        "/undo",
        "What is my name?",
        "/context",
        "/help",
        "//x",
        "/quit",
        "Hello",
    ]
    done = command("chat", "--stats", input="\n".join(lines))
    assert "Ada" not in done.stdout.splitlines()[1]
    for words in (
        "taken back: My name is Ada.",
        "of 2,048 tokens are in use",
        "/regenerate",
        "tokens in",
    ):
        assert words in done.stderr
    assert len(done.stdout.splitlines()) == 3, "//x is a message, and nothing is said after /quit"


def test_a_line_of_a_pipe_that_is_no_command_ends_it_and_is_not_passed_over(command: Command):
    done = command("chat", input="Hello\n/etc/passwd is a file\nHello\n", status=2)
    assert "no command /etc/passwd" in done.stderr
    assert "written with a second one" in done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_regenerate_says_something_else_when_it_samples(command: Command):
    lines = ["Tell me a story.", *["/regenerate"] * 3]
    options = ("--top-k", 40, "--temperature", 3, "--max-output-tokens", 20)
    told = command("chat", *options, input="\n".join(lines)).stdout.split("\n")
    assert len(set(told)) > 2
    assert told == command("chat", *options, input="\n".join(lines)).stdout.split("\n")


def test_a_chat_in_a_pipe_ends_at_an_error(command: Command):
    done = command("chat", input="/undo\nHello\n", status=2)
    assert "the chat is empty" in done.stderr
    assert done.stdout == ""


def test_options_of_a_chat_reach_the_model(command: Command):
    done = command("chat", "--max-output-tokens", 3, input="Count to 20.\n")
    assert "cut at the limit of tokens" in done.stderr
    command("chat", "--cache-dir", command.home, input="Hello\n")
    assert list(command.home.glob("*.xnnpack_cache"))
    named = command("chat", "--system", "Your name is Grace.", input="What is your name?\n")
    assert "Grace" in named.stdout


def at_a_terminal(command: Command) -> pexpect.spawn[str]:
    """Somebody who chats with the bundled model."""
    return pexpect.spawn(
        sys.executable,
        ["-m", "gemma_notebook", "chat"],
        env=command.environment | {"TERM": "dumb"},
        encoding="utf-8",
        timeout=WAIT_S,
        echo=False,
    )


def test_at_a_terminal_ctrl_c_stops_the_reply_and_ctrl_d_ends_the_chat(command: Command):
    person = at_a_terminal(command)
    person.expect("You: ")
    person.sendline("My name is Ada.")
    person.expect("tiny: [^\n]*Ada")
    person.expect("You: ")
    person.sendline("Count to 300.")
    person.expect("1, 2, 3")
    person.sendintr()
    person.expect("stopped; what there is of the reply stays in the chat")
    person.expect("You: ")
    person.sendline("What is my name?")
    person.expect("Your name is Ada.")
    for _ in range(4):
        person.expect("You: ")
        person.sendline("/undo")
    person.expect("the chat is empty")  # an error, and the chat goes on
    person.expect("You: ")
    person.sendintr()
    person.expect("You: ")
    person.sendeof()
    person.expect(pexpect.EOF)
    person.close()
    assert person.exitstatus == 0


def test_ctrl_c_while_a_model_loads_ends_it_with_130(command: Command):
    person = at_a_terminal(command)
    person.expect("loading tiny")
    person.sendintr()
    person.expect("stopped")
    person.expect(pexpect.EOF)
    person.close()
    assert person.exitstatus == 130


# Doctor


@pytest.mark.timeout(240)
def test_the_doctor_finds_this_environment_in_health(command: Command, mine: Path):
    done = command("doctor", PYTHONWARNINGS="default")
    for words in (
        "litert-lm-api",
        "ipykernel",
        "functions are there",
        "forgot it at the reset",
        "1 model,",
        "Stop after",
    ):
        assert words in done.stdout
    assert "✗" not in done.stdout


def test_the_doctor_warns_of_an_ipykernel_that_stalls(command: Command):
    older = Path(sys.prefix) / "ipykernel-7.3"
    assert older.is_dir(), "`make test-python` installs the ipykernel that this test needs"
    assert "ipykernel>=7.4" in command("doctor", "--no-kernel", PYTHONPATH=older).stdout
    assert "ipykernel>=7.4" not in command("doctor", "--no-kernel").stdout


def test_the_doctor_as_json_is_for_scripts(command: Command):
    report = json.loads(command("doctor", "--no-kernel", "--json").stdout)
    assert report["ok"] is True
    facts = {name: value for one in report["findings"] for name, value in one["facts"].items()}
    assert facts["gemma-notebook"] == gemma_notebook.__version__
    assert facts["live_handles_after_reset"] == 1
    assert facts["home"] == str(command.home)


def test_the_doctor_names_what_is_broken_and_goes_on(command: Command, tmp_path: Path):
    broken = command("doctor", "--no-kernel", status=1, GEMMA_NOTEBOOK_ENGINE_LIBRARY=tmp_path / "missing.so")
    assert "✗ engine" in broken.stdout
    assert "✗ a turn" in broken.stdout
    assert "→ cannot use the engine library" in broken.stdout
    assert "unset GEMMA_NOTEBOOK_ENGINE_LIBRARY" in broken.stdout
    (command.home / "catalogue.toml").write_text("[mine")
    broken = command("doctor", "--no-kernel", status=1)
    assert "is not TOML" in broken.stdout
    assert "✓ a turn" in broken.stdout
    assert "All is well" not in broken.stdout


def test_the_doctor_tells_of_unfinished_conversions_and_of_models_that_no_name_finds(command: Command):
    models = command.home / "models"
    float_weights = models / ".staging" / "mine" / "conversion" / "read" / "weights"
    float_weights.parent.mkdir(parents=True)
    float_weights.write_bytes(b"\0" * 3_000_000)
    (models / "Mein Größtes.litertlm").write_bytes(b"a model")
    done = command("doctor", "--no-kernel")
    assert "3.0 MB of mine" in done.stdout
    assert "models remove mine" in done.stdout
    assert "Mein Größtes.litertlm' is in no list of models, because of its name" in done.stdout


def test_the_doctor_tells_of_broken_downloads(command: Command):
    part = command.home / "models" / ".staging" / "gemma3-1b" / "1.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"\0" * 5_000_000)
    done = command("doctor", "--no-kernel")
    assert "5.0 MB of gemma3-1b" in done.stdout
    assert "models pull gemma3-1b" in done.stdout


def test_a_model_of_the_catalogue_without_a_repository_is_to_be_copied_there(command: Command):
    (command.home / "catalogue.toml").write_text('[ours]\ntitle = "Ours"\n')
    place = str(command.home / "models" / "ours.litertlm")
    assert f"copy its file to {place!r}" in command("models", "pull", "ours", status=2).stderr
    assert f"copy its file to {place!r}" in command("chat", "ours", status=3).stderr
