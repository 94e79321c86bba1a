"""Small archives for the tests, and what reading them gives."""

from __future__ import annotations

import io
import random
import re
import struct
import tarfile
import zipfile
from pathlib import Path

import py7zr

from stars_bench.datasets.raw_files.sources import read, walk
from stars_bench.errors import StarsBenchError

TEXTS = re.compile(r".*\.txt")
CONTENT = {f"some/folder/{number}.txt": random.Random(number).randbytes(400).hex().encode() for number in range(30)}


def write_zip(path: Path, content: dict[str, bytes] = CONTENT, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def with_promise(path: Path, size: int) -> Path:
    """Has the directory of a zip of one member promise another size."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, size)
    path.write_bytes(data)
    return path


def write_7z(
    path: Path, content: dict[str, bytes] = CONTENT, password: str | None = None, hidden: bool = False
) -> Path:
    with py7zr.SevenZipFile(path, "w", password=password, header_encryption=hidden) as archive:
        for name, data in content.items():
            archive.writestr(data, name)
    return path


def write_tar(path: Path, content: dict[str, bytes] = CONTENT, kind: str = "") -> Path:
    with tarfile.open(path, f"w:{kind}") as archive:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def everything(path: Path, scratch: Path | None = None) -> dict[str, bytes]:
    return {name: read(source) for name, source in walk([path], TEXTS, scratch)}


def result(path: Path, scratch: Path | None = None) -> dict[str, bytes] | str:
    """The contents, or the error's message."""
    try:
        return everything(path, scratch)
    except StarsBenchError as error:
        return str(error)


def expected(content: dict[str, bytes] = CONTENT) -> dict[str, bytes]:
    return {name.rpartition("/")[2]: data for name, data in content.items()}


def snapshot(folder: Path) -> list[tuple[str, int, int]]:
    paths = [folder, *folder.rglob("*")]
    return sorted((str(path), path.lstat().st_size, path.lstat().st_mtime_ns) for path in paths)
