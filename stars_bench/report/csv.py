"""Tables as tidy lines, a data frame or CSV: one line per number, measured and published, all metrics.

A table that a file lays out is written as it is laid out, for a spreadsheet.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from io import StringIO

import pandas as pd

from stars_bench.display.console import shown
from stars_bench.report.results.published import OTHER_RECIPE
from stars_bench.report.results.result import PUBLISHED_RECIPE, PublishedResult, Result, recipes_of
from stars_bench.report.table import Footnote, Table

COLUMNS = (
    "kind", "dataset", "profile", "protocol", "validation", "method", "label", "recipe", "preset", "evaluation",
    "settings", "metric", "value", "std", "seeds", "low", "high", "sampled", "clusters",
    "design_effect", "clips", "unit", "marks", "year", "backbone", "streams", "table", "source", "conflicts",
)  # fmt: skip


def to_frame(tables: Sequence[Table]) -> pd.DataFrame:
    """Make one line per number, in the order of the tables.

    Args:
        tables: The tables.

    Returns:
        A frame with the columns of `COLUMNS`. `kind` is "measured", or who prints a published number: "paper",
        "authors" (their repository or page) or "third-party".
    """
    lines: dict[object, dict[str, object]] = {}  # two columns of one evaluation have the same metrics
    for table in tables:
        for result in table.results:
            for metric in result.metrics:
                key = result.benchmark, result.label, result.measure.variant, metric
                lines.setdefault(key, _measured(result, metric))
        for number in table.published_results:
            lines[number.benchmark, number.method, number.measure.title] = _published(number)
    frame = pd.DataFrame(list(lines.values()), columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(("seeds", "clusters", "clips", "year"), "Int64"))


def render(tables: Sequence[Table]) -> str:
    """Write the lines with a heading; text that a spreadsheet would run is quoted, numbers stay numbers.

    Args:
        tables: The tables.
    """
    frame = to_frame(tables).map(lambda value: harmless(value) if isinstance(value, str) else value)
    return str(frame.to_csv(index=False, lineterminator="\n"))


def render_layout(tables: Sequence[Table]) -> str:
    """Write rows and columns as they are laid out, one table below the other, each with its title and its notes.

    Args:
        tables: The tables.
    """
    with StringIO() as text:
        writer = csv.writer(text, lineterminator="\n")
        for place, table in enumerate(tables):
            apart: list[list[str]] = [[]] if place else []
            notes = [_note(one) for one in table.footnotes]
            lines = [*apart, [table.title], *_heads(table), *_rows(table), *notes]
            writer.writerows([*map(harmless, line)] for line in lines)
        return text.getvalue()


def _heads(table: Table) -> list[list[str]]:
    """Return a line for each level of the head; a head is repeated over all its columns."""
    return [[head.text for head in heads for _ in range(head.width)] for heads in table.heads]


def _rows(table: Table) -> Iterator[list[str]]:
    for group in table.groups:
        if heading := table.heading_line(group):
            yield [heading]
        for row in group.rows:
            yield [*table.before(group, row), *row.texts]


def _note(note: Footnote) -> list[str]:
    return [f"{note.sign} {note.text}".strip()]


def _measured(result: Result, metric: str) -> dict[str, object]:
    number = result.metrics[metric]
    return _place(result) | {
        "kind": "measured",
        "profile": result.benchmark.profile,
        "validation": result.benchmark.validation,
        "label": result.label,
        "recipe": recipes_of([result]),
        "preset": result.preset,
        "metric": metric,
        "value": round(number.mean, 4),
        "std": None if number.std is None else round(number.std, 4),
        "seeds": result.seeds,
        "low": None if number.low is None else round(number.low, 4),
        "high": None if number.high is None else round(number.high, 4),
        "sampled": number.sampled,
        "clusters": number.clusters,
        "design_effect": None if number.design_effect is None else round(number.design_effect, 4),
        "clips": number.clips,
        "unit": number.unit,
        "marks": "; ".join(result.marks),
    }


def _published(result: PublishedResult) -> dict[str, object]:
    number = result.number
    return _place(result) | {
        "kind": number.kind,
        "label": number.stated_as,
        "recipe": PUBLISHED_RECIPE,
        "metric": number.metric,
        "value": number.value,
        "unit": "%",
        "marks": OTHER_RECIPE if result.other_recipe else "",
        "year": number.year,
        "backbone": number.backbone,
        "streams": number.streams,
        "table": number.table,
        "source": " | ".join(number.sources),
        "conflicts": "; ".join(f"{other.value:g} ({other.sources[0]})" for other in number.conflicts),
    }


def _place(result: Result | PublishedResult) -> dict[str, object]:
    return {
        "dataset": result.benchmark.dataset,
        "protocol": result.benchmark.protocol,
        "method": result.method,
        "evaluation": result.measure.evaluation,
        "settings": json.dumps(dict(result.measure.settings), sort_keys=True),
    }


FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What spreadsheets take a formula by: the first character, in full width too (OWASP, CSV injection)."""


def harmless(text: str) -> str:
    """Return a text as a cell that no spreadsheet runs and no terminal obeys.

    Args:
        text: Of any origin; an apostrophe in front keeps it text.
    """
    return f"'{shown(text)}" if text.startswith(FORMULA) else shown(text)
