"""The chat panel as a Jupyter widget."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import anywidget

from gemma_notebook.errors import GemmaNotebookError, OptionTypeError, OptionValueError
from gemma_notebook.panel.interfaces import PanelChat, PanelManager
from gemma_notebook.panel.saved_view import KEPT_APART, NOTHING_KEPT, keep_at_cell_end, transcripts
from gemma_notebook.panel.tabs import Tabs

__all__ = ["ChatPanel"]

_STATIC = Path(__file__).parent / "static"

# They show what a chat is: the second and the third belong together.
_PROMPTS = ("What can you do?", "My favourite colour is green.", "What do you know about me?")


def _built(name: str) -> str:
    """A built file; an empty text while there is none, so that importing works.

    Not its path: anywidget watches a file for each widget, and so keeps all of them, with their models, for good.
    """
    path = _STATIC / name
    return path.read_text(encoding="utf-8") if path.is_file() else ""


class ChatPanel(anywidget.AnyWidget):
    """A chat in a notebook: display it, and talk.

    *Reset chat* closes the conversation behind the panel and begins another, so that nothing of the old chat is
    left in the model's memory. Nothing of what is said is saved with the notebook, unless ``persist`` is set.

    Args:
        chat: A chat to show, or a session manager, on which the panel then makes a chat of its own.
        chats: Several chats of the manager ``chat``, each in a tab of its own. Users can open more of them.
        prompts: What an empty chat offers to begin with; an empty list for nothing.
        persist: Keep the chat as it stood when the cell ended in an output below the panel, as HTML and Markdown,
            for those who read the notebook without its kernel. JupyterLab hides it while the panel is there. To
            keep what is said later, end a cell in :meth:`Chat.transcript`.

    Raises:
        OptionTypeError: ``chat`` or one of ``chats`` is neither, or a prompt is not a string.
        OptionValueError: ``chats`` is empty.
        GemmaNotebookError: The panel's JavaScript has not been built.

    Thread-safe in what it does for the user; display it and close it from the main thread. ipywidgets keeps a widget, and
    so its chat and model, until it is closed: close a panel that a cell makes anew each time, or the manager.

    Example:
        >>> manager = gn.load()
        >>> gn.ChatPanel(manager)
    """

    _esm = _built("widget.js")
    _css = _built("widget.css")

    def __init__(
        self,
        chat: PanelChat | PanelManager,
        *,
        chats: Iterable[PanelChat] | None = None,
        prompts: Sequence[str] | None = None,
        persist: bool = False,
    ) -> None:
        _check_built()
        if not isinstance(persist, bool):
            raise OptionTypeError(f"persist must be True or False, not {persist!r}")
        self._persist = persist
        checked = _checked_prompts(_PROMPTS if prompts is None else prompts)
        shown = [_chat_of(chat)] if chats is None else _chats_of(chat, chats)
        self._model = shown[0].manager.model.name
        self._tabs = Tabs(shown, self.send, checked)
        # Before the front end learns of the widget: its first message may come on another thread.
        self.on_msg(self._on_message)
        super().__init__()
        _let_messages_pass_cells(self.comm)

    @property
    def chat(self) -> PanelChat:
        """The chat that the panel shows; of several the first."""
        return self._tabs.chats[0]

    @property
    def chats(self) -> tuple[PanelChat, ...]:
        """The chats that the panel shows, in the order of their tabs."""
        return self._tabs.chats

    def close(self) -> None:
        """Take the panel off the page, stop its replies and its threads. The chats stay open. Idempotent."""
        tabs: Tabs | None = getattr(self, "_tabs", None)
        if tabs is not None:
            tabs.close()
        super().close()

    def __del__(self) -> None:
        # ipywidgets closes a widget here. While the interpreter shuts down that would start the pump's
        # thread, and starting a thread then waits for ever: a kernel that never ends. (measured)
        if not sys.is_finalizing():
            super().__del__()

    def __repr__(self) -> str:
        return f"ChatPanel({self._model!r})"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The view, and what stands in its place in a saved notebook once the kernel is gone."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if not bundle:
            return bundle
        data, metadata = bundle
        return self._static_view() | data | {"text/plain": repr(self)}, metadata

    def _static_view(self) -> dict[str, str]:
        if not self._persist:
            return NOTHING_KEPT
        return KEPT_APART if keep_at_cell_end(self, lambda: self.chats) else transcripts(self.chats)

    def _on_message(self, _widget: object, content: Any, buffers: Sequence[Any] | None) -> None:
        self._tabs.handle(content, buffers)


def _chat_of(chat: PanelChat | PanelManager) -> PanelChat:
    given: Any = chat
    chosen: PanelChat = given.create_chat() if _is_manager(chat) else _checked_chat(chat)
    return chosen


def _chats_of(chat: PanelChat | PanelManager, chats: Iterable[PanelChat]) -> list[PanelChat]:
    if not _is_manager(chat):
        _checked_chat(chat)
    if not isinstance(chats, Iterable):
        raise OptionTypeError(f"chats must be a list of Chats, not {chats!r}.")
    shown = list(chats)
    if not shown:
        raise OptionValueError("ChatPanel has no chat to show: leave chats out, or give it one at least.")
    for one in shown:
        if not _is_chat(one):
            raise OptionTypeError(f"chats must be Chats, and {one!r} is a {type(one).__name__}.")
    return shown


def _checked_chat(chat: Any) -> Any:
    if not _is_chat(chat):
        raise OptionTypeError(
            f"ChatPanel needs a SessionManager or a Chat, as from manager.create_chat(), not {type(chat).__name__!r}."
        )
    return chat


def _is_manager(chat: object) -> bool:
    return hasattr(chat, "create_chat")


def _is_chat(chat: object) -> bool:
    # Raw sessions stream, too, but have not what a panel does with a chat.
    return hasattr(chat, "stream") and hasattr(chat, "_changed_options")


def _checked_prompts(prompts: Sequence[str]) -> list[str]:
    if (
        isinstance(prompts, str)
        or not isinstance(prompts, Iterable)
        or not all(isinstance(prompt, str) for prompt in prompts)
    ):
        raise OptionTypeError(f"prompts must be a list of strings, not {prompts!r}.")
    return [prompt for prompt in prompts if prompt.strip()]


def _let_messages_pass_cells(comm: object) -> None:
    """Let Stop and Reset through while a cell blocks the kernel.

    JupyterLab sends them over a subshell. ipykernel 7.4 overrules it and sends a comm's messages to the shell that
    published last on it, here the main one, where they wait for the cell (measured: a reset took 5.4 s
    behind a cell of 6 s, and 0.5 s without the override). Other versions have no such method, and are left alone.
    """
    if callable(getattr(comm, "_reply_subshell_for", None)):
        comm._reply_subshell_for = None  # type: ignore[attr-defined]


def _check_built() -> None:
    missing = [name for name in ("widget.js", "widget.css") if not (_STATIC / name).is_file()]
    if missing or not ChatPanel._esm:
        raise GemmaNotebookError(
            f"The chat panel's front end is not built ({_STATIC / 'widget.js'} was missing): "
            "run `npm ci && npm run build` in the folder js and restart the kernel, or install the wheel."
        )
