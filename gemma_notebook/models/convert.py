"""Make a ``.litertlm`` file of a model in another form, in stages that a later try need not repeat."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gemma_notebook._paths import expanded
from gemma_notebook.errors import ConversionError, ModelNotFoundError, OptionValueError, StoreError
from gemma_notebook.models import sanity
from gemma_notebook.models.converter.read import missing_in
from gemma_notebook.models.environment import ConverterEnvironment
from gemma_notebook.models.resolve import TINY
from gemma_notebook.models.stages import Progress, Reporter, run_child
from gemma_notebook.models.store import InstalledModel, Store, checked_name

__all__ = ["PRETRAINED", "WEIGHTS", "Job", "convert", "make"]

WEIGHTS = ("int8", "int4")

# Another one where a stage leaves other files than before: those of an earlier version are not gone on with then.
_STAGES_VERSION = 2

# The chat template for a checkpoint that has none, because nobody taught it to chat.
PRETRAINED = "pretrained"
_TEMPLATE = Path(__file__).with_name("converter") / "pretrained.jinja"

_REMEDIES = {
    "read": "check that the source is whole, and of an architecture that transformers knows",
    "convert": "if memory ran out, close what you can; else this architecture may be unknown to the converter",
    "pack": "check the free space, and run the command again",
    "check": "the file was not installed",
}


@dataclass(frozen=True, slots=True)
class Job:
    """What to make, and of what.

    Attributes:
        name: The name that the model gets in the store.
        source: A GGUF file or a folder of safetensors; None when a package brings it.
        package: The package that brings it, pinned, or ``""``.
        module: That package's module.
        sha256: The checksum of the file in it.
        weights: ``"int8"`` or ``"int4"``.
        context_tokens: The longest context that the file will be good for.
        template: A chat template as text, ``"pretrained"``, or None for the source's own.
        origin: What to note beside the model, besides what the stages find.
    """

    name: str
    source: Path | None = None
    package: str = ""
    module: str = ""
    sha256: str = ""
    weights: str = "int8"
    context_tokens: int = 2048
    template: str | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Tells whether stages that were finished earlier are stages of this job."""
        files: list[Any] = []
        if self.source is not None:
            found = sorted(self.source.iterdir()) if self.source.is_dir() else [self.source]
            found = [one for one in found if one.exists()]  # no links to what is gone
            files = [(str(one.resolve()), one.stat().st_size, one.stat().st_mtime_ns) for one in found]
        identity = [_STAGES_VERSION, files, self.package, self.context_tokens]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def convert(
    source: str | os.PathLike[str],
    *,
    name: str | None = None,
    weights: str = "int8",
    context_tokens: int = 2048,
    template: str | os.PathLike[str] | None = None,
    store: Store | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> InstalledModel:
    """Convert a GGUF file, or a folder with safetensors and a tokenizer, and put the result into the store.

    The converter is installed by pip into an environment of its own the first time (2.5 GB). A conversion takes some
    24 bytes of memory per parameter (6.1 GB for Gemma 3 270M) and minutes. What was interrupted goes on, the
    next time, after the last finished stage; nothing half-made is ever in the store.

    Args:
        source: The file or folder.
        name: The name that ``gn.load`` will take; None for the source's own.
        weights: ``"int8"``, or ``"int4"``: half the size, and refused when it does not talk sense.
        context_tokens: The longest context that the file will be good for.
        template: The path of a Jinja chat template; ``"pretrained"`` for the one with which a checkpoint
            that was not tuned to chat does so; None for the source's own, and if it has none, that one.
        store: Where to put it; None for the user's store.
        on_progress: Told how far it has come.

    Returns:
        The model; ``gn.load(name)`` finds it.

    Raises:
        ModelNotFoundError: There is no such file or folder.
        ConversionError: A stage failed; ``stage`` says which.
        StoreError: The store cannot be written, or has a model of that name that was made of another source.
        OptionValueError: An option is wrong.

    Example:
        >>> from gemma_notebook.models.convert import convert
        >>> convert("gemma-3-1b-it-Q8_0.gguf", name="my-gemma")
        InstalledModel(name='my-gemma', size_bytes=1038000000, shared=False)
    """
    path = expanded(source).absolute()
    if not path.exists():
        raise ModelNotFoundError(
            f"there is no {str(path)!r}; give a GGUF file, or a folder with safetensors and a tokenizer"
        )
    if path.is_file() and path.suffix.lower() != ".gguf":
        raise OptionValueError(f"{path.name!r} is no .gguf file; give one, or a folder with safetensors")
    _check_source(path)
    job = Job(
        name=checked_name(path.stem if path.is_file() else path.name) if name is None else checked_name(name),
        source=path,
        weights=weights,
        context_tokens=context_tokens,
        template=_template_text(template),
        origin={"source": str(path)},
    )
    return make(job, store=store, on_progress=on_progress)


def _check_source(path: Path) -> None:
    """Refuse what is no model at once, and not after the converter was installed, which looks closer."""
    if path.is_file():
        try:
            with path.open("rb") as file:
                magic = file.read(4)
        except OSError as error:
            raise OptionValueError(f"{str(path)!r} cannot be read ({error.strerror})") from None
        if magic != b"GGUF":
            raise OptionValueError(f"{path.name!r} is no GGUF file, whatever its name; fetch it again")
        return
    if missing := missing_in(path):
        raise OptionValueError(
            f"there is no {', no '.join(missing)} in {str(path)!r}; give the folder of a checkpoint"
        )


def make(
    job: Job,
    *,
    store: Store | None = None,
    environment: ConverterEnvironment | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> InstalledModel:
    """Do a job: install, read, convert, pack, check, and place the file in the store.

    Raises:
        ConversionError: A stage failed.
        StoreError: The store cannot be written, or has a model of that name that was made of another source.
        OptionValueError: The job has a wrong option.
    """
    if job.weights not in WEIGHTS:
        raise OptionValueError(f"weights must be one of {', '.join(WEIGHTS)}, not {job.weights!r}")
    if job.name == TINY:
        raise OptionValueError(f"{TINY!r} is the name of the bundled model; give another one")
    if not 128 <= job.context_tokens <= 131_072:
        raise OptionValueError(f"context_tokens must be from 128 to 131072, not {job.context_tokens!r}")
    store = store or Store()
    _check_that_no_other_is_replaced(job, store)
    reporter = Reporter(on_progress)
    with store.staging(job.name, on_wait=lambda: reporter.say("waiting for another process")) as folder:
        _check_that_no_other_is_replaced(job, store)  # the one that we waited for placed one
        try:
            making = _Making(job, folder, environment or ConverterEnvironment(), reporter)
            file, origin = making.run()
        except OSError as error:
            raise ConversionError(
                f"{str(folder)!r} cannot be used ({error.strerror or error}); check its permissions and the free space"
            ) from error
        return store.place(job.name, file, origin)


def _check_that_no_other_is_replaced(job: Job, store: Store) -> None:
    """Two folders may have one name, as checkpoints do; made of the same source, a model takes the place of the one before."""
    here = store.find(job.name)
    if here is None or here.shared or here.origin.get("source") == job.origin.get("source"):
        return
    raise StoreError(
        f"a model {job.name!r} is installed, made of {here.origin.get('source', 'something else')!r}; give this one "
        f"another name, or take that one away first (`gemma-notebook models remove {job.name}`)"
    )


class _Making:
    """One job in its staging directory."""

    def __init__(self, job: Job, folder: Path, environment: ConverterEnvironment, reporter: Reporter) -> None:
        self._job = job
        self._folder = folder / "conversion"
        self._environment = environment
        self._reporter = reporter
        self._forget_another_job()

    def _forget_another_job(self) -> None:
        note = self._folder / "job"
        if not note.is_file() or note.read_text(encoding="ascii") != self._job.key:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True)
            note.write_text(self._job.key, encoding="ascii")

    def run(self) -> tuple[Path, dict[str, Any]]:
        """The finished file, and what to note beside it."""
        job, folder = self._job, self._folder
        self._reporter.begin("install")
        self._environment.prepare(
            [job.package] if job.package else [], log=folder / "install.log", say=self._reporter.say
        )
        facts = self._read()
        tflite = self._convert(facts)["tflite"]
        template = _chosen_template(job.template, facts.get("template"))
        file = folder / "model.litertlm"
        self._stage(
            "pack",
            {
                "model": facts["model"],
                "tflite": tflite,
                "file": str(file),
                "template": template,
                "stops": _stops(template),
                "context_tokens": job.context_tokens,
            },
        )
        verdict = self._check(file, facts["model"])
        self._reporter.end()
        return file, {
            **job.origin,
            "architecture": facts.get("architecture"),
            "weights": job.weights,
            "context_tokens": job.context_tokens,
            "template": "the source's own" if template == facts.get("template") else "given",
            "agreement": round(verdict.agreement, 3),
            "seconds": self._reporter.seconds,
        }

    def _read(self) -> dict[str, Any]:
        job, out = self._job, self._folder / "read"
        request = {
            "source": str(job.source) if job.source else None,
            "package": job.module,
            "sha256": job.sha256,
            "out": str(out),
        }
        return self._once("read", "read", request, out)

    def _convert(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        out = self._folder / "convert"
        request = {
            "model": facts["model"],
            "out": str(out),
            "recipe": self._job.weights,
            "context_tokens": self._job.context_tokens,
        }
        return self._once("convert", f"convert-{self._job.weights}", request, out)

    def _check(self, file: Path, model: str) -> sanity.Verdict:
        self._reporter.begin("check")
        log = self._folder / "check.log"
        answers = sanity.answers_of(file, log=log, say=self._reporter.say, remedy=_REMEDIES["check"])
        judged = self._child(
            "judge",
            {"model": model, "first_tokens": sanity.FIRST_TOKENS, **answers},
            stage="check",
        )
        verdict = sanity.Verdict(
            int(judged["tokens"]),
            float(judged["agreement"]),
            float(judged["loss"]),
            tuple(judged["tokenized_differently"]),
        )
        if verdict.objection:
            file.unlink()
            advice = (
                "use int8 weights" if self._job.weights == "int4" else "the source may not be one that chats"
            )
            raise ConversionError(
                f"the model does not talk sense: {verdict.objection}; it was not installed, {advice} (for another try "
                f"what was read is kept; `gemma-notebook models remove {self._job.name}` throws it away)",
                stage="check",
                log=log,
            )
        return verdict

    def _once(self, stage: str, note: str, request: dict[str, Any], out: Path) -> dict[str, Any]:
        """The result of a stage, from an earlier try if that finished it."""
        done = self._folder / f"{note}.json"
        if done.is_file():
            self._reporter.begin(stage)
            self._reporter.say("done earlier")
            earlier: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
            return earlier
        out.mkdir(exist_ok=True)
        result = self._stage(stage, request)
        partial = done.with_suffix(".partial")
        partial.write_text(json.dumps(result), encoding="utf-8")
        partial.replace(done)
        return result

    def _stage(self, stage: str, request: dict[str, Any]) -> dict[str, Any]:
        self._reporter.begin(stage)
        return self._child(stage, request, stage=stage)

    def _child(self, script: str, request: dict[str, Any], *, stage: str) -> dict[str, Any]:
        return run_child(
            self._environment.command(script),
            request,
            stage=stage,
            log=self._folder / f"{stage}.log",
            say=self._reporter.say,
            environment=self._environment.variables(),
            remedy=_REMEDIES[stage],
        )


def _template_text(template: str | os.PathLike[str] | None) -> str | None:
    if template is None or template == PRETRAINED:
        return template if template is None else PRETRAINED
    try:
        return expanded(template).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise OptionValueError(
            f"template={os.fspath(template)!r} cannot be read ({error}); give the path of a Jinja template, or "
            f"{PRETRAINED!r}"
        ) from error


def _chosen_template(wanted: str | None, own: str | None) -> str:
    if wanted == PRETRAINED or (wanted is None and not own):
        return _TEMPLATE.read_text(encoding="utf-8")
    return wanted or own or ""


def _stops(template: str) -> list[str]:
    """What ends a reply besides the model's own end token."""
    stops = ["\nUser:\n"] if template == _TEMPLATE.read_text(encoding="utf-8") else []
    return [*stops, "<end_of_turn>"] if "<end_of_turn>" in template else stops
