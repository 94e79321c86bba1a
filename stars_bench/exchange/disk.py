"""Room on the disk, asked for before hours of writing rather than after."""

from __future__ import annotations

import shutil
from pathlib import Path

from stars_bench.api import StarsBenchError


def check_room(out: Path, needed: int) -> None:
    """Raises StarsBenchError when the disk of `out` has not so many bytes left."""
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StarsBenchError(f"{out}: needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free in {folder}")
