"""Files that carry a digest of themselves, so that a bit that turned is noticed whenever the file is read.

What torch.save and np.savez write is a zip archive, and a zip archive may end in a comment, which both of them skip.
The comment here is the XXH3-128 of every byte before it. A line of a log begins with the XXH3-64 of the rest of the
line. The digest lies inside the file, so no copy, rename or kill can part the two.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import xxhash

from stars_bench.errors import StarsBenchError, reading

MARK = b"stars-bench xxh3-128 "
HEX_DIGITS = 32
COMMENT_SIZE = (len(MARK) + HEX_DIGITS).to_bytes(2, "little")
END_OF_ZIP, END_BYTES = b"PK\x05\x06", 22
BLOCK = 4 << 20
"""Bytes that are read at once: large enough for the speed of memory, small enough to stay in a cache."""
_LINE = re.compile(r'\{"xxh3": "([0-9a-f]{16})", (.+)')
_SEALED = re.compile(r'\{"xxh3": "|.{10}[0-9a-f]{16}", ')
"""A line that was written with a digest, even if a byte of the digest or of what stands in front of it has turned."""


class Damaged(StarsBenchError):
    """A file is not as it was written: its digest differs, or it cannot be read as what it is."""


def is_io_error(error: BaseException) -> bool:
    """Return whether the disk or its permissions failed, which says nothing about the content of a file.

    Args:
        error: What reading a file raised; a damaged archive can ask for a place that no file has (EINVAL).
    """
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


def seal(stream: BinaryIO) -> None:
    """Write the digest of a zip archive into its comment.

    Args:
        stream: Stream of the whole archive, without a comment, opened to read and to write.

    Raises:
        ValueError: It does not end as a zip archive without a comment does.
    """
    stream.seek(-END_BYTES, os.SEEK_END)
    end = stream.read(END_BYTES)
    if end[:4] != END_OF_ZIP or end[-2:] != b"\0\0":
        raise ValueError("only a zip archive without a comment can be sealed")
    stream.seek(-2, os.SEEK_END)
    stream.write(COMMENT_SIZE + MARK)
    size = stream.tell()
    stream.seek(0)
    digest = _digest(stream, size)
    stream.seek(size)
    stream.write(digest)


def is_sealed(path: Path) -> bool:
    """Return whether a file ends in a digest of itself, right or wrong.

    Raises:
        Damaged: The digest is not whole.
        OSError: The file cannot be read.
    """
    with reading(path), path.open("rb") as stream:
        return _stored(path, stream) is not None


def check(path: Path) -> bool:
    """Compare a file with the digest that it carries.

    Args:
        path: Any file; only the digest of a sealed one can be compared.

    Returns:
        Whether it carries one.

    Raises:
        Damaged: The digest differs.
        OSError: It cannot be read.
    """
    with reading(path), path.open("rb") as stream:
        stored = _stored(path, stream)
        if stored is None:
            return False
        size = stream.tell() - HEX_DIGITS
        stream.seek(0)
        if _digest(stream, size) != stored:
            raise Damaged(f"{path}: damaged: its bytes are not those that were written (XXH3 differs)")
    return True


def _stored(path: Path, stream: BinaryIO) -> bytes | None:
    """Return the digest at the end of a file, where the stream then stands; None where there never was one."""
    length = END_BYTES + len(MARK) + HEX_DIGITS
    stream.seek(max(stream.seek(0, os.SEEK_END) - length, 0))
    tail = stream.read()
    if len(tail) == length and tail.startswith(END_OF_ZIP) and tail[END_BYTES - 2 :].startswith(COMMENT_SIZE + MARK):
        return tail[-HEX_DIGITS:]
    at = tail.find(END_OF_ZIP)
    if MARK in tail or (at >= 0 and tail[at + END_BYTES - 2 :].startswith(COMMENT_SIZE)):
        raise Damaged(f"{path}: damaged: the digest at its end is not whole")
    return None


def _digest(stream: BinaryIO, size: int) -> bytes:
    hasher, block = xxhash.xxh3_128(), memoryview(bytearray(min(BLOCK, size)))
    while size:
        count = stream.readinto(block[: min(size, len(block))])  # type: ignore[attr-defined]
        if not count:
            break
        hasher.update(block[:count])
        size -= count
    return hasher.hexdigest().encode()


def keep_away(path: Path, own: bool = True) -> str:
    """Keep a damaged file from being used again.

    Args:
        path: The file.
        own: Whether it lies in the folder that this process writes to; the file of another run is not touched.

    Returns:
        The line that says so.
    """
    if own:
        return f"{path} is damaged: kept as {set_aside(path).name}, and made again"
    return f"{path} is damaged and passed over: its own run makes it again"


def set_aside(path: Path) -> Path:
    """Return a damaged file another name, NAME.damaged, in place of one that has it already.

    Returns:
        Its new path.
    """
    return path.replace(path.with_name(f"{path.name}.damaged"))


def refuse_odd(path: Path, most: int | None = None) -> None:
    """Refuse what is no file of ours before it is opened: a FIFO or a device would never end.

    Args:
        path: The file.
        most: Bytes that a file of its kind has at most; default any number.

    Raises:
        StarsBenchError: It is no regular file, or larger.
        OSError: It cannot be looked at.
    """
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise StarsBenchError(f"{path}: is no regular file; remove or rename it")
    if most is not None and state.st_size > most:
        size = f"{state.st_size:,} bytes"
        raise StarsBenchError(f"{path}: has {size}, more than any file of its kind; remove or rename it")


# ------------------------------------------------------------------------------------------------ logs

LARGEST_LOG = 256 << 20


def json_lines(values: Iterable[Mapping[str, Any]]) -> str:
    """Return the text of a log: one JSON object a line, each with a digest of itself."""
    return "".join(_sealed_line(json.dumps(value)) for value in values)


def _sealed_line(text: str) -> str:
    return f'{{"xxh3": "{xxhash.xxh3_64_hexdigest(text.encode())}", {text[1:]}\n'


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read a log.

    Args:
        path: The log; lines of older versions carry no digest.

    Returns:
        One object a line, without the digests.

    Raises:
        Damaged: A line is not as it was written.
        StarsBenchError: It is no regular file, or larger than any log.
        OSError: It cannot be read.
    """
    refuse_odd(path, LARGEST_LOG)
    try:
        with reading(path):
            lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise Damaged(f"{path}: damaged: not a text in UTF-8") from error
    return [_value(path, number, line) for number, line in enumerate(lines, 1) if line]


def _value(path: Path, number: int, line: str) -> dict[str, Any]:
    sealed = _LINE.fullmatch(line)
    text = "{" + sealed[2] if sealed else line
    same = xxhash.xxh3_64_hexdigest(text.encode()) == sealed[1] if sealed else not _SEALED.match(line)
    try:
        value = json.loads(text) if same else None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Damaged(f"{path}: line {number} is damaged")
    return value
