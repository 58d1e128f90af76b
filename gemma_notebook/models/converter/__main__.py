"""``python -m converter STAGE``: run one stage. The wire is described in the package's docstring."""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import traceback
from typing import Any

STAGES = ("read", "convert", "pack", "judge")


def main(stage: str) -> int:
    """Run a stage for the request on stdin."""
    # Libraries print what they like: to stderr, which is the log. The wire has a descriptor of its own.
    wire = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(**message: Any) -> None:
        print(json.dumps(message), file=wire, flush=True)

    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        module = importlib.import_module(f".{stage}", __package__)
        result = module.run(request, lambda words: say(progress=words))
    except Exception as error:
        traceback.print_exc()
        words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        say(error=" ".join(words.split())[:600])
        return 1
    say(result=result)
    return 0


def _end_with_parent() -> None:
    # The pipe closes when the parent is gone, however it went: nobody will want the result.
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.stdout.flush()
    status = main(sys.argv[1])
    sys.stderr.flush()
    os._exit(status)  # the interpreters of the libraries take seconds to tidy up what is thrown away
