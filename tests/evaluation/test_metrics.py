"""Metrics: top-1 and top-5, the interval, and the maximum over epochs under a name that says what it is."""

from __future__ import annotations

import numpy as np
import pytest

from stars_bench.evaluation.features import Outcome
from stars_bench.evaluation.metrics import bootstrap_interval, measure


def test_last_epoch_counts_and_the_best_is_named() -> None:
    labels = np.array([0, 1, 2, 3])
    by_epoch = np.array([[0, 1, 2, 0], [0, 1, 0, 0]])
    found = {m.name: m.value for m in measure(Outcome({}, by_epoch[-1], by_epoch=by_epoch), labels)}
    assert found == {"top1": 50.0, "top1_best_epoch_on_test": 75.0}


def test_top5() -> None:
    scores = np.tile(np.arange(10.0), (2, 1))
    found = {m.name: m.value for m in measure(Outcome({}, scores.argmax(1), scores), np.array([5, 4]))}
    assert found == {"top1": 0.0, "top5": 50.0}


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        low, high = bootstrap_interval(rng.random(200) < 0.7)
        covered += low <= 70 <= high
    assert 180 <= covered <= 199


def test_interval_equals_a_plain_bootstrap() -> None:
    hits = np.random.default_rng(2).random(300) < 0.6
    rng = np.random.default_rng(3)
    plain = np.quantile([rng.choice(hits, len(hits)).mean() for _ in range(4000)], [0.025, 0.975]) * 100
    assert bootstrap_interval(hits) == pytest.approx(tuple(plain), abs=0.7)
