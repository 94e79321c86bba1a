"""The one table between results and every output: columns, rows, cells with their values, footnotes.

Marks, footnotes, best and second best are decided here, once for all outputs.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeVar

from stars_bench.records.paired.differences import Difference
from stars_bench.report.results.intervals import interval_notes
from stars_bench.report.results.paired import notes_of_tests, ranked, significant, ties
from stars_bench.report.results.published import OTHER_RECIPE, SECOND_HAND, sources
from stars_bench.report.results.result import PUBLISHED_RECIPE, PublishedResult, Result, recipes_of
from stars_bench.report.results.summary import best_on_test, summary

SIGNS = "*†‡§¶‖"
SECOND_HAND_SIGN = "°"
Stub = Literal["method", "data"]
Intervals = Literal["notes", "cells", "none"]
"""Where the 95 % intervals stand: their meaning and width under the table, also in its cells, or nowhere."""
NOTHING = "–"
BEST, SECOND, TIED = 1, 2, 3
"""TIED: cannot be told from the best."""

_Value = TypeVar("_Value", Result, PublishedResult)


class Column(NamedTuple):
    """A column.

    Args:
        key: What its numbers have in common.
        title: Its head.
    """

    key: Hashable
    title: str


class Footnote(NamedTuple):
    """A line under a table.

    Args:
        sign: Its sign; empty for a sentence about the whole table.
        text: Its text.
    """

    sign: str
    text: str


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        number: its text without the deviation.
        deviation: the standard deviation over seeds, or half the 95 % interval; empty where there is none.
        difference: to the baseline, as `+1.3` or `+1.3; p < .05`; empty where there is none.
        signs: those of its footnotes.
        rank: BEST, SECOND, TIED or 0 among its column.
        value: what the number is and where it comes from; None for cells without a result.
    """

    number: str = NOTHING
    deviation: str = ""
    difference: str = ""
    signs: str = ""
    rank: int = 0
    value: Result | PublishedResult | None = None

    @property
    def text(self) -> str:
        """Number, deviation and difference to the baseline: `61.0 ±1.0 (+1.3)`."""
        text = f"{self.number} ±{self.deviation}" if self.deviation else self.number
        return f"{text} ({self.difference})" if self.difference else text

    def __str__(self) -> str:
        return self.text + self.signs


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        label: Its head.
        signs: The footnotes that all its cells share.
        method: Whose numbers these are.
        cells: One a column.
    """

    label: str
    signs: str
    method: str
    cells: tuple[Cell, ...]

    @property
    def texts(self) -> list[str]:
        """The head and all cells with their signs."""
        return [self.label + self.signs, *map(str, self.cells)]

    @property
    def recipe(self) -> str:
        """Whose recipe its numbers follow: `common`, `own` (the method's own paper's), or both in one."""
        measured = [cell.value for cell in self.cells if isinstance(cell.value, Result)]
        return recipes_of(measured) if measured else PUBLISHED_RECIPE

    @property
    def is_marked(self) -> bool:
        """Whether anything in it has a footnote."""
        return bool(self.signs) or any(cell.signs for cell in self.cells)


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        title: What all its numbers share.
        subtitle: What the numbers are and over how many clips.
        stub: What its rows are, "method" or "data": the head of the labels.
        columns: The seeds first, then one a measure or benchmark.
        measured: Rows of measured numbers.
        published: Rows of published numbers, which stand apart.
        marks: Footnotes of measured numbers, and of second-hand ones.
        sources: Footnotes of published ones.
        notes: Sentences about the whole table.
    """

    title: str
    subtitle: str
    stub: Stub
    columns: tuple[Column, ...]
    measured: tuple[Row, ...]
    published: tuple[Row, ...]
    marks: tuple[Footnote, ...]
    sources: tuple[Footnote, ...]
    notes: tuple[str, ...]

    @property
    def header(self) -> list[str]:
        """The head of the labels and of every column."""
        return [self.stub, *(column.title for column in self.columns)]

    @property
    def rows(self) -> tuple[Row, ...]:
        """Measured and published rows."""
        return *self.measured, *self.published

    @property
    def footnotes(self) -> list[Footnote]:
        """All that stands under the table."""
        return [*self.marks, *self.sources, *(Footnote("", note) for note in self.notes)]

    @property
    def results(self) -> list[Result]:
        """All measured numbers, row by row."""
        return [cell.value for row in self.measured for cell in row.cells if isinstance(cell.value, Result)]

    @property
    def published_results(self) -> list[PublishedResult]:
        """All published numbers, row by row."""
        return [cell.value for row in self.published for cell in row.cells if isinstance(cell.value, PublishedResult)]


_Ranks = dict[tuple[Hashable, str], int]
"""Ranks by key of a column and label of a row."""
_Lines = Mapping[str, Mapping[Hashable, _Value]]
"""Results by label of their row and key of their column."""


def make_table(
    title: str,
    stub: Stub,
    columns: Sequence[Column],
    measured: _Lines[Result],
    published: _Lines[PublishedResult],
    notes: Iterable[str],
    intervals: Intervals = "notes",
) -> Table:
    """Make a table of results: cells, ranks and footnotes.

    Args:
        title: What all its numbers share.
        stub: What its rows are; only methods are ranked.
        columns: One a measure or benchmark.
        measured: By label of their row and key of their column.
        published: Likewise.
        notes: Sentences about the whole table.
        intervals: Where the 95 % intervals stand. In cells they take the place of the deviation over seeds.
    """
    footnotes = _Footnotes()
    ranks, tested = _ranks(columns, measured) if stub == "method" else ({}, [])
    with_intervals = intervals == "cells"
    differences = _differences(measured, with_intervals)
    measured_rows = tuple(
        _measured_row(label, line, columns, footnotes, ranks, differences, with_intervals)
        for label, line in measured.items()
    )
    published_rows = tuple(_published_row(label, line, columns, footnotes) for label, line in published.items())
    results = [result for line in measured.values() for result in line.values()]
    beside = [result for line in published.values() for result in line.values()]
    return Table(
        title=title,
        subtitle=summary(results, with_intervals),
        stub=stub,
        columns=(Column("seeds", "seeds"), *columns),
        measured=measured_rows,
        published=published_rows,
        marks=tuple(Footnote(sign, text) for text, sign in footnotes.marks.items()),
        sources=tuple(Footnote(sign, text) for text, sign in footnotes.sources.items()),
        notes=(
            *notes,
            *(interval_notes(results) if intervals != "none" else []),
            *notes_of_tests(_has_ties(ranks), tested, [one.difference for one in results if one.difference]),
            *best_on_test(results, beside),
        ),
    )


def _measured_row(
    label: str,
    line: Mapping[Hashable, Result],
    columns: Sequence[Column],
    footnotes: _Footnotes,
    ranks: _Ranks,
    differences: Mapping[tuple[str, Hashable], str],
    with_intervals: bool,
) -> Row:
    first, *others = line.values()
    shared = [mark for mark in first.marks if all(mark in other.marks for other in others)]
    signs = footnotes.mark(shared)
    counts = sorted({result.seeds for result in line.values()})
    cells = [Cell(str(counts[0]) if len(counts) == 1 else f"{counts[0]}-{counts[-1]}")]
    for column in columns:
        result = line.get(column.key)
        if result is None:
            cells.append(Cell())
            continue
        rank = ranks.get((column.key, label), 0)
        own = footnotes.mark(mark for mark in result.marks if mark not in shared)
        difference = differences.get((label, column.key), "")
        spread = _half(result) if with_intervals else _deviation(result)
        cells.append(Cell(_number(result), spread, difference, own, rank, result))
    return Row(label, signs, first.method, tuple(cells))


def _number(result: Result) -> str:
    return f"{result.value:.{result.decimals}f}"


def _deviation(result: Result) -> str:
    return "" if result.main.std is None else f"{result.main.std:.{result.decimals}f}"


def _half(result: Result) -> str:
    """Half the 95 % interval; where it is cut at 0 or 100 %, the side that is not."""
    main = result.main
    if main.low is None or main.high is None:
        return ""
    return f"{max(main.high - main.mean, main.mean - main.low):.{result.decimals}f}"


def _ranks(columns: Iterable[Column], measured: _Lines[Result]) -> tuple[_Ranks, list[Difference]]:
    """By key of a column and label: BEST or SECOND of the column; and the differences to the best that were tested.

    Numbers that print alike share a rank, and what cannot be told from the best is ranked with it. Results that have
    seen what they were tested on are not ranked.
    """
    ranks: _Ranks = {}
    fair = ranked(measured)
    tied, tested = ties(fair)
    for column in columns:
        results = fair.get(column.key, [])
        best = sorted({float(_number(result)) for result in results}, reverse=True)[:SECOND]
        if len(best) == SECOND:  # of one number, or of numbers that are all alike, none is best
            places = {value: place for place, value in enumerate(best, BEST)}
            for result in results:
                place = places.get(float(_number(result)), 0)
                key = column.key, result.label
                ranks[key] = TIED if place != BEST and key in tied else place
    return ranks, tested


def _has_ties(ranks: _Ranks) -> bool:
    return TIED in ranks.values()


def _differences(measured: _Lines[Result], with_intervals: bool) -> dict[tuple[str, Hashable], str]:
    """By label of a row and key of a column: the difference to the baseline, as it is printed."""
    cells = [(label, key, result) for label, line in measured.items() for key, result in line.items()]
    claimed = significant([result for *_, result in cells])
    return {
        (label, key): _difference(result.difference, result.decimals, with_intervals, claimed[place])
        for place, (label, key, result) in enumerate(cells)
        if result.difference is not None
    }


def _difference(found: Difference, decimals: int, with_interval: bool, claimed: bool) -> str:
    half = f" ±{(found.high - found.low) / 2:.{decimals}f}" if with_interval else ""
    return f"{found.value:+z.{decimals}f}{half}{'; p < .05' if claimed else ''}"


def _published_row(
    label: str, line: Mapping[Hashable, PublishedResult], columns: Sequence[Column], footnotes: _Footnotes
) -> Row:
    by_title = {column.title: line[column.key] for column in columns if column.key in line}
    sign = footnotes.source(sources({title: result.number for title, result in by_title.items()}))
    cells = []
    for column in columns:
        result = line.get(column.key)
        if result is None:
            cells.append(Cell())
            continue
        signs = "" if result.number.is_first_hand else footnotes.second_hand()
        signs += footnotes.mark([OTHER_RECIPE] if result.other_recipe else [])
        cells.append(Cell(f"{result.value:.1f}", signs=signs, value=result))
    return Row(label, f" {sign}", next(iter(line.values())).method, (Cell(""), *cells))


@dataclass
class _Footnotes:
    """Footnotes in the order in which they are first needed, by text."""

    marks: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def mark(self, reasons: Iterable[str]) -> str:
        """Return the signs of these reasons."""
        signs = ""
        for reason in reasons:
            place = len(self.marks) - (SECOND_HAND in self.marks)
            signs += self.marks.setdefault(reason, SIGNS[place % len(SIGNS)] * (1 + place // len(SIGNS)))
        return signs

    def second_hand(self) -> str:
        """Return the sign of numbers that others quote."""
        return self.marks.setdefault(SECOND_HAND, SECOND_HAND_SIGN)

    def source(self, text: str) -> str:
        """Return the number of this source."""
        return self.sources.setdefault(text, f"[{len(self.sources) + 1}]")
