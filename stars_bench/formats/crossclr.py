"""The folder of CrosSCLR and AimCLR (and ST-GCN), one protocol a folder: padded arrays and pickled names and labels.

train_data.npy (N, 3, 300, 25, 2) float32, metres; train_label.pkl: (names ending in `.skeleton`, labels from 0);
val_data.npy and val_label.pkl likewise; the clips are sorted by name. The program's own files hold raw clips: profile
`raw`. The program makes train_position.npy (50 frames, relative to joint 2, turned about y) from them itself, so it is
not written here.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import DatasetSpec, ProtocolSpec, SetAside
from stars_bench.errors import StarsBenchError
from stars_bench.formats import padding
from stars_bench.formats.base import Incoming, NamedClip, Parts, Tick
from stars_bench.formats.clip_order import of_folder
from stars_bench.io import files as provenance
from stars_bench.io.disk import check_room
from stars_bench.io.untrusted import npy, unpickle
from stars_bench.storage.shards import PreparedDataset

FILES = {"train": "train", "test": "val"}
SUFFIX = ".skeleton"
THEIRS = "CrosSCLR's own clips are raw, not cleaned or centred: numbers compare with profile raw only"
SUMMARY = "of a CrosSCLR or AimCLR folder, as it stands: nothing cleaned or centred, if it is theirs"


def data_file(folder: Path, part: str) -> Path:
    """Return the file with the coordinates of a part, as CrosSCLR or as 2s-AGCN calls it."""
    joints = folder / f"{FILES[part]}_data_joint.npy"
    return joints if joints.exists() else folder / f"{FILES[part]}_data.npy"


def label_file(folder: Path, part: str) -> Path:
    """Return the file with the names and labels of a part."""
    return folder / f"{FILES[part]}_label.pkl"


def frames_file(folder: Path, part: str) -> Path:
    """Return the file of a part's frame counts, which CMD's folders have."""
    return folder / f"{FILES[part]}_num_frame.npy"


def files(out: Path) -> list[Path]:
    """Return all files of a folder."""
    return [file for part in FILES for file in (out / f"{FILES[part]}_data.npy", label_file(out, part))]


# ------------------------------------------------------------------------------------------------------ out


def write(out: Path, dataset: PreparedDataset, splits: Mapping[str, Parts], tick: Tick) -> list[str]:
    """Write the clips of one protocol to the folder `out`: all four files, or none."""
    (parts,) = splits.values()
    shape = (3, padding.FRAMES, len(dataset.spec.skeleton.joints), padding.BODIES)
    names, labels = (dataset.table[column].to_numpy() for column in ("name", "label"))
    check_room(out / "train_data.npy", sum(map(len, parts.values())) * 4 * int(np.prod(shape)))
    with ExitStack() as written:
        for part in FILES:
            clips = np.sort(parts[part])
            blocks = (block.transpose(0, 4, 1, 3, 2) for block in padding.blocks_of(dataset, clips, tick))
            with written.enter_context(provenance.atomic_path(out / f"{FILES[part]}_data.npy")).open("wb") as stream:
                npy.write(stream, "<f4", (len(clips), *shape), blocks)
            known = ([f"{name}{SUFFIX}" for name in names[clips]], labels[clips].tolist())
            written.enter_context(provenance.atomic_path(label_file(out, part))).write_bytes(pickle.dumps(known, 4))
    return padding.notes_of(dataset)


# ------------------------------------------------------------------------------------------------------- in


def recognises(path: Path) -> bool:
    """Return whether a path is such a folder."""
    return any((path / f"{part}_data.npy").exists() for part in FILES.values())


def read(path: Path, spec: DatasetSpec, protocol: ProtocolSpec | None) -> Incoming:
    """Open a folder: read names and labels, and yield the clips one by one. One part is enough.

    Raises:
        UsageError: Neither the user nor the clips' names say which protocol this is.
        StarsBenchError: A file is missing, damaged, or does not fit the others.
    """
    known, frames, identity = {}, {}, []
    for part in FILES:
        file = data_file(path, part)
        if not file.exists():
            continue
        names, labels = known[part] = _names_and_labels(label_file(path, part))
        with _rows(file, len(spec.skeleton.joints)) as rows:
            if len(rows) != len(names):
                raise StarsBenchError(
                    f"{file}: holds {len(rows):,} clips, {label_file(path, part).name} {len(names):,}"
                )
        frames[part] = _frames(frames_file(path, part), len(names))
        state = file.stat()
        counted = [] if frames[part] is None else [frames[part]]
        identity.append((part, state.st_size, state.st_mtime_ns, names, labels, *counted))
    if not known:
        raise StarsBenchError(
            f"{path}: has neither train_data.npy nor train_data_joint.npy, nor val: joints are needed"
        )
    stated = {part: [name.removesuffix(SUFFIX) for name in names] for part, (names, _) in known.items()}
    if protocol is None:
        protocol = of_folder(path, spec, [name for names in stated.values() for name in names])
    return Incoming(
        clips=_clips(path, {part: (stated[part], labels, frames[part]) for part, (_, labels) in known.items()}, spec),
        total=sum(map(len, stated.values())),
        stated={} if protocol is None else {protocol.name: stated},
        absent_body="zero",
        summary=SUMMARY,
        digest=provenance.digest_json(identity),
        notes=[THEIRS] if len(known) == 2 else [THEIRS, f"only the {next(iter(known))} part is there"],
    )


def _names_and_labels(path: Path) -> tuple[list[str], list[int]]:
    if not path.exists():
        raise StarsBenchError(f"{path}: is missing; it holds the names and labels of the clips")
    content = unpickle.load(path)
    if not isinstance(content, list | tuple) or len(content) != 2:
        raise StarsBenchError(f"{path}: expected (names, labels), found {type(content).__name__}")
    names: list[Any] = list(content[0]) if isinstance(content[0], list | tuple) else [None]
    labels = _flat(content[1])
    if not all(isinstance(name, str) and name.isprintable() for name in names) or labels.dtype.kind not in "iu":
        raise StarsBenchError(f"{path}: expected (names, labels): a list of texts and a list of whole numbers")
    if len(names) != len(labels):
        raise StarsBenchError(f"{path}: holds {len(names):,} names and {len(labels):,} labels")
    return names, labels.tolist()


def _frames(path: Path, clips: int) -> list[int] | None:
    """Return how many frames each clip has, empty ones at its end included; None where no file says so.

    Raises:
        StarsBenchError: They are no counts, or not of these clips.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as stream:
            rows = npy.Rows(stream)
            if rows.shape != (clips,) or rows.dtype.kind not in "iu":
                raise ValueError(f"is {rows.dtype} of shape {rows.shape}, not whole numbers of shape ({clips},)")
            counts = [int(count) for block in rows.blocks(max(clips, 1)) for count in block]
    except (OSError, ValueError) as error:
        raise StarsBenchError(f"{path}: {error}") from error
    if counts and min(counts) < 1:
        raise StarsBenchError(f"{path}: clip {counts.index(min(counts))} has {min(counts)} frames")
    return counts


def _flat(labels: Any) -> NDArray[Any]:
    """Return labels (N,); an empty float64 array if they are not a list of labels."""
    if isinstance(labels, list | tuple) and not all(isinstance(label, int | np.integer) for label in labels):
        labels = None  # lists that share lists may stand for more numbers than any memory holds
    if isinstance(labels, list | tuple | np.ndarray):
        array = np.asarray(labels)
        if array.ndim == 1:
            return array
    return np.zeros(0)


@contextmanager
def _rows(path: Path, joints: int) -> Iterator[npy.Rows]:
    try:
        with path.open("rb") as stream:
            rows = npy.Rows(stream)
            fits = len(rows.shape) == 5 and rows.shape[1] == 3 and rows.shape[3:] == (joints, padding.BODIES)
            if not fits or rows.dtype.kind != "f":
                shape = f"(clips, 3, frames, {joints}, {padding.BODIES})"
                raise ValueError(f"is {rows.dtype} of shape {rows.shape}, not float {shape}")
            yield rows
    except (OSError, ValueError) as error:
        raise StarsBenchError(f"{path}: {error}") from error


def _clips(
    path: Path, known: Mapping[str, tuple[Sequence[str], Sequence[int], Sequence[int] | None]], spec: DatasetSpec
) -> Iterator[NamedClip | SetAside]:
    for part, (names, labels, frames) in known.items():
        file = data_file(path, part)
        with _rows(file, len(spec.skeleton.joints)) as rows:
            clips = (clip for block in rows.blocks(padding.BLOCK) for clip in block)
            for number, (name, label, clip) in enumerate(zip(names, labels, clips, strict=True)):
                # (C, T, V, M) -> (T, M, V, C)
                where, count = f"{file}[{number}]", 0 if frames is None else frames[number]
                yield padding.named(name, label, clip.transpose(1, 3, 2, 0), "zero", where, count)
