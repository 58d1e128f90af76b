"""A panel's controller on a scripted chat."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scripted_chat import FrontEnd, ScriptedChat, connected


@pytest.fixture
def chat() -> Iterator[ScriptedChat]:
    chat = ScriptedChat()
    yield chat
    chat.admit.set()
    chat.reset_may_end.set()


@pytest.fixture
def front(chat: ScriptedChat) -> Iterator[FrontEnd]:
    with connected(chat) as front:
        yield front
