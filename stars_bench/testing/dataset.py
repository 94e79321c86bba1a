"""check_dataset: test on a few raw files whether a dataset's find and convert satisfy their contract."""

from __future__ import annotations

import json
import pickle
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stars_bench import registry
from stars_bench.api import Citation, Clip, DatasetSpec, Found, Profile, RawItem, SetAside, Skeleton
from stars_bench.datasets.raw_files import sources
from stars_bench.errors import StarsBenchError, one_line
from stars_bench.plugins.scaffold import NAME
from stars_bench.preparation.prepare import find_items, prepare
from stars_bench.storage import shards
from stars_bench.testing.faults import Tell, collected

COLUMNS = ("subject", "camera", "setup", "replication")


def check_dataset(dataset: DatasetSpec | str, raw: Path | Sequence[Path]) -> None:
    """Check a dataset: joint layout, profiles, and that its raw files are found and converted the same every time.

    Args:
        dataset: The spec, a registered name, "module:SPEC" or a .toml file.
        raw: Folders with a few raw files of the dataset.

    Raises:
        NotConforming: The dataset has faults; `faults` has one line for each.
    """
    spec: DatasetSpec = registry.load("datasets", dataset) if isinstance(dataset, str) else dataset
    paths = [raw] if isinstance(raw, Path) else list(raw)
    with collected(str(getattr(spec, "name", spec))) as tell:
        if not isinstance(spec, DatasetSpec):
            tell("is not a stars_bench.api.DatasetSpec")
            return
        _check_facts(spec, tell)
        if not isinstance(spec.skeleton, Skeleton):
            tell("skeleton is not a stars_bench.api.Skeleton")
            return
        _check_skeleton(spec.skeleton, tell)
        with tempfile.TemporaryDirectory() as folder:
            found = _found(spec, paths, Path(folder) / "scratch", tell)
            if found is None:
                return
            profiles = [profile for profile in spec.profiles.values() if isinstance(profile, Profile)]
            before = [_check_profile(spec, found, profile, tell) for profile in profiles]
            if all(before):
                _check_prepared(spec, paths, Path(folder), tell)


def _check_facts(spec: DatasetSpec, tell: Tell) -> None:
    for field in ("name", "title", "where", "licence"):
        value = getattr(spec, field)
        if not isinstance(value, str) or not value or "\n" in value:
            tell(f"{field} must be one line")
    if not isinstance(spec.citation, Citation):
        tell("citation must be a stars_bench.api.Citation: whom to cite")
    if not isinstance(spec.name, str) or not NAME.fullmatch(spec.name):
        tell(f"name {spec.name!r} becomes a folder: lower-case letters and digits, words joined by - or _")
    if not spec.classes or len(set(spec.classes)) < len(spec.classes):
        tell("classes must have names, each another")
    elif wrong := [one for one in spec.classes if not isinstance(one, str) or not one]:
        tell(f"classes must have names: {wrong[0]!r} is none")
    if spec.default_profile not in spec.profiles:
        tell(f"default_profile {spec.default_profile!r} is not among the profiles ({', '.join(spec.profiles)})")
    for name, profile in spec.profiles.items():
        if not isinstance(profile, Profile):
            tell(f"profile {name!r} is not a stars_bench.api.Profile")
            continue
        if profile.name != name:
            tell(f"profile {name!r} is called {profile.name!r}")
        if profile.absent_body not in ("zero", "duplicate"):
            tell(f"profile {name!r}: absent_body is {profile.absent_body!r}; it must be zero or duplicate")
        try:
            json.dumps(dict(profile.parameters))
        except TypeError as error:
            tell(f"profile {name!r}: parameters are not JSON ({error})")
    try:
        pickle.dumps(spec)
    except Exception as error:
        tell(f"cannot be sent to other processes ({one_line(error)}): use functions of a module, not lambdas")


def _check_skeleton(skeleton: Skeleton, tell: Tell) -> None:
    joints = len(skeleton.joints)
    if not joints or len(set(skeleton.joints)) < joints:
        tell("skeleton: joints must have names, each another")
    if len(skeleton.parents) != joints:
        tell(f"skeleton: {len(skeleton.parents)} parents for {joints} joints")
        return
    if not 0 <= skeleton.centre < joints:
        tell(f"skeleton: centre {skeleton.centre} is not in 0..{joints - 1}")
    if outside := [parent for parent in skeleton.parents if not 0 <= parent < joints]:
        tell(f"skeleton: parent {outside[0]} is not in 0..{joints - 1}")
        return
    roots = [joint for joint, parent in enumerate(skeleton.parents) if parent == joint]
    if len(roots) != 1:
        tell(f"skeleton: {len(roots)} joints are their own parents; one must be, the root")
        return
    for joint, name in enumerate(skeleton.joints):
        at = joint
        for _ in range(joints):
            at = skeleton.parents[at]
        if at != roots[0]:
            tell(f"skeleton: {name!r} is in a circle of parents")
            return


def _found(spec: DatasetSpec, paths: Sequence[Path], scratch: Path, tell: Tell) -> Found | None:
    try:
        first, second = (find_items(spec, paths, {"on_duplicate": "refuse", "scratch": scratch}) for _ in range(2))
    except Exception as error:
        tell(f"find failed ({one_line(error)})")
        return None
    names = [item.name for item in first.items]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        tell(f"find gives two items of the name {twice[0]!r}")
    if names != [item.name for item in second.items]:
        tell("find gives other items, or another order, the second time")
    return first


def _check_profile(spec: DatasetSpec, found: Found, profile: Profile, tell: Tell) -> bool:
    """Return whether all items can be converted; report the first fault of each kind."""
    first = _converted(spec, found.items, profile, tell)
    if first is None:
        return False
    clips = [result for results in first.values() for result in results if isinstance(result, Clip)]
    where = f"profile {profile.name!r}"
    for clip in clips:
        if fault := _fault_of(spec, clip):
            tell(f"{where}: {fault}")
            return False
    if twice := [name for name, count in Counter(clip.name for clip in clips).items() if count > 1]:
        tell(f"{where}: two clips are called {twice[0]!r}")
        return False
    if not clips:
        aside = [one for results in first.values() for one in results if isinstance(one, SetAside)]
        told = f"; the first: {aside[0].where}: {aside[0].reason}" if aside else ""
        tell(f"{where}: no clip of {len(found.items)} items{told}")
        return False
    second = _converted(spec, found.items[::-1], profile, tell)
    changed = [name for name, results in first.items() if second is not None and not _same(results, second[name])]
    if changed:
        tell(f"{where}: {changed[0]!r} is converted otherwise the second time")
    return not changed


def _converted(
    spec: DatasetSpec, items: Sequence[RawItem], profile: Profile, tell: Tell
) -> Mapping[str, list[Clip | SetAside]] | None:
    results = {}
    for item in items:
        try:
            data = {role: sources.read(source) for role, source in item.sources.items()}
            results[item.name] = list(spec.convert(item, data, profile))
        except Exception as error:
            tell(f"profile {profile.name!r}: convert failed on {item.name!r} ({one_line(error)})")
            return None
        if wrong := [one for one in results[item.name] if not isinstance(one, (Clip, SetAside))]:
            tell(f"profile {profile.name!r}: convert gives a {type(wrong[0]).__name__}, not Clip or SetAside")
            return None
    return results


def _fault_of(spec: DatasetSpec, clip: Clip) -> str | None:
    try:
        shards.check_clip(spec, clip)
    except StarsBenchError as error:
        return str(error).removeprefix(f"{spec.name}: ")
    if not np.isfinite(clip.bodies).all():
        return f"{clip.name}: a coordinate is not finite"
    for column in COLUMNS:
        value: Any = getattr(clip, column)
        if not isinstance(value, (int, np.integer)):
            return f"{clip.name}: {column} is {value!r}, not a whole number"
    return None


def _same(one: Sequence[Clip | SetAside], other: Sequence[Clip | SetAside]) -> bool:
    def told(results: Sequence[Clip | SetAside]) -> list[str]:
        return [shards.content_digest(one) if isinstance(one, Clip) else f"{one}" for one in results]

    return told(one) == told(other)


def _check_prepared(spec: DatasetSpec, paths: Sequence[Path], folder: Path, tell: Tell) -> None:
    """Check that prepared data can be read again."""
    try:
        report = prepare(spec, paths, folder / "data", jobs=1)
        index = shards.read_index(report.folder)
        assert index is not None
        dataset = shards.PreparedDataset(report.folder, index, spec)
        rows = int((dataset.table["num_frames"] * dataset.table["num_bodies"]).sum())
        if dataset.load().shape != (rows, len(spec.skeleton.joints), 3):
            tell("what prepare has written does not have the frames of its table")
    except StarsBenchError as error:
        tell(f"prepare failed ({one_line(error)})")
