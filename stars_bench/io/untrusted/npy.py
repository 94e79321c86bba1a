"""NumPy's files: one `.npy` array as a stream, in and out, never the whole of it; and the arrays of our own `.npz`.

Format: numpy.lib.format. A stream is an open file or a member of a zip (`.npz`), compressed or not.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from stars_bench.io import allowance
from stars_bench.io.sealed import Damaged, check, is_io_error, refuse_odd

LARGEST_NPZ = 64 << 30
SMALL, PACKED_AT_MOST = 256 << 20, 64
"""Bytes that any file may unpack to, and how many times its size a larger one may: labels and names pack to a tenth."""
LARGEST_HEADER = 10_000  # bytes, as NumPy's own limit
LARGEST_BLOCK = 64 << 20  # bytes of a row, and of what is in memory at once; a clip has 180 KB
MOST_ROWS = 1 << 20  # ten times the clips of NTU RGB+D 120


def write(stream: IO[bytes], dtype: str, shape: tuple[int, ...], blocks: Iterable[NDArray[Any]]) -> None:
    """Write an array whose rows come in blocks, with the bytes that `np.save` would write."""
    npy.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    for block in blocks:
        stream.write(np.ascontiguousarray(block, dtype=dtype).data)


class Rows:
    """The rows of an array in a stream, read once from the first to the last.

    Raises:
        ValueError: No `.npy`, a damaged one, an array of objects or in Fortran's order, or a size that none has.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.shape, fortran, self.dtype = _header(stream)
        if self.dtype.hasobject or self.dtype.kind not in "biuf":
            raise ValueError(f"an array of {self.dtype}, expected numbers")
        if fortran and len(self.shape) > 1:
            raise ValueError("an array in Fortran's order; save it with np.ascontiguousarray")
        self.bytes_per_row = math.prod(self.shape[1:]) * self.dtype.itemsize
        if min(self.shape, default=0) < 0 or len(self) > MOST_ROWS or self.bytes_per_row > LARGEST_BLOCK:
            raise ValueError(f"claims an array of shape {str(self.shape)[:80]}, larger than any of clips")

    def __len__(self) -> int:
        return self.shape[0] if self.shape else 0

    def blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        """Yield blocks of so many rows, fewer where these are large; the last one shorter.

        Raises:
            ValueError: The stream ends before the array does.
        """
        rows = min(rows, max(1, LARGEST_BLOCK // max(self.bytes_per_row, 1)))
        for first in range(0, len(self), rows):
            shape = (min(rows, len(self) - first), *self.shape[1:])
            data = self._stream.read(shape[0] * self.bytes_per_row)
            if len(data) != shape[0] * self.bytes_per_row:
                raise ValueError(f"cut off: {len(self):,} rows expected, the file ends in or after row {first:,}")
            yield np.frombuffer(data, self.dtype).reshape(shape)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, Fortran's order or not, and dtype.

    Reads no more than a header may have, even if it claims more.
    """
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"an array of .npy version {version[0]}.{version[1]}, expected 1.0 or 2.0")
    told = stream.read(2 * version[0])
    if int.from_bytes(told, "little") > LARGEST_HEADER:
        raise ValueError("a damaged header of .npy")
    header = io.BytesIO(told + stream.read(int.from_bytes(told, "little")))
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's and NumPy's doubts about odd or old headers
            return read(header)
    except Exception as error:  # it is evaluated as Python's literals, which can fail in any way
        raise ValueError("a damaged header of .npy") from error


@contextmanager
def opened_npz(file: Path, sealed: bool = False) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Yield the arrays of a file by name; each is read when it is asked for.

    Args:
        file: What np.savez or np.savez_compressed wrote.
        sealed: Whether a file without a digest counts as damaged; default no, for files of older versions.

    Raises:
        Damaged: Its digest differs, it is no such file, or it unpacks to more than any such file.
        StarsBenchError: It is no regular file, or larger than any of ours, or there is too little memory for it.
        KeyError: An array that was asked for is not there.
        OSError: It cannot be read.
    """
    refuse_odd(file, LARGEST_NPZ)
    if not check(file) and sealed:
        raise Damaged(f"{file}: damaged: it carries no digest")
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            _refuse_bomb(stored.zip, file.stat().st_size)
            try:
                yield stored
            except MemoryError as error:
                if _promises_more(stored.zip):
                    raise
                raise allowance.too_little_memory(file, error) from error
    except (OSError, ValueError, EOFError, AttributeError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        if is_io_error(error):
            raise
        raise Damaged(f"{file}: damaged ({error})") from error


def _promises_more(archive: zipfile.ZipFile) -> bool:
    """Return whether the header of an array promises more bytes than its member has."""
    for member in archive.infolist():
        with archive.open(member) as stream:
            shape, _, dtype = _header(stream)
        if math.prod(shape) * dtype.itemsize > member.file_size:
            return True
    return False


def _refuse_bomb(archive: zipfile.ZipFile, size: int) -> None:
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max(SMALL, PACKED_AT_MOST * size):
        raise ValueError(f"it unpacks to {unpacked:,} bytes, more than any file of its size")
