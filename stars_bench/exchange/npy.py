"""One `.npy` array as a stream: header and blocks of rows, in and out, never the whole array.

Format: numpy.lib.format. A stream is an open file or a member of a zip (`.npz`), compressed or not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray


def write(stream: IO[bytes], dtype: str, shape: tuple[int, ...], blocks: Iterable[NDArray[Any]]) -> None:
    """Writes an array whose rows come in blocks, with the bytes that `np.save` would write."""
    npy.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    for block in blocks:
        stream.write(np.ascontiguousarray(block, dtype=dtype).data)


class Rows:
    """The rows of an array in a stream, read once from the first to the last.

    Raises:
        ValueError: no `.npy`, an array of objects, or one in Fortran's order.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        version = npy.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"an array of .npy version {version[0]}.{version[1]}, expected 1.0 or 2.0")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        self.shape, fortran, self.dtype = read(stream)
        if self.dtype.hasobject or self.dtype.kind not in "biuf":
            raise ValueError(f"an array of {self.dtype}, expected numbers")
        if fortran and len(self.shape) > 1:
            raise ValueError("an array in Fortran's order; save it with np.ascontiguousarray")
        self.bytes_per_row = math.prod(self.shape[1:]) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0] if self.shape else 0

    def blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        """Blocks of so many rows, the last one shorter.

        Raises:
            ValueError: the stream ends before the array does.
        """
        for first in range(0, len(self), rows):
            shape = (min(rows, len(self) - first), *self.shape[1:])
            data = self._stream.read(shape[0] * self.bytes_per_row)
            if len(data) != shape[0] * self.bytes_per_row:
                raise ValueError(f"cut off: {len(self):,} rows expected, the file ends in or after row {first:,}")
            yield np.frombuffer(data, self.dtype).reshape(shape)
