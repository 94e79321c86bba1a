"""Paired differences between the rows of a table: to a baseline, and of every row to the best of its column.

All are of hits on the same test clips, clustered as the intervals are; Holm's procedure bounds false claims. Rows whose
predictions cannot be read, or are of other clips, are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from stars_bench.errors import UsageError
from stars_bench.records.paired.differences import Difference, difference, same_clips
from stars_bench.records.record_facts import PLURALS
from stars_bench.records.statistics import formulas
from stars_bench.records.statistics.formulas import holm
from stars_bench.report.results.result import Result

LEVEL = 0.05


def with_baseline(results: Sequence[Result], baseline: str) -> list[Result]:
    """Give every result its difference to the baseline in the same benchmark and measure, where both have hits.

    Args:
        results: the results.
        baseline: a method's name, or the label of one of its rows.

    Raises:
        UsageError: no row is called so, or several rows of the method are.
    """
    labels = {result.label for result in results}
    if baseline not in labels:
        rows = sorted({result.label for result in results if result.method == baseline})
        if len(rows) != 1:
            known = ", ".join(rows or sorted({result.method for result in results}))
            why = "is several rows; choose one" if rows else "was not measured; choose one"
            raise UsageError(f"--baseline {baseline}: {why}: {known}")
        (baseline,) = rows
    places = {(one.benchmark, one.measure.title): one for one in results if one.label == baseline}
    return [_against(one, places.get((one.benchmark, one.measure.title))) for one in results]


def _against(result: Result, baseline: Result | None) -> Result:
    if baseline is None or baseline is result or not (result.is_fair and baseline.is_fair):
        return result
    return replace(result, difference=_difference(result, baseline))


def _difference(first: Result, second: Result) -> Difference | None:
    if first.hits is None or second.hits is None or not same_clips(first.hits, second.hits):
        return None
    return difference(first.hits, second.hits)


def significant(results: Iterable[Result]) -> dict[int, bool]:
    """Say which differences to the baseline a table may call differences (Holm over all of them).

    Args:
        results: the results of one table.

    Returns:
        By place among the results; places without a difference are left out.
    """
    found = {place: result.difference.p for place, result in enumerate(results) if result.difference is not None}
    return dict(zip(found, (holm(list(found.values())) < LEVEL).tolist(), strict=True))


def ties(results: Sequence[Result]) -> tuple[list[bool], list[Difference]]:
    """Find the results of a column that cannot be told from the best (Holm over the others).

    Args:
        results: Those that are ranked.

    Returns:
        Whether each is tied with the best, and all differences that were tested.
    """
    best = max(results, key=lambda result: result.value)
    found = [None if result is best else _difference(best, result) for result in results]
    tested = [one for one in found if one is not None]
    adjusted = iter(holm([one.p for one in tested]).tolist() if tested else [])
    return [one is not None and next(adjusted) >= LEVEL for one in found], tested


def notes_of_tests(tied: bool, tested: Sequence[Difference], baseline: Sequence[Difference]) -> list[str]:
    """Say what was tested, what marks mean, and which differences the test part can show.

    Args:
        tied: whether a row is set in bold because it cannot be told from the best.
        tested: differences to the best of the columns.
        baseline: differences to the baseline.
    """
    every = [*tested, *baseline]
    if not every:
        return []
    units = " and ".join(sorted({one.unit for one in every}))
    how = f"paired on the same test clips, sign flips by {units}, Holm"
    lines = []
    if tied:
        lines.append(f"Bold, too: numbers that cannot be told from the best of their column ({how}).")
    if baseline:
        lines.append(f"In brackets: difference to the baseline in points; p < .05: {how} over {len(baseline)} tests.")
    able = [one for one in every if one.least_p < LEVEL and one.smallest]  # where no cluster differs, nothing is known
    if able:
        lines.append(f"Smallest difference that the test part can show (80 % power, one test): {_range(able)} points.")
    for unit, clusters in sorted({(one.unit, one.clusters) for one in every if one.least_p >= LEVEL}):
        least = formulas.least_p(clusters)
        lines.append(f"{clusters} {PLURALS[unit]} can show no difference, however large: p is at least {least:.3g}.")
    return lines


def _range(differences: Sequence[Difference]) -> str:
    first, *others = dict.fromkeys(f"{one:.1f}" for one in sorted(one.smallest for one in differences))
    return f"{first} to {others[-1]}" if others else first
