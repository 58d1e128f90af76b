"""What this machine has for a model: memory and disk."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from gemma_notebook._cgroups import memory_limits
from gemma_notebook.models.store import Store

__all__ = ["Machine"]


@dataclass(frozen=True, slots=True)
class Machine:
    """Memory and disk, in bytes; None where they cannot be told."""

    memory_bytes: int | None
    disk_bytes: int | None

    @classmethod
    def here(cls, store: Store) -> Machine:
        """Look at the machine, or at the container on it, and the disk that the store is on."""
        return cls(_memory_bytes(), store.free_bytes())

    def obstacle(self, memory_bytes: int, disk_bytes: int) -> str:
        """Why a model that needs this much does not fit, or ``""``."""
        if self.memory_bytes is not None and memory_bytes > self.memory_bytes:
            return "too little memory"
        if self.disk_bytes is not None and disk_bytes > self.disk_bytes:
            return "too little disk"
        return ""


def _memory_bytes() -> int | None:
    limits = [*memory_limits()]
    with contextlib.suppress(OSError, ValueError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits, default=None)
