"""Text with a delimiter: a line a frame, a line a joint, or a header that says what each column is."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from stars_bench.datasets.custom.model import Coordinates
from stars_bench.datasets.custom.readers.axes import Stored, arranged, check_size, not_joints
from stars_bench.datasets.parsing.numbers import ParseError
from stars_bench.errors import one_line

BLANK = " "
NTU_TEXT = rb"\s*\d+\s+\d+\s*\n\s*\d+([ \t]+\S+){5,}\s*\n\s*\d+\s*\n"
"""How NTU RGB+D's text form begins: the number of frames, that of bodies, a body's line, its number of joints."""


def read(data: bytes, how: Coordinates, joints: Sequence[str]) -> Stored:
    """Return coordinates (M, T, V, A) as stored.

    Raises:
        ParseError: A line is wrong.
        ValueError: The content is wrong.
    """
    data = _without_first(data, how.skip_lines)
    if how.delimiter == BLANK:
        data = b"\n".join(b" ".join(line.split()) for line in data.split(b"\n"))
    try:
        lines = csv_lines(data, how.delimiter)
        table = pd.read_csv(
            io.BytesIO(data),
            sep=how.delimiter,
            header=None if how.columns is None else 0,
            index_col=False,
            skipinitialspace=True,
        )
        lines = lines if how.columns is None else lines[1:]
        if len(lines) != len(table):
            raise ValueError(f"{len(lines)} lines, {len(table)} rows")
        return _in_order(table, how, joints, lines) if how.columns is None else _by_name(table, how, joints, lines)
    except ParseError as error:
        raise ParseError(error.line + how.skip_lines, error.reason + _remedy(data, how, error.line)) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot be read as CSV ({one_line(error)})") from error


def _remedy(data: bytes, how: Coordinates, line: int) -> str:
    """Return what to describe otherwise where the fault lies in the first lines of a text; else nothing."""
    if re.match(NTU_TEXT, data[:1000]):
        return ': this looks like the text form of NTU RGB+D, format = "ntu"'
    if how.columns is None and line <= 2:
        return ": skip_lines passes over lines before the numbers"
    return ""


def _without_first(data: bytes, lines: int) -> bytes:
    for _ in range(lines):
        data = data.partition(b"\n")[2]
    return data


def _in_order(table: pd.DataFrame, how: Coordinates, joints: Sequence[str], lines: Sequence[int]) -> Stored:
    """Return the numbers of a table without a header: a line a frame, or a line a joint."""
    columns = list(table.columns)[how.skip_columns :]
    axes, each = len(how.axes), len(joints) * len(how.axes)
    if columns and len(columns) % axes and table[columns[-1]].isna().all():
        columns.pop()  # a delimiter at the end of each line
    values = _numbers(table, columns, lines)
    order = how.order if "T" in how.order else f"T{how.order}"
    if len(columns) == axes and len(joints) > 1 and "M" not in order:
        if len(values) % len(joints):
            raise ValueError(
                f"{len(values):,} lines, a line a joint: no whole number of frames of {len(joints)} joints"
            )
        return arranged(values.reshape(-1, len(joints), axes), "TVC", len(joints), axes)
    bodies = len(columns) // each if "M" in order else 1
    if len(columns) != each * bodies or not bodies or order[0] != "T":
        raise ValueError(f"{len(columns)} columns, {not_joints(len(columns), len(joints), axes)}")
    sizes = {"M": bodies, "V": len(joints), "C": axes}
    return arranged(values.reshape(-1, *(sizes[axis] for axis in order[1:])), order, len(joints), axes)


def _by_name(table: pd.DataFrame, how: Coordinates, joints: Sequence[str], lines: Sequence[int]) -> Stored:
    """Return the numbers of a table whose header says what each column is."""
    axes = how.stored_axes
    named = [""] if how.joint else joints
    values = _numbers(table, [how.column(joint, axis) for joint in named for axis in axes], lines)
    values = values.reshape(len(table), len(named), len(axes))
    if how.frame is None:
        return values[None]
    frames, moment = np.unique(_numbers(table, [how.frame], lines), return_inverse=True)
    people, person = np.unique(_texts(table, how.body), return_inverse=True)
    check_size(len(people), len(frames), len(joints) * len(axes))
    placed = np.full((len(people), len(frames), len(joints), len(axes)), np.nan)
    place = person.ravel() * len(frames) + moment.ravel()
    if how.joint:
        place = place * len(joints) + _joints(table, how.joint, joints, lines)
    _, first = np.unique(place, return_index=True)
    if len(first) < len(place):
        row = int(np.setdiff1d(np.arange(len(place)), first)[0])
        same = "the same body and joint" if how.joint else "the same body"
        raise ParseError(lines[row], f"a second row of frame {table[how.frame][row]} and {same}")
    placed.reshape(-1, *values.shape[1:])[place] = values
    return placed


def _texts(table: pd.DataFrame, column: str | None) -> np.ndarray[Any, Any]:
    """Return a column that tells people apart, with values of any kind; equal values where there is none."""
    if column is None:
        return np.zeros(len(table), np.int64)
    return pd.factorize(_column(table, column), sort=True)[0]


def _joints(table: pd.DataFrame, column: str, joints: Sequence[str], lines: Sequence[int]) -> np.ndarray[Any, Any]:
    names = _column(table, column).astype(str).tolist()
    number = {joint: place for place, joint in enumerate(joints)}
    if unknown := next(((line, name) for line, name in zip(lines, names, strict=True) if name not in number), None):
        raise ParseError(unknown[0], f"{unknown[1][:40]!r} is not among the joints")
    return np.array([number[name] for name in names], np.int64)


def _column(table: pd.DataFrame, column: str) -> pd.Series[Any]:
    if column not in table:
        raise ValueError(f"there is no column {column!r}; the first are {', '.join(map(str, table.columns[:4]))}")
    return table[column]


def csv_lines(data: bytes, delimiter: str = ",") -> list[int]:
    """Return the line on which each row of a CSV file ends, empty lines left out.

    pandas fills up a row that is too short, such as the last one of a file that was cut off, and shifts one that is too
    long.

    Raises:
        ParseError: A row has another number of cells than the first.
        ValueError: The text is not CSV.
    """
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
    rows = csv.reader(text, delimiter=delimiter, skipinitialspace=True)
    lines, width = [], 0
    try:
        for row in rows:
            if not any(cell.strip() for cell in row) and len(row) < 2:
                continue
            width = width or len(row)
            if len(row) != width:
                raise ParseError(rows.line_num, f"{len(row)} cells; the first row has {width}")
            lines.append(rows.line_num)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"cannot be read as CSV ({error})") from error
    return lines


def _numbers(table: pd.DataFrame, columns: Sequence[Any], lines: Sequence[int]) -> Stored:
    """Return the columns as numbers, empty cells as NaN."""
    if absent := [column for column in columns if column not in table]:
        raise ValueError(f"there is no column {absent[0]!r}; the first are {', '.join(map(str, table.columns[:4]))}")
    cells = table[list(columns)]
    numbers = cells.apply(pd.to_numeric, errors="coerce")
    wrong = np.argwhere((numbers.isna() & cells.notna()).to_numpy())
    if len(wrong):
        row, column = wrong[0]
        raise ParseError(lines[row], f"{str(cells.iat[row, column])[:40]!r} is not a number")
    values: Stored = numbers.to_numpy(np.float64)
    return values
