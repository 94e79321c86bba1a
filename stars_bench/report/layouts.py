"""Results as tables of datasets, evaluations or methods; every number is in exactly one of them.

dataset     one table a dataset and protocol; rows are methods, columns evaluations
evaluation  one table an evaluation; rows are methods, columns datasets and protocols
method      one table a method; rows are datasets and protocols, columns evaluations
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Literal, TypeVar

from stars_bench.report.results.published import left_out_note
from stars_bench.report.results.result import Benchmark, PublishedResult, Result, Results, by_registry
from stars_bench.report.table import Column, Intervals, Table, make_table

By = Literal["dataset", "evaluation", "method"]

_Value = TypeVar("_Value", Result, PublishedResult)


def tables(results: Results, by: By = "dataset", intervals: Intervals = "notes") -> list[Table]:
    """Arrange results in tables.

    Args:
        results: The numbers and the notes of their benchmarks.
        by: What the tables are.
        intervals: Where the 95 % intervals stand.
    """
    layout = {"dataset": _by_dataset, "evaluation": _by_evaluation, "method": _by_method}[by]
    return layout(results, intervals)


def _by_dataset(results: Results, intervals: Intervals) -> list[Table]:
    found = []
    for benchmark, notes in results.notes.items():
        part = results.where(benchmark=benchmark)
        columns = _measures(sorted(part.measured, key=lambda result: result.measure.order))
        lines = _lines(part.measured, _label, _measure), _lines(part.published, _label, _measure)
        said = [*notes, *left_out_note(part)]
        found.append(make_table(benchmark.title, "method", columns, *lines, said, intervals))
    return found


def _by_evaluation(results: Results, intervals: Intervals) -> list[Table]:
    names, methods = _names(results.notes), by_registry("methods")
    found = []
    for _, title in _measures(results.measured):
        part = results.where(measure=title)
        measured = sorted(part.measured, key=lambda result: methods(result.method))
        published = sorted(part.published, key=lambda result: (result.number.year or 9999, result.method.casefold()))
        columns = [Column(one, names[one]) for one in dict.fromkeys(result.benchmark for result in part.measured)]
        lines = _lines(measured, _label, _benchmark), _lines(published, _label, _benchmark)
        found.append(make_table(title, "method", columns, *lines, _notes(part, names), intervals))
    return found


def _by_method(results: Results, intervals: Intervals) -> list[Table]:
    names = _names(results.notes)
    ours = sorted({result.method for result in results.measured}, key=by_registry("methods"))
    known = {method.casefold() for method in ours}
    theirs = dict.fromkeys(result.method for result in results.published if result.method.casefold() not in known)
    found = []
    for method in (*ours, *theirs):
        measured = [result for result in results.measured if result.method == method]
        published = [result for result in results.published if result.method.casefold() == method.casefold()]
        left_out = [result for result in results.left_out if result.method.casefold() == method.casefold()]
        part = Results(measured, published, results.notes, left_out)
        lines = (
            _lines(measured, lambda result: f"{names[result.benchmark]} {_apart(result)}".strip(), _measure),
            _lines(published, lambda result: names[result.benchmark], _measure),
        )
        own = {*map(_measure, measured), *map(_measure, published)}
        columns = [column for column in _measures(results.measured) if column.key in own]
        found.append(make_table(method, "data", columns, *lines, _notes(part, names), intervals))
    return found


def _label(result: Result | PublishedResult) -> str:
    return result.label


def _measure(result: Result | PublishedResult) -> str:
    return result.measure.title


def _benchmark(result: Result | PublishedResult) -> Benchmark:
    return result.benchmark


def _apart(result: Result) -> str:
    """Return what a label says beyond the method's name."""
    return result.label.removeprefix(result.method).strip()


def _measures(results: Iterable[Result | PublishedResult]) -> list[Column]:
    """Return a column a measure, in the order in which they first appear."""
    return [Column(title, title) for title in dict.fromkeys(result.measure.title for result in results)]


def _lines(
    results: Iterable[_Value], label: Callable[[_Value], str], column: Callable[[_Value], Hashable]
) -> dict[str, dict[Hashable, _Value]]:
    """Return results by label of their row and key of their column."""
    lines: dict[str, dict[Hashable, _Value]] = {}
    for result in results:
        lines.setdefault(label(result), {})[column(result)] = result
    return lines


def _names(benchmarks: Iterable[Benchmark]) -> dict[Benchmark, str]:
    """Return the dataset and protocol, or the whole title where that is not enough."""
    count = Counter(one.name for one in benchmarks)
    return {one: one.name if count[one.name] == 1 else one.title for one in benchmarks}


def _notes(results: Results, names: Mapping[Benchmark, str]) -> list[str]:
    """Return the notes of the measured benchmarks; one that not all of them have says whose it is."""
    notes = {result.benchmark: results.notes[result.benchmark] for result in results.measured}
    found = (
        note if all(note in other for other in notes.values()) else f"{names[benchmark]}: {note}"
        for benchmark, own in notes.items()
        for note in own
    )
    return [*dict.fromkeys(found), *left_out_note(results)]
