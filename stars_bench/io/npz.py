"""Arrays of a sealed `.npz`, read without unpickling, and without taking more memory than such a file needs."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.io.sealed import Damaged, check, is_io_error, refuse_odd

LARGEST = 64 << 30
SMALL, PACKED_AT_MOST = 256 << 20, 64
"""Bytes that any file may unpack to, and how many times its size a larger one may: labels and names pack to a tenth."""


@contextmanager
def opened(file: Path, sealed: bool = False) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Yield the arrays of a file by name; each is read when it is asked for.

    Args:
        file: what np.savez or np.savez_compressed wrote.
        sealed: whether a file without a digest counts as damaged; default no, for files of older versions.

    Raises:
        Damaged: its digest differs, it is no such file, or it unpacks to more than any such file.
        StarsBenchError: it is no regular file, or larger than any of ours.
        KeyError: an array that was asked for is not there.
        OSError: it cannot be read.
    """
    refuse_odd(file, LARGEST)
    if not check(file) and sealed:
        raise Damaged(f"{file}: damaged: it carries no digest")
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            _refuse_bomb(stored.zip, file.stat().st_size)
            yield stored
    except (OSError, ValueError, EOFError, AttributeError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        if is_io_error(error):
            raise
        raise Damaged(f"{file}: damaged ({error})") from error


def _refuse_bomb(archive: zipfile.ZipFile, size: int) -> None:
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max(SMALL, PACKED_AT_MOST * size):
        raise ValueError(f"it unpacks to {unpacked:,} bytes, more than any file of its size")
