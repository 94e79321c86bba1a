"""Clips of other programs' files (MAMP npz, pyskl pickle, CrosSCLR folder), found and read by their own readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from stars_bench import registry
from stars_bench.api import DatasetSpec, ProtocolSpec
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.formats.base import NamedClip
from stars_bench.formats.catalog import recognise
from stars_bench.viewer.scene import Scene, Take, licence_of, seen, upright

Choice = Callable[[Sequence[str], Sequence[int], DatasetSpec, str], list[int]]
"""From names, labels, the dataset and the place to the numbers of the clips that are meant."""


def scenes(path: Path, dataset: str | None, protocol: str | None, choose: Choice) -> list[Scene]:
    """Return the chosen clips of an export.

    The file is read twice, clip by clip: for names and labels, then for bodies.

    Raises:
        UsageError: Neither the user nor the file states the dataset, or no clip fits the choice.
        StarsBenchError: The file is damaged or refused.
    """
    if dataset is None:
        raise UsageError(f"{path}: whose clips are these? Say --dataset, as in --dataset ntu60")
    spec: DatasetSpec = registry.load("datasets", dataset)
    of = None if protocol is None else registry.load("protocols", protocol)
    form = recognise(path)
    names, labels = [], []
    for clip in _clips(path, spec, of):
        names.append(clip.name)
        labels.append(clip.label)
    if not names:
        raise StarsBenchError(f"{path}: holds no clip")
    rows = set(choose(names, labels, spec, str(path)))
    about = f"{path.name} ({form.summary.partition(':')[0]})"
    return [
        Scene(
            clip.name,
            (f"{clip.label + 1} {spec.classes[clip.label]}", about),
            spec.skeleton,
            (Take(form.name, seen(upright(clip.bodies, spec.skeleton, clip.picture))),),
            licence_of(spec),
            spec.frame_rate,
        )
        for row, clip in enumerate(_clips(path, spec, of))
        if row in rows
    ]


def _clips(path: Path, spec: DatasetSpec, protocol: ProtocolSpec | None) -> Iterator[NamedClip]:
    """Yield the clips that can be drawn."""
    for clip in recognise(path).read(path, spec, protocol).clips:
        if not isinstance(clip, NamedClip):
            continue
        if not 0 <= clip.label < len(spec.classes):
            raise StarsBenchError(f"{path}: {clip.name} has label {clip.label}: it is not of {spec.name}")
        yield clip
