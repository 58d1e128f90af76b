"""The stage scripts themselves, as far as they go without torch, in a real child process with the real wire."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import jinja2
import pytest
from support import wait_until

from gemma_notebook.errors import ConversionError
from gemma_notebook.models import converter
from gemma_notebook.models.environment import ConverterEnvironment
from gemma_notebook.models.stages import run_child

FOLDER = Path(converter.__file__).parent


@pytest.fixture
def run_stage(tmp_path, monkeypatch):
    monkeypatch.setenv("GEMMA_NOTEBOOK_CONVERTER_PYTHON", sys.executable)
    environment = ConverterEnvironment()

    def run(stage, **request):
        return run_child(
            environment.command(stage),
            request,
            stage=stage,
            log=tmp_path / "log",
            say=lambda _: None,
            environment=environment.variables(),
            remedy="do something",
        )

    return run


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "gemma3_text", "max_position_embeddings": 32768}')
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "tokenizer.json").write_text("{}")
    return folder


def test_a_folder_of_safetensors_is_read_where_it_lies(run_stage, checkpoint, tmp_path):
    (checkpoint / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    facts = run_stage("read", source=str(checkpoint), out=str(tmp_path / "out"))
    assert facts == {
        "model": str(checkpoint),
        "architecture": "gemma3_text",
        "context_tokens": 32768,
        "template": "{{ messages }}",
    }


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_that_lacks_something_is_refused_by_name(run_stage, checkpoint, tmp_path, missing):
    (checkpoint / missing).unlink()
    with pytest.raises(ConversionError, match="read failed: FileNotFoundError: there is n.*; do something"):
        run_stage("read", source=str(checkpoint), out=str(tmp_path / "out"))


def test_a_package_that_is_missing_in_the_environment_is_named(run_stage, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(ConversionError, match=r"ModuleNotFoundError: No module named 'no_such_package'"):
        run_stage("read", source=None, package="no_such_package", out=str(tmp_path / "out"), sha256="")


def test_the_stages_import_nothing_of_the_package_and_the_package_nothing_of_theirs():
    script = (
        "import sys, gemma_notebook.models.convert\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('torch', 'converter', 'transformers')])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert out.stdout == "[]\n"
    assert not [file.name for file in FOLDER.glob("*.py") if "import gemma_notebook" in file.read_text()]
    assert not [file.name for file in FOLDER.glob("*.py") if "from gemma_notebook" in file.read_text()]


def test_a_stage_ends_when_its_parent_dies(checkpoint, tmp_path):
    (checkpoint / "config.json").unlink()
    os.mkfifo(checkpoint / "config.json")  # reading it waits for a writer, who never comes
    command = ConverterEnvironment(tmp_path).command("read")[1:]
    request = json.dumps({"source": str(checkpoint), "out": str(tmp_path)})
    parent = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, *{command!r}], stdin=subprocess.PIPE)\n"
        f"child.stdin.write({(request + chr(10)).encode()!r}); child.stdin.flush()\n"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        child = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{child}").exists() or _is_zombie(child))


def _is_zombie(pid):
    try:
        return ") Z" in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


# The chat template of a pretrained checkpoint


def rendered(*texts, system=None):
    template = jinja2.Environment(autoescape=False).from_string((FOLDER / "pretrained.jinja").read_text())
    messages = [{"role": "system", "content": system}] if system else []
    messages += [
        {"role": ("user", "assistant")[index % 2], "content": text} for index, text in enumerate(texts)
    ]
    return template.render(messages=messages, bos_token="", add_generation_prompt=True)


def test_a_second_turn_goes_on_where_the_first_reply_and_its_stop_have_ended():
    # The stop sequence is in the KV cache when the next message is put behind it.
    first = rendered("Hello", system="Be brief.")
    assert first.endswith("User:\nHello\nAssistant:\n")
    assert rendered("Hello", "Hi!", "Bye", system="Be brief.") == f"{first}Hi!\nUser:\nBye\nAssistant:\n"


def test_the_system_instruction_stands_before_the_examples():
    assert rendered("Hello", system="Be brief.").index("Be brief.") < rendered("Hello").index("User:") + 10


def test_content_in_parts_is_text_as_well():
    parts = [{"type": "text", "text": "Hel"}, {"type": "image"}, {"type": "text", "text": "lo"}]
    assert rendered(parts) == rendered("Hello")
