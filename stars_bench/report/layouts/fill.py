"""A layout and numbers to a table: cells, heads, ranks, footnotes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from stars_bench.errors import UsageError
from stars_bench.records.paired.differences import Difference
from stars_bench.report.layouts import facts
from stars_bench.report.layouts.choose import Chosen, choose
from stars_bench.report.layouts.footnotes import Footnotes
from stars_bench.report.layouts.ranks import RANKINGS, Place, Value, pools, ranks
from stars_bench.report.layouts.select import Line, Pool
from stars_bench.report.layouts.table_file import ColumnOf, Intervals, Sources, TableOf
from stars_bench.report.results.intervals import interval_notes
from stars_bench.report.results.paired import notes_of_tests, significant
from stars_bench.report.results.published import OTHER_RECIPE, left_out_note, sources
from stars_bench.report.results.result import Benchmark, PublishedResult, Result, Results
from stars_bench.report.results.summary import Spread, best_on_test, summary
from stars_bench.report.table import NOTHING, TIED, Cell, Column, Group, Row, Style, Table


def fill(
    layout: TableOf, results: Results, *, sources: Sources = "all", intervals: Intervals = "notes", where: str = "table"
) -> Table:
    """Make a table of the numbers that a layout asks for.

    Args:
        layout: The layout.
        results: The numbers.
        sources: Whose published numbers are printed.
        intervals: Where the 95 % intervals stand. In cells they take the place of the deviation over seeds.
        where: The layout, as a message names it.

    Raises:
        UsageError: A row, dataset, protocol, evaluation or fact that is not there, a cell that several numbers fit, or
            no number at all.
    """
    chosen = choose(layout, Pool(results, sources, where))
    spread: Spread = "interval" if intervals == "cells" else "deviation" if layout.deviation else "none"
    of_group = [
        [row for row, line in enumerate(chosen.lines) if line.group == one] for one in range(len(layout.groups))
    ]
    measured = [row for row, line in enumerate(chosen.lines) if not line.is_published]
    printed = {place: float(_number(value, chosen, layout, place)) for place, value in chosen.values.items()}
    found, tested = ranks(chosen.values, printed, pools(layout.rank, of_group, measured), layout.ties)
    setter = _Setter(layout, chosen, spread, found)
    rows = [setter.row(row) for row in range(len(chosen.lines))]
    shown = [place for place in range(len(chosen.columns)) if any(row.cells[place].number != NOTHING for row in rows)]
    rows = [replace(row, cells=tuple(row.cells[place] for place in shown)) for row in rows]
    groups = [
        Group(of.heading, tuple(rows[row] for row in own)) for of, own in zip(layout.groups, of_group, strict=True)
    ]
    ranking = RANKINGS.get(layout.rank, "") if found else ""
    notes = [
        *layout.notes,
        *_of_benchmarks(chosen.measured, results.notes),
        *left_out_note(chosen.left_out),
        *_of_hours(chosen),
        *(interval_notes(chosen.measured) if intervals != "none" else []),
        *_of_tests(chosen.measured, tested, TIED in found.values()),
        *best_on_test(chosen.measured, chosen.published),
        *([ranking] if layout.rank != "measured" and ranking else []),
    ]
    return Table(
        title=layout.caption or layout.title,
        subtitle=summary(chosen.measured, chosen.published, spread),
        stub=layout.stub,
        columns=tuple(map(setter.head, shown)),
        groups=tuple(group for group in groups if group.rows),
        ranking=ranking,
        marks=setter.footnotes.of_marks(),
        sources=setter.footnotes.of_sources(),
        notes=tuple(notes),
        group_head=layout.group_head if layout.groups_in == "column" else None,
        captioned=layout.caption is not None,
        style=Style(layout.label, layout.siunitx, layout.colours, layout.wide),
    )


@dataclass
class _Setter:
    """Sets rows and heads; footnotes get their signs in the order in which rows are set.

    Args:
        layout: The layout.
        chosen: The numbers.
        spread: What stands behind a number.
        ranks: Best and second.
    """

    layout: TableOf
    chosen: Chosen
    spread: Spread
    ranks: Mapping[Place, int]
    footnotes: Footnotes = field(default_factory=Footnotes)

    def __post_init__(self) -> None:
        self.differences = _differences(self.chosen, self.layout, self.spread == "interval")

    def row(self, row: int) -> Row:
        """Return a row."""
        line, own = self.chosen.lines[row], self.chosen.of(row)
        marks = [_marks(value) for value in own.values()]
        shared = [mark for mark in marks[0] if all(mark in other for other in marks)] if marks else []
        shared = [] if line.is_published else shared
        signs = self.footnotes.mark([*shared, *([line.row.mark] if line.row.mark else [])])
        titles = {place: self.head(place).title for place in own}
        numbers = {titles[place]: value.number for place, value in own.items() if isinstance(value, PublishedResult)}
        return Row(
            label=line.row.name or line.label,
            signs=signs,
            method=line.label if not own else next(iter(own.values())).method,
            cells=tuple(self._cell((row, place), own, shared) for place in range(len(self.chosen.columns))),
            source=self.footnotes.source(sources(numbers)) if numbers else "",
            is_published=line.is_published,
            in_italics=line.is_published and self.layout.italics,
            in_bold=line.row.bold,
            is_shaded=line.row.shade,
        )

    def _cell(self, place: Place, own: Mapping[int, Value], shared: Sequence[str]) -> Cell:
        row, column = place
        line, fact, value = self.chosen.lines[row], self.chosen.columns[column].fact, own.get(column)
        if fact is not None:
            return Cell(_fact(fact, line, list(own.values()), self.chosen.lines))
        if value is None:
            return Cell(self.layout.missing if line.row.missing is None else line.row.missing)
        is_quoted = isinstance(value, PublishedResult) and not value.number.is_first_hand
        signs = self.footnotes.second_hand() if is_quoted else ""
        signs += self.footnotes.mark(mark for mark in _marks(value) if mark not in shared)
        number = _number(value, self.chosen, self.layout, place)
        deviation = "" if isinstance(value, PublishedResult) else self._deviation(value, place)
        return Cell(number, deviation, self.differences.get(place, ""), signs, self.ranks.get(place, 0), value)

    def _deviation(self, result: Result, place: Place) -> str:
        """Return the deviation over seeds, or half the 95 % interval; where it is cut, the side that is not."""
        main = result.main
        width = main.std if self.spread == "deviation" else None
        if self.spread == "interval" and main.low is not None and main.high is not None:
            width = max(main.high - main.mean, main.mean - main.low)
        return "" if width is None else f"{width:.{_decimals(result, self.chosen, self.layout, place)}f}"

    def head(self, place: int) -> Column:
        """Return the head of a column."""
        column = self.chosen.columns[place]
        if column.fact is None:
            return Column(column.head or _said(column))
        heads = column.head or (facts.HEADS.get(column.fact, column.fact.replace("_", " ")),)
        return Column(heads, column.fact not in facts.NUMBERS)


def _said(column: ColumnOf) -> tuple[str, ...]:
    """Return the head of a column that has none: what it says of its numbers, without the profile."""
    said = column.said
    place = " ".join(said[key] for key in ("dataset", "protocol") if key in said)
    rest = " ".join(value for key, value in said.items() if key not in ("dataset", "protocol", "profile"))
    return tuple(filter(None, (place, rest))) or ("number",)


def _marks(value: Value) -> Sequence[str]:
    """Return why a number needs footnotes; that a number is second-hand has a sign of its own."""
    if isinstance(value, Result):
        return value.marks
    return [OTHER_RECIPE] if value.other_recipe else []


def _decimals(value: Value, chosen: Chosen, layout: TableOf, place: Place) -> int:
    asked = (chosen.columns[place[1]].decimals, layout.decimals)
    usual = value.decimals if isinstance(value, Result) else 1
    return next((one for one in asked if one is not None), usual)


def _number(value: Value, chosen: Chosen, layout: TableOf, place: Place) -> str:
    return f"{value.value:.{_decimals(value, chosen, layout, place)}f}"


def _fact(fact: str, line: Line, values: Sequence[Value], lines: Sequence[Line]) -> str:
    """Return a fact of a row: as the file says it, else as it is known.

    Raises:
        UsageError: It is neither known of rows, nor said of any.
    """
    if fact in line.row.facts:
        return str(line.row.facts[fact])
    if fact not in facts.KNOWN and not any(fact in other.row.facts for other in lines):
        raise UsageError(
            f"{line.where.partition('.groups')[0]}: fact {fact!r} is not known, and no row says facts = "
            f"{{{fact} = ...}}; known are {', '.join(facts.KNOWN)}"
        )
    if line.is_published:
        found = facts.of_published(fact, [one for one in values if isinstance(one, PublishedResult)])
        return found or ("" if fact == "seeds" else NOTHING)
    return facts.of_measured(fact, [one for one in values if isinstance(one, Result)]) or NOTHING


def _differences(chosen: Chosen, layout: TableOf, with_interval: bool) -> dict[Place, str]:
    """Return the differences to the baseline, as they are printed."""
    found = {
        place: (value, value.difference)
        for place, value in chosen.values.items()
        if isinstance(value, Result) and value.difference is not None
    }
    claimed = significant([value for value, _ in found.values()])
    return {
        place: _difference(one, _decimals(value, chosen, layout, place), with_interval, claimed[number])
        for number, (place, (value, one)) in enumerate(found.items())
    }


def _difference(found: Difference, decimals: int, with_interval: bool, is_claimed: bool) -> str:
    half = f" ±{(found.high - found.low) / 2:.{decimals}f}" if with_interval else ""
    return f"{found.value:+z.{decimals}f}{half}{'; p < .05' if is_claimed else ''}"


def names(benchmarks: Iterable[Benchmark]) -> dict[Benchmark, str]:
    """Return the dataset and protocol of each, or its whole title where that is not enough.

    Args:
        benchmarks: All benchmarks of a report.
    """
    every = list(benchmarks)
    count = Counter(one.name for one in every)
    return {one: one.name if count[one.name] == 1 else one.title for one in every}


def _of_benchmarks(measured: Iterable[Result], notes: Mapping[Benchmark, Sequence[str]]) -> list[str]:
    """Return the notes of the measured benchmarks; one that not all of them have says whose it is."""
    named = names(notes)
    used = {result.benchmark for result in measured}
    own = {benchmark: said for benchmark, said in notes.items() if benchmark in used}
    found = (
        note if all(note in other for other in own.values()) else f"{named[benchmark]}: {note}"
        for benchmark, said in own.items()
        for note in said
    )
    return [*dict.fromkeys(found)]


def _of_hours(chosen: Chosen) -> list[str]:
    """Say what hours are, where there is a column of them."""
    if not any(column.fact == "hours" for column in chosen.columns) or not chosen.measured:
        return []
    machines = ", ".join(facts.devices(chosen.measured))
    return [f"Hours: all trainings of a row, probes too, times processes; mean over seeds; on {machines}."]


def _of_tests(measured: Sequence[Result], tested: Sequence[Difference], with_ties: bool) -> list[str]:
    return notes_of_tests(with_ties, tested, [one.difference for one in measured if one.difference])
