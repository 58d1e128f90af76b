"""Compiles the fake engine with the system's C compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
NATIVE = HERE.parents[1] / "native"


def compile_c(arguments: list[str], *, sanitizers: tuple[str, ...] = ()) -> None:
    """Run the compiler with warnings as errors.

    Raises:
        RuntimeError: It failed; the text is its output.
    """
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-fno-omit-frame-pointer", "-pthread"]
    if sanitizers:
        flags += [f"-fsanitize={','.join(sanitizers)}", "-fno-sanitize-recover=all"]
    command = [os.environ.get("CC", "cc"), *flags, f"-I{NATIVE}", f"-I{HERE}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def build_fake_engine(
    out_dir: Path, *, sanitizers: tuple[str, ...] = (), without: tuple[str, ...] = ()
) -> Path:
    """Compile the fake engine.

    Args:
        out_dir: Where the library goes; it must exist.
        sanitizers: Names for ``-fsanitize=``, as ``("address", "undefined")``.
        without: Symbols that the library shall lack.

    Returns:
        The path of the library, whose name is that of the real one.
    """
    suffix = "dylib" if sys.platform == "darwin" else "so"
    library = out_dir / f"liblitert-lm.{suffix}"
    renamed = [f"-D{name}=missing_{name}" for name in without]
    sources = sorted(str(source) for source in HERE.glob("*.c"))
    shared = ["-shared", "-fPIC", "-fvisibility=hidden", "-o", str(library)]
    compile_c([*renamed, *sources, *shared], sanitizers=sanitizers)
    return library
