"""The HDF5 file of a shard: created for `shards.write_shard`, and opened only if it is what that writes.

A shard may come from anybody. HDF5 can name other files (external links, external storage, virtual datasets), load
filters from other libraries, claim any size and unpack a thousandfold; a shard does none of it, so none is followed.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xxhash
from numpy.typing import NDArray

from stars_bench.errors import StarsBenchError
from stars_bench.io.sealed import Damaged, is_io_error, refuse_odd
from stars_bench.storage import compression
from stars_bench.storage.clip_facts import DISTINCT, EMPTY, FACTS, FIRST_BODY, SECOND, VALID

NAME = re.compile(r"shard-\d+\.h5")
NUMBERS = ("label", "subject", "camera", "setup", "replication", "num_frames", "num_bodies", "offset")
PICTURE = ("height", "width")
"""Further columns of clips in pixels: the size of the picture."""
TEXTS = ("name", "item", "digest", "content")
COORDINATES = "joints"
LARGEST = 1 << 40
LONGEST_TEXT = 4_096
"""Bytes that a name or a digest has at most; the log of a conversion is one text of any length."""
PACKED_AT_MOST = 4
"""How many times its size on disk the coordinates may unpack to: two of the four bytes of a number are never packed."""
HDF5_ERRORS = (OSError, KeyError, ValueError, TypeError, RuntimeError, IndexError, AttributeError, OverflowError)
"""What h5py raises where a file is damaged."""
_ERRNO = re.compile(r"errno = (\d+)")

Columns = dict[str, NDArray[Any]]


class _Held(io.FileIO):
    """A file that keeps the first error of writing, for HDF5 cannot close a file that refuses a write."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all bytes, or none after an error; say that all were written."""
        left = view = memoryview(data).cast("B")
        try:
            while self.error is None and left:
                left = left[super().write(left) :]
        except OSError as error:
            self.error = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Change the file's size, unless an error came before."""
        try:
            return super().truncate(size) if self.error is None else size or 0
        except OSError as error:
            self.error = error
            return size or 0


@contextmanager
def created(path: Path) -> Iterator[h5py.File]:
    """Create an HDF5 file to write into; it is closed at the end, whatever happens.

    Raises:
        OSError: It cannot be written, such as on a full disk: the system's own error.
    """
    with _Held(path, "w+") as stream:
        try:
            with h5py.File(stream, "w", libver="earliest", track_order=False) as file:
                yield file
        finally:
            if stream.error is not None:
                raise stream.error


@contextmanager
def opened(path: Path, columns: bool = True) -> Iterator[h5py.File]:
    """Open a shard to read, with no lock: shards are never changed, and not every file system has locks.

    Args:
        path: The shard.
        columns: Whether more than the coordinates is to be read; default yes.

    Raises:
        Damaged: It is cut off or damaged, or holds what no shard has.
        StarsBenchError: It is no regular file.
        OSError: It is not there or cannot be read.
    """
    refuse_odd(path, LARGEST)
    with path.open("rb"):
        pass  # an error of the disk or its permissions, in the words of the system
    try:
        with h5py.File(path, "r", locking=False) as file:
            for name in (*columns_of(file), "log") if columns else ():
                _check(file, name)
            _check(file, COORDINATES)
            yield file
    except HDF5_ERRORS as error:
        number = _ERRNO.search(str(error))
        if number and is_io_error(failed := OSError(int(number[1]), os.strerror(int(number[1])), str(path))):
            raise failed from error
        if is_io_error(error):
            raise
        raise Damaged(f"{path}: missing or damaged ({error})") from error


def _check(file: h5py.File, name: str) -> None:
    """Refuse a dataset that is another than a shard's, before a byte of it is read."""
    # h5py's own objects, which a run of 400 shards would make 6,000 of, take twice as long.
    links, key = file.id.links, name.encode()
    is_own = links.exists(key) and links.get_info(key).type == h5py.h5l.TYPE_HARD
    found = h5py.h5o.open(file.id, key) if is_own else None
    if not isinstance(found, h5py.h5d.DatasetID):
        raise TypeError(f"refused: {name} is {type(file.get(name, getlink=True)).__name__}, not a dataset of this file")
    made, kind = found.get_create_plist(), found.dtype
    if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count():
        raise ValueError(f"refused: {name} lies in other files")
    filters = [made.get_filter(number)[0] for number in range(made.get_nfilters())]
    packed = name == COORDINATES and filters == [h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE]
    if (filters or made.get_layout() == h5py.h5d.CHUNKED) and not packed:
        raise ValueError(f"refused: {name} is packed by filters {filters}, as no shard is")
    known = {COORDINATES: kind == "<f4"} | dict.fromkeys((*NUMBERS, *FACTS, *PICTURE), kind == "<i8")
    if not known.get(name, kind.kind == "S") or found.rank != (3 if name == COORDINATES else 1):
        raise ValueError(f"refused: {name} is an array of {kind} in {found.rank} dimensions")
    if name in TEXTS and kind.itemsize > LONGEST_TEXT:
        raise ValueError(f"refused: {name} has texts of {kind.itemsize:,} bytes")
    stored, claimed = found.get_storage_size(), math.prod(found.shape) * kind.itemsize
    if claimed > stored * (PACKED_AT_MOST if packed else 1) or stored > file.id.get_filesize():
        raise ValueError(f"refused: {name} claims {claimed:,} bytes, but the file holds {stored:,}")
    if packed and (made.get_chunk()[1:] != found.shape[1:] or made.get_chunk()[0] > compression.LARGEST_CHUNK):
        raise ValueError(f"refused: {name} has chunks of {made.get_chunk()}")


def read_columns(file: h5py.File) -> Columns:
    """Read all columns of a shard, one entry a clip."""
    return {name: file[name][()] for name in columns_of(file)}


def columns_of(found: h5py.File | Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the columns of a shard, by the file or by its columns."""
    some = [names for names in (FACTS, PICTURE) if any(name in found for name in names)]
    return (*NUMBERS, *(name for names in some for name in names), *TEXTS)


def digest_of_columns(columns: Mapping[str, NDArray[Any]], attributes: Mapping[str, Any]) -> str:
    """Return the XXH3-128 (hex) of everything in a shard but its coordinates, whose digests are a column.

    Args:
        columns: Those of `read_columns`.
        attributes: Attributes of the file.
    """
    hasher = xxhash.xxh3_128(json.dumps({name: str(attributes[name]) for name in sorted(attributes)}).encode())
    for name in columns_of(columns):
        column = columns[name]
        hasher.update(f"\n{name} {column.dtype.str} {column.shape}\n".encode())
        hasher.update(np.ascontiguousarray(column).tobytes())
    return hasher.hexdigest()


def faults_of_columns(
    columns: Mapping[str, NDArray[Any]], shape: tuple[int, ...], entry: Mapping[str, Any], joints: int
) -> Iterator[str]:
    """Find counts and offsets by which no clip can be read.

    Args:
        columns: Those of `read_columns`.
        shape: Shape of the coordinates.
        entry: The shard's entry in the index.
        joints: Number of joints of the skeleton.

    Yields:
        One line a fault.
    """
    clips, rows = entry["clips"], entry["rows"]
    lengths = {name: len(column) for name, column in columns.items() if len(column) != clips}
    if lengths:
        name, length = next(iter(lengths.items()))
        yield f"column {name} has {length} entries, the index says {clips} clips"
        return
    if shape != (rows, joints, 3):
        yield f"coordinates have shape {shape}, the index says {(rows, joints, 3)}"
        return
    frames, bodies = columns["num_frames"], columns["num_bodies"]
    if clips and not (0 < frames.min() <= frames.max() <= rows and set(bodies.tolist()) <= {1, 2}):
        yield "a clip has no frame, more than the shard, or a number of bodies that is neither 1 nor 2"
        return
    counts = bodies * frames
    if not np.array_equal(columns["offset"], np.cumsum([0, *counts])[:-1]) or counts.sum() != rows:
        yield "the offsets do not follow from the numbers of frames and bodies"
    if clips and VALID in columns and not _are_facts(columns):
        yield f"{VALID}, {FIRST_BODY} or {SECOND} say what cannot be of clips of so many frames and bodies"


def _are_facts(columns: Mapping[str, NDArray[Any]]) -> bool:
    """Whether numbers of frames are within the clips, and there is a second body where it is said to be something."""
    frames, second = columns["num_frames"], columns[SECOND]
    counts = all(((columns[name] >= 1) & (columns[name] <= frames)).all() for name in (VALID, FIRST_BODY))
    return bool(counts and (((second >= DISTINCT) & (second <= EMPTY)) == (columns["num_bodies"] == 2)).all())


def as_texts(values: NDArray[Any]) -> list[str]:
    """Decode a column of texts.

    Raises:
        StarsBenchError: They are not UTF-8.
    """
    try:
        return [value.decode() for value in values.tolist()]
    except UnicodeDecodeError as error:
        raise StarsBenchError(f"a text that is not UTF-8 ({error})") from error
