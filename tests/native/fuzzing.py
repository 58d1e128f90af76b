"""Builds and runs the libFuzzer target; ``make fuzz`` runs this file for FUZZ_SECONDS."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
NATIVE = HERE.parents[1] / "native"
CORPUS = HERE / "fuzz_corpus"
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1"}


def build_fuzzer(directory: Path, streams: Path = NATIVE / "streams.c") -> Path:
    """Compile the target with those streams; libFuzzer comes with clang."""
    fuzzer = directory / "fuzz_chunks"
    flags = [
        *("-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-macro-redefined"),
        *("-O1", "-g", "-pthread", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"),
        *(f"-I{NATIVE}", f'-DSTREAMS_C="{streams}"', str(HERE / "fuzz_chunks.c"), "-ldl", "-o", str(fuzzer)),
    ]
    subprocess.run(["clang", *flags], check=True)
    return fuzzer


def run_fuzzer(fuzzer: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run it from the committed corpus; what it finds goes into the fuzzer's own directory."""
    found = fuzzer.parent / "found"
    found.mkdir(exist_ok=True)
    command = [str(fuzzer), *options, f"-artifact_prefix={fuzzer.parent}/", str(found), str(CORPUS)]
    return subprocess.run(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, check=False)


if __name__ == "__main__":
    seconds = os.environ.get("FUZZ_SECONDS", "600")
    home = Path(tempfile.mkdtemp(prefix="gemma-notebook-fuzz-"))
    done = run_fuzzer(build_fuzzer(home), f"-max_total_time={seconds}", "-print_final_stats=1")
    print(done.stderr)
    print(f"inputs in {home}")
    sys.exit(done.returncode)
