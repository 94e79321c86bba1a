"""Best and second of each column, by the numbers as they are printed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from stars_bench.records.paired.differences import Difference
from stars_bench.report.layouts.table_file import Rank
from stars_bench.report.results.paired import ties
from stars_bench.report.results.result import PublishedResult, Result
from stars_bench.report.table import BEST, SECOND, TIED

Value = Result | PublishedResult
Place = tuple[int, int]
"""Row and column."""

RANKINGS = {
    "measured": "Best measured number in bold, second underlined.",
    "all": "Best number in bold, second underlined, published ones included.",
    "group": "Best number of each group in bold, second underlined.",
}
"""What the two marks mean, by where they are sought."""


def pools(rank: Rank, groups: Sequence[Collection[int]], measured: Collection[int]) -> list[Collection[int]]:
    """Return the rows that are ranked among each other, as sets.

    Args:
        rank: Where the best is sought.
        groups: The rows of each group.
        measured: The rows of measured numbers.
    """
    if rank == "group":
        return list(groups)
    every = [row for rows in groups for row in rows]
    return [] if rank == "none" else [measured if rank == "measured" else every]


def ranks(
    values: Mapping[Place, Value], printed: Mapping[Place, float], sets: Sequence[Collection[int]], with_ties: bool
) -> tuple[dict[Place, int], list[Difference]]:
    """Rank every column within each set of rows.

    Numbers that print alike share a rank, and what cannot be told from a measured best is ranked with it. Results that
    have seen what they were tested on are not ranked.

    Args:
        values: The numbers.
        printed: The same, as they are printed.
        sets: Rows that are ranked among each other.
        with_ties: Whether measured numbers are tested against the best.

    Returns:
        BEST, SECOND or TIED by place, and the differences to the best that were tested.
    """
    found: dict[Place, int] = {}
    tested: list[Difference] = []
    for rows in sets:
        for column in sorted({column for _, column in values}):
            places = [(row, column) for row in rows if _is_ranked(values.get((row, column)))]
            tied, differences = _tied(places, values, printed) if with_ties else (set[Place](), [])
            tested += differences
            best = sorted({printed[place] for place in places}, reverse=True)[:SECOND]
            if len(best) < SECOND:  # of one number, or of numbers that are all alike, none is best
                continue
            for place in places:
                rank = 1 + best.index(printed[place]) if printed[place] in best else 0
                found[place] = TIED if rank != BEST and place in tied else rank
    return found, tested


def _is_ranked(value: Value | None) -> bool:
    return isinstance(value, PublishedResult) or (value is not None and value.is_fair)


def _tied(
    places: Sequence[Place], values: Mapping[Place, Value], printed: Mapping[Place, float]
) -> tuple[set[Place], list[Difference]]:
    """Find the measured numbers that cannot be told from the best, where that is a measured one."""
    measured = {place: value for place in places if isinstance(value := values[place], Result)}
    highest = max((printed[place] for place in places), default=0.0)
    if len(measured) < 2 or max(printed[place] for place in measured) < highest:
        return set(), []
    alike, tested = ties(list(measured.values()))
    return {place for place, is_alike in zip(measured, alike, strict=True) if is_alike}, tested
