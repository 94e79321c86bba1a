"""Names of what is being written, and which of it no process writes any more.

Until it is whole, a file or folder is called `.NAME.MACHINE-PROCESS-START.RANDOM.partial`, where START is the second in
which the process began, since numbers of processes come again. What a killed process has left is removed by the next
command that writes there: when the process is one of this machine and has ended, or when nothing was written for a day.
The partial file of another machine stays, so nothing is lost where a file system has no locks.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

SUFFIX = ".partial"
ABANDONED_AFTER = 24 * 3600.0
"""Seconds without a write after which no process writes any more, on any machine."""
LONGEST_NAME = 100
"""Characters of the name that are kept: with the rest, no name is longer than a file system takes."""
_PARTIAL = re.compile(r"\..+\.([0-9a-f]{8})-(\d+)-(\d+)\.\w+\.partial", re.DOTALL)
NOT_KNOWN = 0
"""Where nothing says when a process began: whether it has ended is not known either."""
_SAME_START = 2
"""Seconds by which two readings of when one process began may differ."""


def prefix_of(name: str) -> str:
    """Return how the name of a partial file or folder of this process begins.

    Args:
        name: What it is called when it is whole.
    """
    return f".{name[:LONGEST_NAME]}.{machine()}-{os.getpid()}-{_start_of(os.getpid())}."


@cache
def machine() -> str:
    """Return eight digits that name this machine since it was started, and this container if it is one."""
    known = [platform.node()]
    with suppress(OSError):  # Linux
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        known.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:8]


def remove_abandoned(folder: Path, deep: bool = False) -> None:
    """Remove the partial files and folders that no process writes any more.

    Args:
        folder: Where they lie.
        deep: Whether also anywhere below it; default no.
    """
    with suppress(OSError):
        found: Iterable[Path] = folder.rglob(f".*{SUFFIX}") if deep else folder.glob(f".*{SUFFIX}")
        for path in list(found):
            if _is_abandoned(path):
                _remove(path)


@cache
def tidy_once(folder: Path) -> None:
    """Remove what is abandoned directly in a folder, the first time that this process writes there."""
    remove_abandoned(folder)


def _is_abandoned(path: Path) -> bool:
    name = _PARTIAL.fullmatch(path.name)
    if name is None:  # of another program
        return False
    if name[1] == machine() and int(name[3]) != NOT_KNOWN and _has_ended(int(name[2]), int(name[3])):
        return True
    try:
        return time.time() - path.lstat().st_mtime > ABANDONED_AFTER
    except OSError:
        return False


@cache
def _start_of(process: int) -> int:
    import psutil

    try:
        return int(psutil.Process(process).create_time())
    except (psutil.Error, OSError):  # no /proc
        return NOT_KNOWN


def _has_ended(process: int, start: int) -> bool:
    import psutil

    try:
        found = psutil.Process(process)
        return bool(found.status() == psutil.STATUS_ZOMBIE or abs(found.create_time() - start) > _SAME_START)
    except (psutil.NoSuchProcess, OverflowError):
        return True
    except psutil.AccessDenied:  # another user's
        return False


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
