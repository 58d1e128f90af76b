"""What the panel needs of a chat and of its manager. The real ones fit; so does a test's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from gemma_notebook.messages import (
    Context,
    Delta,
    HandleCounts,
    HandleEvent,
    Message,
    ModelInfo,
    Reply,
    ToolCall,
)
from gemma_notebook.options import SessionOptions

__all__ = ["PanelChat", "PanelManager", "PanelStream"]


class PanelStream(Protocol):
    """What the panel needs of a streaming reply."""

    def __iter__(self) -> Iterator[Delta]: ...

    @property
    def reply(self) -> Reply: ...


class PanelManager(Protocol):
    """What the panel needs of a session manager."""

    @property
    def handles(self) -> HandleCounts: ...

    @property
    def events(self) -> Sequence[HandleEvent]: ...

    @property
    def model(self) -> ModelInfo: ...

    def create_chat(self) -> PanelChat: ...

    def open_chat(self, **options: Any) -> PanelChat: ...


class PanelChat(Protocol):
    """What the panel needs of a chat. ``stop``, ``reset`` and the properties are called from any thread."""

    def stream(
        self,
        text: str,
        /,
        *,
        attachments: Sequence[Any] = (),
        max_output_tokens: int | None = None,
        response_format: Any = None,
    ) -> PanelStream: ...

    _resets: int

    _askers: list[Callable[[ToolCall], bool | None]]

    @property
    def _is_replying(self) -> bool: ...

    def _watch(self, changed: Callable[[], None], /) -> None: ...

    def _unwatch(self, changed: Callable[[], None], /) -> None: ...

    def stop(self) -> None: ...

    def reset(self, **options: Any) -> None: ...

    def _changed_options(self, changes: dict[str, Any], /) -> SessionOptions: ...

    def _take_back(self, *, again: bool) -> object: ...

    def _switch_to(self, messages: Sequence[Message], /, *, again: bool) -> None: ...

    def _check_restore(self, messages: Sequence[Message], /) -> None: ...

    def restore(self, messages: Sequence[Message], /) -> None: ...

    def close(self) -> None: ...

    @property
    def options(self) -> SessionOptions: ...

    @property
    def messages(self) -> Sequence[Message]: ...

    @property
    def _all_messages(self) -> Sequence[Message]: ...

    @property
    def context(self) -> Context: ...

    @property
    def _forgotten_turns(self) -> int: ...

    @property
    def handle_id(self) -> int | None: ...

    @property
    def manager(self) -> PanelManager: ...
