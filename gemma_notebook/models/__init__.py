"""Models: the bundled one, the catalogue, the store where they are kept, and what is done to fetch and check them.

The package can be called: ``gn.models()`` is :func:`gemma_notebook.models.catalogue.models`. Its name belongs
to both, and whichever import came first, the name has to mean the same.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from gemma_notebook.models.resolve import resolve_model

__all__ = ["resolve_model"]


class _CallableModule(ModuleType):
    def __call__(self, *, store: Any = None) -> Any:
        """The models that can be loaded or fetched by name, and those that are installed besides.

        Reads files only; nothing is fetched. Safe to call from any thread.

        Args:
            store: The :class:`~gemma_notebook.models.store.Store` to look into; None for the user's.

        Raises:
            OptionValueError: A catalogue of the user's is wrong; the message says where.

        Example:
            >>> gn.models()["gemma3-1b"].size_bytes
            584417280
        """
        from gemma_notebook.models.catalogue import models

        return models(store=store)


sys.modules[__name__].__class__ = _CallableModule
