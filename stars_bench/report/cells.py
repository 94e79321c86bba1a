"""Grids as sheets of strings, which every format prints: one place decides marks, footnotes, best and second best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from stars_bench.records.published import Published
from stars_bench.report.leaderboard import Board, Cell
from stars_bench.report.pivot import By, Grid, Line, Measured, Told, arrange

MARKS = "*†‡§¶‖"
NOTHING = "–"
BEST, SECOND = 1, 2


@dataclass(frozen=True)
class Entry:
    """One cell: its text, the signs of its footnotes, and its place (BEST, SECOND or 0) among its column."""

    text: str
    signs: str = ""
    place: int = 0
    item: Measured | Told | None = None

    def __str__(self) -> str:
        return self.text + self.signs


@dataclass(frozen=True)
class SheetRow:
    """One line in strings: the label, the number of seeds, then a cell a column."""

    line: Line[Measured] | Line[Told]
    entries: tuple[Entry, ...]

    @property
    def texts(self) -> list[str]:
        """The cells with their signs."""
        return [str(entry) for entry in self.entries]


@dataclass(frozen=True)
class Sheet:
    """A grid in strings. Footnotes are (sign, text): `marks` of measured numbers, `sources` of published ones.

    `notes` are sentences without a sign.
    """

    title: str
    subtitle: str
    header: list[str]
    measured: list[SheetRow]
    published: list[SheetRow]
    marks: list[tuple[str, str]]
    sources: list[tuple[str, str]]
    notes: list[str]

    @property
    def footnotes(self) -> list[tuple[str, str]]:
        """All that stands under the table, sentences with an empty sign."""
        return [*self.marks, *self.sources, *(("", note) for note in self.notes)]


@dataclass
class _Notes:
    """Footnotes in the order in which they are first needed."""

    marks: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def mark(self, reasons: Iterable[str]) -> str:
        """The signs of these reasons."""
        signs = ""
        for reason in reasons:
            place = len(self.marks)
            signs += self.marks.setdefault(reason, MARKS[place % len(MARKS)] * (1 + place // len(MARKS)))
        return signs

    def source(self, text: str) -> str:
        """The number of this source."""
        return self.sources.setdefault(text, f"[{len(self.sources) + 1}]")


def sheets(boards: Sequence[Board], by: By = "dataset") -> list[Sheet]:
    """The tables of a report in strings."""
    return [_sheet(grid) for grid in arrange(boards, by)]


def _sheet(grid: Grid) -> Sheet:
    notes = _Notes()
    places = _places(grid)
    measured = [_measured(line, grid.columns, notes, places) for line in grid.measured]
    published = [_published(line, grid.columns, notes) for line in grid.published]
    return Sheet(
        title=grid.title,
        subtitle=grid.subtitle,
        header=[grid.stub, "seeds", *grid.columns],
        measured=measured,
        published=published,
        marks=[(sign, text) for text, sign in notes.marks.items()],
        sources=[(sign, text) for text, sign in notes.sources.items()],
        notes=list(grid.notes),
    )


def _measured(line: Line[Measured], columns: Sequence[str], notes: _Notes, places: dict[int, int]) -> SheetRow:
    items = list(line.items.values())
    shared = [mark for mark in items[0].marks if all(mark in item.marks for item in items)]
    counts = sorted({item.cell.main.n for item in items})
    entries = [
        Entry(line.label, notes.mark(shared)),
        Entry(str(counts[0]) if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"),
    ]
    for title in columns:
        item = line.items.get(title)
        if item is None:
            entries.append(Entry(NOTHING))
            continue
        signs = notes.mark(mark for mark in item.marks if mark not in shared)
        entries.append(Entry(number(item.cell), signs, places.get(id(item), 0), item))
    return SheetRow(line, tuple(entries))


def number(cell: Cell) -> str:
    """`61.0 ±1.0`; numbers that are no percentages have two decimals."""
    main = cell.main
    return f"{main.mean:.{digits(cell)}f}" + ("" if main.std is None else f" ±{main.std:.{digits(cell)}f}")


def digits(cell: Cell) -> int:
    """How many decimals are shown."""
    return 1 if cell.main.unit == "%" else 2


def _places(grid: Grid) -> dict[int, int]:
    """By id of a measured number: BEST or SECOND of its column; numbers that print alike share a place.

    Only where rows are methods, and not for results that have seen what they were tested on.
    """
    places: dict[int, int] = {}
    for title in grid.columns if grid.stub == "method" else ():
        items = [line.items[title] for line in grid.measured if title in line.items]
        items = [item for item in items if item.cell.is_fair]
        shown = {id(item): float(f"{item.cell.main.mean:.{digits(item.cell)}f}") for item in items}
        ranked = sorted(set(shown.values()), reverse=True)[:SECOND]
        if len(ranked) < SECOND:  # one number, or all alike: nothing is best
            continue
        places |= {one: ranked.index(value) + BEST for one, value in shown.items() if value in ranked}
    return places


def _published(line: Line[Told], columns: Sequence[str], notes: _Notes) -> SheetRow:
    entries = [Entry(line.label, f" {notes.source(_sources(line))}"), Entry("")]
    for title in columns:
        item = line.items.get(title)
        entries.append(Entry(NOTHING) if item is None else Entry(f"{item.number.value:.1f}", item=item))
    return SheetRow(line, tuple(entries))


def _sources(line: Line[Told]) -> str:
    """Where the numbers of a row were read, and what other sources say: one sentence per different source."""
    by_source: dict[str, list[str]] = {}
    for title, item in line.items.items():
        by_source.setdefault(_source(item.number), []).append(title)
    if len(by_source) == 1:
        return next(iter(by_source))
    return ". ".join(f"{', '.join(titles)}: {source}" for source, titles in by_source.items())


def _source(number: Published) -> str:
    origin = number.source if number.confidence == "direct" else f"second-hand, {number.source}"
    if not number.conflicts:
        return origin
    others = "; ".join(f"{other.value:g} as {other.stated_as} ({other.source})" for other in number.conflicts)
    return f"{origin}; other sources say {others}"
