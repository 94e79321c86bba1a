"""CPUs and memory are counted as containers and schedulers allow them, not as the machine has them."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from stars_bench.io import allowance
from stars_bench.io.allowance import cpus, limit_of, memory

GIB = 1 << 30
MACHINE = {"proc/meminfo": "MemTotal:       67108864 kB\nMemFree: 1 kB\n"}
ALL = {"proc/self/cgroup": "0::/\n"}
DEEP = {"proc/self/cgroup": "0::/slurm/job_7/step_0\n"}
OLD = {"proc/self/cgroup": "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n1:name=systemd:/\n"}
V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/memory"
NO_LIMIT = str((1 << 63) - 4096)


@pytest.fixture(autouse=True)
def many_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty-four CPUs and no limit by `ulimit -v`."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(os, "sysconf", lambda name: 4096 if "SIZE" in name else 64 * GIB // 4096, raising=False)


def system(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "variables", "count"),
    [
        ({}, {}, 64),
        (ALL | {f"{V2}/cpu.max": "max 100000\n"}, {}, 64),
        (ALL | {f"{V2}/cpu.max": "400000 100000\n"}, {}, 4),
        (ALL | {f"{V2}/cpu.max": "50000 100000\n"}, {}, 1),
        (ALL | {f"{V2}/cpu.max": "250000 100000\n"}, {}, 3),
        (DEEP | {f"{V2}/slurm/job_7/cpu.max": "800000 100000\n"}, {}, 8),
        (DEEP | {f"{V2}/slurm/job_7/cpu.max": "800000 100000", f"{V2}/cpu.max": "200000 100000"}, {}, 2),
        ({f"{V2}/cpu.max": "200000 100000\n"}, {}, 2),  # no /proc
        (OLD | {f"{V2}/cpu/cpu.cfs_quota_us": "300000", f"{V2}/cpu/cpu.cfs_period_us": "100000"}, {}, 3),
        (OLD | {f"{V2}/cpu/cpu.cfs_quota_us": "-1", f"{V2}/cpu/cpu.cfs_period_us": "100000"}, {}, 64),
        ({f"{V2}/cpu.max": "nonsense"}, {}, 64),
        ({}, {"SLURM_JOB_ID": "1", "SLURM_CPUS_PER_TASK": "6"}, 6),
        ({}, {"SLURM_CPUS_PER_TASK": "6"}, 64),  # left over from another job
        ({}, {"SLURM_JOB_ID": "1", "SLURM_CPUS_PER_TASK": "many"}, 64),
    ],
)
def test_cpus(files: Mapping[str, str], variables: Mapping[str, str], count: int, tmp_path: Path) -> None:
    assert cpus(system(tmp_path, MACHINE | files), variables) == count


@pytest.mark.parametrize(
    ("files", "variables", "gib", "limit"),
    [
        ({}, {}, 64, "this machine"),
        (ALL | {f"{V2}/memory.max": "max\n"}, {}, 64, "this machine"),
        (ALL | {f"{V2}/memory.max": f"{4 * GIB}\n"}, {}, 4, "control group, {}/sys/fs/cgroup/memory.max"),
        (DEEP | {f"{V2}/slurm/job_7/memory.max": f"{8 * GIB}"}, {}, 8, "control group, {}/sys/fs/cgroup/slurm/job_7/"),
        (OLD | {f"{V1}/memory.limit_in_bytes": f"{2 * GIB}"}, {}, 2, "control group, {}/sys/fs/cgroup/memory/memory.l"),
        (
            OLD | {f"{V1}/docker/x/memory.limit_in_bytes": f"{3 * GIB}"},
            {},
            3,
            "control group, {}/sys/fs/cgroup/memory/d",
        ),
        (OLD | {f"{V1}/memory.limit_in_bytes": NO_LIMIT}, {}, 64, "this machine"),
        ({}, {"SLURM_JOB_ID": "1", "SLURM_MEM_PER_NODE": "16384"}, 16, "SLURM_MEM_PER_NODE"),
        ({}, {"SLURM_JOB_ID": "1", "SLURM_MEM_PER_CPU": "1024", "SLURM_CPUS_PER_TASK": "6"}, 6, "SLURM_MEM_PER_CPU"),
        ({}, {"SLURM_MEM_PER_NODE": "16384"}, 64, "this machine"),
    ],
)
def test_memory(files: Mapping[str, str], variables: Mapping[str, str], gib: int, limit: str, tmp_path: Path) -> None:
    found = memory(system(tmp_path, MACHINE | files), variables)
    assert found is not None
    assert found.bytes == gib * GIB
    assert found.limit.startswith(limit.format(tmp_path))


def test_an_error_names_the_limit_that_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(allowance, "memory", lambda: allowance.Memory(2 * GIB, "ulimit -v"))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    for error in (
        MemoryError(),
        OSError(errno.ENOMEM, "x"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ):
        assert limit_of(error) == "; this process may use 2.0 GiB (ulimit -v)"
    assert limit_of(OSError(errno.EMFILE, "x")) == "; this process may open 64 files (ulimit -n 64): raise that"
    assert limit_of(ValueError("x")) == ""
