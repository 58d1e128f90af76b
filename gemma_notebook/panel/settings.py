"""The options of a panel's chat: how they look on the wire, and which the next chat shall have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gemma_notebook.errors import GemmaNotebookError, UnsupportedError
from gemma_notebook.options import SessionOptions
from gemma_notebook.panel.interfaces import PanelChat
from gemma_notebook.panel.protocol import OptionValues, Settings

__all__ = ["NextOptions"]

_SHOWN = (
    "system_instruction", "temperature", "top_k", "top_p", "random_seed", "max_output_tokens", "enable_thinking",
)  # fmt: skip


class NextOptions:
    """Which options the next chat shall have.

    Args:
        options: Those of the chat as it was given to the panel. Its tools are what "tools on" means.
        tools: What that means for a chat that begins with them off.

    Not thread-safe: the controller's lock guards it.
    """

    def __init__(self, options: SessionOptions, tools: Sequence[Any] = ()) -> None:
        self.tools = options.tools or tuple(tools)
        self._changes: dict[str, Any] = {}
        self._wanted: Mapping[str, Any] | None = None
        self.times_set = 0

    @property
    def changes(self) -> dict[str, Any]:
        """What to change, for ``Chat.reset(**changes)``."""
        return dict(self._changes)

    def want(self, chat: PanelChat, wanted: Mapping[str, Any] | None) -> None:
        """Take over what the user has set; None takes everything back.

        Raises:
            ClosedError: The model is closed.
            OptionValueError, OptionTypeError: An option cannot work in this chat, or there is none of that name.
            ToolError: A tool cannot be declared.
            UnsupportedError: The model cannot do it.
        """
        self._changes = self.changes_for(chat, wanted)
        self._wanted = wanted
        self.times_set += 1

    def changes_for(self, chat: PanelChat, wanted: Mapping[str, Any] | None) -> dict[str, Any]:
        """What to change for ``Chat.reset(**changes)`` to have these options. Raises as :meth:`want`."""
        current, model = chat.options, chat.manager.model
        changes = dict(wanted or {})
        tools = changes.pop("tools", bool(current.tools))
        if "tools" in (wanted or {}):
            changes["tools"] = self.tools if tools else ()
        if not changes.get("system_instruction", True):
            changes["system_instruction"] = None
        checked = SessionOptions.of(**{**current.as_keywords(), **changes})
        if checked.enable_thinking and not model.supports_thinking:
            raise UnsupportedError(f"the model {model.name!r} has no thinking; leave it off")
        changes = {name: value for name, value in changes.items() if value != getattr(current, name)}
        chat._changed_options(changes)  # as the reset will
        return changes

    def of_file(self, chat: PanelChat, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """What to change for the options of a saved chat to be had, before those that wait; and those that cannot be had here."""
        usable: dict[str, Any] = dict(self._changes)
        for name, value in options.items():
            try:
                self.changes_for(chat, {**usable, name: value})
            except GemmaNotebookError:
                continue
            usable[name] = value
        refused = [name for name, value in options.items() if usable.get(name, usable) != value]
        return self.changes_for(chat, usable), refused

    def taken(self, chat: PanelChat, times_set: int) -> None:
        """The chat has them now, as they were when they had been set that often: what was set since is still to come."""
        since = self._wanted if times_set != self.times_set else None
        try:
            self._changes = self.changes_for(chat, since)
        except GemmaNotebookError:  # they go with the options of before, and not with these
            self._changes = {}

    @staticmethod
    def shown(options: SessionOptions) -> dict[str, Any]:
        """Those that the panel shows, by name."""
        return {name: getattr(options, name) for name in _SHOWN}

    def json(self, current: SessionOptions, context_policy: str) -> Settings:
        """Both, as they go over the wire."""
        pending = SessionOptions.of(**{**current.as_keywords(), **self._changes}) if self._changes else None
        return {
            "options": _values(current),
            "pending": None if pending is None else _values(pending),
            "tools": [_name(tool) for tool in self.tools],
            "context_policy": "error" if context_policy == "error" else "trim",
        }


def _values(options: SessionOptions) -> OptionValues:
    values: Any = NextOptions.shown(options) | {"tools": bool(options.tools)}
    shown: OptionValues = values
    return shown


def _name(tool: object) -> str:
    return str(getattr(tool, "__name__", None) or getattr(tool, "name", None) or type(tool).__name__)
