"""The runs of a sweep, checked before any of them starts, and which of them are there already."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments.plan import Plan, resolve
from stars_bench.experiments.request import Request
from stars_bench.experiments.run_many import title
from stars_bench.experiments.seed_run import DIGITS
from stars_bench.io.files import digest_json, write_json
from stars_bench.io.run_folder import RunFolder
from stars_bench.io.source.closure import source_closure
from stars_bench.records import store
from stars_bench.records.record import Record

SWEEPS = "sweeps"
"""The folder of sweeps below the runs: what their members do and have done."""


@dataclass(frozen=True)
class Member:
    """A run of one seed in a sweep.

    Args:
        request: What to run.
        label: What tells it from the others.
        id: Digest of what decides it.
        folder: Where its run lies.
        evaluations: Names of its evaluations, in order.
        records: Files of its records; None where it has not been run, or not by the code that is there now.
    """

    request: Request
    label: str
    id: str
    folder: RunFolder
    evaluations: tuple[str, ...]
    records: tuple[str, ...] | None

    def files(self, sweep: str) -> Path:
        """Return where a worker says what it does, without suffix."""
        return self.request.runs_dir / SWEEPS / sweep / self.id


def members(requests: Sequence[Request]) -> list[Member]:
    """Resolve and check all requests of one seed each.

    Raises:
        UsageError: One of them is wrong; nothing is run.
    """
    seeds: dict[Request, list[int]] = {}
    for one in requests:
        seeds.setdefault(replace(one, seeds=()), []).append(one.seeds[0])
    plans: dict[Request, Plan] = {}
    found: dict[str, Member] = {}
    for one in requests:
        group, label = replace(one, seeds=()), title(one, requests)
        if group not in plans:
            plans.clear()  # a plan holds the table of all clips
            try:
                plans[group] = resolve(replace(one, seeds=tuple(seeds[group])))
            except UsageError as error:
                raise UsageError(f"{label}: {error}") from error
        member = _member(plans[group], one, label)
        found.setdefault(member.id, member)
    return list(found.values())


def _member(plan: Plan, request: Request, label: str) -> Member:
    seed = request.seeds[0]
    evaluations = {name: config.model_dump(mode="json") for name, (_, config) in plan.evaluations.items()}
    folder = plan.folder(seed)
    identity = digest_json([plan.key, plan.dataset.name, plan.protocol.name, plan.target, seed, evaluations])[:10]
    return Member(
        request=request,
        label=label,
        id=identity,
        folder=folder,
        evaluations=tuple(evaluations),
        records=_there(_file(request.runs_dir, identity), request.runs_dir),
    )


def keep(member: Member, records: Sequence[str]) -> None:
    """Keep that a member is done, with the files of its records."""
    runs_dir = member.request.runs_dir
    write_json(_file(runs_dir, member.id), [str(Path(one).relative_to(runs_dir)) for one in records])


def _file(runs_dir: Path, identity: str) -> Path:
    return runs_dir / SWEEPS / "done" / f"{identity}.json"


def _there(file: Path, runs_dir: Path) -> tuple[str, ...] | None:
    """Return the records of a finished member; None where one is gone, changed, or of other code."""
    try:
        paths = [runs_dir / str(one) for one in json.loads(file.read_text(encoding="utf-8"))]
        records = [store.read_record(path) for path in paths]
        if any(store.edited(path, record) for path, record in zip(paths, records, strict=True)):
            return None
        current = _sources([name for record in records for name in record.code.modules or ()])
    except (OSError, ValueError, TypeError, StarsBenchError):
        return None
    return tuple(map(str, paths)) if all(_is_current(record, current) for record in records) else None


def _sources(modules: Sequence[str]) -> Mapping[str, str]:
    return source_closure([], [name for name in dict.fromkeys(modules) if ":" not in name]).sources


def _is_current(record: Record, sources: Mapping[str, str]) -> bool:
    modules = record.code.modules
    return bool(modules) and all(sources.get(name, "")[:DIGITS] == digest for name, digest in (modules or {}).items())


def stored(files: Sequence[str]) -> list[store.StoredRecord]:
    """Read the records of a member that is done."""
    return [store.StoredRecord(store.read_record(Path(one)), Path(one)) for one in files]
