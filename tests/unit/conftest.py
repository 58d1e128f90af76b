"""A panel's controller on a scripted chat."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scripted_chat import WAIT_S, FrontEnd, ScriptedChat

from gemma_notebook.panel.controller import Controller
from gemma_notebook.panel.pump import Pump
from gemma_notebook.panel.worker import Worker


@pytest.fixture
def chat() -> Iterator[ScriptedChat]:
    chat = ScriptedChat()
    yield chat
    chat.admit.set()
    chat.reset_may_end.set()


@pytest.fixture
def front(chat: ScriptedChat) -> Iterator[FrontEnd]:
    front = FrontEnd()
    pump = Pump(front.receive, interval_s=0.0)
    controller = Controller(chat, pump, Worker())
    front.take, front.controller = controller.handle, controller
    yield front
    controller.close()
    pump.close(WAIT_S)
