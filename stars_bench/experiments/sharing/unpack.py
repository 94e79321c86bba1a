"""A pack into a folder of runs. It may come from anybody: what is no pack is refused before anything is written.

Names are held against the one layout that a pack has, sizes against the bytes that are there, contents against the
checksums. Nothing that is there is overwritten; a seed appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from stars_bench.errors import StarsBenchError, UsageError, of_validation, one_line, printable
from stars_bench.experiments.sharing.layout import FILE, MANIFEST, README, SCHEMA_VERSION, TEXTS, Manifest
from stars_bench.io.disk import check_room, full_is_told
from stars_bench.io.files import digest_file, partial_path
from stars_bench.io.run_folder import RunFolder
from stars_bench.io.sealed import is_io_error, refuse_odd
from stars_bench.records import store

LARGEST = 256 << 30
LARGEST_TEXT, ALL_TEXTS = 64 << 20, 1 << 30
"""Bytes of a text and of all texts, which alone may be compressed."""
MOST_FILES = 100_000
BLOCK = 1 << 20
DAMAGE = (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, RuntimeError, OSError)
"""What a damaged or encrypted archive may raise."""


@dataclass(frozen=True)
class UnpackReport:
    """What a pack gave.

    Args:
        folders: Folders of the seeds that are new.
        there: Folders of seeds that were there already, with the same content.
    """

    folders: tuple[Path, ...]
    there: tuple[Path, ...]


def unpack(file: Path, runs_dir: Path) -> UnpackReport:
    """Unpack the runs of a pack.

    Args:
        file: The pack.
        runs_dir: Folder of the runs; made where it is not there.

    Raises:
        UsageError: A run is there already with other content; nothing is written.
        StarsBenchError: It is no pack, damaged, or holds what no pack has; nothing is written.
    """
    with _opened(file) as archive:
        entries, manifest = _checked(archive, file)
        seeds = dict.fromkeys(found["seed"] for name in entries if (found := FILE.fullmatch(name)))
        there = [seed for seed in seeds if _is_there(_place(runs_dir, seed), seed, manifest, file)]
        new = [seed for seed in seeds if seed not in there]
        if new:
            check_room(runs_dir, sum(entry.file_size for entry in entries.values()))
            scratch = partial_path(runs_dir / "unpacked")
            try:
                with full_is_told(runs_dir):
                    _extract(archive, entries, manifest, new, scratch, file)
                _check_records([scratch / seed for seed in new], scratch, file)
                for seed in new:
                    _place(runs_dir, seed).parent.mkdir(parents=True, exist_ok=True)
                    (scratch / seed).rename(_place(runs_dir, seed))
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return UnpackReport(*(tuple(_place(runs_dir, seed) for seed in group) for group in (new, there)))


def _place(runs_dir: Path, seed: str) -> Path:
    return runs_dir / seed.removeprefix("runs/")


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    if not file.exists():
        raise UsageError(f"{file}: there is no such file")
    if file.is_dir():
        raise UsageError(f"{file}: is a folder; a pack is a file")
    refuse_odd(file, LARGEST)
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except DAMAGE as error:
        if is_io_error(error):
            raise
        raise StarsBenchError(f"{file}: no pack that can be read ({one_line(error)}); nothing was unpacked") from error


def _checked(archive: zipfile.ZipFile, file: Path) -> tuple[dict[str, zipfile.ZipInfo], Manifest]:
    """Return the entries by name and the manifest, once all names and sizes are those of a pack."""
    listed = archive.infolist()
    if len(listed) > MOST_FILES:
        raise _refused(file, f"it holds {len(listed):,} files")
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in listed:
        if (why := _fault(entry)) is not None:
            raise _refused(file, f"{printable(entry.filename, 100)!r} {why}")
        if entries.setdefault(entry.filename.casefold(), entry) is not entry:
            raise _refused(file, f"{printable(entry.filename, 100)!r} is in it twice")
    if sum(entry.compress_size for entry in listed) > file.stat().st_size:
        raise _refused(file, "its files overlap")
    if sum(entry.file_size for entry in listed if entry.compress_type) > ALL_TEXTS:
        raise _refused(file, "its texts unpack to more than any pack's")
    found = {entry.filename: entry for entry in listed}
    if MANIFEST not in found:
        raise _refused(file, f"it has no {MANIFEST}")
    manifest = _manifest(archive.read(MANIFEST), file)
    del found[MANIFEST]
    if {name: entry.file_size for name, entry in found.items()} != {
        name: one.size for name, one in manifest.files.items()
    }:
        raise _refused(file, f"its files are not those that its {MANIFEST} lists")
    return found, manifest


def _fault(entry: zipfile.ZipInfo) -> str | None:
    """Return what of an entry no pack has; None: nothing."""
    name, kind = entry.filename, stat.S_IFMT(entry.external_attr >> 16)
    if name not in (MANIFEST, README) and not FILE.fullmatch(name):
        return "is no file that a pack holds"
    if kind not in (0, stat.S_IFREG):
        return "is a link or no regular file"
    if entry.flag_bits & 1:
        return "is encrypted"
    is_text = name.endswith(TEXTS)
    if entry.compress_type not in ((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) if is_text else (zipfile.ZIP_STORED,)):
        return "is compressed as no pack is"
    if is_text and entry.file_size > LARGEST_TEXT:
        return f"unpacks to {entry.file_size:,} bytes, more than any of its kind"
    return None


def _refused(file: Path, why: str) -> StarsBenchError:
    return StarsBenchError(f"{file}: refused, nothing was unpacked: {why}")


def _manifest(text: bytes, file: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        where = f"{file}: refused, nothing was unpacked: {MANIFEST} (this stars-bench reads schema {SCHEMA_VERSION})"
        raise StarsBenchError(of_validation(error, where)) from error


def _is_there(place: Path, seed: str, manifest: Manifest, file: Path) -> bool:
    """Return whether a seed is there with the same content.

    Raises:
        UsageError: It is there with other content.
    """
    if not place.exists():
        return False
    own = {name: one for name, one in manifest.files.items() if name.startswith(f"{seed}/")}
    for name, one in own.items():
        path = place / name.removeprefix(f"{seed}/")
        if not path.is_file() or path.stat().st_size != one.size or digest_file(path) != one.sha256:
            raise UsageError(
                f"{place}: is there already and is not what {file} holds: unpack it elsewhere (--runs-dir DIR)"
            )
    return True


def _extract(
    archive: zipfile.ZipFile,
    entries: dict[str, zipfile.ZipInfo],
    manifest: Manifest,
    seeds: list[str],
    scratch: Path,
    file: Path,
) -> None:
    for name, entry in entries.items():
        found = FILE.fullmatch(name)
        if found is None or found["seed"] not in seeds:
            continue
        path = scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        hasher = hashlib.sha256()
        with archive.open(entry) as source, path.open("xb") as target:
            while block := source.read(BLOCK):
                hasher.update(block)
                target.write(block)
        if hasher.hexdigest() != manifest.files[name].sha256:
            raise _refused(file, f"{name} is damaged (its checksum differs)")


def _check_records(seeds: list[Path], scratch: Path, file: Path) -> None:
    """Check that each seed has records, and that all are of the run that their place names."""
    for path in seeds:
        files = RunFolder(path).record_files()
        for one in files:
            try:
                record = store.read_record(one)
            except StarsBenchError as error:
                raise _refused(file, str(error).removeprefix(f"{scratch}/")) from error
            own = RunFolder.of(
                scratch / "runs",
                record.dataset.name,
                record.protocol.name,
                record.method.name,
                path.parent.name,
                record.seed,
            )
            if own.path != path:
                raise _refused(file, f"{one.relative_to(scratch)} is a record of another run")
        if not files:
            raise _refused(file, f"{path.relative_to(scratch)} has no records")
