"""Models: the bundled one, and files tried in a process of their own before the kernel opens them."""

from __future__ import annotations

from gemma_notebook.models.resolve import resolve_model

__all__ = ["resolve_model"]
