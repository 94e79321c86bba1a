"""Where raw files lie: folders of any shape and zip archives go in, one Source a file comes out; reading them later.

A zip archive is never unpacked: its directory is read once, and each member afterwards straight from its place in the
archive, by any process. Nothing else of an archive is kept, so a worker does not pay for the 57,000 entries of NTU's.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from io import FileIO
from pathlib import Path
from typing import NamedTuple

from stars_bench.api import Source, StarsBenchError, UsageError

LOCAL_HEADER = struct.Struct("<26xHH")  # of a zip member: the lengths of its name and of its extra field
STORED, DEFLATED = 0, 8
OTHER_ARCHIVES = (".7z", ".rar", ".tar", ".tgz", ".gz")


class Place(NamedTuple):
    """Where a source's bytes are. A file: size and time of change. A zip member: also where and how it is packed."""

    size: int
    stamp: int  # of a file: nanoseconds of its last change; of a zip member: CRC-32 of its content
    offset: int = -1
    packed: int = 0
    method: int = STORED


class UnreadableSource(StarsBenchError):
    """A source that cannot be read: damaged, encrypted, gone."""


def raw_folders(raw: Sequence[Path], data_dir: Path, name: str, where: str) -> list[Path]:
    """The raw folders and archives to look in: those given, else $STARS_BENCH_RAW, else DATA_DIR/raw.

    In the default places a folder called like the dataset comes first.

    Raises:
        UsageError: a path does not exist, or there is nothing in the default place: says where to get the files.
    """
    if raw:
        for path in raw:
            if not path.exists():
                raise UsageError(f"--raw {path}: there is no such folder or archive")
            if path.suffix.lower() in OTHER_ARCHIVES:
                raise UsageError(f"--raw {path}: only folders and .zip archives are read; unpack it")
        return list(raw)
    default = Path(os.environ.get("STARS_BENCH_RAW") or data_dir / "raw")
    for folder in (default / name, default):
        if folder.exists():
            return [folder]
    raise UsageError(f"no raw files of {name} in {default} and no --raw given. {where}")


def walk(paths: Iterable[Path]) -> Iterator[Source]:
    """All files below the paths, zip archives opened in place, in a fixed order, each once. Hidden files are left out.

    Raises:
        StarsBenchError: a folder or an archive that cannot be read.
    """
    folders: set[Path] = set()
    files: set[str] = set()
    for path in paths:
        for real, file in [(path.parent.resolve(), path)] if path.is_file() else _files(path, folders):
            if (key := os.path.join(real, file.name)) in files:  # noqa: PTH118 (a hundred thousand Paths are slow)
                continue
            files.add(key)
            if file.suffix.lower() == ".zip":
                yield from (Source(file, member) for member in zip_members(file))
            else:
                yield Source(file)


def _files(folder: Path, seen: set[Path]) -> Iterator[tuple[Path, Path]]:
    """Files below a folder, each with its real folder. A folder seen before (or a link back) is not entered."""
    for parent, folders, names in os.walk(folder, onerror=_refused, followlinks=True):
        real = Path(parent).resolve()
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for name in sorted(names):
            if not name.startswith("."):
                yield real, Path(parent, name)


def _refused(error: OSError) -> None:
    raise StarsBenchError(f"{error.filename}: cannot be read ({error.strerror})") from error


def zip_members(path: Path) -> dict[str, Place]:
    """The files in a zip archive, in the archive's order.

    Raises:
        StarsBenchError: not a zip archive, or a damaged one.
    """
    try:
        state = path.stat()
        return _zip_members(path, state.st_mtime_ns, state.st_size)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
        raise StarsBenchError(f"{path}: cannot be read as a zip archive ({error}); fetch it again") from error


@lru_cache(maxsize=64)
def _zip_members(path: Path, _changed: int, _size: int) -> dict[str, Place]:
    members = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            parts = entry.filename.split("/")
            if entry.is_dir() or parts[-1].startswith(".") or "__MACOSX" in parts:
                continue
            method = -1 if entry.flag_bits & 1 else entry.compress_type
            members[entry.filename] = Place(
                entry.file_size, entry.CRC, entry.header_offset, entry.compress_size, method
            )
    return members


def place_of(source: Source) -> Place:
    """Where a source's bytes are.

    Raises:
        UnreadableSource: the file is gone.
    """
    try:
        if source.member is not None:
            return zip_members(source.path)[source.member]
        state = source.path.stat()
    except (OSError, KeyError) as error:
        raise UnreadableSource(f"{source}: cannot be found ({error})") from error
    return Place(state.st_size, state.st_mtime_ns)


def read(source: Source, place: Place | None = None) -> bytes:
    """A source's bytes; of a zip member, checked against its CRC-32.

    Raises:
        UnreadableSource: gone, damaged, encrypted, or packed in a way that is not known.
    """
    place = place_of(source) if place is None else place
    try:
        with source.path.open("rb", buffering=0) as file:
            return file.read() if source.member is None else _read_member(file, source, place)
    except (OSError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError, struct.error) as error:
        raise UnreadableSource(f"{source}: cannot be read ({error})") from error


def head(source: Source, size: int = 512) -> bytes:
    """The first bytes of a source, or of a zip member what its first packed bytes give; none if it cannot be read."""
    try:
        with source.path.open("rb", buffering=0) as file:
            if source.member is None:
                return file.read(size)
            place = place_of(source)
            if place.method == DEFLATED:
                return zlib.decompressobj(-zlib.MAX_WBITS).decompress(_packed(file, place, 4 * size), size)
            return read(source, place)[:size]
    except (OSError, zlib.error, struct.error, UnreadableSource):
        return b""


def _read_member(file: FileIO, source: Source, place: Place) -> bytes:
    if place.method not in (STORED, DEFLATED):
        with zipfile.ZipFile(source.path) as archive:  # rare: bzip2, lzma, or encrypted (refused there)
            return archive.read(source.member or "")
    data = _packed(file, place, place.packed)
    if place.method == DEFLATED:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        data = unpacker.decompress(data, place.size + 1)  # never more than the directory promised
    if len(data) != place.size or zlib.crc32(data) != place.stamp:
        raise zipfile.BadZipFile("its content is damaged (CRC-32)")
    return data


def _packed(file: FileIO, place: Place, size: int) -> bytes:
    file.seek(place.offset)
    name, extra = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
    file.seek(name + extra, os.SEEK_CUR)
    return file.read(min(size, place.packed))


def same_content(one: Source, other: Source) -> bool:
    """Whether two sources hold the same bytes, judged by size and CRC-32."""
    first, second = place_of(one), place_of(other)
    return first.size == second.size and _checksum(one, first) == _checksum(other, second)


def _checksum(source: Source, place: Place) -> int:
    return place.stamp if source.member is not None else zlib.crc32(read(source, place))


def unique(sources: Iterable[tuple[str, Source]]) -> dict[str, Source]:
    """One source a name. The same content twice is fine (the first is taken).

    Raises:
        StarsBenchError: two sources of one name whose contents differ; names both.
    """
    found: dict[str, Source] = {}
    for name, source in sources:
        first = found.setdefault(name, source)
        if first is not source and not same_content(first, source):
            raise StarsBenchError(f"{name} was found twice with different content: {first} and {source}; remove one")
    return found
