"""Raw files to a prepared dataset: plan, convert shard by shard in parallel, index last.

A shard is one task: it reads, converts, writes under a temporary name and renames. An existing shard with the same plan
digest (`shard_plan.py`) is kept, so a killed run resumes; a finished dataset of other settings is not changed unless
you ask for it.
"""

from __future__ import annotations

import inspect
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from stars_bench.api import Clip, DatasetSpec, Found, Profile, RawItem, SetAside
from stars_bench.datasets.parsing import compiled_code
from stars_bench.datasets.parsing.numbers import ParseError
from stars_bench.datasets.raw_files import looks, sources
from stars_bench.datasets.raw_files.sources import Place, UnreadableSource
from stars_bench.datasets.raw_files.survey import what_lies_there
from stars_bench.errors import StarsBenchError, UsageError, cause, is_disk_full
from stars_bench.io import allowance, process_pool
from stars_bench.io import files as provenance
from stars_bench.io.partial import remove_abandoned
from stars_bench.preparation import plausibility
from stars_bench.preparation.plausibility import Measures
from stars_bench.preparation.shard_plan import Conversion, ShardPlan, make_plans
from stars_bench.storage import compression as packing
from stars_bench.storage import shards
from stars_bench.storage.one_shard import open_shard
from stars_bench.storage.quality import QualityReport, assess, in_no_part
from stars_bench.storage.read_clips import bodies_of
from stars_bench.storage.shards import ShardContent, ShardFacts

Progress = Callable[[int, int, int], None]
"""Called with how many items are done, of how many, and how many faults were set aside so far."""

UNPACKED = ".unpacked"  # in the dataset's folder: what archives that cannot be read in place hold, until it is done
ON_DUPLICATE = ("refuse", "first")
LARGE_BLOCK = 31 << 20  # bytes; glibc learns from blocks below 32 MiB
COMPILING = "compiling the parser (once, about 5 s)"
TICK = 32  # items between two calls of progress, when a single process converts


@dataclass(frozen=True)
class PrepareReport:
    """What `prepare` did.

    Args:
        folder: Folder of the prepared dataset.
        quality: Counts and faults of the clips.
        digest: Checksum of the prepared data.
        shards: Number of shards.
        reused: Number of shards that existed already.
        set_aside: Number of clips that were set aside.
        seconds: Time that it took.
        unchanged: Whether the dataset was complete before, so that nothing was written.
    """

    folder: Path
    quality: QualityReport
    digest: str
    shards: int
    reused: int  # shards that were there already
    set_aside: int  # faults: clips or files that are wrong (not those of the published missing list)
    seconds: float
    unchanged: bool  # the dataset was already there, whole, with the same settings


@sources.collector_paused()
def prepare(
    spec: DatasetSpec,
    raw: Sequence[Path],
    data_dir: Path,
    profile: str | None = None,
    jobs: int | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
    overwrite: bool = False,
    shard_bytes: int | None = None,
    backend: str | None = None,
    scheduler: str | None = None,
    compression: str = packing.DEFAULT,
    on_duplicate: str = "refuse",
    parameters: Mapping[str, Any] | None = None,
    find_progress: sources.Progress | None = None,
) -> PrepareReport:
    """Convert a dataset's raw files to DATA_DIR/DATASET/PROFILE.

    Args:
        spec: The dataset.
        raw: Folders and archives; empty for the default places, or to generate the clips if the dataset can.
        data_dir: Where prepared datasets lie.
        profile: One of the spec's profiles. Default: None, its default.
        jobs: Number of processes. Default: None, one a core.
        limit: Convert only the first items by name; for a generated dataset, the number of clips. Default: None, all.
        progress: Called with the number of items done, their total, and the number set aside. Default: None.
        overwrite: Whether to convert everything again and replace existing data. Default: False.
        shard_bytes: Raw bytes a shard. Default: None, chosen by the total size.
        backend: "dask", or one of joblib's (such as loky). Default: None, this machine's fastest.
        scheduler: Address of the dask cluster's scheduler. Default: None.
        compression: Compression of the shards, one of `compression.COMPRESSIONS`.
        on_duplicate: "refuse" a name with two contents, or take the "first". Default: "refuse".
        parameters: Parameters of the profile to change. Default: none.
        find_progress: Called with task, done and total while archives are unpacked, files of one name are compared or
            the parser is compiled. Default: None.

    Returns:
        What was converted, and what was set aside.

    Raises:
        UsageError: A profile, parameter, compression or backend is unknown, a number is below 1, there are no raw
            files, or other data or another process are in the way.
        StarsBenchError: There is nothing to convert, everything was set aside, or one name has two contents.
    """
    started = time.perf_counter()
    chosen = profile_of(spec, profile, parameters or {})
    _check_choices(compression, on_duplicate)
    _check_counts(jobs=jobs, limit=limit, shard_bytes=shard_bytes)
    process_pool.check_backend(backend, scheduler)
    generate = None if raw else spec.generate
    places = [] if generate else sources.raw_folders(raw, data_dir, spec.name, spec.where)
    folder = data_dir / spec.name / chosen.name
    _refuse_other_description(folder, chosen)
    with provenance.alone_in(folder):
        if generate is not None:
            found, limit = generate(limit), None
        else:
            options = {"on_duplicate": on_duplicate, "scratch": folder / UNPACKED, "progress": find_progress}
            found = find_items(spec, places, options)
        conversion = Conversion(spec, chosen, folder, compression, generated=generate is not None)
        plans = make_plans(conversion, sorted(found.items, key=lambda item: item.name)[:limit], shard_bytes)
        if spec.expected_clips is not None:  # else the report asks for them
            found = replace(found, items=in_no_part(found))  # large, and inherited by every forked worker
        whole = provenance.digest_json(
            [
                [plan.digest for plan in plans],
                [(item.name, item.kind) for item in found.set_aside],
                found.official_splits,
            ]
        )
        index = None if overwrite else shards.read_index(folder)
        if index is not None and index["plan"] == whole and all((folder / plan.file).exists() for plan in plans):
            sources.remove_unpacked(folder / UNPACKED)
            shards.keep_description(spec, folder)
            quality = QualityReport.from_json(index["quality"])
            seconds = time.perf_counter() - started
            return PrepareReport(
                folder, quality, index["digest"], len(plans), len(plans), quality.faults, seconds, unchanged=True
            )
        there = {} if overwrite else {path.name: shards.read_facts(path) for path in folder.glob("shard-*.h5")}
        if index is not None and index["plan"] != whole:
            raise UsageError(f"{folder} was prepared {_difference(index, chosen, found)}; --force replaces it")
        _refuse_unfinished(folder, plans, there)
        try:
            conversion = replace(conversion, folder=_to_be_filled(folder, overwrite))
            facts = {plan.file: old for plan in plans if (old := there.get(plan.file)) and old.plan == plan.digest}
            reused = len(facts)
            jobs = jobs or allowance.cpus()
            measures: dict[str, Measures] = {}
            run = partial(_run, jobs=jobs, backend=backend, scheduler=scheduler, warm_up_progress=find_progress)
            _convert_all(conversion, plans, facts, measures, run, progress, _faults(found.set_aside))
            files = sum(plan.count for plan in plans)
            quality = _finish(conversion, found, files, whole, [facts[plan.file] for plan in plans], measures)
            sources.remove_unpacked(folder / UNPACKED)
            if conversion.folder != folder:
                provenance.replace_folder(conversion.folder, folder, shards.OWN)
            shards.keep_description(spec, folder)
        except (OSError, RuntimeError) as error:
            if not isinstance(error, OSError) and not is_disk_full(error):
                raise
            raise StarsBenchError(f"{folder}: cannot be written ({cause(error)}){allowance.limit_of(error)}") from error
        finally:
            if conversion.folder != folder:
                shutil.rmtree(conversion.folder, ignore_errors=True)
        digest = shards.dataset_digest(list(facts.values()))
        seconds = time.perf_counter() - started
        return PrepareReport(folder, quality, digest, len(plans), reused, quality.faults, seconds, unchanged=False)


def _to_be_filled(folder: Path, overwrite: bool) -> Path:
    """Return the folder that shards are written to: a new one where finished data stay until the new ones are whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder.parent)
    if not overwrite or not folder.exists():
        (folder / shards.INDEX).unlink(missing_ok=True)  # from here on the folder counts as unfinished
        return folder
    new = provenance.partial_path(folder)
    new.mkdir()
    return new


def convert_shard(
    conversion: Conversion, plan: ShardPlan, tick: Callable[[int, int], None] | None = None
) -> tuple[ShardFacts, int, Measures]:
    """Read, convert and write one shard; return its facts, how many items it had, and measures of its clips."""
    _warm_up(conversion)
    content = ShardContent()
    with undisturbed():
        for done, (item, places) in enumerate(plan.items()):
            if tick is not None and done % TICK == 0:
                tick(done, _faults(content.set_aside))
            for result in _results(conversion, item, places):
                if not isinstance(result, SetAside):
                    shards.check_clip(conversion.spec, result)
                content.add(item.name, result)
    names, clips = [clip.name for _, clip in content.clips], [clip.bodies for _, clip in content.clips]
    measures = plausibility.measure(conversion.spec.skeleton, names, clips)  # while the processor's cache has them
    path = conversion.folder / plan.file
    facts = shards.write_shard(path, conversion.spec, conversion.profile, plan.digest, content, conversion.compression)
    return facts, plan.count, measures


def _warm_up(conversion: Conversion, progress: sources.Progress | None = None) -> None:
    """Load what converts much, or compile it, for this process and for those that are forked from it."""
    warm_up = None if conversion.generated else conversion.spec.warm_up
    if warm_up is None or conversion.num_bytes <= compiled_code.WORTH_LOADING:
        return
    from stars_bench.io import numba_cache

    compiles = False

    def started() -> None:
        nonlocal compiles
        if progress is not None and not compiles:
            progress(COMPILING, 0, 1)
        compiles = True

    with numba_cache.compiling(started):
        warm_up()
    if progress is not None and compiles:
        progress(COMPILING, 1, 1)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Make many small steps fast while the block runs: no search for cycles, and freed memory stays at hand.

    The search looks at every object again and again, a twelfth of the time. And a large block, once it was freed, keeps
    glibc from giving all smaller ones back to the kernel, which would fill them with zeros anew for each file.
    """
    np.empty(LARGE_BLOCK, np.uint8)
    with sources.collector_paused():
        yield


def _results(conversion: Conversion, item: RawItem, places: Sequence[Place]) -> list[Clip | SetAside]:
    data: dict[str, bytes] = {}
    for (role, source), place in zip(item.sources.items(), places, strict=True):
        try:
            data[role] = sources.read(source, place)
        except UnreadableSource as error:
            return [SetAside(item.name, str(source), str(error).removeprefix(f"{source}: "))]
    try:
        results = list(conversion.spec.convert(item, data, conversion.profile))
    except ParseError as error:
        results = [SetAside(item.name, f"{next(iter(item.sources.values()))}:{error.line}", error.reason)]
    if any(isinstance(result, SetAside) for result in results):
        for role, content in data.items():
            if kind := looks.content_of(content[: looks.HEAD]):
                return [SetAside(item.name, str(item.sources[role]), f"is a {kind}")]
    return results


def _convert_all(
    conversion: Conversion,
    plans: Sequence[ShardPlan],
    facts: dict[str, ShardFacts],
    measures: dict[str, Measures],
    run: Callable[..., Generator[tuple[ShardFacts, int, Measures]]],
    progress: Progress | None,
    faults: int,
) -> None:
    """Convert the shards that `facts` lacks, and add their facts and measures."""
    todo = [plan for plan in plans if plan.file not in facts]
    total = sum(plan.count for plan in plans)
    done = total - sum(plan.count for plan in todo)
    faults += sum(_faults(shard.set_aside) for shard in facts.values())

    def tell(more: int, more_faults: int) -> None:
        if progress is not None:
            progress(done + more, total, faults + more_faults)

    tell(0, 0)
    conversion.folder.mkdir(parents=True, exist_ok=True)
    with closing(run(conversion, todo, tell)) as results:  # no worker is left when this ends, however it does
        for shard, items, measured in results:
            facts[shard.file], measures[shard.file] = shard, measured
            done += items
            faults += _faults(shard.set_aside)
            tell(0, 0)


def _run(
    conversion: Conversion,
    plans: Sequence[ShardPlan],
    tell: Callable[[int, int], None],
    jobs: int,
    backend: str | None,
    scheduler: str | None,
    warm_up_progress: sources.Progress | None,
) -> Generator[tuple[ShardFacts, int, Measures]]:
    """Run the tasks, in this process or in several; results as they come."""
    conversion = replace(conversion, num_bytes=sum(plan.num_bytes for plan in plans))
    _warm_up(conversion, warm_up_progress)  # once: forked workers inherit it, others load what it compiled
    if backend is None and min(jobs, len(plans)) <= 1:
        for plan in plans:
            yield convert_shard(conversion, plan, tell)
        return
    yield from process_pool.run(partial(convert_shard, conversion), plans, jobs, backend, scheduler)


def _finish(
    conversion: Conversion,
    found: Found,
    files: int,
    plan: str,
    facts: Sequence[ShardFacts],
    measures: Mapping[str, Measures],
) -> QualityReport:
    """Check the whole, write the index, and remove shards that do not belong to it.

    Raises:
        StarsBenchError: Everything was set aside, or two clips have one name.
    """
    spec, folder = conversion.spec, conversion.folder
    names = Counter(name for shard in facts for name in shard.contents)
    aside = [*found.set_aside, *(item for shard in facts for item in shard.set_aside)]
    if not names:
        for shard in facts:
            (folder / shard.file).unlink()
        first = aside[0]
        raise StarsBenchError(f"all {files:,} were set aside; the first: {first.where}: {first.reason}")
    name, count = names.most_common(1)[0]
    if count > 1 or sum(len(shard.contents) for shard in facts) != len(names):
        raise StarsBenchError(f"{spec.name}: more than one clip is called {name}")
    cleaning: Counter[str] = Counter()
    for shard in facts:
        cleaning.update(shard.cleaning)
    labels = frozenset[int]().union(*(shard.labels for shard in facts))
    quality = assess(spec, conversion.profile.name, found, files, list(names), labels, aside, cleaning)
    for path in set(folder.glob("shard-*.h5")) - {folder / shard.file for shard in facts}:
        path.unlink()
    of_shards = [measures.get(shard.file) or _measured(spec, folder / shard.file) for shard in facts if shard.contents]
    quality = plausibility.write(folder, spec.skeleton, of_shards, quality)
    shards.write_index(folder, spec, conversion.profile, plan, facts, quality, found.official_splits)
    return quality


def _measured(spec: DatasetSpec, path: Path) -> Measures:
    """Measure the clips of a shard that was there already."""
    shard = open_shard(path)
    clips = list(bodies_of(shard, np.arange(shard.num_clips)))
    return plausibility.measure(spec.skeleton, shard.table["name"].tolist(), clips)


def _difference(index: Mapping[str, Any], chosen: Profile, found: Found) -> str:
    """Return in what a prepared dataset differs from what was asked for: the first cause that explains it."""
    there, wanted = index["profile"]["parameters"], json.loads(json.dumps(chosen.parameters, default=str))
    changed = sorted(name for name in there.keys() | wanted.keys() if there.get(name) != wanted.get(name))
    if "description" in changed:
        return "from another description of this name (classes, coordinates, skeleton or numbers differ)"
    if changed:
        return f"with {changed[0]} = {there.get(changed[0])}, not {wanted.get(changed[0])}"
    splits = index["official_splits"], found.official_splits
    old, new = ({name: set().union(*parts.values()) for name, parts in one.items()} for one in splits)
    if old == new and len({provenance.digest_json(one) for one in splits}) == 2:
        return "with other train/test splits of the same clips"
    return "with another limit or compression, or from other raw files (names, facts in them, sizes or times differ)"


def _refuse_unfinished(folder: Path, plans: Sequence[ShardPlan], there: Mapping[str, ShardFacts | None]) -> None:
    """Raise UsageError when a folder holds unfinished shards of other files or settings."""
    own = {plan.digest for plan in plans}
    if any(facts is not None and facts.plan not in own for facts in there.values()):
        raise UsageError(f"{folder} holds an unfinished run with other files or settings; --force replaces it")


def _refuse_other_description(folder: Path, chosen: Profile) -> None:
    """Raise UsageError when another profile of a described dataset was made by another description of that name."""
    for path in folder.parent.glob(f"{shards.FOLDERS}/{shards.INDEX}"):
        index = shards.read_index(path.parent) if path.parent != folder else None
        if index and index["profile"]["parameters"].get("description") != chosen.parameters.get("description"):
            raise UsageError(
                f"{path.parent} was prepared from another description of the name {index['dataset']}: remove that "
                "folder, or give this one another name"
            )


def profile_of(spec: DatasetSpec, name: str | None, parameters: Mapping[str, Any]) -> Profile:
    """Return a profile of a dataset with changed parameters; None is its default one.

    Raises:
        UsageError: There is no such profile or parameter.
    """
    chosen = spec.profiles.get(name or spec.default_profile)
    if chosen is None:
        raise UsageError(f"{spec.name} has no profile {name!r}: there are {', '.join(spec.profiles)}")
    for parameter in parameters:
        if parameter not in chosen.parameters:
            there = ", ".join(chosen.parameters)
            raise UsageError(f"{spec.name}, profile {chosen.name}: no parameter {parameter!r}; there are {there}")
    return replace(chosen, parameters={**chosen.parameters, **parameters})


def _check_choices(compression: str, on_duplicate: str) -> None:
    for option, value, choices in (
        ("compression", compression, tuple(packing.COMPRESSIONS)),
        ("on-duplicate", on_duplicate, ON_DUPLICATE),
    ):
        if value not in choices:
            raise UsageError(f"--{option} {value}: it must be {' or '.join(choices)}")


def _check_counts(**counts: int | None) -> None:
    for name, count in counts.items():
        whole = isinstance(count, Integral) and not isinstance(count, bool)
        if count is not None and not (whole and count >= 1):
            raise UsageError(f"--{name.replace('_', '-')} {count!r:.40}: a whole number, at least 1")


def find_items(spec: DatasetSpec, paths: Sequence[Path], options: Mapping[str, Any]) -> Found:
    """Find what there is to convert; `options` are those of `spec.find`; a plug-in may lack some.

    Raises:
        UsageError: A plug-in cannot take the first of two files of one name.
        StarsBenchError: Nothing of this dataset, or one name with two contents.
    """
    find: Callable[..., Found] = spec.find
    known = inspect.signature(find).parameters
    if options.get("on_duplicate", "refuse") != "refuse" and "on_duplicate" not in known:
        raise UsageError(f"{spec.name} has no --on-duplicate: its files are found by a plug-in that does not know it")
    found = find(paths, **{name: value for name, value in options.items() if name in known})
    if found.items:
        return found
    where = ", ".join(str(path) for path in paths)
    if found.set_aside:
        first = found.set_aside[0]
        count = len(found.set_aside)
        message = f"nothing to convert in {where}; {count:,} set aside, the first: {first.where}: {first.reason}"
        raise StarsBenchError(message)
    raise StarsBenchError(f"no raw files of {spec.name} in {where}: {what_lies_there(paths)}. {spec.where}")


def _faults(items: Iterable[SetAside]) -> int:
    return sum(item.is_fault for item in items)
