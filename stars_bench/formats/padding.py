"""Clips of fixed size, as the npz of CTR-GCN and MAMP and the npy of CrosSCLR hold them: 300 frames, two bodies.

Ragged bodies (M, F, V, 3) become blocks (N, T, 2, V, 3), and blocks become bodies. Padding and unpadding returns the
same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import AbsentBody, SetAside
from stars_bench.formats.base import NamedClip, Tick, as_methods_get, note_of_pixels
from stars_bench.storage.shards import PreparedDataset

FRAMES = 300
BODIES = 2
BLOCK = 32  # clips at once: 5.8 MB with 25 joints


def blocks_of(dataset: PreparedDataset, clips: NDArray[np.int64], tick: Tick) -> Iterator[NDArray[np.float32]]:
    """Yield the padded clips with these numbers, block by block: (n, 300, 2, V, 3)."""
    joints = len(dataset.spec.skeleton.joints)
    bodies = as_methods_get(dataset, clips)
    while block := list(islice(bodies, BLOCK)):
        yield pad(block, joints, dataset.absent_body)
        tick(len(block))


def pad(clips: Sequence[NDArray[np.float32]], joints: int, absent: AbsentBody) -> NDArray[np.float32]:
    """Return blocks (N, 300, 2, V, 3) of clips: zeros after the last frame; longer clips are cut.

    `absent` defines the second body of a clip that has one.
    """
    block = np.zeros((len(clips), FRAMES, BODIES, joints, 3), np.float32)
    for row, bodies in zip(block, clips, strict=True):
        frames = min(bodies.shape[1], FRAMES)
        row[:frames, 0] = bodies[0, :frames]
        if len(bodies) == BODIES or absent == "duplicate":
            row[:frames, 1] = bodies[-1, :frames]
    return block


def unpad(clip: NDArray[np.float32], absent: AbsentBody, counted: int = 0) -> NDArray[np.float32] | None:
    """Turn (T, 2, V, 3) into (M, F, V, 3), without the zeros at the end and a second body that `pad` would add.

    None for a clip that is zero throughout. A clip of which more frames are `counted` keeps empty ones at its end.
    """
    bits = clip.view(np.uint32)  # not the values: -0.0 is no padding
    seen = np.flatnonzero(bits.any(axis=(1, 2, 3)))
    if not len(seen):
        return None
    frames = max(int(seen[-1]) + 1, min(counted, len(clip)))
    first, second = bits[:frames, 0], bits[:frames, 1]
    alone = not second.any() if absent == "zero" else np.array_equal(first, second)
    return np.ascontiguousarray(clip[:frames, : 1 if alone else BODIES].swapaxes(0, 1))


def named(
    name: str, label: int, clip: NDArray[np.floating[Any]], absent: AbsentBody, where: str, counted: int = 0
) -> NamedClip | SetAside:
    """Return one clip of a file, (T, 2, V, 3) of any float type, or the reason why it is not usable.

    `counted`: how many frames the clip has, where the file says so; default 0: up to the last that holds a body.
    """
    with np.errstate(all="ignore"):
        single = np.ascontiguousarray(clip, np.float32)
    if not np.isfinite(single).all():  # beyond float32 is infinite too
        return SetAside(name, where, "a coordinate is NaN or infinite")
    bodies = unpad(single, absent, counted)
    if bodies is None:
        return SetAside(name, where, "all coordinates are zero", "empty")
    return NamedClip(name, label, bodies)


def notes_of(dataset: PreparedDataset) -> list[str]:
    """Return notes on clips that this size cannot hold as they are."""
    longer = int((dataset.table["num_frames"] > FRAMES).sum())
    return [*([f"clips cut at {FRAMES} frames: {longer:,}"] if longer else []), *note_of_pixels(dataset)]
