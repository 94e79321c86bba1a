"""A report as one HTML file that needs nothing else: tables, curves, confusions, maps, and where each number is from.

The tables are there without JavaScript; page/ has the template and the script, `pages` what all pages share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stars_bench.display.document import document
from stars_bench.errors import UsageError
from stars_bench.records.record_facts import provenance
from stars_bench.records.store import StoredRecord
from stars_bench.report import html_data
from stars_bench.report.cells import Entry, Sheet, sheets
from stars_bench.report.leaderboard import Board
from stars_bench.report.pivot import By, Measured, Told

FOLDER = ("stars_bench.report", "page")


def to_html(boards: Sequence[Board], by: By = "dataset", skeletons: bool = False) -> str:
    """The page; it shows what lies beside the files of records, too.

    Args:
        boards: the leaderboards.
        by: what the tables are.
        skeletons: put the clips of the maps into the page, which their licence may not let you hand on.

    Raises:
        UsageError: skeletons were asked for, and `map` kept none.
    """
    tables = sheets(boards, by)
    content = _content(tables, skeletons)
    if skeletons and not content["skeletons"]:
        raise UsageError("--skeletons: no map of these results has any; run `stars-bench map RUN...` where the data is")
    return document(
        FOLDER,
        "page.html",
        ("skeleton.js", "page.js"),
        content,
        tables=tables,
        places={1: "best", 2: "second"},
        keys=content.pop("keys"),
        licences=sorted({kept["licence"] for kept in content["skeletons"].values()}),
        has={name: bool(content[name]) for name in ("curves", "confusions", "maps", "shots")},
    )


def _content(tables: Sequence[Sheet], skeletons: bool) -> dict[str, Any]:
    """The data of the page; `keys`: by id of an entry's item its number among `cells`."""
    keys: dict[int, int] = {}
    cells: list[dict[str, Any]] = []
    measured: list[Measured] = []
    for entry in _entries(tables):
        item = entry.item
        if isinstance(item, Measured):
            measured.append(item)
            cell: dict[str, Any] = {
                "records": [[*map(list, provenance(record).items())] for record in item.cell.records]
            }
        elif isinstance(item, Told):
            cell = {"records": [_source(item)]}
        else:
            continue
        keys[id(item)] = len(cells)
        cells.append(cell | {"title": f"{item.row.method}, {item.column.title}, {item.board.title}: {entry.text}"})
    stored: dict[str, list[StoredRecord]] = {}
    confusions, used = [], set()
    for item in measured:
        title = f"{item.row.label}, {item.board.title}"
        stored.setdefault(title, []).extend(item.cell.stored)
        if (found := html_data.confusion(item)) is not None:
            used.add(item.board.dataset)
            confusions.append(found | {"title": f"{item.column.title}: {title}", "dataset": item.board.dataset})
    every = [one for own in stored.values() for one in own]
    return {
        "keys": keys,
        "cells": cells,
        "classes": {dataset: html_data.classes(dataset) for dataset in sorted(used)},
        "confusions": confusions,
        "curves": _once([curve for title, own in stored.items() for curve in html_data.curves(own, title)]),
        "maps": html_data.maps(every),
        "skeletons": html_data.skeletons(every) if skeletons else {},
        "shots": html_data.shots(measured),
    }


def _once(curves: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A stage that several runs share (it has one key) is one curve."""
    shared: dict[str, list[dict[str, Any]]] = {}
    for curve in curves:
        shared.setdefault(curve["key"], []).append(curve)
    return [
        same[0] | ({"title": f"{same[0]['title']}; shared by {len(same)} runs"} if len(same) > 1 else {})
        for same in shared.values()
    ]


def _entries(tables: Sequence[Sheet]) -> list[Entry]:
    return [entry for table in tables for row in (*table.measured, *table.published) for entry in row.entries]


def _source(item: Told) -> list[list[str]]:
    number = item.number
    told = [
        ["published", f"{number.value:g} % as {number.stated_as}"],
        ["read in", number.source],
        ["how", "the authors' own" if number.confidence == "direct" else "second-hand: as somebody else quotes it"],
    ]
    return told + [
        ["another source", f"{other.value:g} as {other.stated_as}, {other.source}"] for other in number.others
    ]
