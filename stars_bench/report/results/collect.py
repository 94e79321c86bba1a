"""From records to results, benchmark by benchmark in the registry's order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stars_bench.records.aggregate import Estimate, estimate
from stars_bench.records.comparability import mixtures
from stars_bench.records.paired.hits import Hits, read_hits
from stars_bench.records.published.numbers import JOINTS
from stars_bench.records.record import Metric, Record, factors
from stars_bench.records.store import StoredRecord
from stars_bench.report.results.entries import Entry, entries, newest
from stars_bench.report.results.labels import labels
from stars_bench.report.results.notes import AVERAGED, notes
from stars_bench.report.results.paired import with_baseline
from stars_bench.report.results.published import (
    NONE,
    OWN,
    published_beside,
    published_measures,
    wanted_methods,
    why_none,
)
from stars_bench.report.results.result import (
    MAIN_METRIC,
    PUBLISHED_PROFILES,
    Benchmark,
    Measure,
    PublishedResult,
    Result,
    Results,
    by_registry,
    group_by,
    measures,
    shown_metrics,
)


class Asked(NamedTuple):
    """What a file of tables asks for beyond what was measured.

    Args:
        places: Datasets and protocols of its columns.
        methods: Names of its published rows.
        with_notes: Whether it is said where there are no published numbers.
    """

    places: tuple[tuple[str, str], ...]
    methods: tuple[str, ...]
    with_notes: bool


def collect(
    stored: Iterable[StoredRecord], published: str = OWN, baseline: str | None = None, asked: Asked | None = None
) -> Results:
    """Average records over their seeds and put published numbers beside them.

    Args:
        stored: The records; those without a metric that tables show are left out.
        published: "own", "all", "none", or patterns of names.
        baseline: the method, or row, that all others are compared with on the same test clips; None: none.
        asked: What a file of tables asks for: published numbers of any streams and evaluation there. Default: numbers
            of joints that stand beside measured ones alone.

    Raises:
        UsageError: a pattern that no published method has, or a baseline that is no row.
    """
    wanted_methods(published, ())
    shown = [one for one in stored if shown_metrics(one.record)]
    benchmarks = group_by(shown, lambda one: Benchmark.of(one.record))
    there = {(one.dataset, one.protocol) for one in benchmarks if one.validation is None}
    for place in asked.places if asked is not None else ():
        if place not in there:
            benchmarks[Benchmark(*place, PUBLISHED_PROFILES[0])] = []
    ordered = sorted(benchmarks, key=lambda one: one.order)
    parts = [_of_one(one, benchmarks[one], published, asked) for one in ordered]
    measured = [result for part in parts for result in part.measured]
    return Results(
        measured if baseline is None else with_baseline(measured, baseline),
        [result for part in parts for result in part.published],
        {benchmark: own for part in parts for benchmark, own in part.notes.items()},
    )


def _of_one(benchmark: Benchmark, stored: Sequence[StoredRecord], choice: str, asked: Asked | None) -> Results:
    kept = newest(stored)
    rows = entries(kept)
    named = labels(rows)
    columns = measures(one.record for one in kept)
    methods = by_registry("methods")
    measured = [
        result
        for entry in sorted(rows, key=lambda entry: methods(entry.method))
        for result in _row(benchmark, columns, entry, named[entry])
    ]
    beside = _beside(benchmark, columns, choice, rows, asked)
    said = [*notes(rows, named), *dict.fromkeys(note for one in kept for note in one.record.protocol.notes)]
    if superseded := len(stored) - len(kept):
        said.append(f"{superseded} older results left out: the same settings and seed were run again.")
    if choice != NONE and (asked is None or asked.with_notes) and not _any_beside(beside, columns):
        said.append(why_none(benchmark, choice))
    return Results(measured, beside, {benchmark: said})


def _beside(
    benchmark: Benchmark, columns: Sequence[Measure], choice: str, rows: Sequence[Entry], asked: Asked | None
) -> list[PublishedResult]:
    """Return the published numbers that may stand beside the measured ones."""
    own = {entry.method for entry in rows if entry.records[0].is_own_recipe}
    wanted = wanted_methods(choice, {entry.method for entry in rows}, () if asked is None else asked.methods)
    if asked is None:
        return published_beside(benchmark, [one for one in columns if one.metric == MAIN_METRIC], wanted, own)
    by_title = {one.title: one for one in published_measures(benchmark.dataset, benchmark.protocol)}
    every = by_title | {one.title: one for one in columns}  # a measured column comes with its own settings
    return published_beside(benchmark, every.values(), wanted, own, streams=None)


def _any_beside(published: Sequence[PublishedResult], columns: Sequence[Measure]) -> bool:
    titles = {one.title for one in columns}
    return any(one.number.streams == JOINTS and one.measure.title in titles for one in published)


def _row(benchmark: Benchmark, columns: Sequence[Measure], entry: Entry, label: str) -> list[Result]:
    first = entry.records[0]
    shared = [mark for mark in first.marks if all(mark in record.marks for record in entry.records)]
    found = []
    for measure in columns:
        seeds = entry.variants.get(measure.variant, ())
        if not seeds or measure.metric not in shown_metrics(seeds[0].record):
            continue
        hits = read_hits(seeds) if measure.metric == MAIN_METRIC else None
        by_name = group_by(((metric, one.record) for one in seeds for metric in one.metrics), lambda pair: pair[0].name)
        found.append(
            Result(
                benchmark,
                measure,
                first.method.name,
                label,
                seeds[0].record.method.preset,
                {name: _estimate(same, _sample_se(hits, name, len(seeds))) for name, same in by_name.items()},
                tuple(dict.fromkeys([*shared, *(mark for one in seeds for mark in one.record.marks), *_mixed(seeds)])),
                tuple(seeds),
                hits,
            )
        )
    return found


def _estimate(measured: Sequence[tuple[Metric, Record]], sample_se: float | None) -> Estimate:
    metrics, records = zip(*measured, strict=True)
    return estimate(metrics, sample_se, factors(records))


def _mixed(seeds: Sequence[StoredRecord]) -> list[str]:
    """Return the mark of a mean over what should not be mixed."""
    facts = [one.fact for one in mixtures.of_cell([one.record for one in seeds])]
    return [f"{AVERAGED} {', '.join(facts)}"] if facts else []


def _sample_se(hits: Hits | None, metric: str, seeds: int) -> float | None:
    """The standard error of hits averaged over seeds; of other metrics it is left to `estimate`."""
    return hits.sample_se() if hits is not None and metric == MAIN_METRIC and seeds > 1 else None
