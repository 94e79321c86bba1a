"""The layouts of `report` without a file, in the words of such a file: every number is in exactly one table.

dataset     one table a dataset and protocol; rows are methods, columns evaluations
evaluation  one table an evaluation; rows are methods, columns datasets and protocols
method      one table a method; rows are datasets and protocols, columns evaluations
all         one table; rows are methods, columns datasets, protocols and evaluations
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from stars_bench.report.layouts.fill import names
from stars_bench.report.layouts.table_file import ColumnOf, GroupOf, RowOf, TableOf
from stars_bench.report.results.result import Benchmark, PublishedResult, Result, Results, by_registry

By = Literal["dataset", "evaluation", "method", "all"]
Value = Result | PublishedResult
SEEDS = ColumnOf(fact="seeds")


def layouts(results: Results, by: By = "dataset") -> tuple[TableOf, ...]:
    """Arrange results in tables.

    Args:
        results: The numbers and the notes of their benchmarks.
        by: What the tables are.
    """
    arrange = {"dataset": _by_dataset, "evaluation": _by_evaluation, "method": _by_method, "all": _together}[by]
    return tuple(arrange(results))


def _by_dataset(results: Results) -> Iterable[TableOf]:
    for benchmark, said in _said(results.notes).items():
        part = results.where(benchmark=benchmark)
        columns = _evaluations(part.measured)
        yield TableOf(title=benchmark.title, **said, columns=columns, groups=_groups(part.measured, part.published))


def _by_evaluation(results: Results) -> Iterable[TableOf]:
    places, named = _said(results.notes), names(results.notes)
    for title in dict.fromkeys(result.measure.title for result in results.measured):
        part = results.where(measure=title)
        columns = [
            ColumnOf(head=(named[one],), **places[one])
            for one in dict.fromkeys(result.benchmark for result in part.measured)
        ]
        groups = _groups(_by_name(part.measured), _by_year(part.published))
        yield TableOf(title=title, evaluation=title, columns=(SEEDS, *columns), groups=groups)


def _by_method(results: Results) -> Iterable[TableOf]:
    places, named = _said(results.notes), names(results.notes)
    ours = sorted({result.method for result in results.measured}, key=by_registry("methods"))
    known = {method.casefold() for method in ours}
    theirs = dict.fromkeys(result.method for result in results.published if result.method.casefold() not in known)
    for method in (*ours, *theirs):
        measured = [one for one in results.measured if one.method == method]
        published = [one for one in results.published if one.method.casefold() == method.casefold()]
        own = {result.measure.title for result in measured} | {result.measure.title for result in published}
        columns = [one for one in _evaluations(results.measured, in_order=False) if one.evaluation in {None, *own}]

        def row(one: Value) -> RowOf:
            label = f"{named[one.benchmark]} {one.label.removeprefix(one.method).strip()}".strip()
            return _row(one, name=None if label == one.label else label, **places[one.benchmark])

        groups = _groups(measured, published, row)
        yield TableOf(title=method, stub="data", columns=columns, groups=groups, rank="none")


def _together(results: Results) -> Iterable[TableOf]:
    places = _said(results.notes)
    columns = [
        ColumnOf(
            head=(one.dataset, " ".join(list(said.values())[1:]), column.evaluation or ""),
            evaluation=column.evaluation,
            **said,
        )
        for one, said in places.items()
        for column in _evaluations(results.where(benchmark=one).measured)[1:]
    ]
    if columns:
        groups = _groups(_by_name(results.measured), _by_year(results.published))
        yield TableOf(title="all results", columns=(SEEDS, *columns), groups=groups)


def _said(benchmarks: Iterable[Benchmark]) -> dict[Benchmark, dict[str, str]]:
    """Return what a layout says of each benchmark: no more than tells it from the others."""
    every = list(benchmarks)
    count = Counter((one.dataset, one.protocol, one.validation) for one in every)
    found = {}
    for one in every:
        said = {"dataset": one.dataset, "protocol": one.protocol, "validation": one.validation}
        if count[one.dataset, one.protocol, one.validation] > 1:
            said["profile"] = one.profile
        found[one] = {key: value for key, value in said.items() if value is not None}
    return found


def _evaluations(measured: Sequence[Result], in_order: bool = True) -> list[ColumnOf]:
    """Return the seeds and a column for each measure, in the registry's order or that of their first appearance."""
    results = sorted(measured, key=lambda result: result.measure.order) if in_order else measured
    titles = dict.fromkeys(result.measure.title for result in results)
    return [SEEDS, *(ColumnOf(evaluation=title, head=(title,)) for title in titles)]


def _row(one: Value, **said: str | None) -> RowOf:
    if isinstance(one, Result):
        return RowOf(measured=one.label, **said)
    return RowOf(published=one.method, **said)


def _groups(
    measured: Iterable[Value], published: Iterable[Value], row: Callable[[Value], RowOf] = _row
) -> tuple[GroupOf, ...]:
    ours, theirs = (list({str(one): one for one in map(row, part)}.values()) for part in (measured, published))
    both = (GroupOf(rows=tuple(ours)), GroupOf(heading="published", rows=tuple(theirs)))
    return tuple(group for group in both if group.rows)


def _by_name(results: Iterable[Result]) -> list[Result]:
    methods = by_registry("methods")
    return sorted(results, key=lambda result: methods(result.method))


def _by_year(results: Iterable[PublishedResult]) -> list[PublishedResult]:
    return sorted(results, key=lambda result: (result.number.year or 9999, result.method.casefold()))
