"""Where raw files lie: folders of any shape and archives in, one Source for each file out; reading them later.

A zip archive is read in place (`raw_files/zip.py`); a .7z or .tar is repacked once to such a zip in a scratch folder
(`raw_files/repack.py`). Nothing is ever written beside the raw files, and a file is asked for its size once.
"""

from __future__ import annotations

import gc
import os
import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from stars_bench.api import Source
from stars_bench.datasets.raw_files import looks, repack, zip
from stars_bench.datasets.raw_files.zip import LARGEST, Packed, base_name, crc32
from stars_bench.errors import StarsBenchError, UsageError, disk_failed, not_read, printable

Progress = repack.Progress
OnDuplicate = Literal["refuse", "first"]
"""What to do when two files of one name differ."""

ARCHIVES = (".zip", *repack.SUFFIXES)
OTHER_ARCHIVES = (".rar", ".gz", ".bz2", ".xz", ".zst", ".z01", ".001")
UNOPENED = (*OTHER_ARCHIVES, *ARCHIVES)  # among what `walk` gives, the latter lie inside other archives
EVERYTHING = re.compile(".*", re.DOTALL)
LONGEST = 1_000  # characters of a member's name in messages, which may be anything
COMPARED = 64  # files between two calls of progress


class Place(NamedTuple):
    """Where a source's bytes are.

    Args:
        size: Size of the file or member, in bytes.
        stamp: Time of the file's last change.
        packed: How a member is packed. Default: None, it is a file.
    """

    size: int
    stamp: int  # of a file: nanoseconds of its last change; of a member: CRC-32 of its content
    packed: Packed | None = None


class File(Source):
    """A file that was found in a folder.

    It keeps its path as text: 114,480 Path objects take longer than everything else in `find`.
    """

    text: str

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "text", text)

    @property
    def path(self) -> Path:
        """The file's path."""
        return Path(self.text)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, kw_only=True)
class Member(Source):
    """A member of an archive that knows its place.

    Args:
        place: Where its bytes are.
        shown: The user's own archive, where `path` is a repacked one.
    """

    place: Place
    shown: Path

    def __str__(self) -> str:
        return f"{self.shown}:{printable(self.member or '', LONGEST)}"


class UnreadableSource(StarsBenchError):
    """A source that cannot be read: it is damaged, encrypted or gone."""


def raw_folders(raw: Sequence[Path], data_dir: Path, name: str, where: str) -> list[Path]:
    """Return the raw folders and archives to look in: those given, else $STARS_BENCH_RAW, else DATA_DIR/raw.

    In the default places, a folder with the dataset's name comes first.

    Raises:
        UsageError: A path does not exist, or there is nothing in the default place; the message says where to get the
            files.
    """
    if raw:
        for path in raw:
            if not path.exists():
                raise UsageError(f"--raw {path}: there is no such folder or archive")
            if is_other_archive(path.name):
                kind = looks.kind_of(path.name)
                raise UsageError(f"--raw {path}: {kind.name.format(s='')}, which is not read: {kind.on(path)}")
        return list(raw)
    default = Path(os.environ.get("STARS_BENCH_RAW") or data_dir / "raw")
    for folder in (default / name, default):
        if folder.exists():
            return [folder]
    raise UsageError(f"no raw files of {name} in {default} and no --raw given. {where}")


def is_other_archive(name: str) -> bool:
    """Return whether a file is an archive of a kind that is not read."""
    return name.lower().endswith(OTHER_ARCHIVES) and not name.lower().endswith(ARCHIVES)


def why_passed_over(name: str, otherwise: str) -> str:
    """Return why a file is not used: it is an archive that is not opened, or else `otherwise`."""
    return "archives that are not opened (unpack them)" if name.lower().endswith(UNOPENED) else otherwise


# ------------------------------------------------------------------------------------------------- finding


def walk(
    paths: Iterable[Path],
    wanted: re.Pattern[str] = EVERYTHING,
    scratch: Path | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[str, Source]]:
    """Yield all files and archive members below the paths, with their names, in a fixed order, each once.

    Names are without folders. Hidden files are left out; links are followed, but no folder is entered twice. A link
    that leads nowhere or in a circle, and an empty folder with a wanted name, come out as files that cannot be read.

    Args:
        paths: Folders, files and archives.
        wanted: Names worth unpacking; other members of a .7z or .tar are left out. Default: all.
        scratch: Folder for what must be unpacked. Default: None, such an archive is an error.
        progress: Called while archives are unpacked. Default: None.

    Raises:
        StarsBenchError: A folder or an archive cannot be read.
    """
    for name, text in files_below(paths, wanted):
        if not name.lower().endswith(ARCHIVES):
            yield name, File(text)
            continue
        path = Path(text)
        if name.lower().endswith(".zip"):
            yield from _members(path, path)
        elif (zipped := repack.repacked(path, wanted, scratch, progress)) is not None:
            yield from _members(zipped, path)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause Python's garbage collection of cycles, which would go through 100,000 new sources again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def remove_unpacked(scratch: Path) -> None:
    """Remove what `walk` unpacked to a scratch folder, and the folder; nothing happens when there is none."""
    zip.close_all()  # Windows removes no open file
    shutil.rmtree(scratch, ignore_errors=True)


def zip_members(archive: Path) -> dict[str, Packed]:
    """Return the files in a zip archive, in the archive's order: names and where they are.

    Raises:
        StarsBenchError: The file is not a zip archive, or is damaged.
    """
    try:
        return zip.directory(archive)
    except (zipfile.BadZipFile, OSError) as error:
        if failed := next((one for one in (error, error.__context__) if one and disk_failed(one)), None):
            raise not_read(archive, failed) from error  # zipfile calls such an archive none
        remedy = "fetch it again"
        if kind := looks.content_of(head(Source(archive), looks.HEAD)):
            remedy = f"it is a {kind}"
        elif (part := archive.with_suffix(".z01")).exists():
            remedy = looks.kind_of(part.name).remedy.format(stem=archive.with_suffix(""))
        raise StarsBenchError(f"{archive}: cannot be read as a zip archive ({error}); {remedy}") from error


def _members(archive: Path, shown: Path) -> Iterator[tuple[str, Source]]:
    for member, packed in zip_members(archive).items():
        yield base_name(member), Member(archive, member, place=Place(packed.size, packed.crc, packed), shown=shown)


def files_below(paths: Iterable[Path], wanted: re.Pattern[str] = EVERYTHING) -> Iterator[tuple[str, str]]:
    """Yield the files among and below the paths, archives unopened: names and paths.

    Args:
        paths: Folders and files.
        wanted: Names that an empty folder is a damaged file under. Default: all, and none is.
    """
    folders: set[str] = set()
    single: set[str] = set()
    for path in paths:
        if not path.is_file():
            yield from _below(path, wanted, folders, single)
            continue
        parent = os.path.realpath(path.parent)
        key = os.path.join(parent, path.name)  # noqa: PTH118
        if parent not in folders and key not in single:
            single.add(key)
            yield path.name, str(path)


def _below(top: Path, wanted: re.Pattern[str], seen: set[str], single: set[str]) -> Iterator[tuple[str, str]]:
    """Yield files below a folder: first its own, then those of its folders.

    A folder seen before (a link) is not entered.
    """
    waiting = [str(top)]
    while waiting:
        folder = waiting.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        files, folders = _listed(folder)
        waiting += [path for _, path in reversed(folders)]
        name = os.path.basename(folder)  # noqa: PTH119
        if not files and not folders and wanted is not EVERYTHING and wanted.fullmatch(name):
            yield name, folder  # some tool made a folder in a file's place: said when it is read
        for name, path in files:
            if not single or os.path.join(real, name) not in single:  # noqa: PTH118
                yield name, path


def _listed(folder: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return a folder's files and folders, sorted. Costs no call per file where the system tells their kind at once."""
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith("."):
                    continue
                if _leads_nowhere(entry) or entry.is_file():
                    files.append((name, entry.path))
                elif entry.is_dir() and not name.startswith("__MACOSX"):
                    folders.append((name, entry.path))
    except OSError as error:
        raise StarsBenchError(f"{error.filename or folder}: cannot be read ({error.strerror})") from error
    return sorted(files), sorted(folders)


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    """Return whether this is a link to nothing or to itself: a file, which is said to be none when it is read."""
    return entry.is_symlink() and not os.path.exists(entry.path)  # noqa: PTH110


# ------------------------------------------------------------------------------------------------- reading


def place_of(source: Source) -> Place:
    """Return where a source's bytes are.

    Raises:
        UnreadableSource: The source is gone.
    """
    if isinstance(source, Member):
        return source.place
    try:
        if source.member is None:
            state = os.stat(str(source))  # noqa: PTH116 (half the time of Path.stat, and there are 114,480)
            return Place(state.st_size, state.st_mtime_ns)
        packed = zip_members(source.path)[source.member]
    except (OSError, KeyError) as error:
        if disk_failed(error):
            raise not_read(source, error) from error
        raise UnreadableSource(f"{source}: cannot be found ({error})") from error
    return Place(packed.size, packed.crc, packed)


def read(source: Source, place: Place | None = None) -> bytes:
    """Return a source's bytes; those of a member are checked against its CRC-32.

    Raises:
        UnreadableSource: The source is gone, changed, damaged, encrypted, too large, or packed in an unknown way.
    """
    place = place_of(source) if place is None else place
    try:
        if place.packed is not None:
            return zip.read(source.path, place.packed)
        if place.size > LARGEST:
            raise UnreadableSource(f"{source}: cannot be read ({place.size:,} bytes, more than any raw file has)")
        data = _content(str(source), place.size)
    except (OSError, zipfile.BadZipFile) as error:
        if disk_failed(error):
            raise not_read(source, error) from error
        raise UnreadableSource(f"{source}: cannot be read ({error})") from error
    if len(data) != place.size:
        now = place_of(source).size
        raise UnreadableSource(f"{source}: has changed: {place.size:,} bytes when it was found, {now:,} now")
    return data


def _content(path: str, size: int) -> bytes:
    """Return a file's bytes; `size` of them are expected. Fewer calls of the system than by a file object."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        data = os.read(descriptor, size + 1)
        while len(data) < size and (more := os.read(descriptor, size + 1 - len(data))):
            data += more  # a network's file system may give less at a time
    finally:
        os.close(descriptor)
    return data


def head(source: Source, size: int = 512) -> bytes:
    """Return the first bytes of a source; fewer, or none, where it cannot be read."""
    try:
        if source.member is not None:
            packed = place_of(source).packed
            return b"" if packed is None else zip.head(source.path, packed, size)
        with source.path.open("rb", buffering=0) as file:
            return file.read(size)
    except (OSError, zipfile.BadZipFile, StarsBenchError):
        return b""


# ---------------------------------------------------------------------------------------------- duplicates


def unique(
    found: Iterable[tuple[str, Source]],
    on_duplicate: OnDuplicate = "refuse",
    passed_over: Counter[str] | None = None,
    progress: Progress | None = None,
) -> dict[str, Source]:
    """Return one source for each name, the first; a later one with the same content is accepted.

    Args:
        found: Names and sources.
        on_duplicate: "refuse" a later one with other content, or take the "first" without comparing. Default: "refuse".
        passed_over: Counts the later ones by reason. Default: None.
        progress: Called while contents are compared. Default: None.

    Raises:
        StarsBenchError: Two sources of one name differ in content; the message names both.
    """
    first: dict[str, Source] = {}
    later = [(name, source) for name, source in found if first.setdefault(name, source) is not source]
    if on_duplicate == "refuse":
        for done, (name, source) in enumerate(later):
            if progress is not None and done % COMPARED == 0:
                progress("compare files of one name", done, len(later))
            if not same_content(first[name], source):
                raise StarsBenchError(
                    f"{name} was found twice with different content: {first[name]} and {source}; remove one, or take "
                    "the first with --on-duplicate first"
                )
        if progress is not None and later:
            progress("compare files of one name", len(later), len(later))
    if later and passed_over is not None:
        reason = "the same content" if on_duplicate == "refuse" else "not compared: --on-duplicate first"
        passed_over[f"files of a name found before ({reason})"] += len(later)
    return first


def same_content(one: Source, other: Source) -> bool:
    """Return whether two sources hold the same bytes; members of archives are judged by size and CRC-32."""
    first, second = place_of(one), place_of(other)
    if first.size != second.size:
        return False
    if first.packed is None and second.packed is None:
        return read(one, first) == read(other, second)
    return _checksum(one, first) == _checksum(other, second)


def _checksum(source: Source, place: Place) -> int:
    return place.stamp if place.packed is not None else crc32(read(source, place))
