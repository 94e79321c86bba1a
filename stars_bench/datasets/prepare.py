"""Raw files to a prepared dataset: plan, convert shard by shard in parallel, index last.

A plan spreads the items, by name, over shards that depend on the items' sizes alone. A shard is one task: it reads,
converts, writes under a temporary name and renames. A shard that is already there with the same plan digest is taken
as it is, so a killed run continues; a finished dataset of other settings is never touched unless asked.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from stars_bench import provenance
from stars_bench.api import Clip, DatasetSpec, Found, Profile, RawItem, SetAside, StarsBenchError, UsageError
from stars_bench.datasets import shards, sources
from stars_bench.datasets.quality import QualityReport, assess
from stars_bench.datasets.shards import ShardContent, ShardFacts
from stars_bench.datasets.sources import Place, UnreadableSource
from stars_bench.datasets.text_numbers import ParseError

Progress = Callable[[int, int, int], None]
"""Called with how many items are done, of how many, and how many faults were set aside so far."""

SHARDS = 64  # that many or more, so that progress moves and workers end together ...
SMALLEST_SHARD, LARGEST_SHARD = 8 << 20, 256 << 20  # ... of raw bytes within these bounds (memory follows them)
LARGEST_COUNT = 2_048  # items a shard
PR_SET_PDEATHSIG = 1  # prctl(2)
TICK = 32  # items between two calls of progress, when a single process converts


@dataclass(frozen=True)
class PrepareReport:
    """What `prepare` did."""

    folder: Path
    quality: QualityReport
    digest: str
    shards: int
    reused: int  # shards that were there already
    set_aside: int  # faults: clips or files that are wrong (not those of the published missing list)
    seconds: float
    unchanged: bool  # the dataset was already there, whole, with the same settings


@dataclass(frozen=True)
class ShardPlan:
    """One task: the items of a shard, where their bytes are, and the digest of all that decides its content."""

    number: int
    items: tuple[RawItem, ...]
    places: tuple[dict[str, Place], ...]
    digest: str

    @property
    def file(self) -> str:
        """Its file name."""
        return f"shard-{self.number:05}.h5"


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
) -> PrepareReport:
    """Converts a dataset's raw files to DATA_DIR/DATASET/PROFILE.

    Args:
        raw: folders and zip archives; empty for the default places.
        profile: one of the spec's; None for its default.
        jobs: processes; None for one a core.
        limit: convert the first so many items only (by name).
        overwrite: convert everything anew, whatever is there.
        shard_bytes: raw bytes a shard; None to choose by the size of the whole.
        backend: one of joblib's (loky, dask ...); None for this machine's fastest.

    Raises:
        UsageError: unknown profile, no raw files, or something else is in the way.
        StarsBenchError: nothing to convert, everything set aside, one name with two contents.
    """
    started = time.perf_counter()
    chosen = _profile(spec, profile)
    folder = data_dir / spec.name / chosen.name
    paths = sources.raw_folders(raw, data_dir, spec.name, spec.where)
    found = spec.find(paths)
    items = sorted(found.items, key=lambda item: item.name)[:limit]
    if not items:
        raise StarsBenchError(_nothing(spec, paths, found))
    plans = make_plans(spec, chosen, items, shard_bytes)
    whole = provenance.digest_json(
        [[plan.digest for plan in plans], [(item.name, item.kind) for item in found.set_aside], found.official_splits]
    )
    index = None if overwrite else shards.read_index(folder)
    if index is not None and index["plan"] == whole and all((folder / plan.file).exists() for plan in plans):
        quality = QualityReport.from_json(index["quality"])
        seconds = time.perf_counter() - started
        return PrepareReport(
            folder, quality, index["digest"], len(plans), len(plans), quality.faults, seconds, unchanged=True
        )
    there = {} if overwrite else {path.name: shards.read_facts(path) for path in folder.glob("shard-*.h5")}
    _refuse_others(folder, index is not None and index["plan"] != whole, plans, there)
    try:
        _clear_leftovers(folder)
        facts = {plan.file: old for plan in plans if (old := there.get(plan.file)) and old.plan == plan.digest}
        reused = len(facts)
        _convert_all(spec, chosen, folder, plans, facts, _jobs(jobs), backend, progress, _faults(found.set_aside))
        quality = _finish(spec, chosen, folder, found, len(items), whole, [facts[plan.file] for plan in plans])
    except OSError as error:
        raise StarsBenchError(f"{folder}: cannot be written ({error})") from error
    digest = shards.dataset_digest(list(facts.values()))
    seconds = time.perf_counter() - started
    return PrepareReport(folder, quality, digest, len(plans), reused, quality.faults, seconds, unchanged=False)


def make_plans(
    spec: DatasetSpec, profile: Profile, items: Sequence[RawItem], shard_bytes: int | None = None
) -> list[ShardPlan]:
    """Spreads the items over shards: by their order and sizes alone, never by how many processes there are.

    Raises:
        UnreadableSource: a raw file is gone.
    """
    places = [{role: sources.place_of(source) for role, source in item.sources.items()} for item in items]
    sizes = [sum(place.size for place in mine.values()) for mine in places]
    target = shard_bytes or min(max(sum(sizes) // SHARDS, SMALLEST_SHARD), LARGEST_SHARD)
    groups: list[list[int]] = [[]]
    filled = 0
    for number, size in enumerate(sizes):
        if groups[-1] and (filled + size > target or len(groups[-1]) == LARGEST_COUNT):
            groups.append([])
            filled = 0
        groups[-1].append(number)
        filled += size
    common = [spec.name, asdict(profile), shards.SCHEMA_VERSION, spec.skeleton.joints]
    plans = []
    for number, group in enumerate(groups):
        own = [
            [items[i].name, sorted((role, place.size, place.stamp) for role, place in places[i].items())] for i in group
        ]
        mine = tuple(items[i] for i in group)
        plans.append(ShardPlan(number, mine, tuple(places[i] for i in group), provenance.digest_json([common, own])))
    return plans


def convert_shard(
    spec: DatasetSpec, profile: Profile, folder: Path, plan: ShardPlan, tick: Callable[[int, int], None] | None = None
) -> tuple[ShardFacts, int]:
    """One task: reads, converts and writes one shard. Its facts, and how many items it had."""
    content = ShardContent()
    for done, (item, places) in enumerate(zip(plan.items, plan.places, strict=True)):
        if tick is not None and done % TICK == 0:
            tick(done, _faults(content.set_aside))
        for result in _results(spec, profile, item, places):
            if not isinstance(result, SetAside):
                shards.check_clip(spec, result)
            content.add(item.name, result)
    return shards.write_shard(folder / plan.file, spec, profile, plan.digest, content), len(plan.items)


def _results(spec: DatasetSpec, profile: Profile, item: RawItem, places: dict[str, Place]) -> list[Clip | SetAside]:
    data: dict[str, bytes] = {}
    for role, source in item.sources.items():
        try:
            data[role] = sources.read(source, places[role])
        except UnreadableSource as error:
            return [SetAside(item.name, str(source), str(error).removeprefix(f"{source}: "))]
    try:
        return list(spec.convert(item, data, profile))
    except ParseError as error:
        return [SetAside(item.name, f"{next(iter(item.sources.values()))}:{error.line}", error.reason)]


def _convert_all(
    spec: DatasetSpec,
    profile: Profile,
    folder: Path,
    plans: Sequence[ShardPlan],
    facts: dict[str, ShardFacts],
    jobs: int,
    backend: str | None,
    progress: Progress | None,
    faults: int,
) -> None:
    """Converts the shards that `facts` lacks, and adds theirs."""
    todo = [plan for plan in plans if plan.file not in facts]
    total = sum(len(plan.items) for plan in plans)
    done = total - sum(len(plan.items) for plan in todo)
    faults += sum(_faults(shard.set_aside) for shard in facts.values())

    def tell(more: int, more_faults: int) -> None:
        if progress is not None:
            progress(done + more, total, faults + more_faults)

    tell(0, 0)
    for shard, items in _run(spec, profile, folder, todo, jobs, backend, tell):
        facts[shard.file] = shard
        done += items
        faults += _faults(shard.set_aside)
        tell(0, 0)


def _run(
    spec: DatasetSpec,
    profile: Profile,
    folder: Path,
    plans: Sequence[ShardPlan],
    jobs: int,
    backend: str | None,
    tell: Callable[[int, int], None],
) -> Iterator[tuple[ShardFacts, int]]:
    """Runs the tasks, in this process or in several; results as they come."""
    folder.mkdir(parents=True, exist_ok=True)
    if backend is None and min(jobs, len(plans)) <= 1:
        for plan in plans:
            yield convert_shard(spec, profile, folder, plan, tell)
        return
    task = partial(convert_shard, spec, profile, folder)
    if backend is None and sys.platform == "linux":
        # What the first item compiles or loads is then there in every worker.
        for _ in _results(spec, profile, plans[0].items[0], plans[0].places[0]):
            pass
        yield from in_forks(task, plans, min(jobs, len(plans)))
        return
    import joblib

    pool = joblib.Parallel(n_jobs=jobs, backend=backend or "loky", return_as="generator_unordered", batch_size=1)
    yield from pool(joblib.delayed(task)(plan) for plan in plans)


def in_forks(task: Callable[[ShardPlan], Any], plans: Sequence[ShardPlan], jobs: int) -> Iterator[Any]:
    """Runs tasks in forked workers, which inherit everything that is loaded and start at once.

    Not joblib here: its loky starts for longer than many a conversion lasts, and its forked pool waits for ever when a
    worker is killed.

    Raises:
        StarsBenchError: a worker was killed.
    """
    waiting = iter(plans)
    context, parent = get_context("fork"), os.getpid()
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_end_with_parent, initargs=(parent,))
    with pool, warnings.catch_warnings():
        # Python 3.12 warns of forking while a thread runs (a progress bar's); the workers do not touch what it holds.
        warnings.simplefilter("ignore", DeprecationWarning)
        running = {pool.submit(task, plan) for plan in islice(waiting, 2 * jobs)}
        try:
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(task, plan) for plan in islice(waiting, len(finished))}
                for future in finished:
                    yield future.result()
        except BrokenProcessPool as error:
            message = "a worker was killed (out of memory?); run the same again, it continues; --jobs 1 needs less"
            raise StarsBenchError(message) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent(parent: int) -> None:
    """In a forked worker: have the kernel end it when the command is killed, or it would wait for work for ever."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _finish(
    spec: DatasetSpec,
    profile: Profile,
    folder: Path,
    found: Found,
    files: int,
    plan: str,
    facts: Sequence[ShardFacts],
) -> QualityReport:
    """Checks the whole, writes the index, and removes shards that do not belong to it.

    Raises:
        StarsBenchError: everything was set aside, or two clips have one name.
    """
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
    quality = assess(spec, profile.name, found, files, list(names), aside, cleaning)
    shards.write_index(folder, spec, profile, plan, facts, quality, found.official_splits)
    for path in set(folder.glob("shard-*.h5")) - {folder / shard.file for shard in facts}:
        path.unlink()
    return quality


def _refuse_others(
    folder: Path, other_index: bool, plans: Sequence[ShardPlan], there: Mapping[str, ShardFacts | None]
) -> None:
    """Raises UsageError when a folder holds what other files or settings made, finished or not."""
    if other_index:
        raise UsageError(
            f"{folder} was prepared with another --limit or profile, or from other raw files (names, sizes or times "
            "differ); --force replaces it"
        )
    own = {plan.digest for plan in plans}
    if any(facts is not None and facts.plan not in own for facts in there.values()):
        raise UsageError(f"{folder} holds an unfinished run with other files or settings; --force replaces it")


def _clear_leftovers(folder: Path) -> None:
    """Takes away the index, so that the folder counts as unfinished, and what a killed run was writing."""
    (folder / shards.INDEX).unlink(missing_ok=True)
    for path in folder.glob(".*.partial"):
        path.unlink(missing_ok=True)


def _profile(spec: DatasetSpec, name: str | None) -> Profile:
    chosen = spec.profiles.get(name or spec.default_profile)
    if chosen is None:
        raise UsageError(f"{spec.name} has no profile {name!r}: there are {', '.join(spec.profiles)}")
    return chosen


def _nothing(spec: DatasetSpec, paths: Sequence[Path], found: Found) -> str:
    where = ", ".join(str(path) for path in paths)
    if found.set_aside:
        first = found.set_aside[0]
        count = len(found.set_aside)
        return f"nothing to convert in {where}; {count:,} set aside, the first: {first.where}: {first.reason}"
    return f"no raw files of {spec.name} in {where}. {spec.where}"


def _faults(items: Iterable[SetAside]) -> int:
    return sum(item.kind == "fault" for item in items)


def _jobs(jobs: int | None) -> int:
    if jobs is not None:
        return max(jobs, 1)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
