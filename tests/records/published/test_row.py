"""A row of published.csv: what it must say, and that every row of the file says it."""

from __future__ import annotations

import re
from collections import Counter

import pandas as pd
import pytest

from stars_bench.errors import StarsBenchError
from stars_bench.records.published.numbers import checked_rows, published_numbers, published_rows
from stars_bench.records.published.row import BETWEEN_SOURCES, TASKS

ROW = {
    "method": "M", "year": "2024", "kind": "authors", "table": "", "backbone": "GRU", "streams": "J",
    "task": "recognition", "eval": "linear", "k_or_percent": "", "pretrain_dataset": "same", "dataset": "NTU60",
    "protocol": "xsub", "metric": "top1", "value": "80.5", "source": "github:a/b/README.md",
}  # fmt: skip


def test_every_row_is_read() -> None:
    rows, numbers = published_rows(), published_numbers()
    assert len(rows) == len(numbers) == 1_574  # 921 + 426 + 235 readings, 8 of them of a number that was there
    assert Counter(row.kind for row in rows) == {"third-party": 996, "authors": 516, "paper": 62}
    assert Counter(row.task for row in rows) == {
        "recognition": 1_234, "zero-shot": 122, "semi-supervised": 66, "retrieval": 51, "one-shot": 46, "transfer": 29,
        "segmentation": 19, "few-shot": 5, "detection": 2,
    }  # fmt: skip
    assert {row.eval for row in rows} == set(TASKS)


def test_who_prints_a_number_is_said_by_where_it_was_read() -> None:
    for row in published_rows():
        table = re.search(r"\bTable ([IVXL]+|\d+)\b", row.source[0])
        assert row.table == (table[1] if table else ""), row
        notes = row.source[0].startswith(("https:", "review", "github:M0rtzz/", "github:Yingfei-Wu/"))
        assert not (row.kind != "third-party" and notes), row
        if row.kind == "authors":
            assert not row.table, row


def test_more_streams_are_no_worse_than_the_joints_among_them() -> None:
    """By more than two points, in one source: a swapped column would show."""
    value = {
        (row.method, row.streams, row.eval, row.dataset, row.protocol, row.source): row.value
        for row in published_rows()
    }
    pairs = [
        (number, value[key])
        for (method, streams, *rest), number in value.items()
        if streams in ("J+B", "4 streams", "6 streams") and (key := (method, "J", *rest)) in value
    ]
    assert len(pairs) > 50
    assert all(several > alone - 2 for several, alone in pairs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "direct"}, "line 2: kind: input should be 'paper', 'authors' or 'third-party'"),
        ({"year": "1850"}, "line 2: year: input should be greater than or equal to 2014"),
        ({"year": "soon"}, "line 2: year: input should be a valid integer"),
        ({"value": "100.1"}, "line 2: value: input should be less than or equal to 100"),
        ({"value": "nan"}, "line 2: value: input should be a finite number"),
        ({"source": "somewhere"}, "line 2: source.0: string should match pattern"),
        ({"source": "github:a/b | github:a/b"}, "a source stands there twice"),
        ({"source": ""}, "line 2: source.0: string should match pattern"),
        ({"task": "retrieval"}, "the task of eval 'linear' is 'recognition', not 'retrieval'"),
        ({"eval": "guess"}, "the task of eval 'guess' is None"),
        ({"eval": "semi", "task": "semi-supervised"}, "needs its share of labels"),
        ({"metric": "top5"}, "metric 'top5' is none of top1"),
        ({"kind": "paper"}, "kind paper needs the number of the table"),
        ({"table": "one"}, "line 2: table: string should match pattern"),
        ({"streams": ""}, "line 2: streams: string should have at least 1 character"),
    ],
)
def test_a_row_that_is_none_is_refused(changes: dict[str, str], message: str) -> None:
    assert checked_rows(pd.DataFrame([ROW]))[0].value == 80.5
    with pytest.raises(StarsBenchError, match=re.escape(message)):
        checked_rows(pd.DataFrame([ROW | changes]))


def test_a_number_that_is_there_gets_another_source_and_no_second_row() -> None:
    with pytest.raises(StarsBenchError, match=r"line 3: repeats a row; put its source behind the other's"):
        checked_rows(pd.DataFrame([ROW, ROW | {"source": "github:c/d", "kind": "third-party"}]))
    assert len(checked_rows(pd.DataFrame([ROW, ROW | {"value": "80.6"}]))) == 2
    (row,) = checked_rows(pd.DataFrame([ROW | {"source": f"github:a/b{BETWEEN_SOURCES}github:c/d"}]))
    assert row.source == ("github:a/b", "github:c/d")
