"""Talk to a Gemma model that runs on your own machine, inside a Jupyter notebook.

Example:
    >>> import gemma_notebook as gn
    >>> manager = gn.load()          # the bundled tiny model
    >>> chat = manager.create_chat()
    >>> chat.send("My name is Ada.").text
    'Nice to meet you, Ada.'

Each of these has a help of its own, as ``gn.load?`` in a notebook or ``help(gn.load)``:

    load, SessionManager, Session, Chat     a model, its chats, and what can be done with one
    ChatPanel                               a chat to talk to, as the last line of a cell
    tool, Tool                              Python functions that a model may call
    models, pull, benchmark                 which models there are, fetching one, how fast it is
    Reply, Message, Delta, Transcript       what was said
    errors                                  what can go wrong
    testing                                 the kit for regression notebooks

Talk in cells after ``%load_ext gemma_notebook``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from gemma_notebook import errors as errors
    from gemma_notebook import testing as testing
    from gemma_notebook.benchmarking import Benchmark as Benchmark
    from gemma_notebook.benchmarking import benchmark as benchmark
    from gemma_notebook.chat import Chat as Chat
    from gemma_notebook.loading import load as load
    from gemma_notebook.messages import Context as Context
    from gemma_notebook.messages import Delta as Delta
    from gemma_notebook.messages import HandleCounts as HandleCounts
    from gemma_notebook.messages import HandleEvent as HandleEvent
    from gemma_notebook.messages import HandleEvents as HandleEvents
    from gemma_notebook.messages import Message as Message
    from gemma_notebook.messages import ModelInfo as ModelInfo
    from gemma_notebook.messages import Reply as Reply
    from gemma_notebook.messages import Timing as Timing
    from gemma_notebook.messages import ToolCall as ToolCall
    from gemma_notebook.messages import ToolResult as ToolResult
    from gemma_notebook.messages import Usage as Usage
    from gemma_notebook.models.catalogue import models as models
    from gemma_notebook.models.fetch import pull as pull
    from gemma_notebook.panel.widget import ChatPanel as ChatPanel
    from gemma_notebook.sessions import Session as Session
    from gemma_notebook.sessions import SessionManager as SessionManager
    from gemma_notebook.tools import Tool as Tool
    from gemma_notebook.tools import tool as tool
    from gemma_notebook.transcript import Transcript as Transcript

__version__ = "0.1.0"

# Each public name and the module that has it. Imported on first use, so that `import gemma_notebook`
# takes no longer than a few milliseconds and needs no Jupyter.
_HOME = {
    "Benchmark": "benchmarking",
    "Chat": "chat",
    "ChatPanel": "panel.widget",
    "Context": "messages",
    "Delta": "messages",
    "HandleCounts": "messages",
    "HandleEvent": "messages",
    "HandleEvents": "messages",
    "Message": "messages",
    "ModelInfo": "messages",
    "Reply": "messages",
    "Session": "sessions",
    "SessionManager": "sessions",
    "Timing": "messages",
    "Tool": "tools",
    "ToolCall": "messages",
    "ToolResult": "messages",
    "Transcript": "transcript",
    "Usage": "messages",
    "benchmark": "benchmarking",
    "errors": "",
    "load": "loading",
    "models": "",
    "pull": "models.fetch",
    "testing": "",
    "tool": "tools",
}

__all__ = ["__version__", *sorted(_HOME)]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOME[name]
    value = (
        import_module(f"{__name__}.{name}")
        if not home
        else getattr(import_module(f"{__name__}.{home}"), name)
    )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_HOME))


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Called by ``%load_ext gemma_notebook``, for ``%%gemma`` and the other magics."""
    from gemma_notebook import magics

    magics.load_ipython_extension(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Called by ``%unload_ext gemma_notebook``."""
    from gemma_notebook import magics

    magics.unload_ipython_extension(shell)
