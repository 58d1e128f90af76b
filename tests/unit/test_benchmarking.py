"""``gn.benchmark`` and ``gemma-notebook bench``: which figures there are, and in which forms; not how fast."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

import gemma_notebook as gn
from gemma_notebook.benchmarking import Benchmark, Measure
from gemma_notebook.errors import ModelNotFoundError, OptionTypeError, OptionValueError, UnsupportedError
from gemma_notebook.testing import normalized

NAMES = ["prefill", "decode", "time to first token", "reset"]


@pytest.fixture(scope="module")
def figures():
    return gn.benchmark("tiny", rounds=2, prompt_tokens=64, output_tokens=16)


def test_every_figure_is_measured_and_positive(figures):
    assert [measure.name for measure in figures.measures] == NAMES
    assert all(value > 0 for measure in figures.measures for value in measure.values)
    assert len(figures["prefill"].values) == 2
    assert figures.load_s > 0
    assert 32 <= figures.prompt_tokens <= 96
    assert figures.output_tokens >= 16


def test_the_circumstances_stand_beside_the_figures(figures):
    assert {"cores", "threads", "backend", "load", "litert-lm-api", "processor"} <= set(figures.machine)
    assert "cpu" in str(figures)


def test_it_becomes_json_text_html_and_a_plot(figures):
    values = json.loads(json.dumps(figures.to_dict()))
    assert list(values["measures"]) == NAMES
    assert values["measures"]["decode"]["unit"] == "tokens/s"
    assert all(name in str(figures) and name in figures._repr_html_() for name in NAMES)
    image = io.BytesIO()
    figures.plot().savefig(image, format="png")
    assert image.getvalue().startswith(b"\x89PNG")


def test_it_shows_the_same_each_time_and_its_plot_is_a_picture_in_a_notebook(figures):
    again = gn.benchmark("tiny", rounds=2, prompt_tokens=64, output_tokens=16)
    assert repr(figures) == repr(again) == f"Benchmark('tiny', {', '.join(NAMES)})"
    assert normalized(str(figures)).split() == normalized(str(again)).split()
    assert normalized(figures._repr_html_()) == normalized(again._repr_html_())
    assert figures.plot()._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("file", "words"),
    [("figures.doc", "should end in .png"), ("no/such/folder/figures.png", "there is no folder")],
)
def test_a_plot_that_cannot_be_drawn_is_refused_before_anything_is_measured(file, words):
    command = [sys.executable, "-m", "gemma_notebook", "bench", "no-such-model", "--plot", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_models_name_cannot_write_into_the_page():
    figures = Benchmark("<b>x</b>", (Measure("reset", "ms", (1.0,)),), 1.0, None, 1, 1)
    assert "<b>" not in figures._repr_html_()


def test_without_matplotlib_the_plot_says_what_to_install(figures, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UnsupportedError, match=r"gemma-notebook\[plot\]"):
        figures.plot()


def test_a_manager_that_is_loaded_already_is_measured_and_left_open_without_a_handle(real_manager):
    figures = gn.benchmark(real_manager, rounds=1, prompt_tokens=16, output_tokens=4)
    assert (figures.memory_bytes, figures.load_s) == (None, None)
    assert "load" not in [name for name, *_ in figures.rows()]
    assert real_manager.handles.live == 0
    assert real_manager.create_chat().send("Hello").text


def test_options_of_loading_are_refused_where_the_model_is_loaded_already(real_manager):
    with pytest.raises(OptionTypeError, match="context_tokens is an option of loading"):
        gn.benchmark(real_manager, context_tokens=512)


def test_the_function_stays_a_function_whatever_was_imported_first():
    script = "from gemma_notebook.benchmarking import Benchmark; import gemma_notebook as gn; assert callable(gn.benchmark)"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"rounds": 0}, OptionValueError),
        ({"rounds": "5"}, OptionTypeError),
        ({"output_tokens": True}, OptionTypeError),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_loaded(options, error):
    with pytest.raises(error, match=next(iter(options))):
        gn.benchmark("no-such-model", **options)
    with pytest.raises(ModelNotFoundError):
        gn.benchmark("no-such-model")


def test_the_command_prints_a_table_or_json():
    command = [sys.executable, "-m", "gemma_notebook", "bench", "tiny", "--rounds", "1"]
    table = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert all(name in table for name in NAMES)
    printed = subprocess.run([*command, "--json"], capture_output=True, check=True, text=True)
    assert json.loads(printed.stdout)["model"] == "tiny"
    assert printed.stderr == ""
