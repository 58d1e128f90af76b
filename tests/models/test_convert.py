"""A conversion, with a fake at the converter's process boundary: order, errors, resumption, nothing half-made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from conversions import Converter
from support import wait_until

import gemma_notebook as gn
from gemma_notebook.errors import ConversionError, ModelNotFoundError, OptionValueError, StoreError
from gemma_notebook.models.build import build
from gemma_notebook.models.convert import convert
from gemma_notebook.models.store import Store


@pytest.fixture
def converter(tmp_path, monkeypatch):
    return Converter(tmp_path, monkeypatch)


def test_a_conversion_runs_its_stages_in_order_and_the_model_loads_by_name(converter):
    told = []
    model = convert(converter.source, on_progress=told.append)
    assert converter.stages == ["read", "convert", "pack", "judge"]
    assert model.name == "my-gemma"
    assert converter.in_store == ["my-gemma.json", "my-gemma.litertlm"]
    assert not list((converter.home / "models" / ".staging").glob("my-gemma/*"))
    assert model.origin["agreement"] == 0.97
    assert set(model.origin["seconds"]) == {"install", "read", "convert", "pack", "check"}
    with gn.load("my-gemma", check=False) as manager:
        assert manager.create_chat().send("Hello").text
    stages = list(dict.fromkeys(progress.stage for progress in told))
    assert stages == ["install", "read", "convert", "pack", "check"]
    assert any(progress.words == "convert is under way" for progress in told)


@pytest.mark.parametrize("stage", ["read", "convert", "pack"])
def test_a_stage_that_fails_is_named_with_its_reason_and_its_log_and_nothing_is_installed(converter, stage):
    converter.order(fail=stage)
    with pytest.raises(
        ConversionError, match=f"{stage} failed: ValueError: {stage} did not like it; "
    ) as caught:
        convert(converter.source)
    assert caught.value.stage == stage
    assert caught.value.log.name == f"{stage}.log"
    assert converter.in_store == []


def test_a_stage_that_is_killed_tells_of_the_memory(converter):
    converter.order(die="convert")
    with pytest.raises(ConversionError, match="convert failed: its process was killed.*no memory left"):
        convert(converter.source)


def test_a_stage_that_crashes_or_just_ends_tells_how(converter):
    converter.order(die="convert", signal="SIGSEGV")
    with pytest.raises(ConversionError, match="SIGSEGV"):
        convert(converter.source)
    converter.order(quit="convert")
    with pytest.raises(ConversionError, match=r"status 7 and no result: the last words"):
        convert(converter.source)


def test_a_python_that_is_not_there_is_an_install_that_failed(converter, monkeypatch):
    monkeypatch.setenv("GEMMA_NOTEBOOK_CONVERTER_PYTHON", "/nowhere/python")
    with pytest.raises(ConversionError, match="GEMMA_NOTEBOOK_CONVERTER_PYTHON") as caught:
        convert(converter.source)
    assert caught.value.stage == "install"


def test_what_was_finished_is_not_done_again(converter):
    converter.order(fail="pack")
    with pytest.raises(ConversionError):
        convert(converter.source)
    converter.order()
    convert(converter.source)
    assert converter.stages == ["read", "convert", "pack", "pack", "judge"]


def test_weights_that_were_rounded_earlier_are_those_that_were_asked_for(converter):
    converter.order(agreement=0.2)
    for weights in ("int8", "int4", "int8"):
        with pytest.raises(ConversionError, match="models remove my-gemma"):
            convert(converter.source, weights=weights)
        assert converter.packed["weights"] == weights
    assert converter.stages.count("convert") == 2


def test_other_weights_need_no_second_reading_and_another_source_needs_everything(converter):
    converter.order(agreement=0.2)
    for weights in ("int4", "int8"):
        with pytest.raises(ConversionError):
            convert(converter.source, weights=weights)
    assert converter.stages.count("read") == 1
    assert converter.stages.count("convert") == 2
    converter.source.write_bytes(b"GGUF, another")
    converter.order()
    convert(converter.source)
    assert converter.stages.count("read") == 2


@pytest.mark.parametrize(
    ("orders", "words"),
    [
        ({"agreement": 0.28}, "only 28% of its words"),
        ({"tokenized_differently": ["Größe"]}, "it splits 'Größe' into other tokens"),
    ],
)
def test_a_model_that_talks_no_sense_is_refused_with_the_reason(converter, orders, words):
    converter.order(**orders)
    with pytest.raises(
        ConversionError, match=f"check failed: the model does not talk sense: {words}.*int8 weights"
    ):
        convert(converter.source, weights="int4")
    assert converter.in_store == []


def test_a_file_that_the_engine_refuses_is_not_installed(converter, tmp_path):
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"no model" * 1000)
    converter.order(packed=str(garbage))
    with pytest.raises(ConversionError, match="check failed: load failed: ") as caught:
        convert(converter.source)
    assert caught.value.stage == "check"
    assert converter.in_store == []


def test_a_model_in_the_store_stays_when_its_successor_fails(converter):
    convert(converter.source)
    before = Store().find("my-gemma")
    converter.source.write_bytes(b"GGUF, another")
    converter.order(agreement=0.1)
    with pytest.raises(ConversionError):
        convert(converter.source)
    assert Store().find("my-gemma") == before


def test_a_model_made_of_another_source_is_not_replaced_and_the_same_source_replaces_its_own(
    converter, tmp_path
):
    first = convert(converter.source, name="checkpoint")
    other = tmp_path / "other.gguf"
    other.write_bytes(b"GGUF other")
    with pytest.raises(
        StoreError, match=rf"'checkpoint' is installed, made of '{converter.source}'.*another name"
    ):
        convert(other, name="checkpoint")
    assert Store().find("checkpoint") == first
    with pytest.raises(StoreError, match="another name"):
        build("gemma3-270m", as_name="checkpoint")
    assert convert(converter.source, name="checkpoint", weights="int4").origin["weights"] == "int4"
    Store().remove("checkpoint")
    assert convert(other, name="checkpoint").origin["source"] == str(other)


def test_a_staging_directory_that_cannot_be_used_is_told(converter):
    folder = converter.home / "models" / ".staging" / "my-gemma"
    folder.mkdir(parents=True)
    (folder / "conversion").write_text("a file in the way")
    with pytest.raises(ConversionError, match="cannot be used .*; check its permissions and the free space"):
        convert(converter.source)


def run_command(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "gemma_notebook", "models", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_ctrl_c_ends_the_converter_leaves_nothing_half_made_and_the_next_try_goes_on(converter):
    converter.order(hang="convert")
    command = run_command("convert", str(converter.source))
    wait_until(lambda: converter.stages == ["read", "convert"])
    command.send_signal(signal.SIGINT)
    _, errors = command.communicate(timeout=30)
    assert command.returncode == 130
    assert errors.endswith("stopped\n")
    wait_until(lambda: gone(converter.last_pid))
    assert converter.in_store == []
    converter.order()
    convert(converter.source)
    assert converter.stages == ["read", "convert", "convert", "pack", "judge"]


def test_the_command_tells_its_stages_and_prints_json(converter):
    command = run_command("convert", str(converter.source), "--name", "other", "--json")
    output, errors = command.communicate(timeout=60)
    assert command.returncode == 0, errors
    assert '"name": "other"' in output
    assert [line.split()[2] for line in errors.splitlines()] == [
        "install:",
        "read:",
        "convert:",
        "pack:",
        "check:",
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["convert", "nowhere.gguf"], 3, "there is no"),
        (["convert", __file__], 2, "no .gguf file"),
        (["build", "gemma9"], 3, "there is no model 'gemma9'"),
        (["build", "gemma3-270m", "--weights", "int2"], 2, "int2"),
        (["build", "gemma3-270m", "--context", "5"], 2, "context_tokens must be from 128"),
    ],
)
def test_wrong_usage_is_told_in_a_sentence_with_its_exit_status(converter, arguments, status, words):
    command = run_command(*arguments)
    _, errors = command.communicate(timeout=30)
    assert command.returncode == status
    assert words in errors
    assert converter.stages == []


def test_a_source_that_is_missing_or_a_name_that_is_none_is_refused(converter, tmp_path):
    with pytest.raises(ModelNotFoundError):
        convert(tmp_path / "nothing.gguf")
    with pytest.raises(OptionValueError, match="no name for a model"):
        convert(converter.source, name="../up")
    with pytest.raises(OptionValueError, match="the bundled model"):
        convert(converter.source, name="tiny")
    with pytest.raises(OptionValueError, match="cannot be read"):
        convert(converter.source, template=tmp_path / "nothing.jinja")


# Templates


def test_a_source_without_a_chat_template_gets_that_of_a_pretrained_checkpoint_and_its_stop(converter):
    convert(converter.source)
    assert "User:" in converter.packed["template"]
    assert converter.packed["stops"] == ["\nUser:\n"]


def test_the_sources_own_template_is_kept_and_a_given_one_wins(converter, tmp_path):
    converter.order(template="{{ messages }}<end_of_turn>")
    convert(converter.source)
    assert converter.packed["template"] == "{{ messages }}<end_of_turn>"
    assert converter.packed["stops"] == ["<end_of_turn>"]
    given = tmp_path / "mine.jinja"
    given.write_text("{{ messages }}")
    convert(converter.source, template=given)
    assert converter.packed["template"] == "{{ messages }}"


def test_a_build_says_what_it_is_and_where_its_terms_are(converter):
    model = build("gemma3-270m", as_name="mine")
    assert model.name == "mine"
    assert "pretrained" in model.origin["title"]
    assert model.origin["licence_url"].startswith("https://")
    assert converter.packed["stops"] == ["\nUser:\n"]
