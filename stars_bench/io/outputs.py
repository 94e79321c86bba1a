"""Files that a user names for an output: no other file is overwritten; a symbolic link is followed, not replaced.

One rule: a file that is there is replaced if it carries the mark of the same command, or already has the same content;
otherwise only with --force. CSV holds no mark: there the content alone counts.
"""

from __future__ import annotations

from pathlib import Path

from stars_bench.errors import UsageError
from stars_bench.io.files import write_text

HEAD = 4096
"""Bytes at the beginning and at the end in which a marked file says what wrote it."""
COMMENTS = {".tex": "% {}\n", ".bib": "% {}\n", ".md": "<!-- {} -->\n\n"}
"""How the first line of a text file holds the mark, by suffix; a page has it in its head, a picture in its metadata."""


def mark(command: str) -> str:
    """Name the command that writes a file, as the file itself says it."""
    return f"written by stars-bench {command}"


def output_file(path: Path, command: str = "", *, overwrite: bool = False, content: str | None = None) -> Path:
    """Find the file that an output goes to, and check that it may be written.

    Args:
        path: what the user named.
        command: the command whose own files may be replaced; empty: none may be.
        overwrite: whether any file may be replaced, as by --force. Default False.
        content: the text to be written, where it is known: a file that has it already may be written.

    Returns:
        The file; that of a symbolic link is what it points to.

    Raises:
        UsageError: a folder, no regular file, a link that leads nowhere in a circle, or a file of something else.
    """
    try:
        file = path.resolve()
        there = file.exists()
    except (OSError, RuntimeError) as error:  # links in a circle
        raise UsageError(f"{path}: is a symbolic link that leads to no file; remove it or name another file") from error
    if not there:
        return file
    if file.is_dir():
        raise UsageError(f"{path} is a folder: name a file")
    if not file.is_file():
        raise UsageError(f"{path} is no regular file: name another")
    if not overwrite and not _is_own(file, command) and not _has(file, content):
        why = f" and does not say that stars-bench {command} wrote it" if command else ""
        raise UsageError(f"{path} is there already{why}; --force replaces it")
    return file


def write_outputs(texts: dict[Path, str], command: str, *, overwrite: bool = False) -> None:
    """Write text files that a user named: all of them, or none where one may not be written.

    Args:
        texts: by file; the mark of the command is put on top where the suffix has comments.
        command: the command that writes them.
        overwrite: whether any file may be replaced, as by --force. Default False.

    Raises:
        UsageError: as `output_file`.
    """
    marked = {path: COMMENTS.get(path.suffix, "").format(mark(command)) + text for path, text in texts.items()}
    files = {path: output_file(path, command, overwrite=overwrite, content=text) for path, text in marked.items()}
    for path, file in files.items():
        write_text(file, marked[path])


def _is_own(file: Path, command: str) -> bool:
    if not command:
        return False
    with file.open("rb") as stream:
        first = stream.read(HEAD)
        stream.seek(max(0, file.stat().st_size - HEAD))  # a PDF says at its end what made it
        return any(mark(command).encode() in part for part in (first, stream.read(HEAD)))


def _has(file: Path, content: str | None) -> bool:
    if content is None:
        return False
    expected = content.encode()
    with file.open("rb") as stream:
        return stream.read(len(expected) + 1) == expected
