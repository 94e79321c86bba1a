"""Small skeletons of many clips, for a page where dots stand for clips: kept in a file beside the map that needs them.

A clip is at most 32 frames of 8-bit steps: 2.4 KB a body, 3.3 KB in JSON; the map of the paper (1,500 clips) some 5 MB.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel

from stars_bench.errors import StarsBenchError
from stars_bench.storage.read_clips import bodies_of
from stars_bench.storage.shards import PreparedDataset
from stars_bench.viewer.scene import layout, licence_of, packed, seen, upright

FRAMES, BITS = 32, 8


class KeptSkeletons(BaseModel):
    """Small skeletons of clips, for the page of a map.

    Args:
        dataset: Name of the dataset.
        digest: Checksum of the prepared data.
        licence: Licence of the dataset.
        layout: Joint layout, as `scene.layout` returns it.
        clips: Clips by name, as `scene.packed` returns them.
    """

    dataset: str
    digest: str
    licence: str
    layout: dict[str, Any]
    clips: dict[str, dict[str, Any]]


def small_skeletons(dataset: PreparedDataset, names: Sequence[str]) -> KeptSkeletons:
    """Return small skeletons of clips.

    Raises:
        UsageError: A clip is not in the dataset.
        StarsBenchError: A shard is damaged.
    """
    spec = dataset.spec
    rows = np.array(sorted({dataset.row_of(name) for name in names}), np.int64)
    own = dataset.table["name"].to_numpy()[rows].astype(str).tolist()
    clips = {}
    for row, name, bodies in zip(rows.tolist(), own, bodies_of(dataset, rows), strict=True):
        if not bodies.any():
            raise StarsBenchError(f"{dataset.folder}: {name} is zero throughout")
        drawn = upright(bodies, spec.skeleton, dataset.picture(row))
        clips[name] = packed(seen(drawn), BITS, FRAMES, spec.frame_rate)
    return KeptSkeletons(
        dataset=spec.name,
        digest=dataset.digest,
        licence=licence_of(spec),
        layout=layout(spec.skeleton),
        clips=clips,
    )
