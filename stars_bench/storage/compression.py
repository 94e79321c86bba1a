"""How the coordinates of a shard are packed: rows (n, V, 3) float32 into an HDF5 dataset, and out of it.

`gzip` is HDF5's own byte shuffle and deflate, which every HDF5 program reads. The chunks are made here and not by HDF5,
for speed: of the four bytes of a float32 coordinate the highest (sign and exponent) packs to a sixth and the lowest a
little, but the two between do not pack at all, and are stored as they are (RFC 1951, 3.2.4); and ISA-L (package isal)
does the rest ten times faster than the zlib inside HDF5. `docs/performance.md` has what else was measured.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType, ModuleType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from stars_bench.io.allowance import cpus

fast_zlib: ModuleType
try:
    from isal import isal_zlib as fast_zlib
except ImportError:  # no wheel for this machine: the same format, slower
    fast_zlib = zlib

COMPRESSIONS: Mapping[str, str] = MappingProxyType(
    {
        "gzip": "byte shuffle and deflate: a quarter smaller",
        "none": "as in memory: read fastest",
    }
)
"""What `--compression` can be, and what it means."""
DEFAULT = "gzip"

LARGEST_CHUNK = 1 << 16  # rows that a chunk of anybody may have
CHUNK_ROWS = 2_048  # at most; 600 KB with 25 joints: larger chunks are hardly smaller when packed, and cost `clip` more
LEVEL = 1
WORTH_PACKING = (0, 3)  # of the four bytes of a number, the lowest being 0
ZLIB_HEADER, LAST_BLOCK = b"\x78\x01", b"\x01\x00\x00\xff\xff"  # the latter is empty
STORED_BLOCK, LONGEST_STORED = struct.Struct("<BHH"), 0xFFFF
READERS = 8  # threads at most


def write_rows(
    file: h5py.File, name: str, blocks: Sequence[NDArray[np.float32]], joints: int, compression: str
) -> None:
    """Write blocks of rows (n, joints, 3) as the dataset `name`: chunked and packed, or contiguous with "none".

    A chunk at a time: a shard's clips are in memory once, not twice.
    """
    rows = sum(map(len, blocks))
    chunk = math.ceil(rows / math.ceil(rows / CHUNK_ROWS)) if rows else 0  # even, since HDF5 stores whole chunks
    packing: Mapping[str, Any] = {}
    if rows and compression == "gzip":
        packing = {"compression": "gzip", "compression_opts": LEVEL, "shuffle": True, "chunks": (chunk, joints, 3)}
    dataset = file.create_dataset(name, (rows, joints, 3), "<f4", track_times=False, **packing)
    for number, portion in enumerate(_portions(blocks, chunk, joints)):
        first = number * chunk
        if packing:
            dataset.id.write_direct_chunk((first, 0, 0), deflate(shuffled(portion)))
        else:
            dataset[first : first + chunk] = portion[: rows - first]


def _portions(blocks: Sequence[NDArray[np.float32]], rows: int, joints: int) -> Iterator[NDArray[np.float32]]:
    """Yield the same rows, so many at a time, the last filled up with zeros. Each is overwritten by the next."""
    portion = np.zeros((rows, joints, 3), "<f4")
    filled = 0
    for block in blocks:
        at = 0
        while at < len(block):
            taken = min(rows - filled, len(block) - at)
            portion[filled : filled + taken] = block[at : at + taken]
            at, filled = at + taken, filled + taken
            if filled == rows:
                yield portion
                filled = 0
    if filled:
        portion[filled:] = 0
        yield portion


def read_rows(dataset: h5py.Dataset, out: NDArray[np.float32], first: int = 0, threads: int | None = None) -> None:
    """Fill `out` with rows of a dataset that `write_rows` wrote.

    Args:
        dataset: (rows, V, 3) float32.
        out: (n, V, 3) float32, contiguous.
        first: The row that `out` begins with; default 0.
        threads: That unpack; default one a core, at most READERS.

    Raises:
        OSError: The dataset is damaged.
        ValueError: The dataset is damaged.
    """
    if not len(out):
        return
    if dataset.chunks is None:
        dataset.read_direct(out, np.s_[first : first + len(out)])
        return
    chunk: int = dataset.chunks[0]
    size = chunk * out[0].nbytes

    def fill(start: int) -> None:
        begin, end = max(start, first), min(start + chunk, first + len(out))
        planes = np.frombuffer(_unpacked(dataset, start, size), np.uint8).reshape(4, -1)
        skipped = (begin - start) * out[0].size
        unshuffle(planes[:, skipped:], out[begin - first : end - first])

    starts = range(first - first % chunk, first + len(out), chunk)
    if len(starts) == 1:
        fill(starts[0])
        return
    with ThreadPoolExecutor(threads or min(READERS, cpus())) as pool:
        for _ in pool.map(fill, starts):
            pass


def _unpacked(dataset: h5py.Dataset, start: int, size: int) -> bytes:
    """Return the bytes of the chunk that begins with a row; not more than a chunk has."""
    unfiltered, packed = dataset.id.read_direct_chunk((start, 0, 0))
    unpacker = fast_zlib.decompressobj()
    try:
        planes: bytes = unpacker.decompress(packed, size)
        rest = unpacker.decompress(unpacker.unconsumed_tail, 1) if len(planes) == size else b""
    except (zlib.error, fast_zlib.error) as error:
        raise OSError(f"rows {start} and on cannot be unpacked: {error}") from error
    if unfiltered or len(planes) != size or rest or not unpacker.eof:
        raise OSError(f"rows {start} and on cannot be unpacked: they are no chunk of {size:,} bytes")
    return planes


def deflate(planes: NDArray[np.uint8]) -> bytes:
    """Return a zlib stream (RFC 1950) of four planes of bytes, those packed that are worth it."""
    pieces: list[bytes | memoryview] = [ZLIB_HEADER]
    for number, plane in enumerate(planes):
        if number in WORTH_PACKING:
            packer = fast_zlib.compressobj(LEVEL, wbits=-zlib.MAX_WBITS)
            pieces += packer.compress(plane), packer.flush(fast_zlib.Z_SYNC_FLUSH)
        else:
            pieces += _stored(plane)
    return b"".join([*pieces, LAST_BLOCK, struct.pack(">I", fast_zlib.adler32(planes))])


def _stored(plane: NDArray[np.uint8]) -> Iterator[bytes | memoryview]:
    for first in range(0, len(plane), LONGEST_STORED):
        part = plane[first : first + LONGEST_STORED]
        yield STORED_BLOCK.pack(0, len(part), len(part) ^ LONGEST_STORED)
        yield part.data


def shuffled(block: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Shuffle bytes as HDF5 does: the first bytes of all numbers, then the second, and so on: (4, n)."""
    return np.ascontiguousarray(block.reshape(-1).view(np.uint8).reshape(-1, 4).T)


def unshuffle(planes: NDArray[np.uint8], block: NDArray[np.float32]) -> None:
    """Undo `shuffled`, into `block`; planes may be longer."""
    numbers = block.reshape(-1).view(np.uint8).reshape(-1, 4)
    for byte in range(4):
        numbers[:, byte] = planes[byte, : len(numbers)]
