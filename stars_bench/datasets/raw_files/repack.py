"""Archives that can only be read from their start (.7z, .tar, packed .tar), repacked once as a zip without compression.

Only members of wanted names are taken. They go from the archive straight into one zip in a scratch folder and are read
from there like those of any zip; no member's name is ever used as a path. The zip is named after what the archive is
(path, size, time), so a run that was killed finds it again, and is whole or not there.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import math
import os
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from stars_bench.datasets.raw_files.zip import LARGEST, base_name, is_hidden
from stars_bench.errors import StarsBenchError, one_line
from stars_bench.io import files
from stars_bench.io.partial import remove_abandoned

Progress = Callable[[str, int, int], None]
"""Called with a task, how much of it is done, and how much there is."""

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
SUFFIXES = (".7z", *TARS)
LAYOUT = 1  # raised when zips that an earlier version left are of no use any more
MEGABYTE = 1_000_000
END_OF_TAR = 512  # zeros, at least
OPENERS: dict[str, Callable[..., Any]] = {  # by suffix
    ".gz": gzip.open,
    ".tgz": gzip.open,
    ".bz2": bz2.open,
    ".tbz2": bz2.open,
    ".xz": lzma.open,
    ".txz": lzma.open,
}


def repacked(
    archive: Path, wanted: re.Pattern[str], scratch: Path | None, progress: Progress | None = None
) -> Path | None:
    """Return the zip that holds an archive's wanted members; None if there are none.

    Args:
        archive: The archive.
        wanted: What a member's name, without its folders, must match from end to end.
        scratch: Folder for the zip; it is created if needed. None: an archive is an error.
        progress: Called with megabytes. Default: None.

    Raises:
        StarsBenchError: The archive is damaged, encrypted, or holds what no raw folder does; or there is no scratch
            folder, no room, or no py7zr.
    """
    is_7z = archive.name.lower().endswith(".7z")
    try:
        sizes = _sizes_in_7z(archive, wanted) if is_7z else None
        if sizes == {}:
            return None
        if scratch is None:
            raise StarsBenchError(f"{archive}: must be unpacked first; unpack it and give the folder")
        path = scratch / f"{archive.name}-{_identity(archive, wanted)}.zip"
        if path.exists():
            return path
        remove_abandoned(scratch)  # a run that was killed may have left gigabytes
        with files.atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as target:
            add = _adder(archive, target)
            if sizes is not None:
                _from_7z(archive, sizes, scratch, add, progress)
            else:
                _from_tar(archive, wanted, add, progress)
    except OSError as error:
        raise StarsBenchError(f"{archive}: cannot be unpacked to {scratch} ({one_line(error)})") from error
    return path


def member_names(archive: Path, most: int) -> list[str]:
    """Return the names of an archive's files, the first `most` of a tar, which is read from its start.

    Raises:
        StarsBenchError: It cannot be read as what its suffix says.
    """
    if archive.name.lower().endswith(".7z"):
        return list(_sizes_in_7z(archive, re.compile(".*", re.DOTALL)))
    with _tar(archive) as (_, _, members):
        return [one.name for one in islice(members, most) if one.isreg() and not is_hidden(one.name)]


def _identity(archive: Path, wanted: re.Pattern[str]) -> str:
    state = archive.stat()
    what = (LAYOUT, os.fsencode(archive.resolve()), state.st_size, state.st_mtime_ns, wanted.pattern, wanted.flags)
    return hashlib.sha256(repr(what).encode()).hexdigest()[:16]


def _adder(archive: Path, target: zipfile.ZipFile) -> Callable[[str, bytes], None]:
    names: set[str] = set()

    def add(name: str, content: bytes) -> None:
        if name in names:
            raise StarsBenchError(f"{archive}: it holds {name} twice; pack it anew")
        names.add(name)
        printable = name.encode("utf-8", "backslashreplace").decode()  # a tar's name may be in any encoding
        target.writestr(zipfile.ZipInfo(printable), content)

    return add


def _sizes_in_7z(archive: Path, wanted: re.Pattern[str]) -> dict[str, int]:
    try:
        from stars_bench.datasets.raw_files import seven_zip
    except ImportError as error:
        raise StarsBenchError(f"{archive}: needs py7zr ({error}); pip install py7zr, or unpack it") from error
    sizes = seven_zip.wanted_members(archive, wanted)
    for name, size in sizes.items():
        _check_size(archive, name, size)
    return sizes


def _from_7z(
    archive: Path,
    sizes: dict[str, int],
    scratch: Path,
    add: Callable[[str, bytes], None],
    progress: Progress | None,
) -> None:
    from stars_bench.datasets.raw_files import seven_zip

    total, done = sum(sizes.values()), 0
    if total > (free := shutil.disk_usage(scratch).free):
        raise StarsBenchError(f"{archive}: unpacked it has {total:,} bytes, but {scratch} has room for {free:,} only")

    def take(name: str, content: bytes) -> None:
        nonlocal done
        add(name, content)
        done += len(content)
        _tell(progress, archive, done, total)

    seven_zip.contents(archive, set(sizes), scratch, take)


def _from_tar(
    archive: Path, wanted: re.Pattern[str], add: Callable[[str, bytes], None], progress: Progress | None
) -> None:
    total = archive.stat().st_size
    with _tar(archive) as (raw, stream, members):
        for member in members:
            _tell(progress, archive, raw.tell(), total)
            # isreg: links and devices are no content
            if not member.isreg() or is_hidden(member.name) or not wanted.fullmatch(base_name(member.name)):
                continue
            _check_size(archive, member.name, member.size)
            if (content := members.extractfile(member)) is not None:
                add(member.name, content.read())
        _check_end(raw, stream)
    _tell(progress, archive, total, total)


@contextmanager
def _tar(archive: Path) -> Iterator[tuple[BinaryIO, BinaryIO, tarfile.TarFile]]:
    """Open an archive: its file, the stream of its content, and its members.

    Raises:
        StarsBenchError: It is damaged.
    """
    unpack = OPENERS.get(archive.suffix.lower(), _as_it_is)
    try:
        with (
            archive.open("rb") as raw,
            unpack(raw) as stream,
            tarfile.open(fileobj=stream, mode="r|") as members,
        ):
            yield raw, stream, members
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise StarsBenchError(f"{archive}: cannot be read as a tar archive ({error}); fetch it again") from error


@contextmanager
def _as_it_is(raw: BinaryIO) -> Iterator[BinaryIO]:
    yield raw


def _check_end(raw: BinaryIO, stream: BinaryIO) -> None:
    """Check that an archive was not cut off between two members or in a header, which tarfile does not notice."""
    if stream is raw:
        raw.seek(-min(END_OF_TAR, raw.seek(0, os.SEEK_END)), os.SEEK_END)
        if any(raw.read()):
            raise EOFError("it is cut off")
    while stream.read(MEGABYTE):  # reads and checks a packed one's own end
        pass


def _check_size(archive: Path, name: str, size: int) -> None:
    if size > LARGEST:
        raise StarsBenchError(f"{archive}: {name} has {size:,} bytes, more than any raw file; fetch the archive again")


def _tell(progress: Progress | None, archive: Path, done: int, total: int) -> None:
    if progress is not None:
        progress(f"unpack {archive.name} (MB)", math.ceil(done / MEGABYTE), math.ceil(total / MEGABYTE))
