"""From one file of a described dataset (CSV, npz or JSON) to coordinates (M, T, V, A) as stored; NaN if missing.

A is what the file stores of a joint (`Coordinates.axes`). Units and signs are applied later.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stars_bench.datasets.custom.model import Coordinates
from stars_bench.datasets.parsing.numbers import ParseError
from stars_bench.datasets.raw_files.zip import LARGEST
from stars_bench.errors import one_line

Stored = NDArray[np.float64]
MOST_NUMBERS = 1 << 24  # of a clip: 128 MB, 300 times what 300 frames of two bodies have


def read(data: bytes, how: Coordinates, joints: Sequence[str]) -> Stored:
    """Return the coordinates in a file's bytes: (M, T, V, A) float64.

    Raises:
        ParseError: The text is wrong; with its line.
        ValueError: The content is wrong; with the reason.
    """
    if how.format == "csv":
        return _from_csv(data, how, joints)
    stored = _from_npz(data, how) if how.format == "npz" else _from_json(data, how, joints)
    return _arranged(stored, how, len(joints))


def _from_csv(data: bytes, how: Coordinates, joints: Sequence[str]) -> Stored:
    lines = csv_lines(data, how.delimiter)
    try:
        table = pd.read_csv(
            io.BytesIO(data),
            sep=how.delimiter,
            header=None if how.columns is None else 0,
            index_col=False,
            skipinitialspace=True,
        )
    except (ValueError, UnicodeDecodeError) as error:  # pandas' own errors are ValueErrors
        raise ValueError(f"cannot be read as CSV ({one_line(error)})") from error
    lines = lines if how.columns is None else lines[1:]
    if len(lines) != len(table):
        raise ValueError(f"cannot be read as CSV ({len(lines)} lines, {len(table)} rows)")
    axes = how.stored_axes
    if how.columns is None:
        if len(table.columns) != len(joints) * len(axes):
            raise ValueError(f"{len(table.columns)} columns, not {len(joints)} joints times {len(axes)} axes")
        wanted = list(table.columns)
    else:
        wanted = [how.column(joint, axis) for joint in joints for axis in axes]
    values = _numbers(table, wanted, lines).reshape(len(table), len(joints), len(axes))
    if how.frame is None:
        return values[None]
    frames, moment = np.unique(_numbers(table, [how.frame], lines), return_inverse=True)
    people, person = np.unique(_numbers(table, [how.body], lines) if how.body else moment * 0, return_inverse=True)
    _check_size(len(people), len(frames), len(joints) * len(axes))
    placed = np.full((len(people), len(frames), *values.shape[1:]), np.nan)
    place = person.ravel() * len(frames) + moment.ravel()
    _, first = np.unique(place, return_index=True)
    if len(first) < len(place):
        row = int(np.setdiff1d(np.arange(len(place)), first)[0])
        raise ParseError(lines[row], f"a second row of frame {table[how.frame][row]} and the same body")
    placed.reshape(-1, *values.shape[1:])[place] = values
    return placed


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


def _from_npz(data: bytes, how: Coordinates) -> Stored:
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                if sum(member.file_size for member in archive.infolist()) > LARGEST:
                    raise ValueError("it promises more data than any clip has")
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return _real(loaded)
        key = how.key if how.key is not None or len(loaded.files) != 1 else loaded.files[0]
        if key not in loaded.files:
            raise ValueError(f"there is no array {key!r}: there are {', '.join(loaded.files)}; say key")
        return _real(loaded[key])
    except Exception as error:  # damaged archives and headers can fail in any way
        raise ValueError(f"cannot be read as npz ({error})") from error


def _real(values: NDArray[Any]) -> Stored:
    """Return an array of whole or real numbers, as float64."""
    if values.dtype.kind not in "fiu":
        raise ValueError(f"an array of {values.dtype}, not of numbers")
    return values.astype(np.float64)


def _from_json(data: bytes, how: Coordinates, joints: Sequence[str]) -> Stored:
    try:
        content = json.loads(data)
    except json.JSONDecodeError as error:
        raise ParseError(error.lineno, error.msg) from error
    except (ValueError, RecursionError) as error:  # no text, a number of thousands of digits, lists in lists in lists
        raise ValueError(f"cannot be read as JSON ({error})") from error
    steps = how.key.split(".") if how.key else []
    found = _followed(content, steps, how, joints)
    try:
        return np.asarray(found, np.float64) if "[]" not in (how.key or "") else _stacked(found, how, len(joints))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{how.key or 'the file'} holds no array of numbers ({error})") from error


def _followed(node: Any, steps: Sequence[str], how: Coordinates, joints: Sequence[str]) -> Any:
    """Return what lies under a key such as 'frames[].joints': lists where it says so, then what a joint has."""
    if not steps:
        return _by_joint(node, how.stored_axes, joints) if isinstance(node, dict) else node
    name = steps[0].removesuffix("[]")
    if name:
        if not isinstance(node, dict) or name not in node:
            raise ValueError(f"there is no {name!r} (key = {how.key!r})")
        node = node[name]
    if not steps[0].endswith("[]"):
        return _followed(node, steps[1:], how, joints)
    if not isinstance(node, list):
        raise ValueError(f"{name!r} is no list (key = {how.key!r})")  # noqa: TRY004 - the file's fault
    return [_followed(child, steps[1:], how, joints) for child in node]


def _by_joint(node: dict[str, Any], axes: Sequence[str], joints: Sequence[str]) -> list[Any]:
    """Return the values of {"head": [x, y, z] or {"x": ...}, ...} in the order of the joints; missing ones as None."""
    if unknown := node.keys() - set(joints):
        raise ValueError(f"{min(unknown)!r} is not among the joints")
    of_each = [node.get(joint) for joint in joints]
    rows = [[one.get(axis) for axis in axes] if isinstance(one, dict) else one for one in of_each]
    return [[None] * len(axes) if row is None else row for row in rows]


def _stacked(found: list[Any], how: Coordinates, joints: int) -> Stored:
    """Stack nested lists whose leaves are (V, C), flat or not; NaN fills the ends of shorter lists."""
    shape = (joints, len(how.axes))

    def leaf(values: Any) -> Stored:
        if values is None or len(values) == 0:
            return np.full(shape, np.nan)
        return np.asarray(values, np.float64).reshape(shape)

    if len(how.order) == len("TVC"):
        return np.stack([leaf(values) for values in found]) if found else np.empty((0, *shape))
    inner = max(map(len, found), default=0)
    _check_size(len(found), inner, joints * len(how.axes))
    stored = np.full((len(found), inner, *shape), np.nan)
    for i, row in enumerate(found):
        for j, values in enumerate(row):
            stored[i, j] = leaf(values)
    return stored


def _check_size(bodies: int, frames: int, numbers: int) -> None:
    """Check that bodies of one frame each do not make a huge array: every body gets all frames."""
    if bodies * frames * numbers > MOST_NUMBERS:
        raise ValueError(f"{bodies:,} times {frames:,} bodies and frames, more than any clip has")


def _arranged(stored: Stored, how: Coordinates, joints: int) -> Stored:
    """Arrange as (M, T, V, A), from the order in the description; joints and axes may share one axis."""
    order, axes = how.order, len(how.axes)
    if order.endswith("VC") and stored.ndim == len(order) - 1 and stored.shape[-1] == joints * axes:
        stored = stored.reshape(*stored.shape[:-1], joints, axes)
    if stored.ndim != len(order):
        raise ValueError(f"an array of shape {stored.shape}, not of the axes {order}")
    if "M" not in order:
        stored, order = stored[None], f"M{order}"
    stored = stored.transpose([order.index(axis) for axis in "MTVC"])
    if stored.shape[2:] != (joints, axes):
        raise ValueError(f"{stored.shape[2]} joints of {stored.shape[3]} numbers, not {joints} of {axes} ({how.order})")
    return stored
