"""Plants lifecycle bugs, one at a time, in a copy of the tree, and sees whether the tests catch each.

Run by `make mutation`; exit status 1 when a bug survives, 2 when one can no longer be planted. Arguments are
parts of the names of the bugs to plant; none means all.
With --notebooks the regression notebooks take the place of the tests, for the bugs that they are there to catch.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bugs import BUGS, SEEN_BY_NOTEBOOKS, Bug

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("gemma_notebook", "tests", "native", "notebooks", "pyproject.toml")

# The quick ones first: a bug is caught by the first test that fails.
TESTS = tuple(
    f"tests/engine/test_{name}.py"
    for name in (
        "lifecycle",
        "going_back",
        "races",
        "interrupts",
        "context",
        "tools",
        "tools_in_trouble",
        "structured_output",
        "reload",
        "process",
        "state_machine",
    )
)
# nbval starts a kernel for each, which takes the planted bug from PYTHONPATH.
NOTEBOOKS = (
    "--nbval",
    "--nbval-current-env",
    "--nbval-cell-timeout=20",
    "--nbval-sanitize-with=gemma_notebook/testing/sanitize.cfg",
    "-Wignore::DeprecationWarning",
    "notebooks/regression",
)
TIMEOUT_S = 600.0
TEST_TIMEOUT_S = 60
# How long a test waits for what a bug keeps from happening, in place of the time in support.py.
WAIT_S = 15.0


@dataclass(frozen=True)
class Outcome:
    """What the tests said to one bug."""

    bug: Bug
    caught: bool
    how: str
    seconds: float


def plant(bug: Bug, tree: Path) -> None:
    """Write the bug into the tree.

    Raises:
        LookupError: The text that it replaces is not there exactly once.
    """
    file = tree / "gemma_notebook" / bug.file
    text = file.read_text(encoding="utf-8")
    for old, new in bug.replacements:
        if text.count(old) != 1:
            raise LookupError(f"{bug.name}: {text.count(old)} times in {bug.file}, not once:\n{old}")
        text = text.replace(old, new)
    compile(text, str(file), "exec")
    file.write_text(text, encoding="utf-8")


def copy_tree(to: Path) -> None:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__", "artifacts"))
        else:
            shutil.copy(source, to / name)
    support = to / "tests" / "support.py"
    text, usual = support.read_text(), "WAIT_S = 30.0 "
    if text.count(usual) != 1:
        raise LookupError(f"{usual} is not in support.py once")
    support.write_text(text.replace(usual, f"WAIT_S = {WAIT_S} "))


def test(tree: Path, what: tuple[str, ...]) -> tuple[bool, str]:
    """Whether a test failed, and which."""
    others = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tree}{os.pathsep}{others}" if others else str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONFAULTHANDLER": "",
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider"]
    # A test that hangs ends the process there and then, whatever its threads hold.
    command += [f"--timeout={TEST_TIMEOUT_S}", "--timeout-method=thread", *what]
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return True, "hangs"
    if done.returncode == 0:
        return False, "no test failed"
    if done.returncode < 0:
        return True, f"ends the process with signal {-done.returncode}"
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return True, failed[0].split("::")[-1].split(" - ")[0] if failed else "a test hangs"


def try_bug(bug: Bug | None, what: tuple[str, ...]) -> Outcome:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gemma_notebook-mutation-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        if bug is not None:
            plant(bug, tree)
        caught, how = test(tree, what)
    return Outcome(bug or Bug("no bug", "", ()), caught, how, time.monotonic() - started)


def check_all_can_be_planted() -> bool:
    with tempfile.TemporaryDirectory(prefix="gemma_notebook-mutation-") as folder:
        for bug in BUGS:
            tree = Path(folder) / bug.name.replace(" ", "-").replace("/", "-")
            (tree / "gemma_notebook" / bug.file).parent.mkdir(parents=True)
            shutil.copy(ROOT / "gemma_notebook" / bug.file, tree / "gemma_notebook" / bug.file)
            try:
                plant(bug, tree)
            except (LookupError, SyntaxError) as error:
                print(f"The code has changed; write this bug anew. {error}", file=sys.stderr)
                return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="parts of the names of the bugs to plant")
    parser.add_argument("--jobs", type=int, default=4, help="copies to test at once (4: most wait)")
    parser.add_argument(
        "--notebooks", action="store_true", help="run the regression notebooks, not the tests"
    )
    arguments = parser.parse_args()
    # A shell that runs this in the background has it ignore Ctrl-C, and so would the tests of Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not check_all_can_be_planted():
        return 2
    bugs = [bug for bug in BUGS if not arguments.names or any(name in bug.name for name in arguments.names)]
    what = TESTS
    if arguments.notebooks:
        what = NOTEBOOKS
        bugs = [bug for bug in bugs if arguments.names or bug.name in SEEN_BY_NOTEBOOKS]
    clean = try_bug(None, what)
    if clean.caught:
        print(f"The tests fail without any bug planted: {clean.how}", file=sys.stderr)
        return 2
    with ThreadPoolExecutor(arguments.jobs) as pool:
        survivors = 0
        for outcome in pool.map(lambda bug: try_bug(bug, what), bugs):
            survivors += not outcome.caught
            verdict = "caught" if outcome.caught else "SURVIVED"
            print(f"{verdict:9} {outcome.seconds:5.0f} s  {outcome.bug.name:62} {outcome.how}", flush=True)
    print(f"{len(bugs) - survivors} of {len(bugs)} bugs caught; the tests alone took {clean.seconds:.0f} s")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
