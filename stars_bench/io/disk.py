"""Room on the disk, asked for before hours of writing rather than after; and what to say when there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stars_bench.errors import StarsBenchError, cause, disk_failed, is_disk_full


class NoRoom(StarsBenchError):
    """The disk is, or would be, full."""


def check_room(out: Path, needed: int) -> None:
    """Raise NoRoom when the disk of `out` has not so many bytes left."""
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise NoRoom(f"{out}: needs {_told(needed)}, {_told(free)} are free in {folder}")


@contextmanager
def full_is_told(out: Path) -> Iterator[None]:
    """Turn an error of a full disk, while `out` is written, into one line."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # torch's writer wraps what the stream below it has raised.
        below = error.__cause__ or error.__context__ or error
        kept = "what was there before is kept"
        if is_disk_full(error) or is_disk_full(below) or ("inline_container" in str(error) and not disk_failed(below)):
            raise NoRoom(f"{out}: could not be written, the disk is full; {kept}") from error
        if below is not error and disk_failed(below):
            raise StarsBenchError(f"{out}: could not be written ({cause(below)}); {kept}") from error
        raise


def _told(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
