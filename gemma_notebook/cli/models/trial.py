"""The child of ``gemma-notebook models check``: loads a file and uses it, telling each step as a line of JSON.

The engine ends the process over some damaged files. This process may end.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gemma_notebook.sessions import SessionManager

__all__ = ["STEPS"]

# In the order in which they are done.
STEPS = ("load", "tokenizer", "turn", "reset")

_TEXTS = (
    "Hello, world! 1 + 1 = 2.",
    "na\N{LATIN SMALL LETTER I WITH DIAERESIS}ve caf\N{LATIN SMALL LETTER E WITH ACUTE}",
    "\N{CJK UNIFIED IDEOGRAPH-6F22}\N{CJK UNIFIED IDEOGRAPH-5B57} \N{GRINNING FACE}",
    "def f(x):\n    return x + 1\n",
)
_PROMPT = "Write one sentence about the sea."
_MOST_TOKENS = 64


class _NotRightError(Exception):
    """A step went through, and its result is wrong."""


def main(path: str, backend: str) -> int:
    """Do the steps, and tell of each; 1 when one failed."""
    from gemma_notebook.errors import GemmaNotebookError
    from gemma_notebook.loading import load, usable_backend

    step = STEPS[0]
    try:
        usable = usable_backend(path, backend)  # before the clock starts
        started = time.perf_counter()
        with load(path, backend=usable, check=False) as manager:
            _tell(step, seconds=time.perf_counter() - started, backend=manager.active_backend,
                  context_tokens=manager.model.context_limit)  # fmt: skip
            for step, work in (("tokenizer", _tokenizer), ("turn", _turn), ("reset", _reset)):
                _tell(step, **work(manager))
    except (GemmaNotebookError, _NotRightError) as error:
        _tell(step, problem=str(error))
        return 1
    return 0


def _tell(step: str, **facts: Any) -> None:
    print(json.dumps({"step": step, **facts}), flush=True)


def _tokenizer(manager: SessionManager) -> dict[str, Any]:
    engine, tokens = manager._engine, 0
    for text in _TEXTS:
        ids = engine.tokenize(text)
        tokens += len(ids)
        back = engine.detokenize(ids)
        if back.strip() != text.strip():  # some tokenizers add a space at the beginning
            raise _NotRightError(f"the tokenizer makes {back!r} of {text!r}")
    return {"texts": len(_TEXTS), "tokens": tokens}


def _turn(manager: SessionManager) -> dict[str, Any]:
    reply = manager.create_chat().send(_PROMPT, max_output_tokens=_MOST_TOKENS)
    if not reply.text.strip():
        raise _NotRightError(f"the model answers {_PROMPT!r} with nothing")
    timing = reply.timing
    return {
        "prompt": _PROMPT,
        "reply": reply.text,
        "finish_reason": reply.finish_reason,
        "output_tokens": reply.usage.output_tokens,
        "time_to_first_token_s": timing.time_to_first_token_s,
        "prefill_tokens_per_s": timing.prefill_tokens_per_s,
        "decode_tokens_per_s": timing.decode_tokens_per_s,
    }


def _reset(manager: SessionManager) -> dict[str, Any]:
    chat = manager.create_chat()
    started = time.perf_counter()
    chat.reset()
    seconds = time.perf_counter() - started
    handles = manager.handles
    if handles.live != 1:
        raise _NotRightError(
            f"after a reset {handles.live} conversation handles are alive, and should be one"
        )
    return {"seconds": seconds}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
