"""Records made by hand: `make_record(...)` gives a sound one on complete NTU-60 data, changed where a test says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stars_bench.records.record import SCHEMA_VERSION, Record


def _content(**changes: Any) -> dict[str, Any]:
    """The content of a sound record; `method__preset="quick"` changes content["method"]["preset"]."""
    content: dict[str, Any] = {
        "method": {"name": "stars", "config": {"dim": 256}, "preset": "paper", "parameters": 5, "target": "pkg:Stars"},
        "dataset": {
            "name": "ntu60",
            "profile": "mamp",
            "digest": "data",
            "clips": 56578,
            "expected_clips": 56578,
            "complete": True,
            "absent_body": "zero",
        },
        "protocol": {
            "name": "xsub",
            "validation": None,
            "train_digest": "train",
            "test_digest": "test",
            "train_clips": 40091,
            "test_clips": 16487,
            "expected_train": 40091,
            "expected_test": 16487,
        },
        "evaluation": {"name": "knn", "config": {"keep": 0.95}, "settings": {"k": 1}},
        "seed": 0,
        "metrics": [{"name": "top1", "value": 80.0, "unit": "%", "n": 16487, "interval": [79.0, 81.0]}],
        "stages": [],
        "code": {"version": "0.1.0", "commit": None, "dirty": None},
        "environment": {
            "python": "3.11.9",
            "platform": "Linux",
            "cpus": 2,
            "packages": {},
            "device": "cpu",
            "precision": "float32",
        },
        "command": "stars-bench run stars",
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T01:00:00+00:00",
        "predictions": {"file": "predictions/knn-k1.npz", "digest": "predictions"},
    }
    for name, value in changes.items():
        *path, last = name.split("__")
        place = content
        for step in path:
            place = place[step]
        place[last] = value
    return content


@pytest.fixture
def record_content() -> Callable[..., dict[str, Any]]:
    """A maker of records as JSON content."""
    return lambda **changes: {"schema_version": SCHEMA_VERSION} | _content(**changes)


@pytest.fixture
def make_record() -> Callable[..., Record]:
    """A maker of records; `top1=` and `best=` set the metrics."""

    def make(top1: float = 80.0, best: float | None = None, n: int = 16487, **changes: Any) -> Record:
        metrics = [{"name": "top1", "value": top1, "unit": "%", "n": n}]
        if best is not None:
            metrics.append({"name": "top1_best_epoch_on_test", "value": best, "unit": "%", "n": n})
        return Record.model_validate(_content(**({"metrics": metrics} | changes)))

    return make
