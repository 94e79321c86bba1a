"""The runs below a folder, newest first: what they are, their numbers, tags and notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from stars_bench.errors import UsageError
from stars_bench.io.run_folder import RunFolder
from stars_bench.records import notes, store
from stars_bench.records.record import Record
from stars_bench.records.record_facts import titles


@dataclass(frozen=True)
class ListedRun:
    """A run with all its seeds.

    Args:
        folder: METHOD/KEY.
        record: The newest of its records.
        seeds: Its seeds.
        settings: Settings that not all listed runs of its method have, as `key=value`.
        numbers: The first number of each evaluation, by its title and what else tells it apart: the mean over seeds.
        notes: Its tags and notes.
    """

    folder: Path
    record: Record
    seeds: tuple[int, ...]
    settings: tuple[str, ...]
    numbers: dict[str, float]
    notes: notes.Notes


def listed(
    runs_dir: Path,
    method: str | None = None,
    dataset: str | None = None,
    protocol: str | None = None,
    since: str | None = None,
    tag: str | None = None,
) -> list[ListedRun]:
    """Return the runs that have records, the newest first.

    Args:
        runs_dir: Folder of the runs.
        method: Only of this method. Default: all.
        dataset: Only on this dataset. Default: all.
        protocol: Only under this protocol. Default: all.
        since: Only finished on this day (YYYY-MM-DD) or later. Default: all.
        tag: Only with this tag. Default: all.

    Raises:
        UsageError: `since` is no day.
        StarsBenchError: A file of tags and notes is damaged.
    """
    if since is not None:
        try:
            date.fromisoformat(since)
        except ValueError as error:
            raise UsageError(f"--since {since}: a day as 2026-11-29") from error
    runs: dict[Path, list[Record]] = {}
    for one in store.read_records(runs_dir).stored:
        record = one.record
        wanted = ((method, record.method.name), (dataset, record.dataset.name), (protocol, record.protocol.name))
        if one.path is not None and all(asked in (None, found) for asked, found in wanted):
            runs.setdefault(RunFolder.of_record(one.path).run, []).append(record)
    found = [_listed(folder, records) for folder, records in runs.items()]
    found = [one for one in found if since is None or one.record.finished[:10] >= since]
    found = [one for one in found if tag is None or tag in one.notes.tags]
    return sorted(_told_apart(found), key=lambda one: one.record.finished, reverse=True)


def _listed(folder: Path, records: Sequence[Record]) -> ListedRun:
    newest: dict[tuple[str, object], Record] = {}  # where a run was measured again by other code
    with_numbers = sorted((one for one in records if one.metrics), key=lambda one: (one.evaluation.order, one.finished))
    for title, record in zip(titles(with_numbers), with_numbers, strict=True):
        newest[title, (record.seed, *record.evaluation.replicate)] = record
    values: dict[str, list[float]] = {}
    for (title, _), record in newest.items():
        values.setdefault(title, []).append(record.metrics[0].value)
    return ListedRun(
        folder=folder,
        record=max(records, key=lambda one: one.finished),
        seeds=tuple(sorted({one.seed for one in records})),
        settings=(),
        numbers={title: sum(each) / len(each) for title, each in values.items()},
        notes=notes.read(RunFolder(folder / "seed")),
    )


def _told_apart(runs: Sequence[ListedRun]) -> Iterator[ListedRun]:
    """Yield the runs with the settings in which they differ from others of their method."""
    configs: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        configs.setdefault(run.record.method.name, []).append(store.flat(run.record.method.config))
    for run in runs:
        others = configs[run.record.method.name]
        own = store.flat(run.record.method.config)
        differing = [name for name in own if any(str(other.get(name)) != str(own[name]) for other in others)]
        yield replace(run, settings=tuple(f"{name}={own[name]}" for name in differing))
