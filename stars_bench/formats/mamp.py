"""The npz of CTR-GCN, MAMP and STARS, one protocol a file: clips padded to (300, 150), labels one-hot.

x_train (N, 300, 150) float32: per frame 25 joints of the first body, then of the second, x y z in metres; y_train (N,
classes) float64; x_test and y_test likewise. The clips are in the published order (`clip_order.py`); the file holds no
names. Export streams the arrays that the public programs save. Import streams stored or compressed members.
"""

from __future__ import annotations

import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import AbsentBody, DatasetSpec, ProtocolSpec, SetAside
from stars_bench.errors import StarsBenchError, UsageError, disk_failed, not_read, one_line
from stars_bench.formats import padding
from stars_bench.formats.base import PARTS, Incoming, NamedClip, Parts, Tick
from stars_bench.formats.clip_order import published_names, two_part_protocols
from stars_bench.io import files
from stars_bench.io.disk import check_room
from stars_bench.io.untrusted import npy
from stars_bench.storage.shards import PreparedDataset

KEYS = tuple(f"{kind}_{part}" for part in PARTS for kind in ("x", "y"))
DAMAGE = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error)
SUMMARY = "of a CTR-GCN or MAMP npz, as it stands"

Labels = dict[str, NDArray[np.int64]]
Names = Mapping[str, list[str]]


# ------------------------------------------------------------------------------------------------------ out


def write(out: Path, dataset: PreparedDataset, splits: Mapping[str, Parts], tick: Tick) -> list[str]:
    """Write the clips of one protocol to one file."""
    (parts,) = splits.values()
    joints, classes = len(dataset.spec.skeleton.joints), len(dataset.spec.classes)
    numbers = padding.BODIES * joints * 3
    labels = dataset.table["label"].to_numpy()
    check_room(out, sum(map(len, parts.values())) * (4 * padding.FRAMES * numbers + 8 * classes))
    with files.atomic_path(out) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for part in PARTS:
            clips = parts[part]
            with _member(archive, f"x_{part}") as stream:
                blocks = (
                    block.reshape(-1, padding.FRAMES, numbers) for block in padding.blocks_of(dataset, clips, tick)
                )
                npy.write(stream, "<f4", (len(clips), padding.FRAMES, numbers), blocks)
            with _member(archive, f"y_{part}") as stream:
                npy.write(stream, "<f8", (len(clips), classes), _one_hot(labels[clips], classes))
    return [*padding.notes_of(dataset), *_write_names(out, dataset, splits)]


def names_file(path: Path) -> Path:
    """Return the file beside a npz that has the names of its clips, where the published order does not give them."""
    return path.with_suffix(".names.json")


def _write_names(out: Path, dataset: PreparedDataset, splits: Mapping[str, Parts]) -> list[str]:
    if dataset.complete and dataset.spec.expected_names is not None:
        names_file(out).unlink(missing_ok=True)
        return []
    names = dataset.table["name"].to_numpy()
    ((protocol, parts),) = splits.items()
    lists = {part: names[parts[part]].tolist() for part in PARTS}
    files.write_json(names_file(out), {"npz": files.digest_file(out), "protocol": protocol, **lists})
    return [f"the clips' names, which the npz has no place for: {names_file(out).name}"]


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    # ZipInfo's fixed date: the same clips give the same bytes. zip64, as np.savez: 63,026 clips are 11 GB.
    return archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)


def _one_hot(labels: NDArray[np.int64], classes: int) -> Iterator[NDArray[np.float64]]:
    for first in range(0, len(labels), padding.BLOCK):
        block = labels[first : first + padding.BLOCK]
        rows = np.zeros((len(block), classes))
        rows[np.arange(len(block)), block] = 1
        yield rows


# ------------------------------------------------------------------------------------------------------- in


def recognises(path: Path) -> bool:
    """Return whether a path may be such a file: a zip."""
    return path.is_file() and zipfile.is_zipfile(path)


def read(path: Path, spec: DatasetSpec, protocol: ProtocolSpec | None) -> Incoming:
    """Open a file: read all labels, find the names, and yield the clips one by one.

    Raises:
        UsageError: Neither the user nor the file states which protocol this is.
        StarsBenchError: There is no such file, or it is damaged.
    """
    labels: Labels = {}
    with _reading(path), zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if missing := [key for key in KEYS if key not in members or not members[key].filename.endswith(".npy")]:
            raise ValueError(f"has no {missing[0]}; it holds {', '.join(sorted(members)[:8]) or 'nothing'}")
        for part in PARTS:
            labels[part] = _labels(archive, part, len(spec.classes))
            _check_clips(archive, part, len(spec.skeleton.joints), len(labels[part]))
        digest = files.digest_json([(key, members[key].file_size, members[key].CRC) for key in KEYS])
    name, names, unnamed, notes = _names(path, spec, protocol, labels)
    absent = spec.profiles[spec.default_profile].absent_body
    return Incoming(
        clips=_clips(path, names, labels, absent),
        total=sum(map(len, labels.values())),
        stated={name: names},
        absent_body=absent,
        summary=SUMMARY,
        digest=digest,
        unnamed=unnamed,
        notes=notes,
    )


def _told_names(path: Path, labels: Labels) -> tuple[str, Names] | None:
    """Return the protocol and the names that lie beside a file, if they are this very file's."""
    try:
        told = json.loads(names_file(path).read_text(encoding="utf-8"))
        names = {part: [str(name) for name in told[part]] for part in PARTS}
        protocol = str(told["protocol"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        if disk_failed(error):
            raise not_read(names_file(path), error) from error
        raise StarsBenchError(f"{names_file(path)}: cannot be read ({one_line(error)}); remove it") from error
    counts = all(len(names[part]) == len(labels[part]) for part in PARTS)
    return (protocol, names) if counts and told.get("npz") == files.digest_file(path) else None


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn every fault of a zip, or of an array in it, into one line while the block runs."""
    try:
        yield
    except DAMAGE as error:
        raise StarsBenchError(f"{path}: {one_line(error)} (expected an npz with {', '.join(KEYS)})") from error


def _check_clips(archive: zipfile.ZipFile, part: str, joints: int, labels: int) -> None:
    with archive.open(f"x_{part}.npy") as stream:
        rows = npy.Rows(stream)
    numbers = padding.BODIES * joints * 3
    if len(rows.shape) != 3 or rows.shape[2] != numbers or rows.dtype.kind != "f":
        raise ValueError(f"x_{part} is {rows.dtype} of shape {rows.shape}, not float (clips, frames, {numbers})")
    if len(rows) != labels:
        raise ValueError(f"x_{part} holds {len(rows):,} clips, y_{part} {labels:,}")


def _labels(archive: zipfile.ZipFile, part: str, classes: int) -> NDArray[np.int64]:
    """Return the labels (N,) of one-hot rows (N, classes) or of plain numbers (N,)."""
    with archive.open(f"y_{part}.npy") as stream:
        rows = npy.Rows(stream)
        if len(rows.shape) == 2 and rows.shape[1] != classes:
            raise ValueError(f"y_{part} has {rows.shape[1]} classes, the dataset has {classes}: is it another dataset?")
        if len(rows.shape) not in (1, 2):
            raise ValueError(f"y_{part} has shape {rows.shape}, not (clips, {classes})")
        found = [np.zeros(0, np.int64)]
        for block in rows.blocks(1024):
            if block.ndim == 2 and ((block > 0).sum(axis=1) != 1).any():
                raise ValueError(f"y_{part} has a row that is not one-hot")
            if block.ndim == 1 and block.dtype.kind == "f" and not np.isin(block, np.arange(classes)).all():
                raise ValueError(f"y_{part} holds a label that is not a whole number in 0..{classes - 1}")
            found.append(block.argmax(axis=1) if block.ndim == 2 else block.astype(np.int64))
    labels = np.concatenate(found)
    if (wrong := labels[(labels < 0) | (labels >= classes)]).size:
        raise ValueError(f"y_{part} holds label {wrong[0]}, not in 0..{classes - 1}: is it another dataset?")
    return labels


def _clips(path: Path, names: Names, labels: Labels, absent: AbsentBody) -> Iterator[NamedClip | SetAside]:
    with _reading(path), zipfile.ZipFile(path) as archive:
        for part in PARTS:
            with archive.open(f"x_{part}.npy") as stream:
                rows = npy.Rows(stream)
                clips = (clip for block in rows.blocks(padding.BLOCK) for clip in block)
                for number, (name, label, clip) in enumerate(zip(names[part], labels[part], clips, strict=True)):
                    shape = (rows.shape[1], padding.BODIES, -1, 3)
                    where = f"{path}, x_{part}[{number}]"
                    yield padding.named(name, int(label), clip.reshape(shape), absent, where)


def _names(
    path: Path, spec: DatasetSpec, protocol: ProtocolSpec | None, labels: Labels
) -> tuple[str, Names, bool, list[str]]:
    """Return the protocol, the names of the clips of each part, whether they are placeholders, and notes.

    The published order gives the names where the file is complete; the labels, clip by clip, are the proof.

    Raises:
        UsageError: Neither the user nor the file states which protocol this is.
    """
    candidates = two_part_protocols(spec) if protocol is None else {protocol.name: protocol}
    published, wrong = _published(spec, candidates, labels), {}
    for name, names in published.items():
        wrong[name] = sum(int((_labels_in(names[part]) != labels[part]).sum()) for part in PARTS)
    agreeing = [name for name, count in wrong.items() if count == 0]
    if len(agreeing) == 1:
        (name,) = agreeing
        note = f"complete {name}: all {sum(map(len, labels.values())):,} labels agree with the published order, so "
        return name, published[name], False, [f"{note}every clip has its true name and all protocols work"]
    if (told := _told_names(path, labels)) is not None:
        return *told, False, [f"every clip has its true name, by {names_file(path).name}"]
    reason = "the file is not one of the complete published ones"
    if wrong and not agreeing:
        name, count = min(wrong.items(), key=lambda item: item[1])
        reason = f"{count:,} labels are not those of the published order of {name}"
    if protocol is None:
        raise UsageError(
            f"{path}: which protocol of {spec.name} is it? Say --protocol {'|'.join(candidates)} ({reason})"
        )
    placeholders = {
        part: [f"imported-{part}-{number:06}" for number in range(1, len(labels[part]) + 1)] for part in PARTS
    }
    note = f"{reason}, so the names are placeholders (imported-train-000001 ...) and only {protocol.name} works"
    return protocol.name, placeholders, True, [note]


def _published(spec: DatasetSpec, candidates: Mapping[str, ProtocolSpec], labels: Labels) -> dict[str, Names]:
    """Return the published names by protocol, of those protocols whose parts have as many clips as the file's."""
    if spec.expected_names is None or len(spec.expected_names()) != sum(map(len, labels.values())):
        return {}
    found = {name: published_names(spec, protocol) for name, protocol in candidates.items()}
    fits = {name: names for name, names in found.items() if names is not None}
    return {name: names for name, names in fits.items() if all(len(names[part]) == len(labels[part]) for part in PARTS)}


def _labels_in(names: list[str]) -> NDArray[np.int64]:
    return np.array([int(name[-3:]) - 1 for name in names], np.int64)
