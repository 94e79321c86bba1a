"""Tables of clips beside their files, CSV or JSON: what names do not say; and how a clip is called."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from stars_bench.datasets.custom.model import Column
from stars_bench.datasets.custom.readers.table import csv_lines
from stars_bench.datasets.parsing.numbers import ParseError
from stars_bench.errors import UsageError, one_line

Rows = dict[str, list[dict[str, str]]]
"""What a table says of each file: a row a clip of it, {fact: text}."""


def read(paths: Sequence[Path], columns: Mapping[Any, str]) -> Rows:
    """Return what tables say.

    Args:
        paths: CSV files with a header; JSON files with a list of objects, or with an object by file, whose values are
            objects, or actions.
        columns: Names of columns where they are not called as here.

    Raises:
        UsageError: A file cannot be read, a column is missing, or a file has two rows that are not clips of it.
    """
    rows: Rows = {}
    for path in paths:
        for row in _of_json(path, columns) if path.suffix.lower() == ".json" else _of_csv(path):
            names = {column: columns.get(column, column) for column in get_args(Column)}
            told = {column: row[name] for column, name in names.items() if row.get(name, "") != ""}
            if needs := [names[name] for name in ("file", *columns) if names[name] not in row]:
                raise UsageError(
                    f"{path}: needs a column {needs[0]!r}; it has {', '.join(list(row)[:12])}; say which "
                    'it is with columns = {file = "..."} under [files]'
                )
            if "file" not in told:
                raise UsageError(f"{path}: a row names no file")
            rows.setdefault(stem(told.pop("file").replace("\\", "/")), []).append(told)
    for name, own in rows.items():
        if len(own) == 1:
            continue
        if any("start" not in row or "end" not in row for row in own):
            shown = ", ".join(str(path) for path in paths)
            raise UsageError(f"{shown}: names {name!r} twice; a file of several clips needs their start and end")
        for number, row in enumerate(own, start=1):
            row.setdefault("clip", f"{name}_{number:03}")
    return rows


def stem(matched: str) -> str:
    """Return a clip's name: the end of its path without the suffix, folders joined by underlines."""
    return re.sub(r"\.[^./]*$", "", matched).replace("/", "_")


def natural(text: str) -> tuple[int | str, ...]:
    """Return a sort key by which `frame_9` comes before `frame_10`."""
    return tuple(int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", text))


def _of_csv(path: Path) -> list[dict[str, str]]:
    import pandas as pd

    try:
        data = path.read_bytes()
        header = data.partition(b"\n")[0]
        mark = next((mark for mark in (",", ";", "\t") if mark.encode() in header), ",")
        csv_lines(data, mark)
        table = pd.read_csv(path, sep=mark, dtype=str, keep_default_na=False, index_col=False, skipinitialspace=True)
    except ParseError as error:
        raise UsageError(f"{path}:{error.line}: {error.reason}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: the table of clips cannot be read ({one_line(error)})") from error
    return [{str(name): text for name, text in row.items()} for row in table.to_dict("records")]


def _of_json(path: Path, columns: Mapping[Any, str]) -> list[dict[str, str]]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: the table of clips cannot be read ({one_line(error)})") from error
    file, action = columns.get("file", "file"), columns.get("action", "action")
    if isinstance(content, dict):
        rows = [{file: name} | (row if isinstance(row, dict) else {action: row}) for name, row in content.items()]
    else:
        rows = content if isinstance(content, list) else [content]
    if not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"{path}: expected a list of objects, or an object by file")
    return [{name: "" if text is None else str(text) for name, text in row.items()} for row in rows]
