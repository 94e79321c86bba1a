"""The clips that a command names: a raw file, a clip of a prepared dataset or shard, or one of an export.

In: the command's words. Out: scenes. Clips are drawn at random by numpy's generator under a seed, so a sheet can be
repeated.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from stars_bench import registry
from stars_bench.api import DatasetSpec, RawItem
from stars_bench.datasets.parsing.numbers import ParseError
from stars_bench.datasets.raw_files import sources
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.formats.catalog import FORMATS
from stars_bench.inspection import raw_file
from stars_bench.preparation.prepare import find_items, profile_of
from stars_bench.preparation.recordings import recordings
from stars_bench.storage.one_shard import open_shard
from stars_bench.storage.shards import PreparedDataset, open_dataset
from stars_bench.viewer import exported
from stars_bench.viewer.raw import in_order_of, raw_scene, recorded
from stars_bench.viewer.scene import Scene, Take, licence_of, seen, upright


@dataclass(frozen=True)
class Wanted:
    """What a command asks for beside the place.

    Args:
        clip: A name, or a number from 0. Default: None.
        random: Number of clips, drawn under `seed`. Default: None.
        action: Only clips of this class, by its number from 1 or a part of its name. Default: None.
        seed: Seed of the draw. Default: 0.
        profile: Profile of a prepared dataset, or of a raw file's cleaning. Default: None.
        raw: Folders and archives with the raw files of a prepared NTU dataset. Default: none.
        dataset: Dataset of the clips of an export. Default: None.
        protocol: Protocol of the clips of an export. Default: None.
    """

    clip: str | None = None
    random: int | None = None
    action: str | None = None
    seed: int = 0
    profile: str | None = None
    raw: tuple[Path, ...] = ()
    dataset: str | None = None
    protocol: str | None = None


def scenes(what: str, wanted: Wanted, data_dir: Path) -> list[Scene]:
    """Return the wanted clips: one, or `wanted.random` of them.

    Raises:
        UsageError: There is no such place or clip, or the words do not fit together.
        StarsBenchError: A clip cannot be read.
    """
    if wanted.clip is not None and wanted.random is not None:
        raise UsageError("name a clip or ask for --random clips, not both")
    if wanted.random is None and wanted.action is not None:
        raise UsageError("--class selects among --random clips: add their number, such as --random 12")
    path = Path(what)
    if what in registry.names("datasets"):
        return _of_dataset(open_dataset(data_dir, what, wanted.profile), wanted)
    if path.suffix.lower() == ".h5":
        return _of_dataset(open_shard(path), wanted)
    is_export = any(one.recognises(path) for one in FORMATS.values() if path.exists()) and not _is_raw_zip(what)
    spec = None if wanted.dataset is None else registry.load("datasets", wanted.dataset)
    if spec is not None and spec.read_file is not None and path.exists() and not is_export:
        return _of_described(spec, path, wanted)
    if is_export:
        return exported.scenes(path, wanted.dataset, wanted.protocol, partial(_chosen, wanted=wanted))
    if raw_file.is_raw(what):
        if wanted.random is not None or wanted.clip is not None:
            raise UsageError(f"{what} is one raw file: name no clip in it")
        return [raw_scene(raw_file.raw_source(what), wanted.profile)]
    return _of_dataset(open_dataset(data_dir, what, wanted.profile), wanted)  # described in the data folder, or unknown


def _of_described(spec: DatasetSpec, path: Path, wanted: Wanted) -> list[Scene]:
    """Return clips of raw files of a dataset that a TOML file describes."""
    profile = profile_of(spec, wanted.profile, {})
    found = recordings(spec, path, profile)
    labels = [-1 if one.label is None else one.label for one in found]
    alone = len(found) == 1 and wanted.clip is None and wanted.random is None
    rows = [0] if alone else _chosen([one.name for one in found], labels, spec, str(path), wanted)
    scenes = []
    for one in (found[row] for row in rows):
        told = "" if one.label is None else f"{one.label + 1} {spec.classes[one.label]}"
        take = Take(f"profile {profile.name}", seen(upright(one.bodies, spec.skeleton, one.picture)))
        scenes.append(Scene(one.name, (told, str(path)), spec.skeleton, (take,), licence_of(spec), spec.frame_rate))
    return scenes


def _is_raw_zip(what: str) -> bool:
    return what.lower().endswith(".zip")


def _of_dataset(dataset: PreparedDataset, wanted: Wanted) -> list[Scene]:
    table = dataset.table
    rows = _chosen(table["name"].tolist(), table["label"].tolist(), dataset.spec, str(dataset.folder), wanted)
    if not wanted.raw:
        return [_prepared(dataset, row) for row in rows]
    raw = sources.raw_folders(wanted.raw, dataset.folder, dataset.name, dataset.spec.where)
    found = {item.name: item for item in find_items(dataset.spec, raw, {}).items}
    return [
        _beside(_prepared(dataset, row), dataset, found.get(str(table["item"].iat[row])), wanted.raw) for row in rows
    ]


def _prepared(dataset: PreparedDataset, row: int) -> Scene:
    facts = dataset.table.iloc[row]
    label = int(facts["label"])
    where = f"{dataset.name}, profile {dataset.profile.name}"
    parts = ", ".join(
        f"{column} {facts[column]}" for column in ("subject", "camera", "setup", "replication") if facts[column]
    )
    told = (f"{label + 1} {dataset.spec.classes[label]}", f"{where}; {parts}")
    bodies = upright(dataset.clip(row), dataset.spec.skeleton, dataset.picture(row))
    take = Take(f"profile {dataset.profile.name}", seen(bodies))
    return Scene(
        str(facts["name"]), told, dataset.spec.skeleton, (take,), licence_of(dataset.spec), dataset.spec.frame_rate
    )


def _beside(scene: Scene, dataset: PreparedDataset, item: RawItem | None, raw: Sequence[Path]) -> Scene:
    """Return the clip beside its raw file."""
    source = None if item is None else item.sources.get("skeleton")
    if source is None:
        raise UsageError(f"{scene.name}: its raw file is not in {', '.join(map(str, raw))}")
    if not str(source).lower().removesuffix(".txt").endswith(".skeleton"):
        raise UsageError(f"--raw: the clips of {dataset.name} are as recorded; only NTU RGB+D is cleaned body by body")
    try:
        take = in_order_of(recorded(sources.read(source)), scene.takes[0])
    except ParseError as error:
        raise StarsBenchError(f"{source}:{error.line}: {error.reason}") from error
    return replace(scene, takes=(take, *scene.takes))


def _chosen(names: Sequence[str], labels: Sequence[int], spec: DatasetSpec, where: str, wanted: Wanted) -> list[int]:
    """Return the numbers of the wanted clips, ascending.

    Raises:
        UsageError: There is none.
    """
    if wanted.random is not None:
        label = None if wanted.action is None else class_of(spec, wanted.action)
        rows = [row for row, own in enumerate(labels) if label in (None, own)]
        if not rows:
            only = "" if label is None else f" of class {label + 1} {spec.classes[label]}"
            raise UsageError(f"{where} has no clip{only}")
        drawn = np.random.default_rng(wanted.seed).permutation(len(rows))[: wanted.random]
        return sorted(rows[place] for place in drawn)
    if wanted.clip is None:
        raise UsageError(f"{where} has {len(names):,} clips: name one, as {names[0]}, or say --random 12")
    if wanted.clip in names:
        return [names.index(wanted.clip)]
    if wanted.clip.isdecimal() and int(wanted.clip) < len(names):
        return [int(wanted.clip)]
    ordered = sorted(names)
    near = ordered[min(bisect_left(ordered, wanted.clip), len(names) - 1)]
    raise UsageError(f"{where} has no clip {wanted.clip!r}; the nearest of {len(names):,} is {near}")


def class_of(spec: DatasetSpec, text: str) -> int:
    """Return a class (0-based) by its number from 1, with or without an A before it, or by a part of its name.

    Raises:
        UsageError: No class or several classes have such a name.
    """
    number = text.removeprefix("A")
    if number.isdecimal() and 1 <= int(number) <= len(spec.classes):
        return int(number) - 1
    found = [label for label, name in enumerate(spec.classes) if text.lower() in name.lower()]
    if len(found) == 1:
        return found[0]
    told = ", ".join(f"{label + 1} {spec.classes[label]}" for label in found[:4]) or "none"
    raise UsageError(f"--class {text}: a number of 1..{len(spec.classes)} or a part of one name; so called are: {told}")
