"""Records that several tests of outputs print."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stars_bench.records.record import Record
from tests.report.paper_records import paper_records as paper_records

MakeRecord = Callable[..., Record]
VARIANTS = [*(("knn", {"k": k}) for k in (1, 2, 5, 10)), ("linear", {})]


@pytest.fixture
def quick_records(make_record: MakeRecord) -> list[Record]:
    """A quick run of three methods on partial data: five columns, three seeds, two marks."""
    return [
        make_record(
            50.0 + seed + 5 * place,
            best=70.0,
            seed=seed,
            method__name=method,
            method__preset="quick",
            dataset__clips=1024,
            dataset__complete=False,
            evaluation__name=name,
            evaluation__settings=settings,
        )
        for place, method in enumerate(("untrained", "mamp", "stars"))
        for seed in range(3)
        for name, settings in VARIANTS
    ]
