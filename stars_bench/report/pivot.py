"""From boards to grids: the same numbers with methods, evaluations or datasets as the tables.

dataset     one table a dataset and protocol; rows are methods, columns evaluations: the boards themselves
evaluation  one table an evaluation; rows are methods, columns datasets and protocols
method      one table a method; rows are datasets and protocols, columns evaluations
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Literal, TypeVar

from stars_bench.records.published import Published
from stars_bench.report.leaderboard import BEST_ON_TEST, Board, Cell, Column, PublishedRow, Row, by_registry

By = Literal["dataset", "evaluation", "method"]


@dataclass(frozen=True)
class Measured:
    """One measured number in its place."""

    board: Board
    column: Column
    row: Row
    cell: Cell

    @property
    def marks(self) -> tuple[str, ...]:
        """Why the number needs a footnote."""
        return (*self.row.marks, *self.cell.marks)


@dataclass(frozen=True)
class Told:
    """One published number in its place."""

    board: Board
    column: Column
    row: PublishedRow
    number: Published


_Item = TypeVar("_Item", Measured, Told)


@dataclass(frozen=True)
class Line(Generic[_Item]):
    """One row of a grid: its numbers by the title of their column."""

    label: str
    items: Mapping[str, _Item]

    @property
    def method(self) -> str:
        """Whose numbers these are."""
        return next(iter(self.items.values())).row.method


@dataclass(frozen=True)
class Grid:
    """One table: measured lines, published lines, what its boards say of them. `stub`: what its rows are."""

    title: str
    stub: Literal["method", "data"]
    columns: tuple[str, ...]
    measured: tuple[Line[Measured], ...]
    published: tuple[Line[Told], ...]
    of_boards: tuple[str, ...]

    @cached_property
    def items(self) -> list[Measured]:
        """All measured numbers."""
        return [item for line in self.measured for item in line.items.values()]

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for underneath."""
        return (*self.of_boards, *self._best_on_test())

    def _best_on_test(self) -> list[str]:
        """The measured counterpart of published maxima, only where such a number stands in the same column."""
        claimed = {_claim(item) for line in self.published for item in line.items.values()}
        there = [item for item in self.items if BEST_ON_TEST in item.cell.metrics and _claim(item) in claimed]
        several = len({id(item.board) for item in self.items}) > 1
        told = [
            f"{item.row.label} {f'{item.board.dataset} {item.board.protocol} ' if several else ''}{item.column.title} "
            f"{item.cell.metrics[BEST_ON_TEST].mean:.1f}"
            for item in there
        ]
        if not told:
            return []
        return [
            "Measured numbers are the last epoch's. The official programs print the best epoch on the test part, "
            f"which here is: {'; '.join(told)}."
        ]

    @property
    def subtitle(self) -> str:
        """What the numbers are and over how many clips."""
        accuracies = [item for item in self.items if item.cell.main.unit == "%"]
        if not self.items:
            return "published top-1 accuracy in %"
        if not accuracies:
            return "agreement of clusters with classes"
        several = any(item.cell.main.n > 1 for item in self.items)
        validated = {item.board.validation is not None for item in self.items}
        tested = " and ".join("validation" if validation else "test" for validation in sorted(validated))
        lists = any("percent" in item.column.settings for item in self.items)
        spread = f", mean ± standard deviation over {'seeds and lists' if lists else 'seeds'}" if several else ""
        episodes = [item for item in accuracies if "ways" in item.column.settings]
        clips = [item for item in accuracies if "ways" not in item.column.settings]
        groups = ((clips, f"{tested} clips"), (episodes, "episodes"))
        counts = [f"{_counts(items)} {name}" for items, name in groups if items]
        return f"top-1 accuracy in %{spread}; {', '.join(counts)}"


def _claim(item: Measured | Told) -> tuple[int, str, str]:
    """Whose number of which column of which board, whatever the case of the name."""
    return id(item.board), item.row.method.casefold(), item.column.title


def _counts(items: Sequence[Measured]) -> str:
    """How many clips, or episodes, numbers rest on: the fewest and the most."""
    numbers = sorted({n for item in items for n in (item.cell.main.clips, item.cell.main.most_clips)})
    return f"{numbers[0]:,}" if len(numbers) == 1 else f"{numbers[0]:,} to {numbers[-1]:,}"


def arrange(boards: Sequence[Board], by: By = "dataset") -> list[Grid]:
    """The boards' numbers as grids; every number is in exactly one of them."""
    short = _short_titles(boards)
    measured = [
        Measured(board, column, row, row.cells[column.title])
        for board in boards
        for row in board.rows
        for column in board.columns
        if column.title in row.cells
    ]
    told = [
        Told(board, column, row, row.cells[column.title])
        for board in boards
        for row in board.published
        for column in board.columns
        if column.title in row.cells
    ]
    if by == "dataset":
        return [_as_it_stands(board, measured, told) for board in boards]
    if by == "evaluation":
        return _by_evaluation(measured, told, short)
    return _by_method(measured, told, short)


def _as_it_stands(board: Board, measured: Sequence[Measured], told: Sequence[Told]) -> Grid:
    return Grid(
        board.title,
        "method",
        tuple(column.title for column in board.columns),
        _lines([item for item in measured if item.board is board], lambda item: item.row.label, _column),
        _lines([item for item in told if item.board is board], lambda item: item.row.method, _column),
        board.notes,
    )


def _column(item: Measured | Told) -> str:
    return item.column.title


def _by_evaluation(measured: Sequence[Measured], told: Sequence[Told], short: Mapping[int, str]) -> list[Grid]:
    grids = []
    methods = by_registry("methods")
    for title in dict.fromkeys(item.column.title for item in measured):
        here = [item for item in measured if item.column.title == title]
        here.sort(key=lambda item: methods(item.row.method))
        beside = [item for item in told if item.column.title == title]
        beside.sort(key=lambda item: (item.number.year or 9999, item.row.method.casefold()))
        boards = [item.board for item in measured if item.column.title == title]
        columns = tuple(dict.fromkeys(short[id(board)] for board in boards))
        grids.append(
            Grid(
                title,
                "method",
                columns,
                _lines(here, lambda item: item.row.label, lambda item: short[id(item.board)]),
                _lines(beside, lambda item: item.row.method, lambda item: short[id(item.board)]),
                _notes(boards, short),
            )
        )
    return grids


def _by_method(measured: Sequence[Measured], told: Sequence[Told], short: Mapping[int, str]) -> list[Grid]:
    grids = []
    methods = by_registry("methods")
    ours = sorted(dict.fromkeys(item.row.method for item in measured), key=methods)
    known = {method.casefold() for method in ours}
    theirs = dict.fromkeys(item.row.method for item in told if item.row.method.casefold() not in known)
    columns = tuple(dict.fromkeys(item.column.title for item in measured))
    for method in (*ours, *theirs):
        here = [item for item in measured if item.row.method == method]
        beside = [item for item in told if item.row.method.casefold() == method.casefold()]
        own = {item.column.title for item in here} | {item.column.title for item in beside}

        def place(item: Measured, method: str = method) -> str:
            apart = item.row.label.removeprefix(method).strip()
            return f"{short[id(item.board)]} {apart}".strip()

        grids.append(
            Grid(
                method,
                "data",
                tuple(title for title in columns if title in own),
                _lines(here, place, _column),
                _lines(beside, lambda item: short[id(item.board)], _column),
                _notes([item.board for item in here], short),
            )
        )
    return grids


def _lines(
    items: Sequence[_Item], label: Callable[[_Item], str], column: Callable[[_Item], str]
) -> tuple[Line[_Item], ...]:
    lines: dict[Hashable, dict[str, _Item]] = {}
    for item in items:
        lines.setdefault(label(item), {})[column(item)] = item
    return tuple(Line(str(name), cells) for name, cells in lines.items())


def _short_titles(boards: Sequence[Board]) -> dict[int, str]:
    """By id of a board: dataset and protocol, or its whole title where that is not enough."""
    names = [f"{board.dataset} {board.protocol}" for board in boards]
    return {
        id(board): name if names.count(name) == 1 else board.title for board, name in zip(boards, names, strict=True)
    }


def _notes(boards: Sequence[Board], short: Mapping[int, str]) -> tuple[str, ...]:
    """The notes of several boards; one that not all of them have says whose it is."""
    different = {id(board): board for board in boards}.values()
    notes = [
        note if all(note in other.notes for other in different) else f"{short[id(board)]}: {note}"
        for board in different
        for note in board.notes
    ]
    return tuple(dict.fromkeys(notes))
