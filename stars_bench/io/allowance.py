"""How many CPUs and how much memory this process may use, which may be less than the machine has.

Containers and schedulers limit both by control groups (version 1 or 2), by affinity, and by variables of SLURM;
`ulimit -v` limits memory. loky counts CPUs in the topmost group alone, and no memory: a job of SLURM lies deeper.
"""

from __future__ import annotations

import errno
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from stars_bench.errors import StarsBenchError

ROOT = Path("/")
UNLIMITED = 1 << 60
"""Bytes from which on a limit is none: version 1 has a large number where there is no limit."""
MIB = 1 << 20


class Memory(NamedTuple):
    """How much memory may be used.

    Args:
        bytes: The smallest limit.
        limit: What sets it.
    """

    bytes: int
    limit: str


def cpus(root: Path = ROOT, variables: Mapping[str, str] = os.environ) -> int:
    """Return how many CPUs this process may use, at least one.

    Args:
        root: Where proc and sys lie. Default: the system's.
        variables: The environment. Default: this process's.
    """
    counts = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    for folder in _groups(root, "cpu"):
        quota, period = _numbers(folder, "cpu.max", 2) or (
            _numbers(folder, "cpu.cfs_quota_us", 1) + _numbers(folder, "cpu.cfs_period_us", 1)
        ) or (0, 0)  # fmt: skip
        if quota > 0 and period > 0:
            counts.append(math.ceil(quota / period))
    if (job := _number(variables.get("SLURM_CPUS_PER_TASK", ""))) and "SLURM_JOB_ID" in variables:
        counts.append(job)
    return max(min(counts), 1)


def memory(root: Path = ROOT, variables: Mapping[str, str] = os.environ) -> Memory | None:
    """Return how much memory this process may use; None where nothing says so.

    Args:
        root: Where proc and sys lie. Default: the system's.
        variables: The environment. Default: this process's.
    """
    found = list(_of_machine(root))
    for folder in _groups(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            found += [Memory(limit, f"control group, {folder / name}") for limit in _numbers(folder, name, 1)]
    if "SLURM_JOB_ID" in variables:
        if node := _number(variables.get("SLURM_MEM_PER_NODE", "")):
            found.append(Memory(node * MIB, "SLURM_MEM_PER_NODE"))
        if each := _number(variables.get("SLURM_MEM_PER_CPU", "")):
            found.append(Memory(each * MIB * cpus(root, variables), "SLURM_MEM_PER_CPU"))
    return min((one for one in found if 0 < one.bytes < UNLIMITED), default=None)


def _of_machine(root: Path) -> Iterator[Memory]:
    with suppress(OSError):
        if total := re.search(r"^MemTotal:\s+(\d+) kB", (root / "proc/meminfo").read_text(), re.MULTILINE):
            yield Memory(int(total[1]) * 1024, "this machine")
    with suppress(ValueError, OSError, AttributeError):  # Windows has no sysconf
        yield Memory(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "this machine")
    with suppress(ImportError):
        import resource

        yield Memory(resource.getrlimit(resource.RLIMIT_AS)[0], "ulimit -v")


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's control groups and of those above them, as far as they can be seen."""
    base = root / "sys/fs/cgroup"
    lines: list[str] = []
    with suppress(OSError, UnicodeDecodeError):
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    for line in lines or ["0::/", f"1:{controller}:/"]:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        for top in (base / controllers, base / controller) if controllers else (base,):
            parts = [part for part in path.split("/") if part and part != ".."]
            yield from dict.fromkeys(top.joinpath(*parts[:count]) for count in range(len(parts) + 1))


def _numbers(folder: Path, name: str, count: int) -> tuple[int, ...]:
    """Return the first numbers of a group's file; none where it is not there or says max."""
    with suppress(OSError, ValueError, UnicodeDecodeError):
        numbers = tuple(map(int, (folder / name).read_text().split()[:count]))
        return numbers if len(numbers) == count else ()
    return ()


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def limit_of(error: BaseException) -> str:
    """Name the limit that an error comes from, as the end of a message; empty where it comes from none."""
    number = getattr(error, "errno", None)
    if number in (errno.EMFILE, errno.ENFILE):
        with suppress(ImportError):
            import resource

            count = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            return f"; this process may open {count:,} files (ulimit -n {count}): raise that"
    if memory_is_refused(error) and (allowed := memory()) is not None:
        return f"; this process may use {allowed.bytes / (1 << 30):.1f} GiB ({allowed.limit})"
    return ""


def memory_is_refused(error: BaseException) -> bool:
    """Return whether an error says that this process gets no more memory."""
    said = any(text in str(error) for text in ("can't allocate memory", "Unable to allocate", "failed to map segment"))
    return isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM or said


def too_little_memory(what: object, error: BaseException) -> StarsBenchError:
    """Return the error to raise where `memory_is_refused` for reading a file, which says nothing about its content."""
    return StarsBenchError(f"{what}: too little memory to read it{limit_of(error)}; the file itself may be whole")
