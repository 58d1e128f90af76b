"""What regression notebooks and their authors use.

Example:
    >>> from gemma_notebook.testing import assert_forgets
    >>> assert_forgets(manager, told="My name is Ada.", probe="What is my name?")

With pytest there are the fixtures ``gemma_manager`` and ``gemma_chat``; nothing has to be imported for them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gemma_notebook.testing.determinism import deterministic as deterministic
    from gemma_notebook.testing.forgetting import Forgetting as Forgetting
    from gemma_notebook.testing.forgetting import assert_forgets as assert_forgets
    from gemma_notebook.testing.forgetting import assert_same_as_fresh as assert_same_as_fresh
    from gemma_notebook.testing.lint import Finding as Finding
    from gemma_notebook.testing.lint import check_notebooks as check_notebooks
    from gemma_notebook.testing.scaffold import new_notebook as new_notebook
    from gemma_notebook.testing.text import SANITIZE_CFG as SANITIZE_CFG
    from gemma_notebook.testing.text import assert_same_text as assert_same_text
    from gemma_notebook.testing.text import normalized as normalized

# pytest imports this package in every run on a machine where it is installed: nothing else comes with it.
_HOME = {
    "Finding": "lint",
    "Forgetting": "forgetting",
    "SANITIZE_CFG": "text",
    "assert_forgets": "forgetting",
    "assert_same_as_fresh": "forgetting",
    "assert_same_text": "text",
    "check_notebooks": "lint",
    "deterministic": "determinism",
    "new_notebook": "scaffold",
    "normalized": "text",
}

__all__ = sorted(_HOME)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_HOME))
