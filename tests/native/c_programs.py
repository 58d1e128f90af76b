"""C cases, compiled with the shim and the fake engine, under sanitizers and valgrind."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fake_engine import build_fake_engine
from fake_engine.build import NATIVE, compile_c

HERE = Path(__file__).resolve().parent
RUN_S = 100

ENVIRONMENT = {
    **os.environ,
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


@dataclass(frozen=True)
class Build:
    """A way to compile and run the C cases."""

    sanitizers: tuple[str, ...] = ()
    runner: tuple[str, ...] = ()


BUILDS = {
    "asan-ubsan": Build(sanitizers=("address", "undefined")),
    "tsan": Build(sanitizers=("thread",)),
    # Its threads run one at a time; without fair turns one that spins can starve the others until RUN_S is over.
    "valgrind": Build(
        runner=("valgrind", "--quiet", "--fair-sched=try", "--leak-check=full", "--error-exitcode=9")
    ),
}


def case_names(source: Path) -> list[str]:
    """The cases that a C file has."""
    return re.findall(r"^CASE\((\w+)\)", source.read_text(encoding="utf-8"), re.MULTILINE)


def text_of(output: bytes | None) -> str:
    """A broken case may print anything."""
    return (output or b"").decode(errors="replace")


@dataclass(frozen=True)
class Program:
    """A compiled set of C cases with the directory that it works on."""

    path: Path
    runner: tuple[str, ...]

    def run(self, names: list[str]) -> tuple[int | None, str, str]:
        """Exit status (None: it hung), standard output and standard error of a run of these cases."""
        command = [*self.runner, str(self.path), str(self.path.parent), *names]
        try:
            done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, timeout=RUN_S, check=False)
        except subprocess.TimeoutExpired as hung:
            return None, text_of(hung.stdout), text_of(hung.stderr)
        return done.returncode, text_of(done.stdout), text_of(done.stderr)

    def run_each(self, names: list[str]) -> dict[str, str]:
        """What went wrong, by case; "" is for what was reported when all had run.

        Cases share a process, because starting one costs more than most of them, until one kills it.
        """
        failures: dict[str, str] = {}
        left = list(names)
        while left:
            status, output, errors = self.run(left)
            started = re.findall(r"^run (\w+)$", output, re.MULTILINE)
            report = f"exit status {status}\n{output}{errors}"
            if status is None:
                return failures | {name: report for name in left if name not in started[:-1]}
            all_started = sorted(started) == sorted(left)
            if all_started and status == 0:
                break
            if not started or (all_started and status > 0):
                return failures | {"": report}
            failures[started[-1]] = report
            left = [name for name in left if name not in started]
        return failures


def build_broken_libraries(directory: Path) -> None:
    """Libraries that lack some symbols, or all."""
    (directory / "partial").mkdir()
    without = ("litert_lm_conversation_clone", "litert_lm_clear_last_error")
    build_fake_engine(directory / "partial", without=without)
    (directory / "empty").mkdir()
    source = directory / "empty" / "empty.c"
    source.write_text("int nothing_of_the_kind;\n")
    compile_c([str(source), "-shared", "-fPIC", "-o", str(directory / "empty" / "libempty.so")])


def build_program(directory: Path, sources: list[str], sanitizers: tuple[str, ...]) -> Path:
    """Compile the fake engine, the shim with countable allocations, and C cases."""
    directory.mkdir(exist_ok=True)
    library = build_fake_engine(directory, sanitizers=sanitizers)
    (directory / "model.litertlm").write_text("neither a model nor a library\n")
    counted = [f"-D{name}=test_{name}" for name in ("malloc", "calloc", "realloc")]
    objects = []
    for name, flags in (("shim", counted), ("streams", counted), ("logs", [])):
        objects.append(str(directory / f"{name}.o"))
        compile_c(["-c", *flags, str(NATIVE / f"{name}.c"), "-o", objects[-1]], sanitizers=sanitizers)
    program = directory / "cases"
    cases = [str(HERE / source) for source in ("harness.c", *sources)]
    compile_c([*cases, *objects, str(library), "-ldl", "-o", str(program)], sanitizers=sanitizers)
    return program


def runner_of(build: Build, program: Path) -> tuple[str, ...]:
    """How to start the program: TSan's memory map has no room for much address randomisation."""
    if "thread" not in build.sanitizers:
        return build.runner
    plain = subprocess.run([program], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    return ("setarch", platform.machine(), "-R") if "unexpected memory mapping" in plain.stderr else ()


CASE_SOURCES = sorted(path.name for path in HERE.glob("*_cases.c") if path.name != "misuse_cases.c")
CASES = [name for source in CASE_SOURCES for name in case_names(HERE / source)]
MISUSE_CASES = case_names(HERE / "misuse_cases.c")


def build_one(directory: Path, name: str) -> Program:
    """The program of that name in BUILDS, or the misuse cases."""
    if name not in BUILDS:
        return Program(build_program(directory, ["misuse_cases.c"], ()), ())
    build = BUILDS[name]
    program = build_program(directory, CASE_SOURCES, build.sanitizers)
    build_broken_libraries(directory)
    return Program(program, runner_of(build, program))
