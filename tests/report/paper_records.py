"""Records of a paper: three methods on five benchmarks with three streams, shares of labels, transfer and costs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from stars_bench.records.record import Record

PLACES = {
    ("ntu60", "xsub"): 20.0,
    ("ntu60", "xview"): 24.0,
    ("ntu120", "xsub"): 14.0,
    ("ntu120", "xset"): 15.0,
    ("pku2", "xsub"): 9.0,
}
METHODS = {"untrained": 20.0, "mamp": 60.0, "stars": 63.0}
STREAMS = {"joint": 0.0, "bone": -2.0, "motion": -6.0, "joint+bone+motion": 3.0}
EVALUATIONS: tuple[tuple[str, dict[str, Any], float], ...] = (
    ("linear", {}, 0.0),
    ("finetune", {}, 8.0),
    ("knn", {"k": 1}, -8.0),
    ("semi", {"percent": 1}, -20.0),
    ("semi", {"percent": 10}, -6.0),
)
ELSEWHERE = {
    "method": "mamp", "protocol": "xsub", "seed": 0, "run": "r", "key": "k", "path": "p", "train_clips": 5,
    "test_clips_seen": 0, "novel_classes": 0, "novel_classes_seen": None,
}  # fmt: skip


@pytest.fixture
def paper_records(make_record: Callable[..., Record]) -> list[Record]:
    """Numbers that differ by method, place, stream and evaluation as above, half a point up with each of two seeds."""
    keys = count()

    def make(method: str, seed: int, value: float, hours: float, **changes: Any) -> Record:
        stage = {"name": "stage1", "key": f"k{next(keys)}", "seconds": 3600 * hours, "samples": 9, "peak_bytes": None}
        trained = [stage | {"checkpoint_digest": "d", "reused": False}] if method != "untrained" else []
        costs = {"method__parameters": 6_300_000, "method__multiply_adds": 2_150_000_000, "stages": trained}
        config = {"frames": 120}
        return make_record(value + seed / 2, method__name=method, method__config=config, seed=seed, **costs, **changes)

    found = []
    for method, base in METHODS.items():
        for seed in (0, 1):
            for (dataset, protocol), more in PLACES.items():
                where = {"dataset__name": dataset, "protocol__name": protocol}
                for stream, by in STREAMS.items():
                    for name, settings, better in EVALUATIONS if stream == "joint" else EVALUATIONS[:2]:
                        how = {"evaluation__name": name, "evaluation__settings": settings, "dataset__stream": stream}
                        value = min(base + more + by + better, 99.0)
                        found.append(make(method, seed, value, 10.0 if method == "mamp" else 13.0, **where, **how))
            for start in ("ntu60", "ntu120"):
                how = {"evaluation__name": "finetune", "evaluation__settings": {"from": start}}
                init = ELSEWHERE | {"dataset": start}
                found.append(make(method, seed, base + 5 + len(start), 1.0, dataset__name="pku2", init=init, **how))
    return found
