"""The binding of LiteRT-LM: the only package that imports cffi or holds a C handle.

``library`` finds and opens the shared library, ``engine`` has the engine, ``conversation`` its
conversations, ``handles`` their state machine and the ledger of what happened to them, ``stream`` one generation, and ``logs`` makes log records of what the
engine prints.
"""

from __future__ import annotations

from gemma_notebook.engine.conversation import Conversation, ConversationOptions
from gemma_notebook.engine.engine import Engine
from gemma_notebook.engine.handles import HandleLedger, HandleState
from gemma_notebook.engine.library import TRY_AGAIN, Library, load_library
from gemma_notebook.engine.stream import Generation

__all__ = [
    "TRY_AGAIN",
    "Conversation",
    "ConversationOptions",
    "Engine",
    "Generation",
    "HandleLedger",
    "HandleState",
    "Library",
    "load_library",
]
