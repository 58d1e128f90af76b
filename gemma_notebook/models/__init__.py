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
    def __call__(self, **options: Any) -> Any:
        from gemma_notebook.models.catalogue import models

        return models(**options)


sys.modules[__name__].__class__ = _CallableModule
