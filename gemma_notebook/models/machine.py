"""What this machine has for a model: memory and disk."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from gemma_notebook.models.store import Store

__all__ = ["Machine"]

# cgroup v2 and v1: a container's own limit, which is what the kernel kills by.
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


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
    limits = []
    with contextlib.suppress(OSError, ValueError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in _CGROUP_LIMITS:
        try:
            limits.append(int(path.read_text(encoding="ascii")))
        except (OSError, ValueError):  # "max", or no such file
            continue
    return min(limits, default=None)
