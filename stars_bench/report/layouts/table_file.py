"""The file of `report --table`: which tables, which columns and rows, in which order, under which names.

A cell shows the one number that fits its table, its group, its row and its column: each may say of what the number is.

[[table]]
evaluation = "linear"
columns = [
    {dataset = "ntu60", protocol = "xsub", head = ["NTU-60", "x-sub"]},
    {dataset = "ntu60", protocol = "xview", head = ["NTU-60", "x-view"]},
]
[[table.groups]]
heading = "Masked prediction"
rows = [{published = "MAMP", name = "MAMP (paper)"}, "mamp", {measured = "stars", name = "STARS", bold = true}]
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from stars_bench.errors import UsageError, of_validation, printable
from stars_bench.io.files import read_toml

T = TypeVar("T")

Intervals = Literal["notes", "cells", "none"]
"""Where the 95 % intervals stand: their meaning and width under the table, also in its cells, or nowhere."""
Sources = Literal["first-hand", "all"]
"""Whose word counts: the authors' alone, or a second-hand one too where the authors' is not known."""
Rank = Literal["measured", "all", "group", "none"]
"""Among which rows the best and second are sought."""
HEAD = "# Tables for `stars-bench report --table FILE`; docs/tables.md explains every key."
OPTIONS = ("published", "sources", "baseline", "intervals")
"""Keys of the file that are options of the command, too."""


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _as_column(value: object) -> object:
    return {"fact": value} if isinstance(value, str) else value


def _as_row(value: object) -> object:
    return {"measured": value} if isinstance(value, str) else value


SETTING = "settings."
Scalar = bool | int | float | str


def printed(value: object) -> str:
    """Print a setting so that equal ones are printed alike: 1.0 as 1, a tuple as a list."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(printed, value))}]"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


class Where(BaseModel):
    """What a number is of; what is not said is not asked.

    Attributes:
        dataset: Name of the dataset.
        protocol: Name of the protocol.
        profile: How clips were cleaned.
        validation: The held-out part that was measured. Default: none, the test part.
        evaluation: Head of a column of `report`, such as "k-NN k=1", or name of an evaluation that has one variant.
        metric: Name of the metric. Default: the one that `report` shows.
        streams: Streams, such as "joint" or "J+B+M". Default: any of a measured row, joints of a published one.
        pretrained_on: Dataset of the encoder that training started from, or dataset and protocol: "ntu60 xsub".
        settings: Settings of the method, or of an evaluation as "linear.epochs", that the number was measured with.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str | None = None
    protocol: str | None = None
    profile: str | None = None
    validation: str | None = None
    evaluation: str | None = None
    metric: str | None = None
    streams: str | None = None
    pretrained_on: str | None = None
    settings: dict[str, Scalar | tuple[Scalar, ...]] | None = None

    @property
    def said(self) -> dict[str, str]:
        """What is said, by key; a setting's key is `SETTING` and its name."""
        words = (key for key in Where.model_fields if key != "settings" and getattr(self, key) is not None)
        return {key: getattr(self, key) for key in words} | {
            f"{SETTING}{name}": printed(value) for name, value in (self.settings or {}).items()
        }


class ColumnOf(Where):
    """A column: of numbers, or of a fact about the rows.

    Attributes:
        fact: A fact about each row in place of numbers, such as "venue"; own names take what the rows say.
        head: One to three levels; neighbours that share the upper ones stand under one head. Default: what it is of.
        decimals: Decimals of its numbers. Default: those of the table.
    """

    fact: str | None = None
    head: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1, max_length=3)] | None = None
    decimals: Annotated[int, Field(ge=0, le=4)] | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> ColumnOf:
        if self.fact is not None and self.said:
            raise ValueError(f"fact = {self.fact!r} is of the row: leave {', '.join(self.said)} out")
        return self


class RowOf(Where):
    """A row: one that was measured, or a published one.

    Attributes:
        measured: Label of a row as `report` prints it, without what `streams` and `pretrained_on` say; with * a pattern
            of those that no other row names.
        published: Name of a published method, or a pattern of those that no other row names.
        name: What stands in the table. Default: the label.
        facts: What columns of facts show in this row, by fact. Default: what is known.
        mark: A footnote of this row. Default: none.
        missing: What stands where there is no number. Default: that of the table.
        bold: Set the name in bold. Default: False.
        shade: Shade the row, in LaTeX and HTML. Default: False.
    """

    measured: str | None = None
    published: str | None = None
    name: str | None = None
    facts: dict[str, str | int | float] = {}
    mark: str | None = None
    missing: str | None = None
    bold: bool = False
    shade: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> RowOf:
        if (self.measured is None) == (self.published is None):
            raise ValueError('say either measured = "stars" or published = "STARS"')
        if self.name is not None and is_pattern(self.measured or self.published or ""):
            raise ValueError("name is for one row: leave it out where a pattern stands for several")
        return self


class GroupOf(Where):
    """Rows that stand together.

    Attributes:
        heading: The line above them. Default: none.
        rows: The rows; a name alone is a measured one.
    """

    heading: str = ""
    rows: tuple[Annotated[RowOf, BeforeValidator(_as_row)], ...]


class TableOf(Where):
    """One table.

    Attributes:
        title: What all its numbers share. Default: empty.
        caption: The caption in place of title and description, as plain text. Default: none.
        label: What LaTeX refers to it by. Default: none.
        stub: Head of the first column. Default: method.
        columns: The columns; a name alone is a fact.
        groups: The rows. Default: all measured ones, then all published ones under a heading.
        groups_in: Whether headings stand in lines above their rows or in a column before them. Default: lines.
        group_head: Head of that column. Default: empty.
        rank: Among which rows the best is bold and the second underlined. Default: measured ones.
        ties: Set in bold, too, what cannot be told from a measured best. Default: True.
        deviation: Print the deviation over seeds. Default: True.
        decimals: Decimals of all numbers. Default: 1 of percentages, else 2.
        italics: Set published rows in italics. Default: True.
        missing: What stands where there is no number. Default: a dash.
        siunitx: Align numbers at the decimal point with siunitx, in LaTeX. Default: False.
        colours: Print the best in red and the second in blue, too, in LaTeX and HTML. Default: False.
        wide: Span both columns of a paper, in LaTeX. Default: as its width needs it.
        notes: Sentences under the table, before the report's own. Default: none.
    """

    title: str = ""
    caption: str | None = None
    label: Annotated[str, Field(pattern=r"^[\w:.+-]+$")] | None = None
    stub: str = "method"
    columns: tuple[Annotated[ColumnOf, BeforeValidator(_as_column)], ...]
    groups: tuple[GroupOf, ...] = (
        GroupOf(rows=(RowOf(measured="*"),)),
        GroupOf(heading="published", rows=(RowOf(published="*"),)),
    )
    groups_in: Literal["lines", "column"] = "lines"
    group_head: str = ""
    rank: Rank = "measured"
    ties: bool = True
    deviation: bool = True
    decimals: Annotated[int, Field(ge=0, le=4)] | None = None
    italics: bool = True
    missing: str = "–"
    siunitx: bool = False
    colours: bool = False
    wide: bool | None = None
    notes: tuple[str, ...] = ()


class TableFile(BaseModel):
    """All that the file says.

    Attributes:
        published: Published methods that a pattern of a row may take: "own", "all", "none", or patterns of names. Where
            they have no number, a note says so. Default: all, without notes.
        sources: "first-hand" or "all". Default: first-hand in LaTeX, else all.
        baseline: The measured row that others are compared with on the same test clips. Default: none.
        intervals: Where the 95 % intervals stand. Default: notes.
        table: The tables.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    published: str | None = None
    sources: Sources | None = None
    baseline: str | None = None
    intervals: Intervals = "notes"
    table: tuple[TableOf, ...]

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """The datasets and protocols that its tables, groups, rows and columns name together."""
        found: dict[tuple[str, str], None] = {}
        for table in self.table:
            parts = [(group, row) for group in table.groups for row in group.rows]
            for column, (group, row) in product(table.columns, parts):
                said = table.said | group.said | row.said | column.said
                if "dataset" in said and "protocol" in said:
                    found[said["dataset"], said["protocol"]] = None
        return tuple(found)

    @property
    def published_names(self) -> tuple[str, ...]:
        """The published methods that rows name, patterns left out."""
        rows = (row for table in self.table for group in table.groups for row in group.rows)
        return tuple(name for row in rows if (name := row.published) is not None and not is_pattern(name))

    def to_toml(self) -> str:
        """Write the file; what is as it is by default is left out."""
        own = {key: value for key in OPTIONS if (value := getattr(self, key)) is not None}
        tables = (line for table in self.table for line in _table_lines(table))
        return "\n".join([HEAD, *_lines(own), *tables, ""])


def is_pattern(name: str) -> bool:
    """Whether a name of a row stands for several: it has a `*`."""
    return "*" in name


PARTS: Mapping[str, type[BaseModel]] = {"table": TableOf, "columns": ColumnOf, "groups": GroupOf, "rows": RowOf}
"""What the lists of the file hold."""


def read(path: Path) -> TableFile:
    """Read a file of tables.

    Raises:
        StarsBenchError: It cannot be read, or is not TOML.
        UsageError: It says something that a table does not know; one line names it.
    """
    return parse(read_toml(path), str(path))


def parse(content: Mapping[str, Any], where: str) -> TableFile:
    """Return what the content of such a file says.

    Raises:
        UsageError: It says something that a table does not know; one line that begins with `where`.
    """
    try:
        file = TableFile.model_validate(dict(content))
    except ValidationError as error:
        raise UsageError(_strange_key(error, where) or of_validation(error, where)) from error
    if not file.table:
        raise UsageError(f"{where}: table: there is none; stars-bench report --table-init FILE writes one")
    return file


def _strange_key(error: ValidationError, where: str) -> str:
    """Name the first key that there is not, and those that there are; empty where all are known."""
    for fault in error.errors(include_url=False):
        if fault["type"] == "extra_forbidden":
            *path, key = map(str, fault["loc"])
            part = next((PARTS[name] for name in reversed(path) if name in PARTS), TableFile)
            said = printable(".".join([*path, key]))
            near = get_close_matches(key, part.model_fields, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            return f"{where}: {said}: there is no such key; {hint}there are {', '.join(part.model_fields)}"
    return ""


def _table_lines(table: TableOf) -> list[str]:
    said = _short(table)
    columns, groups = said.pop("columns"), said.pop("groups", [])
    lines = ["", "[[table]]", *_lines(said), *_list("columns", columns)]
    for group in groups:
        rows = group.pop("rows")
        lines += ["", "[[table.groups]]", *_lines(group), *_list("rows", rows)]
    return lines


def _short(part: BaseModel) -> dict[str, Any]:
    return part.model_dump(mode="json", exclude_defaults=True)


def _lines(values: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in values.items()]


def _list(key: str, items: list[dict[str, Any]]) -> list[str]:
    return [f"{key} = [", *(f"    {_item(item)}," for item in items), "]"]


def _item(item: dict[str, Any]) -> str:
    """Return a column or row; a fact or a measured row alone is its name."""
    ((key, value), *more) = item.items()
    return _value(value) if not more and key in ("fact", "measured") else _value(item)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(key)} = {_value(one)}' for key, one in value.items())}}}"
    # JSON's texts, numbers and lists are TOML's; of the control characters it leaves one as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else _value(key)
