"""What is no argument at all is an error of this package, which says what one is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import gemma_notebook as gn
from gemma_notebook.errors import ContextFullError, OptionTypeError
from gemma_notebook.panel.tabs import Tabs


@pytest.mark.parametrize(
    "call",
    [
        lambda _: gn.pull(None),  # type: ignore[arg-type]
        lambda _: gn.pull([]),  # type: ignore[arg-type]
        lambda _: gn.testing.new_notebook("regression", 5),  # type: ignore[arg-type]
        lambda _: gn.testing.check_notebooks(5),  # type: ignore[arg-type]
        lambda manager: gn.testing.assert_forgets(manager, 5, "What is my name?"),
        lambda manager: manager.create_session().rewind("x"),
    ],
)
def test_a_wrong_argument_is_an_error_of_this_package(
    fake_manager: gn.SessionManager, call: Callable[[gn.SessionManager], Any]
) -> None:
    with pytest.raises(OptionTypeError):
        call(fake_manager)


def test_a_full_context_is_told_alike_in_words_and_numbers(
    make_fake_manager: Callable[..., gn.SessionManager],
) -> None:
    chat = make_fake_manager(context_tokens=64).create_chat(context_policy="error")
    with pytest.raises(ContextFullError) as full:
        for _ in range(30):
            chat.send("one two three four five six seven eight nine ten")
    assert full.value.context_tokens <= full.value.context_limit
    assert f"{full.value.context_tokens} of the context's {full.value.context_limit}" in str(full.value)


def test_a_request_of_no_type_is_refused_and_not_raised(fake_manager: gn.SessionManager) -> None:
    told: list[dict[str, Any]] = []
    tabs = Tabs([fake_manager.create_chat()], told.append)
    tabs.handle({"id": "1", "type": []})
    tabs.close()
