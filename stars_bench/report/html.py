"""Tables as one HTML file that needs nothing else: tables, curves, confusions, maps, and where each number is from.

The tables are there without JavaScript; page/ has the template and the script, `pages` what all pages share.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from stars_bench.display.document import document, fragment
from stars_bench.errors import UsageError
from stars_bench.records.record_facts import PLURALS, provenance
from stars_bench.records.store import StoredRecord
from stars_bench.report import html_data
from stars_bench.report.results.published import KIND_WORDS, SECOND_HAND, stated
from stars_bench.report.results.result import PublishedResult, Result
from stars_bench.report.table import BEST, SECOND, TIED, Table

FOLDER = ("stars_bench.report", "page")


def render(tables: Sequence[Table], skeletons: bool = False) -> str:
    """Write the page; it shows what lies beside the files of records, too.

    Args:
        tables: The tables.
        skeletons: Put the clips of the maps into the page, which their licence may not let you hand on.

    Raises:
        UsageError: Skeletons were asked for, and `map` kept none.
    """
    return page(tables, "page.html", skeletons)


def page(tables: Sequence[Table], template: str, skeletons: bool = False, **more: Any) -> str:
    """Write a page by page.html or a template that extends it.

    Args:
        tables: The tables.
        template: The template's file.
        skeletons: As `render` has it. Default: False.
        more: What the template shows beside what page.html does.

    Raises:
        UsageError: Skeletons were asked for, and `map` kept none.
    """
    content = _content(tables, skeletons)
    if skeletons and not content["skeletons"]:
        raise UsageError("no map of these results has skeletons: run `stars-bench map RUN...` where the data is")
    return document(
        "report",
        FOLDER,
        template,
        ("skeleton.js", "page.js"),
        content,
        tables=tables,
        ranks={BEST: "best", TIED: "best", SECOND: "second"},
        next_cell=count().__next__,  # cells are numbered in the order in which they are printed
        licences=sorted({kept["licence"] for kept in content["skeletons"].values()}),
        has={name: bool(content[name]) for name in ("curves", "confusions", "maps", "shots")},
        **more,
    )


def snippet(tables: Sequence[Table]) -> str:
    """Write the tables alone, without scripts, for a notebook.

    Args:
        tables: The tables.
    """
    return fragment(FOLDER, "snippet.html", tables=tables, best=(BEST, TIED), second=SECOND)


def _content(tables: Sequence[Table], skeletons: bool) -> dict[str, Any]:
    """Return the data of the page; `cells` has one item a number, in the order of the tables."""
    measured = [result for table in tables for result in table.results]
    stored: dict[str, list[StoredRecord]] = {}
    confusions, used = [], set()
    for result in measured:
        title = f"{result.label}, {result.benchmark.title}"
        stored.setdefault(title, []).extend(result.stored)
        if (found := html_data.confusion(result)) is not None:
            dataset = result.benchmark.dataset
            used.add(dataset)
            confusions.append(found | {"title": f"{result.measure.title}: {title}", "dataset": dataset})
    every = [one for own in stored.values() for one in own]
    return {
        "cells": _cells(tables),
        "classes": {dataset: html_data.classes(dataset) for dataset in sorted(used)},
        "confusions": confusions,
        "curves": _once([curve for title, own in stored.items() for curve in html_data.curves(own, title)]),
        "maps": html_data.maps(every),
        "skeletons": html_data.skeletons(every) if skeletons else {},
        "shots": html_data.shots(measured),
    }


def _once(curves: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a stage that several runs share (it has one key) is one curve."""
    shared: dict[str, list[dict[str, Any]]] = {}
    for curve in curves:
        shared.setdefault(curve["key"], []).append(curve)
    return [
        same[0] | ({"title": f"{same[0]['title']}; shared by {len(same)} runs"} if len(same) > 1 else {})
        for same in shared.values()
    ]


def _cells(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """Return where each number comes from, in the order of the tables."""
    cells = (cell for table in tables for row in table.rows for cell in row.cells)
    return [
        {
            "records": _provenance(value),
            "title": f"{value.method}, {value.measure.title}, {value.benchmark.title}: {cell.text}{_interval(value)}",
        }
        for cell in cells
        if (value := cell.value) is not None
    ]


def _interval(value: Result | PublishedResult) -> str:
    """The 95 % interval of a measured number, and what it takes as sampled."""
    if not isinstance(value, Result) or value.main.low is None or value.main.sampled is None:
        return ""
    ends = f"{value.main.low:.{value.decimals}f} to {value.main.high:.{value.decimals}f}"
    return f"; 95 % {ends} by {value.main.clusters:,} {PLURALS[value.main.sampled]}"


def _provenance(value: Result | PublishedResult) -> list[list[list[str]]]:
    if isinstance(value, Result):
        return [[*map(list, provenance(record).items())] for record in value.records]
    number = value.number
    source = [
        ["published", f"{number.value:g} % as {number.stated_as}"],
        ["year", str(number.year or "not known")],
        ["backbone", number.backbone or "not known"],
        ["streams", number.streams],
        ["source", SECOND_HAND if not number.is_first_hand else KIND_WORDS[number.kind]],
        ["table", number.table or "not known"],
        ["read in", ", ".join(number.sources)],
    ]
    return [
        source
        + [
            ["another source", f"{other.value:g} as {stated(other, number)}, {other.sources[0]}"]
            for other in number.others
        ]
    ]
