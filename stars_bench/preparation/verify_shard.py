"""Whether one shard is what its index says: a file and its entry in, faults and the digests of its clips out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from stars_bench.api import Clip
from stars_bench.errors import StarsBenchError, disk_failed, not_read, one_line
from stars_bench.io import files
from stars_bench.io.sealed import refuse_odd
from stars_bench.storage import compression as packing
from stars_bench.storage import shard_file, shards
from stars_bench.storage.clip_facts import FACTS, facts_of

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class ShardFindings:
    """What is wrong with a shard, and what it holds.

    Args:
        faults: One line for each fault.
        contents: Digests of the clips, computed from their coordinates, by name.
        items: The raw files or videos that the clips come from.
        bytes: Size of the file.
    """

    faults: tuple[str, ...]
    contents: Mapping[str, str] = field(default_factory=dict)
    items: frozenset[str] = frozenset()
    bytes: int = 0


def check_shard(folder: Path, entry: Mapping[str, Any], index: Mapping[str, Any], classes: int) -> ShardFindings:
    """Return everything that is wrong with one shard: one line for each kind of fault.

    Args:
        folder: Folder of the prepared data.
        entry: The shard's entry in the index.
        index: The index.
        classes: Labels are below this.
    """
    path = folder / entry["file"]
    try:
        refuse_odd(path, shard_file.LARGEST)
        size, digest = path.stat().st_size, files.digest_file(path)
    except StarsBenchError as error:
        if disk_failed(error.__cause__):
            raise
        return ShardFindings((one_line(error),))
    except FileNotFoundError as error:
        return ShardFindings((f"{path}: cannot be read ({error.strerror})",))
    except OSError as error:
        raise not_read(path, error) from error
    faults = [] if digest == entry["sha256"] else ["its bytes have changed: SHA-256 is not that of the index"]
    contents: dict[str, str] = {}
    items: frozenset[str] = frozenset()
    try:
        with shard_file.opened(path) as file:
            faults += _faults_of_attributes(file, index)
            columns = shard_file.read_columns(file)
            same = entry.get("columns") in (None, shard_file.digest_of_columns(columns, dict(file.attrs)))
            if not same and not faults:
                faults.append("its columns are not those of the index (digest differs)")
            broken = list(_faults_of_columns(columns, file["joints"].shape, entry, index, classes))
            faults += broken
            if not broken:
                joints = np.empty(file["joints"].shape, np.float32)
                packing.read_rows(file["joints"], joints)
                contents = _contents(columns, joints)
                faults += _faults_of_clips(columns, joints, contents)
                items = frozenset(item.decode() for item in columns["item"].tolist())
    except (StarsBenchError, *shard_file.HDF5_ERRORS) as error:
        if disk_failed(error.__cause__):
            raise
        if disk_failed(error):
            raise not_read(path, error) from error
        faults.append(f"cannot be read as a shard ({one_line(error).removeprefix(f'{path}: ')})")
    return ShardFindings(tuple(f"{path}: {fault}" for fault in faults), contents, items, size)


def _faults_of_attributes(file: h5py.File, index: Mapping[str, Any]) -> Iterator[str]:
    profile = index["profile"]
    expected = {
        "dataset": index["dataset"],
        "schema_version": index["schema_version"],
        "profile": profile["name"],
        "parameters": json.dumps(profile["parameters"], sort_keys=True),
        "absent_body": profile["absent_body"],
        "joint_names": json.dumps(index["joint_names"]),
        "units": "pixels" if shard_file.PICTURE[0] in file else "metres",
    }
    for name, value in expected.items():
        if (found := file.attrs.get(name)) != value:
            yield f"attribute {name} is {found!r}, not {value!r}"


def _faults_of_columns(
    columns: Columns, shape: tuple[int, ...], entry: Mapping[str, Any], index: Mapping[str, Any], classes: int
) -> Iterator[str]:
    """Count, offsets and labels: what must hold before a clip can be looked at."""
    broken = list(shard_file.faults_of_columns(columns, shape, entry, len(index["joint_names"])))
    yield from broken
    clips = entry["clips"]
    if len(columns["label"]) != clips or shape[0] != entry["rows"]:
        return
    if clips and not 0 <= columns["label"].min() <= columns["label"].max() < classes:
        yield f"a label is not in 0..{classes - 1}"
    if len(set(columns["name"].tolist())) != clips:
        yield "two clips have one name"


def _contents(columns: Columns, joints: NDArray[np.float32]) -> dict[str, str]:
    """Return digest of each clip, by name."""
    return {clip.name: shards.content_digest(clip) for clip in _clips(columns, joints)}


def _clips(columns: Columns, joints: NDArray[np.float32]) -> Iterator[Clip]:
    names = [name.decode() for name in columns["name"].tolist()]
    of_clip = [name for name in shard_file.columns_of(columns) if name not in shard_file.TEXTS]
    numbers = zip(*(columns[name].tolist() for name in of_clip), strict=True)
    for name, values in zip(names, numbers, strict=True):
        at = dict(zip(of_clip, values, strict=True))
        picture = at.pop("height", 0), at.pop("width", 0)
        offset, frames, bodies = at.pop("offset"), at.pop("num_frames"), at.pop("num_bodies")
        for fact in FACTS:
            at.pop(fact, None)
        own = joints[offset : offset + frames * bodies].reshape(bodies, frames, *joints.shape[1:])
        yield Clip(name=name, bodies=own, source_digest="", picture=picture if any(picture) else None, **at)


def _faults_of_clips(columns: Columns, joints: NDArray[np.float32], contents: Mapping[str, str]) -> Iterator[str]:
    stored = [digest.decode() for digest in columns["content"].tolist()]
    changed = [name for (name, digest), old in zip(contents.items(), stored, strict=True) if digest != old]
    if changed:
        yield f"{_some(changed)}: coordinates or metadata have changed (content digest differs)"
    if FACTS[0] in columns:
        true = facts_of(clip.bodies for clip in _clips(columns, joints))
        wrong = np.logical_or.reduce([true[fact] != columns[fact] for fact in FACTS])
        if wrong.any():
            names = [name for name, is_wrong in zip(contents, wrong, strict=True) if is_wrong]
            yield f"{_some(names)}: {', '.join(FACTS)} are not what the coordinates give"
    finite = np.isfinite(joints).all(axis=(1, 2))
    if not finite.all():
        ends = np.cumsum(columns["num_bodies"] * columns["num_frames"])
        bad = sorted(set(np.searchsorted(ends, np.flatnonzero(~finite), side="right").tolist()))
        names = list(contents)
        yield f"{_some([names[number] for number in bad])}: coordinates that are not finite"


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more clips"
