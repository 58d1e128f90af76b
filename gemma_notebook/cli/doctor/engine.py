"""The engine's library, and a turn with the bundled model."""

from __future__ import annotations

import time
from collections.abc import Iterator

from gemma_notebook.cli.doctor.findings import Finding
from gemma_notebook.engine import load_library
from gemma_notebook.errors import GemmaNotebookError
from gemma_notebook.loading import load

__all__ = ["look_at_library", "look_at_turn"]


def look_at_library() -> Iterator[Finding]:
    """Whether the library is there, opens, and has all functions that are called."""
    try:
        library = load_library()
    except GemmaNotebookError as error:
        yield Finding("engine", "bad", "the library cannot be used", str(error))
        return
    size, symbols = library.path.stat().st_size, library.symbols
    yield Finding(
        "engine",
        "ok",
        f"{library.path} ({size / 1e6:.0f} MB), all {len(symbols)} functions are there",
        facts={"library": str(library.path), "size_bytes": size, "symbols": list(symbols)},
    )


def look_at_turn() -> Iterator[Finding]:
    """Load the bundled model, talk to it, and see that a reset frees what it should."""
    started = time.perf_counter()
    try:
        with load() as manager:
            loaded_s = time.perf_counter() - started
            chat = manager.create_chat()
            reply = chat.send("My name is Ada.")
            remembered = chat.send("What is my name?").text
            chat.reset()
            forgotten = chat.send("What is my name?").text
            handles = manager.handles
    except GemmaNotebookError as error:
        yield Finding("a turn", "bad", "the bundled model does not run", str(error))
        return
    facts = {
        "load_s": loaded_s,
        "reply": reply.text,
        "time_to_first_token_s": reply.timing.time_to_first_token_s,
        "decode_tokens_per_s": reply.timing.decode_tokens_per_s,
        "live_handles_after_reset": handles.live,
    }
    if "Ada" not in remembered or "Ada" in forgotten or handles.live != 1:
        words = f"told its name it says {remembered!r}, after a reset {forgotten!r}, with {handles.live} handles alive"
        yield Finding(
            "a turn",
            "bad",
            words,
            "reinstall gemma-notebook and litert-lm-api: the model or engine is damaged",
            facts,
        )
        return
    yield Finding(
        "a turn",
        "ok",
        f"loaded in {loaded_s:.2f} s, said {reply.text!r}, forgot it at the reset",
        facts=facts,
    )
