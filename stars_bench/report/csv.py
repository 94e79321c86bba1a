"""A report as CSV: one tidy line per number, measured and published, all metrics, in the order of the tables."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd

from stars_bench.report.leaderboard import Board
from stars_bench.report.pivot import By, Measured, Told, arrange

COLUMNS = (
    "kind", "dataset", "profile", "protocol", "validation", "method", "label", "preset", "evaluation", "settings",
    "metric", "value", "std", "seeds", "low", "high", "clips", "unit", "marks", "source", "confidence", "conflicts",
)  # fmt: skip


def to_csv(boards: Sequence[Board], by: By = "dataset") -> str:
    """The lines, with a heading; text that a spreadsheet would run is quoted, numbers stay numbers."""
    lines: dict[tuple[int, str, str], dict[str, object]] = {}  # two columns of one evaluation have the same metrics
    for grid in arrange(boards, by):
        for item in grid.items:
            for metric in item.cell.metrics:
                key = id(item.row), item.cell.records[0].evaluation.title, metric
                lines.setdefault(key, _measured(item, metric))
        for line in grid.published:
            for told in line.items.values():
                lines[id(told.row), told.column.title, told.number.metric] = _published(told)
    frame = pd.DataFrame(list(lines.values()), columns=list(COLUMNS))
    frame = frame.map(lambda value: _harmless(value) if isinstance(value, str) else value)
    for counts in ("seeds", "clips"):
        frame[counts] = frame[counts].astype("Int64")
    return str(frame.to_csv(index=False, lineterminator="\n"))


def _measured(item: Measured, metric: str) -> dict[str, object]:
    number = item.cell.metrics[metric]
    return _place(item) | {
        "kind": "measured",
        "profile": item.board.profile,
        "validation": item.board.validation,
        "label": item.row.label,
        "preset": item.row.preset,
        "metric": metric,
        "value": round(number.mean, 4),
        "std": None if number.std is None else round(number.std, 4),
        "seeds": number.n,
        "low": None if number.low is None else round(number.low, 4),
        "high": None if number.high is None else round(number.high, 4),
        "clips": number.clips,
        "unit": number.unit,
        "marks": "; ".join(item.marks),
    }


def _published(item: Told) -> dict[str, object]:
    number = item.number
    return _place(item) | {
        "kind": "published",
        "label": number.stated_as,
        "metric": number.metric,
        "value": number.value,
        "unit": "%",
        "source": number.source,
        "confidence": number.confidence,
        "conflicts": "; ".join(f"{other.value:g} ({other.source})" for other in number.conflicts),
    }


def _place(item: Measured | Told) -> dict[str, object]:
    return {
        "dataset": item.board.dataset,
        "protocol": item.board.protocol,
        "method": item.row.method,
        "evaluation": item.column.evaluation,
        "settings": json.dumps(dict(item.column.settings), sort_keys=True),
    }


def _harmless(text: str) -> str:
    """Spreadsheets run text that begins with one of these as a formula; an apostrophe keeps it text."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text
