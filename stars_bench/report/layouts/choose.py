"""A layout and numbers to rows, columns and the number of each cell; what is empty is dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stars_bench.errors import UsageError
from stars_bench.report.layouts.ranks import Place, Value
from stars_bench.report.layouts.select import Line, Pool
from stars_bench.report.layouts.table_file import ColumnOf, TableOf, is_pattern
from stars_bench.report.results.result import PublishedResult, Result


class Chosen(NamedTuple):
    """What a table consists of.

    Args:
        lines: Its rows.
        columns: Its columns.
        values: The number of each cell, row by row.
        left_out: How many second-hand numbers were left out.
    """

    lines: Sequence[Line]
    columns: Sequence[ColumnOf]
    values: Mapping[Place, Value]
    left_out: int

    def of(self, row: int) -> dict[int, Value]:
        """Return the numbers of a row by column."""
        return {column: value for (one, column), value in self.values.items() if one == row}

    @property
    def measured(self) -> list[Result]:
        """All measured numbers, row by row."""
        return [value for value in self.values.values() if isinstance(value, Result)]

    @property
    def published(self) -> list[PublishedResult]:
        """All published numbers, row by row."""
        return [value for value in self.values.values() if isinstance(value, PublishedResult)]


def choose(layout: TableOf, pool: Pool) -> Chosen:
    """Choose rows, columns and numbers.

    Columns and rows without a number are dropped; a measured row that the layout names stays.

    Raises:
        UsageError: Something that the layout names is not there, several numbers fit a cell, or none fits any.
    """
    pool.check([layout, *layout.groups, *(row for group in layout.groups for row in group.rows), *layout.columns])
    lines = pool.lines(layout)
    of_numbers = [place for place, column in enumerate(layout.columns) if column.fact is None]
    cells = {
        (row, column): pool.value(line, layout.columns[column])
        for row, line in enumerate(lines)
        for column in of_numbers
    }
    values = {place: value for place, (value, _) in cells.items() if value is not None}
    left_out = sum(count for _, count in cells.values())
    if not values and not left_out:
        raise UsageError(f"{pool.where}: no number fits any of its rows and columns")
    known = {row for (row, _), (value, count) in cells.items() if value is not None or count}
    for row, line in enumerate(lines):
        if line.is_published and row not in known and not is_pattern(line.row.published or ""):
            raise UsageError(f"{line.where}: {line.label!r}: {_none_fits(line.label, pool)}")
    filled_rows, filled = {row for row, _ in values}, {column for _, column in values}
    rows = [row for row, line in enumerate(lines) if row in filled_rows or _stays(line)]
    columns = [place for place, column in enumerate(layout.columns) if column.fact is not None or place in filled]
    kept = {(rows.index(row), columns.index(column)): value for (row, column), value in values.items()}
    return Chosen([lines[row] for row in rows], [layout.columns[place] for place in columns], kept, left_out)


def _stays(line: Line) -> bool:
    return not line.is_published and not is_pattern(line.row.measured or "")


def _none_fits(method: str, pool: Pool) -> str:
    """Say which published numbers a method has for the datasets and protocols of the file."""
    numbers = [one for one in pool.results.published if one.method == method]
    there = dict.fromkeys(f"{one.measure.title} on {one.benchmark.name} ({one.number.streams})" for one in numbers)
    known = f"it has {', '.join(there)}" if there else "it has none for the datasets and protocols of this file"
    return f"no published number fits these columns; {known}"
