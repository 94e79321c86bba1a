"""A MATLAB file: every clip once, ragged, and the rows of the training and the test part of each protocol.

Cells `name` and `skeleton` (N, 1): skeleton{i} is (T, V, 3, M) single, metres; `label` (N, 1) from 1; cells `classes`
and `joints`; PROTOCOL_train and PROTOCOL_test: rows from 1, in the published order, of all protocols. Version 5 of the
format, which MATLAB, Octave and SciPy read, holds at most 2 GB; the file is made in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import DatasetSpec, ProtocolSpec, SetAside
from stars_bench.errors import StarsBenchError, UsageError, one_line
from stars_bench.formats.base import PARTS, Incoming, NamedClip, Parts, Tick, as_methods_get, note_of_pixels
from stars_bench.formats.clip_order import two_part_protocols
from stars_bench.io import allowance, files
from stars_bench.storage.shards import PreparedDataset

LARGEST = 2 << 30
HEAD = b"MATLAB 5.0 MAT-file"
VARIABLES = {"name", "label", "skeleton"}
SUMMARY = "of a MATLAB file, as it stands"


def write(out: Path, dataset: PreparedDataset, splits: Mapping[str, Parts], tick: Tick) -> list[str]:
    """Write all clips of the dataset, by name, and the rows of these protocols.

    Raises:
        UsageError: The clips are too many for a file of this format.
    """
    from scipy.io import savemat

    table = dataset.table
    size = int((table["num_frames"] * table["num_bodies"]).sum()) * len(dataset.spec.skeleton.joints) * 12
    if size > LARGEST:
        raise UsageError(f"{out}: {size / 1e9:.1f} GB of coordinates, a MATLAB file of version 5 holds 2: use pyskl")
    skeletons = np.empty((len(table), 1), object)
    for row, bodies in enumerate(as_methods_get(dataset, np.arange(len(table)))):
        skeletons[row, 0] = bodies.transpose(1, 2, 3, 0).copy()
        tick(1)
    content: dict[str, Any] = {
        "name": _cells(table["name"].tolist()),
        "label": table["label"].to_numpy()[:, None] + 1.0,
        "skeleton": skeletons,
        "classes": _cells(dataset.spec.classes),
        "joints": _cells(dataset.spec.skeleton.joints),
    }
    for protocol, parts in splits.items():
        content |= {f"{_variable(protocol)}_{part}": parts[part][:, None] + 1.0 for part in PARTS}
    with files.atomic_path(out) as temporary, temporary.open("wb") as stream:
        savemat(stream, content, do_compression=True)
    return note_of_pixels(dataset)


def _cells(texts: Sequence[str]) -> NDArray[Any]:
    cells = np.empty((len(texts), 1), object)
    cells[:, 0] = texts
    return cells


def _variable(protocol: str) -> str:
    return protocol.replace("-", "_")


def recognises(path: Path) -> bool:
    """Return whether a path is such a file: by its first bytes, and by its variables where they can be read."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        if file.read(len(HEAD)) != HEAD:
            return False
    from scipy.io import whosmat

    try:
        return {name for name, *_ in whosmat(path)}.issuperset(VARIABLES)
    except Exception:  # damaged, in any way: reading it says how
        return True


def read(path: Path, spec: DatasetSpec, protocol: ProtocolSpec | None) -> Incoming:
    """Read a file that was exported here.

    Raises:
        StarsBenchError: It is damaged or of another form.
    """
    from scipy.io import loadmat

    state = path.stat()
    try:
        content = loadmat(path)
        names = [str(np.squeeze(cell)) for cell in content["name"].ravel()]
        labels = content["label"].astype(np.int64).ravel() - 1
        skeletons = content["skeleton"].ravel()
        stated: dict[str, dict[str, list[str]]] = {}
        for known in two_part_protocols(spec) if protocol is None else [protocol.name]:
            rows = {part: content.get(f"{_variable(known)}_{part}") for part in PARTS}
            if all(one is not None for one in rows.values()):
                stated[known] = {part: [names[int(row) - 1] for row in rows[part].ravel()] for part in PARTS}
    except MemoryError as error:
        raise allowance.too_little_memory(path, error) from error
    except Exception as error:  # a damaged file can fail in any way
        raise StarsBenchError(f"{path}: cannot be read as a MATLAB file of clips ({one_line(error)})") from error
    return Incoming(
        clips=_clips(path, names, labels, skeletons, len(spec.skeleton.joints)),
        total=len(names),
        stated=stated,
        absent_body="zero",
        summary=SUMMARY,
        digest=files.digest_json([state.st_size, state.st_mtime_ns, names]),
    )


def _clips(
    path: Path, names: list[str], labels: NDArray[np.int64], skeletons: NDArray[Any], joints: int
) -> Iterator[NamedClip | SetAside]:
    for name, label, stored in zip(names, labels.tolist(), skeletons, strict=True):
        where = f"{path}, {name}"
        clip = np.asarray(stored, np.float32)
        clip = clip[..., None] if clip.ndim == 3 else clip  # MATLAB drops a last axis of one
        if clip.ndim != 4 or clip.shape[1:3] != (joints, 3) or clip.shape[3] not in (1, 2) or not len(clip):
            raise StarsBenchError(f"{where}: skeleton of shape {clip.shape}, not (frames, {joints}, 3, bodies)")
        if not np.isfinite(clip).all():
            yield SetAside(name, where, "a coordinate is NaN or infinite")
            continue
        yield NamedClip(name, label, np.ascontiguousarray(clip.transpose(3, 0, 1, 2)))
