"""What its control groups allow this process on Linux: in a container, under Slurm, or as a service of a JupyterHub.

Each limit holds for the group that it is set on and for all inside of it, so those around the process's own count, too.
Source: https://docs.kernel.org/admin-guide/cgroup-v2.html, and cgroup-v1/ and scheduler/sched-bwc.html there for version 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["cpu_quotas", "memory_limits"]

_OWN_GROUPS = Path("/proc/self/cgroup")
_ROOT = Path("/sys/fs/cgroup")


def cpu_quotas() -> Iterator[float]:
    """How many cores' time each group may take, where that is limited."""
    for folder in _folders("cpu"):
        words = _words(folder / "cpu.max") or (
            _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        )
        if len(words) == 2 and all(
            word.isdecimal() for word in words
        ):  # not "max", nor -1, its like in version 1
            quota, period = map(int, words)
            if period:
                yield quota / period


def memory_limits() -> Iterator[int]:
    """How many bytes of memory each group may have, where that is limited: the kernel ends processes that need more."""
    for folder in _folders("memory"):
        for word in _words(folder / "memory.max") or _words(folder / "memory.limit_in_bytes"):
            if word.isdecimal():
                yield int(word)


def _folders(controller: str) -> Iterator[Path]:
    """The folders of the process's groups that have this controller, outwards; in a container the inner ones may be out of sight."""
    for line in _lines(_OWN_GROUPS) or ("0::/", f"1:{controller}:/"):
        _, controllers, group = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = _ROOT / controller if controllers else _ROOT
        parts = Path(group).parts[1:]
        if ".." in parts:  # a group outside of what is in sight
            parts = ()
        for count in range(len(parts), -1, -1):
            yield root.joinpath(*parts[:count])


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.count(":") >= 2]
    except (OSError, ValueError):
        return []


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return []
