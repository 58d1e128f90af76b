"""How fast a model is on this machine: ``gn.benchmark("gemma3-270m")``."""

from __future__ import annotations

import contextlib
import html
import io
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemma_notebook.displays import NO_MATHS
from gemma_notebook.errors import OptionTypeError, OptionValueError, UnsupportedError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gemma_notebook.sessions import Session, SessionManager

__all__ = ["Benchmark", "Measure", "benchmark"]

# Questions to which models have a lot to say: the bundled one to the first, a pretrained one, which repeats, to the second.
_QUESTIONS = (
    "Count to 100.",
    "Say:" + " la" * 24,
    "Write a long story about a fox and a bear.",
    "Explain how a computer works.",
    "List twenty cities and say something about each.",
)
_PASSAGE = "The river rises in the hills and runs through the town down to the sea. "


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure, measured several times.

    Attributes:
        name: What was measured.
        unit: Its unit.
        values: Each round's value.
    """

    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value: one slow round does not move it."""
        return statistics.median(self.values)

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return min(self.values), max(self.values)

    def shown(self, value: float) -> str:
        """A value with its unit."""
        return f"{_digits(value, times=self.unit != 'tokens/s')} {self.unit}"


@dataclass(frozen=True, slots=True, repr=False)
class Benchmark:
    """The figures of one model on one machine. In a notebook it displays as a table.

    Attributes:
        model: The model's name.
        measures: The figures.
        load_s: Seconds to load it; None for a manager that was loaded already.
        memory_bytes: What loading and chatting added to this process's resident memory; None when unknown.
        prompt_tokens: The prompt of the prefill rounds, in tokens.
        output_tokens: How many tokens were decoded in all.
        machine: Processor, cores, threads, backend, versions, load: what figures need beside them.
    """

    model: str
    measures: tuple[Measure, ...]
    load_s: float | None
    memory_bytes: int | None
    prompt_tokens: int
    output_tokens: int
    machine: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Measure:
        """A figure by its name: ``"prefill"``, ``"decode"``, ``"time to first token"`` or ``"reset"``."""
        for measure in self.measures:
            if measure.name == name:
                return measure
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        rows = {
            one.name: {"unit": one.unit, "median": one.median, "min": one.range[0], "max": one.range[1]}
            for one in self.measures
        }
        return asdict(self) | {"measures": rows, "machine": dict(self.machine)}

    def rows(self) -> list[tuple[str, str, str]]:
        """The table: name, median with its unit, least to greatest."""
        found = [
            (one.name, one.shown(one.median), f"{one.shown(one.range[0])} to {one.shown(one.range[1])}")
            for one in self.measures
        ]
        if self.load_s is not None:
            found.append(("load", f"{self.load_s:.2f} s", ""))
        if self.memory_bytes is not None:
            found.append(("memory", f"{self.memory_bytes / 1e6:.0f} MB resident", ""))
        return found

    def __repr__(self) -> str:
        return f"Benchmark({self.model!r}, {', '.join(one.name for one in self.measures)})"

    def __str__(self) -> str:
        lines = [f"{name:22}{value:>18}  {span}".rstrip() for name, value, span in self.rows()]
        return "\n".join([f"{self.model}: {self._circumstances()}", *lines])

    def _circumstances(self) -> str:
        machine = self.machine
        return (
            f"{machine.get('backend', '?')}, {machine.get('threads', '?')} threads of {machine.get('cores', '?')} cores, "
            f"prompt of {self.prompt_tokens} tokens, {self.output_tokens} tokens decoded"
        )

    def _repr_html_(self) -> str:
        cells = "".join(
            "<tr>"
            + "".join(f"<td style='text-align:left'>{html.escape(cell)}</td>" for cell in row)
            + "</tr>"
            for row in self.rows()
        )
        return (
            f'<table class="{NO_MATHS}">'
            f"<caption>{html.escape(self.model)}: {html.escape(self._circumstances())}</caption>"
            f"<thead><tr><th>Figure</th><th>Median</th><th>Range</th></tr></thead><tbody>{cells}</tbody></table>"
        )

    def plot(self) -> Figure:
        """Every round as a point, the median as a line, one panel per figure.

        Raises:
            UnsupportedError: matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise UnsupportedError(
                "plot() needs matplotlib; install it with `pip install 'gemma-notebook[plot]'`"
            ) from error

        class BenchmarkPlot(Figure):
            def _repr_png_(self) -> bytes:
                # IPython draws figures by itself only once pyplot was imported.
                drawn = io.BytesIO()
                self.savefig(drawn, format="png")
                return drawn.getvalue()

        figure = BenchmarkPlot(figsize=(2.6 * len(self.measures), 2.6), layout="constrained")
        figure.suptitle(self.model)
        for axes, measure in zip(figure.subplots(1, len(self.measures)), self.measures, strict=True):
            axes.plot(range(1, len(measure.values) + 1), measure.values, "o")
            axes.axhline(measure.median, linewidth=1)
            axes.set_title(f"{measure.name}\n{measure.shown(measure.median)}", fontsize=9)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.set_xlabel("measurement", fontsize=8)
            axes.set_ylim(bottom=0)
        return figure


def benchmark(
    model: str | os.PathLike[str] | SessionManager = "tiny",
    *,
    rounds: int = 5,
    prompt_tokens: int = 256,
    output_tokens: int = 64,
    on_progress: Callable[[str], None] | None = None,
    **options: Any,
) -> Benchmark:
    """Measure a model: prefill and decode rate, time to first token, reset, memory.

    Each round sends a long prompt (prefill) and asks three questions (time to first token, decode), each in a fresh chat, and
    times the resets between them. Figures of a busy machine are those of a busy machine: ``machine["load"]`` tells.

    Args:
        model: What :func:`gemma_notebook.load` takes, or a manager that is loaded already (its memory and
            loading time are then unknown); its chat is replaced by the benchmark's own.
        rounds: How many rounds.
        prompt_tokens: The length of the long prompt, about; within half the context.
        output_tokens: The longest reply.
        on_progress: Told before each round.
        **options: What else :func:`gemma_notebook.load` takes; none with a manager.

    Returns:
        The figures: print them, display them, ``plot()`` them.

    Raises:
        OptionValueError, OptionTypeError: An option is wrong.
        ModelNotFoundError, ModelLoadError: As from ``load``.

    Example:
        >>> figures = gn.benchmark("tiny", rounds=3)
        >>> figures["decode"].median
        1893.4
    """
    from gemma_notebook.loading import load, usable_backend
    from gemma_notebook.options import whole_number
    from gemma_notebook.sessions import SessionManager

    for name, value in (
        ("rounds", rounds),
        ("prompt_tokens", prompt_tokens),
        ("output_tokens", output_tokens),
    ):
        if whole_number(name, value) < 1:
            raise OptionValueError(f"{name} must be at least 1, not {value}")
    if isinstance(model, SessionManager):
        if options:
            raise OptionTypeError(f"{min(options)} is an option of loading, and this model is loaded already")
        return _measured(model, rounds, prompt_tokens, output_tokens, on_progress, None, None)
    if options.get("check", True) is True:  # not a part of loading it
        backend = usable_backend(model, options.get("backend", "auto"), options.get("context_tokens"))
        options |= {"backend": backend, "check": False}
    before, start = _resident_bytes(), time.perf_counter()
    with load(model, **options) as manager:
        load_s = time.perf_counter() - start
        return _measured(manager, rounds, prompt_tokens, output_tokens, on_progress, load_s, before)


def _measured(
    manager: SessionManager,
    rounds: int,
    prompt_tokens: int,
    output_tokens: int,
    on_progress: Callable[[str], None] | None,
    load_s: float | None,
    before: int | None,
) -> Benchmark:
    prompt = _passage(manager, prompt_tokens)
    found: dict[str, list[float]] = {"prefill": [], "decode": [], "time to first token": [], "reset": []}
    decoded = prompt_length = 0
    with manager.create_session(max_output_tokens=output_tokens) as session:
        _round(session, prompt, 0, {name: [] for name in found})  # warms up
        for number in range(rounds):
            if on_progress is not None:
                on_progress(f"round {number + 1} of {rounds}")
            prompt_length, tokens = _round(session, prompt, number, found)
            decoded += tokens
    after = _resident_bytes()
    units = {"prefill": "tokens/s", "decode": "tokens/s", "time to first token": "ms", "reset": "ms"}
    return Benchmark(
        model=manager.model.name,
        measures=tuple(Measure(name, units[name], tuple(values)) for name, values in found.items() if values),
        load_s=load_s,
        memory_bytes=max(0, after - before) if before is not None and after is not None else None,
        prompt_tokens=prompt_length,
        output_tokens=decoded,
        machine=_machine(manager),
    )


def _round(session: Session, prompt: str, number: int, found: dict[str, list[float]]) -> tuple[int, int]:
    """One round; the tokens of its long prompt, and of its replies."""
    long = session.send(prompt, max_output_tokens=2)
    if long.timing.prefill_tokens_per_s:
        found["prefill"].append(long.timing.prefill_tokens_per_s)
    session.reset()
    tokens = 0
    seconds = 0.0
    for question in (*_QUESTIONS[:2], _QUESTIONS[2 + number % (len(_QUESTIONS) - 2)]):
        reply = session.send(question)
        rate, count = reply.timing.decode_tokens_per_s, reply.usage.output_tokens
        if rate:
            tokens += count - 1
            seconds += (count - 1) / rate
        if reply.timing.time_to_first_token_s is not None:
            found["time to first token"].append(reply.timing.time_to_first_token_s * 1e3)
        start = time.perf_counter()
        session.reset()
        found["reset"].append((time.perf_counter() - start) * 1e3)
    if seconds:
        found["decode"].append(tokens / seconds)
    return long.usage.prompt_tokens, tokens


def _passage(manager: SessionManager, tokens: int) -> str:
    each = max(1, manager.count_tokens(_PASSAGE))
    return _PASSAGE * max(1, min(tokens, manager.model.context_limit // 2) // each)


def _machine(manager: SessionManager) -> dict[str, Any]:
    from importlib.metadata import version

    from gemma_notebook.options import usable_cores

    load: Sequence[float] = ()
    with contextlib.suppress(OSError, AttributeError):
        load = [round(one, 1) for one in os.getloadavg()]
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": usable_cores(),
        "threads": manager._engine.options.threads or usable_cores(),
        "backend": manager.active_backend,
        "load": load,
        "python": platform.python_version(),
        "litert-lm-api": version("litert-lm-api"),
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _resident_bytes() -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return None


def _digits(value: float, *, times: bool) -> str:
    """A few digits. A time has a decimal point, by which the sanitising file for nbval knows it."""
    if value >= 100 and not times:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"
