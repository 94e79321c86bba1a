"""Zip archives read in place: the directory once, then each member straight from its place, by any process.

An archive is opened once a process and read at given positions (pread), so forked workers can share it. Inflating takes
most of the time: ISA-L does it at more than twice zlib's speed, and is used where it is installed.
"""

from __future__ import annotations

import bz2
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple, cast

try:
    from isal import isal_zlib as inflater
except ImportError:  # no wheel for this machine: the same results, slower
    import zlib as inflater  # type: ignore[no-redef]

crc32: Callable[[bytes], int] = inflater.crc32

INFLATE_ERROR = cast(type[Exception], inflater.error)
DAMAGE = (INFLATE_ERROR, lzma.LZMAError, OSError, EOFError, ValueError)  # what unpacking may raise
STORED, DEFLATED, BZIP2, LZMA = 0, 8, 12, 14
ENCRYPTED = -1
LOCAL_HEADER = struct.Struct("<4s22xHH")  # before a member: its mark, the lengths of its name and of its extra field
MARK = b"PK\x03\x04"
ROOM = 256  # for name and extra field, read together with the data; where they are longer, a second read follows
LARGEST = 256 << 20  # bytes; the largest raw files have a few million
OPEN_ARCHIVES = 16


class Packed(NamedTuple):
    """Where a member is in its archive, and how it is packed.

    Args:
        size: Size after unpacking, in bytes.
        crc: CRC-32 of the content.
        offset: Position of the member's header in the archive.
        length: Size in the archive, in bytes.
        method: Compression method, as in the zip format.
        changed: The archive's time of last change.
    """

    size: int
    crc: int
    offset: int
    length: int  # of the packed data
    method: int
    changed: int  # nanoseconds of the archive's last change when its directory was read


def directory(path: Path) -> dict[str, Packed]:
    """Return the files in an archive, in its order; folders, hidden files and those of macOS are left out.

    Raises:
        zipfile.BadZipFile: The file is not a zip archive, is damaged, or holds a name twice.
        OSError: The file cannot be read.
    """
    members: dict[str, Packed] = {}
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            changed = os.fstat(file.fileno()).st_mtime_ns
            entries = archive.infolist()
    except (EOFError, NotImplementedError, ValueError, struct.error) as error:
        raise zipfile.BadZipFile(str(error)) from error
    for entry in entries:
        name = entry.filename
        if name.endswith(("/", "\\")) or is_hidden(name):
            continue
        method = ENCRYPTED if entry.flag_bits & 1 else entry.compress_type
        member = Packed(entry.file_size, entry.CRC, entry.header_offset, entry.compress_size, method, changed)
        if members.setdefault(name, member) is not member:
            raise zipfile.BadZipFile(f"it holds {name} twice")
    return members


def is_hidden(name: str) -> bool:
    """Return whether a member is no content: a hidden file, or what macOS adds."""
    return base_name(name).startswith(".") or name.startswith("__MACOSX") or "/__MACOSX/" in name


def base_name(member: str) -> str:
    """Return a member's name without its folders, whichever system wrote the archive."""
    return member.replace("\\", "/").rpartition("/")[2]


def read(path: Path, member: Packed) -> bytes:
    """Return a member's content, checked against its CRC-32; no more is inflated than the directory states.

    Raises:
        zipfile.BadZipFile: The member is damaged, encrypted, packed in an unknown way, or larger than any raw file.
        OSError: The archive cannot be read.
    """
    if max(member.size, member.length) > LARGEST:
        raise zipfile.BadZipFile(f"{member.size:,} bytes, more than any raw file has")
    packed = _packed(path, member, member.length)
    if len(packed) != member.length:
        raise zipfile.BadZipFile("the archive ends before it")
    data = _unpack(packed, member, member.size + 1)
    if len(data) != member.size or crc32(data) != member.crc:
        raise zipfile.BadZipFile("its content is damaged (CRC-32)")
    return data


def head(path: Path, member: Packed, size: int) -> bytes:
    """Return the first bytes of a member, or fewer.

    Raises:
        OSError: As for `read`.
        zipfile.BadZipFile: As for `read`.
    """
    if member.method not in (STORED, DEFLATED):
        return read(path, member)[:size]
    return _unpack(_packed(path, member, min(member.length, 4 * size)), member, size)


def _unpack(packed: memoryview, member: Packed, most: int) -> bytes:
    unpack = UNPACK.get(member.method)
    if unpack is None:
        reason = "encrypted" if member.method == ENCRYPTED else f"packed by method {member.method}, which is not known"
        raise zipfile.BadZipFile(reason)
    try:
        return unpack(packed, member, most)
    except DAMAGE as error:
        raise zipfile.BadZipFile(f"its content is damaged ({error})") from error


def _unlzma(packed: memoryview, member: Packed, most: int) -> bytes:
    """Unpack LZMA: zip keeps its five bytes of properties behind four others; the stand-alone format adds the size."""
    header = bytes(packed[4:9]) + member.size.to_bytes(8, "little")
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=LARGEST)
    return decompressor.decompress(header + packed[9:], most)


UNPACK: Mapping[int, Callable[[memoryview, Packed, int], bytes]] = {
    STORED: lambda packed, _, most: bytes(packed[:most]),
    DEFLATED: lambda packed, _, most: inflater.decompressobj(-zlib.MAX_WBITS).decompress(packed, most),
    BZIP2: lambda packed, _, most: bz2.BZ2Decompressor().decompress(packed, most),
    LZMA: _unlzma,
}


def _packed(path: Path, member: Packed, length: int) -> memoryview:
    """Return the first `length` packed bytes of a member; fewer where the archive ends."""
    archive = _opened(path, member.changed)
    block = archive.read(member.offset, LOCAL_HEADER.size + ROOM + length)
    if len(block) < LOCAL_HEADER.size:
        raise zipfile.BadZipFile("the archive ends before it")
    mark, name, extra = LOCAL_HEADER.unpack_from(block)
    if mark != MARK:
        raise zipfile.BadZipFile("it is not where the archive's directory says")
    start = LOCAL_HEADER.size + name + extra
    if start + length > len(block):
        block, start = archive.read(member.offset + start, length), 0
    return memoryview(block)[start : start + length]


class _Archive:
    """An archive that is open for reading; closed with the last reference to it."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self.lock = Lock()

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)

    def read(self, offset: int, size: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self.descriptor, size, offset)
        with self.lock:  # Windows: it has threads to mind, but no forks
            os.lseek(self.descriptor, offset, os.SEEK_SET)
            return os.read(self.descriptor, size)


@lru_cache(maxsize=OPEN_ARCHIVES)
def _opened(path: Path, changed: int) -> _Archive:
    archive = _Archive(path)
    if os.fstat(archive.descriptor).st_mtime_ns != changed:
        raise zipfile.BadZipFile("the archive has changed since its directory was read; run again")
    return archive


def close_all() -> None:
    """Close the archives that are open in this process."""
    _opened.cache_clear()
