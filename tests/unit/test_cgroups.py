"""What a container, Slurm or the service of a JupyterHub allows a process is what it counts with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gemma_notebook import _cgroups
from gemma_notebook.models.machine import Machine
from gemma_notebook.models.store import Store
from gemma_notebook.options import usable_cores

VERSION_2 = "0::/user.slice/hub.service\n"
VERSION_1 = "4:memory:/slurm/job_7\n2:cpu,cpuacct:/slurm/job_7\n0::/\n"


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write the groups of this process and the files of their folders."""
    monkeypatch.setattr(_cgroups, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(_cgroups, "_ROOT", tmp_path / "fs")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)

    def write(own: str | None, **files: str) -> None:
        if own is not None:
            (tmp_path / "own").write_text(own)
        for path, text in files.items():
            file = tmp_path / "fs" / path.replace("__", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    return write


@pytest.mark.parametrize("folder", ["user.slice__hub.service__", "user.slice__", ""])
def test_the_quota_of_any_group_around_the_process_holds(groups, folder):
    groups(VERSION_2, **{f"{folder}cpu.max": "250000 100000\n", f"{folder}memory.max": "1000000\n"})
    assert usable_cores() == 2
    assert Machine.here(Store()).memory_bytes == 1_000_000


@pytest.mark.parametrize("folder", ["slurm__job_7__", "slurm__", ""])
def test_the_quota_of_version_1_holds(groups, folder):
    groups(
        VERSION_1,
        **{
            f"cpu__{folder}cpu.cfs_quota_us": "300000\n",
            f"cpu__{folder}cpu.cfs_period_us": "100000\n",
            f"memory__{folder}memory.limit_in_bytes": "2000000\n",
        },
    )
    assert usable_cores() == 3
    assert Machine.here(Store()).memory_bytes == 2_000_000


def test_the_least_of_several_limits_holds(groups):
    groups(
        VERSION_2,
        **{
            "cpu.max": "400000 100000",
            "user.slice__cpu.max": "200000 100000",
            "user.slice__hub.service__cpu.max": "800000 100000",
        },
    )
    assert usable_cores() == 2


def test_a_part_of_a_core_is_one(groups):
    groups(VERSION_2, **{"user.slice__hub.service__cpu.max": "50000 100000"})
    assert usable_cores() == 1


@pytest.mark.parametrize(
    "written", ["max 100000", "", "x 1", "1", "100000 0", "-1 100000", "\x00\xff 5", "² 1"]
)
def test_no_limit_and_what_is_not_understood_leave_all_cores(groups, written):
    groups(VERSION_2, **{"user.slice__hub.service__cpu.max": written, "memory.max": written})
    assert usable_cores() == 64


def test_no_limit_in_version_1_leaves_all_cores(groups):
    groups(VERSION_1, **{"cpu__cpu.cfs_quota_us": "-1\n", "cpu__cpu.cfs_period_us": "100000\n"})
    assert usable_cores() == 64


@pytest.mark.parametrize("own", [None, "", "nonsense\n", "0::/../../elsewhere\n"])
def test_a_container_that_does_not_see_its_groups_counts_with_the_root(groups, own):
    groups(own, **{"cpu.max": "150000 100000", "memory.max": "3000000"})
    assert usable_cores() == 1
    assert Machine.here(Store()).memory_bytes == 3_000_000
