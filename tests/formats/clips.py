"""Small prepared datasets for the tests: clips from arrays, spread over several shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stars_bench.api import Clip, DatasetSpec, Found
from stars_bench.storage import shards
from stars_bench.storage.quality import assess
from stars_bench.storage.shards import PreparedDataset, ShardContent

A_SHARD = 5  # clips


def bodies(frames: int, count: int = 1, seed: int = 0) -> np.ndarray:
    """(count, frames, 25, 3) of noise."""
    return np.random.default_rng(seed).normal(size=(count, frames, 25, 3)).astype(np.float32)


def prepared(
    data_dir: Path,
    spec: DatasetSpec,
    clips: Mapping[str, np.ndarray],
    official: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    profile: str = "mamp",
) -> PreparedDataset:
    """A prepared dataset of these clips {name: (M, F, 25, 3)}; of PKU-MMD all have label 0."""
    folder = data_dir / spec.name / profile
    folder.mkdir(parents=True)
    chosen, names, facts = spec.profiles[profile], sorted(clips), []
    for first in range(0, len(names), A_SHARD):
        content = ShardContent()
        for name in names[first : first + A_SHARD]:
            found = spec.read_name(name)
            of_name = (found.label or 0, found.subject, found.camera, found.setup, found.replication)
            content.add(found.item, Clip(name, *of_name, clips[name], "digest"))
        facts.append(shards.write_shard(folder / f"shard-{first:05}.h5", spec, chosen, "plan", content))
    quality = assess(spec, profile, Found(()), len(names), names, {0}, (), {})
    shards.write_index(folder, spec, chosen, "plan", facts, quality, official or {})
    return shards.open_dataset(data_dir, spec.name, profile)


def ntu_names(setups: Sequence[int] = (1, 3), performers: Sequence[int] = (1, 7, 8), actions: int = 3) -> list[str]:
    """Names of the complete dataset with these setups and performers: 3 cameras, 1 replication."""
    return [
        f"S{setup:03}C{camera:03}P{performer:03}R001A{action:03}"
        for setup in setups
        for camera in (1, 2, 3)
        for performer in performers
        for action in range(1, actions + 1)
    ]


def ntu_clips(names: Sequence[str]) -> dict[str, np.ndarray]:
    """Clips of different lengths, with one body, two, and two of which the second is zero."""
    found = {name: bodies(1 + 7 * (seed % 9), 1 + seed % 2, seed) for seed, name in enumerate(names)}
    for name in list(names)[3::6]:
        found[name][1] = 0
    return found
