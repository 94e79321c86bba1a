"""The folder of 2s-AGCN and its descendants (MS-G3D, CMD): four streams as padded arrays, one protocol a folder.

{train,val}_data_joint.npy (N, 3, 300, 25, 2) float32, metres, and the same for bone, joint_motion and bone_motion;
{train,val}_label.pkl: (names ending in `.skeleton`, labels from 0); {train,val}_num_frame.npy (N,): frames of each clip
(CMD). Bones and motion are those of its data_gen programs (github lshiwjx/2s-AGCN), made of the padded arrays: the last
frame of a clip that is padded moves to zero. The clips are sorted by name.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import DatasetSpec, ProtocolSpec, Skeleton
from stars_bench.errors import UsageError
from stars_bench.formats import padding
from stars_bench.formats.base import PARTS, Incoming, Parts, Tick
from stars_bench.formats.crossclr import FILES, SUFFIX, frames_file, label_file
from stars_bench.io import files as provenance
from stars_bench.io.disk import check_room
from stars_bench.io.untrusted import npy
from stars_bench.storage.shards import PreparedDataset

STREAMS = ("joint", "bone", "joint_motion", "bone_motion")
POSITION_FRAMES = (50, 64)
"""Lengths that programs resize train_position.npy to: CrosSCLR and AimCLR 50, later ones 64."""

Blocks = Iterator[NDArray[np.float32]]


def files(out: Path) -> list[Path]:
    """Return all files of a folder."""
    arrays = [array_file(out, part, stream) for part in FILES for stream in STREAMS]
    return [*arrays, *(file(out, part) for part in FILES for file in (label_file, frames_file))]


def position_files(out: Path) -> list[Path]:
    """Return all files of a folder of placed clips."""
    return [file(out, part) for part in FILES for file in (position_file, label_file, frames_file)]


def array_file(folder: Path, part: str, stream: str) -> Path:
    """Return the file of a part's stream."""
    return folder / f"{FILES[part]}_data_{stream}.npy"


def position_file(folder: Path, part: str) -> Path:
    """Return the file of a part's placed clips."""
    return folder / f"{FILES[part]}_position.npy"


def write(out: Path, dataset: PreparedDataset, splits: Mapping[str, Parts], tick: Tick) -> list[str]:
    """Write the four streams of one protocol to the folder `out`: all files, or none."""
    (parts,) = splits.values()
    skeleton = dataset.spec.skeleton
    shape = (3, padding.FRAMES, len(skeleton.joints), padding.BODIES)
    check_room(out / "x", len(STREAMS) * sum(map(len, parts.values())) * 4 * int(np.prod(shape)))
    with ExitStack() as written:
        for part in PARTS:
            clips = np.sort(parts[part])
            _labels(written, out, part, dataset, clips)
            for stream in STREAMS:
                joints = padding.blocks_of(dataset, clips, tick if stream == "joint" else lambda _: None)
                blocks = (_stream(block.transpose(0, 4, 1, 3, 2), stream, skeleton) for block in joints)
                with written.enter_context(provenance.atomic_path(array_file(out, part, stream))).open("wb") as file:
                    npy.write(file, "<f4", (len(clips), *shape), blocks)
    return padding.notes_of(dataset)


def write_positions(
    out: Path, dataset: PreparedDataset, splits: Mapping[str, Parts], tick: Tick, *, frames: int
) -> list[str]:
    """Write CrosSCLR's train_position.npy and val_position.npy (N, 3, frames, V, 2) to the folder `out`.

    Every body is resized, moved to the spine at its shoulders and turned to the camera, as its program does with the
    clips of profile raw.
    """
    import torch

    from stars_bench.data.clip_store import ClipPart, ClipStore

    (parts,) = splits.values()
    store = ClipStore.of(dataset, clip_input="crossclr")
    shape = (3, frames, len(dataset.spec.skeleton.joints), padding.BODIES)
    with ExitStack() as written:
        for part in PARTS:
            clips = np.sort(parts[part])
            _labels(written, out, part, dataset, clips)
            whole = ClipPart(store, clips)
            rows = torch.split(torch.arange(len(clips)), padding.BLOCK) if len(clips) else ()
            with written.enter_context(provenance.atomic_path(position_file(out, part))).open("wb") as file:
                blocks = (_ticked(whole.whole(one, frames).numpy(), tick) for one in rows)
                npy.write(file, "<f4", (len(clips), *shape), blocks)
    return []


def _ticked(block: NDArray[np.float32], tick: Tick) -> NDArray[np.float32]:
    tick(len(block))
    return block


def _labels(written: ExitStack, out: Path, part: str, dataset: PreparedDataset, clips: NDArray[np.int64]) -> None:
    names, labels, frames = (dataset.table[column].to_numpy()[clips] for column in ("name", "label", "num_frames"))
    known = ([f"{name}{SUFFIX}" for name in names], labels.tolist())
    written.enter_context(provenance.atomic_path(label_file(out, part))).write_bytes(pickle.dumps(known, 4))
    with written.enter_context(provenance.atomic_path(frames_file(out, part))).open("wb") as file:
        npy.write(file, "<i8", (len(clips),), [np.minimum(frames, padding.FRAMES)])


def _stream(joints: NDArray[np.float32], stream: str, skeleton: Skeleton) -> NDArray[np.float32]:
    """Return blocks (N, 3, 300, V, 2) of a stream; of a pose in a picture the score stays that of the joint."""
    out = joints
    if stream.startswith("bone"):
        out = out - out[:, :, :, list(skeleton.parents)]
    if stream.endswith("motion"):
        moved = np.zeros_like(out)
        moved[:, :, :-1] = out[:, :, 1:] - out[:, :, :-1]
        out = moved
    if skeleton.planar and out is not joints:
        out[:, 2] = joints[:, 2]
    return out


def recognises(path: Path) -> bool:
    """Return whether a path is such a folder; one without joints is, too, so that it is told."""
    return any(array_file(path, part, stream).exists() for part in FILES for stream in STREAMS)


def refuse_positions(path: Path, spec: DatasetSpec, protocol: ProtocolSpec | None) -> Incoming:
    """Refuse placed clips, of which the joints cannot be had again.

    Raises:
        UsageError: Always.
    """
    del spec, protocol
    raise UsageError(f"{path}: clips that are placed and resized cannot be imported: import what they were made of")


POSITIONS = {frames: partial(write_positions, frames=frames) for frames in POSITION_FRAMES}
