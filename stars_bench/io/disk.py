"""Room on the disk, asked for before hours of writing rather than after; and what to say when there is none."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stars_bench.errors import StarsBenchError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""A disk, a quota, or a limit on the size of a file, that is used up."""


class NoRoom(StarsBenchError):
    """The disk is, or would be, full."""


def check_room(out: Path, needed: int) -> None:
    """Raises NoRoom when the disk of `out` has not so many bytes left."""
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise NoRoom(f"{out}: needs {_told(needed)}, {_told(free)} are free in {folder}")


def reason(error: Exception) -> str:
    """Why a file could not be read or written, in a few words."""
    if is_full(error):
        return "the disk (or a quota) is full; make room and run the same again, it goes on from what is there"
    return getattr(error, "strerror", None) or str(error)


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk is full; HDF5 says so in its text only."""
    return getattr(error, "errno", None) in FULL or any(f"errno = {number}," in str(error) for number in FULL)


@contextmanager
def full_is_told(out: Path) -> Iterator[None]:
    """Inside, a disk that turns out to be full while `out` is written becomes one line."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # torch's writer wraps what the stream below it has raised.
        if is_full(error) or "inline_container" in str(error):
            raise NoRoom(f"{out}: could not be written, the disk is full; what was there before is kept") from error
        raise


def _told(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
