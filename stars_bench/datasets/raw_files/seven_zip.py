"""Reading .7z archives: which members are wanted, and their contents one after the other, each checked (CRC-32).

The only file that imports py7zr, which takes a while to load. Nothing is written: contents are handed on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from py7zr import PasswordRequired, Py7zIO, SevenZipFile, WriterFactory
from py7zr.exceptions import CrcError

from stars_bench.datasets.raw_files.zip import base_name, is_hidden
from stars_bench.errors import StarsBenchError, one_line
from stars_bench.io import allowance

ENCRYPTED = "{}: is encrypted; unpack it and give the folder"


def wanted_members(archive: Path, wanted: re.Pattern[str]) -> dict[str, int]:
    """Return the sizes of the files whose names, without folders, match; links and folders are no files.

    Raises:
        StarsBenchError: The archive is damaged or encrypted, or holds a name twice.
        OSError: The archive cannot be read.
    """
    sizes: dict[str, int] = {}
    with _opened(archive) as members:
        for member in members.list():
            name = member.filename
            if not member.is_file or is_hidden(name) or not wanted.fullmatch(base_name(name)):
                continue
            if name in sizes:
                raise StarsBenchError(f"{archive}: it holds {name} twice; pack it anew")
            sizes[name] = member.uncompressed
        if sizes and members.needs_password():
            raise StarsBenchError(ENCRYPTED.format(archive))
    return sizes


def contents(archive: Path, names: set[str], folder: Path, take: Callable[[str, bytes], None]) -> None:
    """Call `take` with the name and the content of each named member, in the order in which they are packed.

    Args:
        archive: The archive.
        names: Names of the members.
        folder: An existing folder, by which py7zr judges whether names stay below it. Nothing is written there.
        take: Takes a name and a content.

    Raises:
        StarsBenchError: The archive is damaged or encrypted, or a name leads out of the folder.
        OSError: The archive cannot be read, or `take` raised it.
    """

    class Taken(Py7zIO):
        def __init__(self, path: str) -> None:
            self.name = Path(path).relative_to(folder.absolute()).as_posix()
            self.parts: list[bytes] = []

        def write(self, s: bytes | bytearray) -> int:
            self.parts.append(bytes(s))
            return len(s)

        def close(self) -> None:  # called when the member is whole and its checksum right
            take(self.name, b"".join(self.parts))

        def size(self) -> int:
            return sum(map(len, self.parts))

        def read(self, size: int | None = None) -> bytes:  # noqa: ARG002
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:  # noqa: ARG002
            return 0

        def flush(self) -> None:
            pass

    class Factory(WriterFactory):
        def create(self, filename: str) -> Py7zIO:
            return Taken(filename)

    with _opened(archive) as members:
        members.extract(folder.absolute(), names, factory=Factory())


@contextmanager
def _opened(archive: Path) -> Iterator[SevenZipFile]:
    # From an open file, because py7zr would read a named one in several threads.
    try:
        with archive.open("rb") as file, SevenZipFile(file) as members:
            yield members
    except PasswordRequired as error:
        raise StarsBenchError(ENCRYPTED.format(archive)) from error
    except (StarsBenchError, OSError):
        raise
    except MemoryError as error:
        raise allowance.too_little_memory(archive, error) from error
    except Exception as error:  # damage shows itself in py7zr in many ways
        reason = one_line(error)
        if isinstance(error, CrcError):
            reason = f"{error.filename or 'its content'} is damaged: CRC-32"
        raise StarsBenchError(f"{archive}: cannot be read as a 7z archive ({reason}); fetch it again") from error
