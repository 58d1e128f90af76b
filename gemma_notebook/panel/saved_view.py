"""What stands in a panel's place in a saved notebook, for readers without its kernel.

JupyterLab shows the output of a widget by the widget and by nothing else: of a trusted notebook without its kernel it
shows "model not found" there, whatever HTML the output has besides (measured with 4.6). So what is kept of a chat is
an output of its own below the panel. While the panel is on the page, its style sheet hides that output.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, cast

from IPython.core.getipython import get_ipython
from IPython.display import display

from gemma_notebook.panel.interfaces import PanelChat
from gemma_notebook.transcript import Transcript
from gemma_notebook.transcript.record import TranscribedChat

__all__ = ["KEPT_APART", "NOTHING_KEPT", "keep_at_cell_end", "transcripts"]

_log = logging.getLogger(__name__)

# Panels, by their ids, whose transcripts come at the end of a cell.
_awaited: set[tuple[int, str]] = set()

# What stands between two chats.
_LINES = {"text/plain": "\n", "text/markdown": "\n---\n\n", "text/html": "<hr>\n"}


def _remark(words: str) -> dict[str, str]:
    return {"text/plain": words, "text/markdown": f"*{words}*\n", "text/html": f"<p><em>{words}</em></p>\n"}


NOTHING_KEPT = _remark(
    "This chat lives in the kernel, and nothing of it is saved with the notebook. "
    "Run the cell to open a panel again."
)
KEPT_APART = _remark("This panel lives in the kernel. Run the cell to open it again.")
_AS_IT_STOOD = _remark("The chat as it stood when the cell ended:")
_NOTHING_SAID = _remark(
    "Nothing had been said when the cell ended. Run chat.transcript() in a cell of its own to keep what was said later."
)


def transcripts(chats: Sequence[PanelChat]) -> dict[str, str]:
    """The chats as HTML and as Markdown, one below the other."""
    kept = [Transcript.of(cast("TranscribedChat", chat))._repr_mimebundle_() for chat in chats]
    return {kind: line.join(one[kind] for one in kept) for kind, line in _LINES.items()}


def keep_at_cell_end(panel: object, chats: Callable[[], Sequence[PanelChat]]) -> bool:
    """Add the transcripts to the outputs of the cell that is running, once it ends.

    Args:
        panel: Whose they are: once in a cell is enough.
        chats: Asked for the chats when the cell ends.

    Returns:
        Whether that will be: not outside a Jupyter kernel, nor in a callback, which belongs to no cell.
    """
    shell: Any = get_ipython()
    cell = _running_cell(shell)
    if cell is None:
        return False
    if (id(panel), cell) in _awaited:
        return True
    _awaited.add((id(panel), cell))
    nested = 0  # cells that this one runs, as %rerun does

    def stop() -> None:
        _awaited.discard((id(panel), cell))
        shell.events.unregister("pre_run_cell", begin)
        shell.events.unregister("post_run_cell", end)

    def begin(_info: object) -> None:
        nonlocal nested
        nested += 1
        if _running_cell(shell) != cell:
            stop()

    def end(_result: object) -> None:
        nonlocal nested
        nested -= 1
        if nested < 0:
            stop()
            if _running_cell(shell) == cell:  # else the panel was shown by a task that outlived its cell
                _publish(chats())

    shell.events.register("pre_run_cell", begin)
    shell.events.register("post_run_cell", end)
    return True


def _running_cell(shell: Any) -> str | None:
    """The message that asked for the cell that runs now; None when no cell does."""
    if getattr(shell, "kernel", None) is None or not hasattr(shell, "get_parent"):
        return None
    header: dict[str, Any] = (shell.get_parent() or {}).get("header") or {}
    return header.get("msg_id") if header.get("msg_type") == "execute_request" else None


def _publish(chats: Sequence[PanelChat]) -> None:
    try:
        said = any(chat.messages for chat in chats)
        parts = (_AS_IT_STOOD, transcripts(chats)) if said else (_NOTHING_SAID,)
        bundle = {kind: "\n".join(part[kind] for part in parts) for kind in _LINES}
        bundle["text/html"] = f'<div class="gn-saved">\n{bundle["text/html"]}</div>'
        display(bundle, raw=True)  # type: ignore[no-untyped-call]
    except Exception:
        _log.warning("The panel's chat could not be kept in the notebook.", exc_info=True)
