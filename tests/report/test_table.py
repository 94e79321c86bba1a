"""One table: its columns, its ranks."""

from __future__ import annotations

from collections.abc import Callable

from stars_bench.records.record import Record
from stars_bench.report.leaderboard import Leaderboard
from stars_bench.report.table import BEST, SECOND

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
