"""One table: its columns, its ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stars_bench.records.record import Record
from stars_bench.report.leaderboard import Leaderboard
from stars_bench.report.table import BEST, SECOND
from tests.report.results.test_collect import INIT

MakeRecord = Callable[..., Record]


def test_columns_stand_in_the_registrys_order_whatever_the_first_row_has(make_record: MakeRecord) -> None:
    linear = {"evaluation__name": "linear", "evaluation__settings": {}}
    records = [make_record(method__name="mamp", **linear), make_record(), make_record(**linear)]
    (table,) = Leaderboard.of(records, published="none").tables
    assert table.header == ["method", "seeds", "k-NN k=1", "linear"]


def test_a_result_that_saw_the_test_part_has_no_rank_even_where_it_equals_the_best(make_record: MakeRecord) -> None:
    seen = {"evaluation__checkpoint_rule": "best-on-test (as published)"}
    records = [
        make_record(60.0, method__name="untrained", **seen),
        make_record(60.0, method__name="mamp"),
        make_record(50.0, method__name="stars"),
    ]
    (table,) = Leaderboard.of(records, published="none").tables
    assert [row.cells[1].rank for row in table.measured] == [0, BEST, SECOND]


@pytest.mark.parametrize(
    "seen",
    [
        {"evaluation__checkpoint_rule": "best-on-test (as published)"},
        {"init": INIT | {"test_clips_seen": 1}},
        {"init": INIT | {"test_clips_seen": None}},
        {"init": INIT | {"novel_classes": 20, "novel_classes_seen": 1}},
    ],
)
def test_a_result_that_may_have_seen_what_it_was_tested_on_is_marked_and_never_the_best(
    make_record: MakeRecord, seen: dict[str, Any]
) -> None:
    records = [
        make_record(60.0, method__name="untrained"),
        make_record(50.0, method__name="mamp"),
        make_record(90.0, method__name="stars", **seen),
    ]
    (table,) = Leaderboard.of(records, published="none").tables
    assert [row.cells[1].rank for row in table.measured] == [BEST, SECOND, 0]
    assert table.measured[-1].signs + table.measured[-1].cells[1].signs
    assert table.marks
