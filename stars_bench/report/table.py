"""The one table between results and every output: heads, groups of rows, cells with their values, footnotes.

`layouts.fill` makes it and decides marks, footnotes, best and second best, once for all outputs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from stars_bench.report.results.result import PUBLISHED_RECIPE, PublishedResult, Result, recipes_of

NOTHING = "–"
BEST, SECOND, TIED = 1, 2, 3
"""TIED: cannot be told from the best."""


class Column(NamedTuple):
    """A column.

    Args:
        heads: Its head, from the uppermost level down to its own.
        is_text: Whether it holds words, and not numbers. Default: False.
    """

    heads: tuple[str, ...]
    is_text: bool = False

    @property
    def title(self) -> str:
        """Its head in one line."""
        return " ".join(filter(None, self.heads))


class Head(NamedTuple):
    """One head.

    Args:
        text: Its text; empty above a column with fewer levels.
        first: The first column that it stands over.
        width: How many columns it stands over.
    """

    text: str
    first: int
    width: int


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
        source: The number of the footnote that says where published numbers were read; empty for measured ones.
        is_published: Whether its numbers are published ones. Default: False.
        in_italics: Whether it is set in italics. Default: False.
        in_bold: Whether its head is set in bold. Default: False.
        is_shaded: Whether it is shaded. Default: False.
    """

    label: str
    signs: str
    method: str
    cells: tuple[Cell, ...]
    source: str = ""
    is_published: bool = False
    in_italics: bool = False
    in_bold: bool = False
    is_shaded: bool = False

    @property
    def texts(self) -> list[str]:
        """The head and all cells with their signs."""
        return [f"{self.label}{self.signs} {self.source}".rstrip(), *map(str, self.cells)]

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
class Group:
    """Rows that stand together.

    Attributes:
        heading: What stands above, or before, them; empty for nothing.
        rows: The rows.
    """

    heading: str
    rows: tuple[Row, ...]

    @property
    def kind(self) -> str:
        """`measured`, `published`, or `mixed`."""
        kinds = {row.is_published for row in self.rows}
        return "mixed" if len(kinds) > 1 else "published" if kinds == {True} else "measured"


@dataclass(frozen=True)
class Style:
    """How an output sets a table.

    Attributes:
        label: What LaTeX refers to it by. Default: none.
        siunitx: Whether LaTeX aligns numbers with siunitx. Default: False.
        colours: Whether the best is red and the second blue, too. Default: False.
        wide: Whether it spans both columns of a paper. Default: None, as its width needs it.
    """

    label: str | None = None
    siunitx: bool = False
    colours: bool = False
    wide: bool | None = None


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        title: What all its numbers share, or the user's caption.
        subtitle: What the numbers are and over how many clips.
        stub: What its rows are: the head of the labels.
        columns: Facts of rows, such as the number of seeds, and measures or benchmarks.
        groups: The rows.
        ranking: What bold and underlined numbers are; empty where nothing is ranked.
        marks: Footnotes of measured numbers, and of second-hand ones.
        sources: Footnotes of published ones.
        notes: Sentences about the whole table.
        group_head: The head of a first column that holds the headings of groups; None: headings stand in lines.
        captioned: Whether the title is the user's caption, which stands alone above the table. Default: False.
        style: How an output sets it. Default: plain.
    """

    title: str
    subtitle: str
    stub: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    ranking: str
    marks: tuple[Footnote, ...]
    sources: tuple[Footnote, ...]
    notes: tuple[str, ...]
    group_head: str | None = None
    captioned: bool = False
    style: Style = Style()

    @property
    def lead(self) -> list[str]:
        """The heads before the columns: of the groups where they have a column, and of the labels."""
        return [*([] if self.group_head is None else [self.group_head]), self.stub]

    @property
    def header(self) -> list[str]:
        """The heads before the columns and that of every column, each in one line."""
        return [*self.lead, *(column.title for column in self.columns)]

    @property
    def is_text(self) -> list[bool]:
        """Whether each column holds words, the ones before the columns included."""
        return [*(True for _ in self.lead), *(column.is_text for column in self.columns)]

    @property
    def heads(self) -> list[list[Head]]:
        """The rows of the head, the uppermost first: each head once, over all columns that it stands over."""
        columns = [*((one,) for one in self.lead), *(column.heads for column in self.columns)]
        depth = max(map(len, columns))
        padded = [("",) * (depth - len(heads)) + heads for heads in columns]
        return [list(_merged(padded, level, level == depth - 1)) for level in range(depth)]

    def heading_line(self, group: Group) -> str:
        """Return what stands in a line above a group; empty where nothing does."""
        return group.heading if self.group_head is None else ""

    def before(self, group: Group, row: Row) -> list[str]:
        """Return the texts before the label of a group's row: the heading, in the first row, where it has a column."""
        return [] if self.group_head is None else [group.heading if row is group.rows[0] else ""]

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows."""
        return tuple(row for group in self.groups for row in group.rows)

    @property
    def measured(self) -> tuple[Row, ...]:
        """Rows of measured numbers."""
        return tuple(row for row in self.rows if not row.is_published)

    @property
    def published(self) -> tuple[Row, ...]:
        """Rows of published numbers."""
        return tuple(row for row in self.rows if row.is_published)

    @property
    def footnotes(self) -> list[Footnote]:
        """All that stands under the table."""
        return [*self.marks, *self.sources, *(Footnote("", note) for note in self.notes)]

    @property
    def results(self) -> list[Result]:
        """All measured numbers, row by row."""
        return [cell.value for row in self.rows for cell in row.cells if isinstance(cell.value, Result)]

    @property
    def published_results(self) -> list[PublishedResult]:
        """All published numbers, row by row."""
        return [cell.value for row in self.rows for cell in row.cells if isinstance(cell.value, PublishedResult)]


def _merged(padded: list[tuple[str, ...]], level: int, is_lowest: bool) -> Iterable[Head]:
    """Yield the heads of one level: neighbours that share it, and all above it, stand under one."""

    def under(place: int) -> object:
        heads = padded[place]
        return (place,) if is_lowest or not heads[level] else heads[: level + 1]

    for _, places in groupby(range(len(padded)), key=under):
        first, *others = places
        yield Head(padded[first][level], first, 1 + len(others))
