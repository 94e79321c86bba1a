"""From records to results, benchmark by benchmark in the registry's order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stars_bench.records.aggregate import Estimate, estimate
from stars_bench.records.comparability import mixtures
from stars_bench.records.paired.hits import Hits, read_hits
from stars_bench.records.published.numbers import matching
from stars_bench.records.record import Metric, Record, factors
from stars_bench.records.store import StoredRecord
from stars_bench.report.results.entries import Entry, entries, newest
from stars_bench.report.results.labels import labels
from stars_bench.report.results.notes import AVERAGED, notes
from stars_bench.report.results.paired import with_baseline
from stars_bench.report.results.published import ALL, NONE, OWN, published_beside, why_none
from stars_bench.report.results.result import (
    MAIN_METRIC,
    Benchmark,
    Measure,
    Result,
    Results,
    by_registry,
    group_by,
    measures,
    shown_metrics,
)


def collect(stored: Iterable[StoredRecord], published: str = OWN, baseline: str | None = None) -> Results:
    """Average records over their seeds and put published numbers beside them.

    Args:
        stored: The records; those without a metric that tables show are left out.
        published: "own", "all", "none", or patterns of names.
        baseline: the method, or row, that all others are compared with on the same test clips; None: none.

    Raises:
        UsageError: a pattern that no published method has, or a baseline that is no row.
    """
    if published not in (OWN, ALL, NONE):
        matching(published)
    shown = [one for one in stored if shown_metrics(one.record)]
    benchmarks = group_by(shown, lambda one: Benchmark.of(one.record))
    parts = [_of_one(one, benchmarks[one], published) for one in sorted(benchmarks, key=lambda one: one.order)]
    measured = [result for part in parts for result in part.measured]
    return Results(
        measured if baseline is None else with_baseline(measured, baseline),
        [result for part in parts for result in part.published],
        {benchmark: own for part in parts for benchmark, own in part.notes.items()},
    )


def _of_one(benchmark: Benchmark, stored: Sequence[StoredRecord], choice: str) -> Results:
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
    own = {entry.method for entry in rows if entry.records[0].is_own_recipe}
    beside = published_beside(benchmark, columns, choice, {entry.method for entry in rows}, own)
    said = [*notes(rows, named), *dict.fromkeys(note for one in kept for note in one.record.protocol.notes)]
    if superseded := len(stored) - len(kept):
        said.append(f"{superseded} older results left out: the same settings and seed were run again.")
    if choice != NONE and not beside:
        said.append(why_none(benchmark, choice))
    return Results(measured, beside, {benchmark: said})


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
