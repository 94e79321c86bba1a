"""Retrieval: average precision equal to scikit-learn's, recall by hand, and no label of a test clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from stars_bench.errors import UsageError
from stars_bench.evaluation import retrieval
from stars_bench.evaluation.retrieval import Retrieval, RetrievalConfig, average_precisions
from stars_bench.records.metrics import measure
from stars_bench.records.outcome import Outcome
from tests.evaluation.still_clips import still_subject


@pytest.mark.parametrize("at_once", [retrieval.SORTED_AT_ONCE, 1], ids=["one block", "blocks"])
def test_average_precision_is_scikit_learns_for_every_class(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "SORTED_AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    bank, queries, labels = rng.normal(size=(50, 4)), rng.normal(size=(7, 4)), rng.integers(0, 3, 50)
    found = average_precisions(*map(torch.from_numpy, (bank, labels, queries)), 4).numpy()
    cosines = (queries / np.linalg.norm(queries, axis=1)[:, None]) @ (bank / np.linalg.norm(bank, axis=1)[:, None]).T
    expected = [[average_precision_score(labels == label, row) for label in range(3)] for row in cosines]
    assert found[:, :3] == pytest.approx(np.array(expected))
    assert np.isnan(found[:, 3]).all()


def test_of_equally_near_clips_the_earlier_one_comes_first() -> None:
    bank, labels = torch.tensor([[1.0, 0], [2.0, 0], [0, 1.0]]), torch.tensor([1, 0, 0])
    found = average_precisions(bank, labels, torch.tensor([[3.0, 0]]), 2)
    assert found.tolist() == [[pytest.approx((1 / 2 + 2 / 3) / 2), 1.0]]


def test_a_ranking_by_hand(tmp_path: Path) -> None:
    """Training clips of classes 0 1 1 at angles 0, 10 and 20 degrees; queries at 1 (class 1) and 19 (class 1)."""
    angles = np.radians([0, 10, 20, 1, 19])
    features = np.stack([np.cos(angles), np.sin(angles), 0 * angles], 1)
    labels = np.array([0, 1, 1, 1, 1])
    (outcome,) = Retrieval().run(still_subject(features, labels, [0, 1, 2], [3, 4], RetrievalConfig(), tmp_path))
    assert outcome.extra["ranked"].tolist() == [[0, 1, 1], [1, 1, 0]]
    found = {metric.name: metric.value for metric in measure(outcome, labels[3:])}
    assert found["top1"] == 50.0
    assert found["map"] == pytest.approx(100 * ((1 / 2 + 2 / 3) / 2 + 1) / 2)
    assert "recall_at_5" not in found  # three clips can be found


def test_recall_is_of_the_nearest_5_and_10() -> None:
    ranked = np.tile(np.arange(10), (4, 1))
    extra = {"ranked": ranked, "average_precision": np.full((4, 12), 0.25)}
    found = {
        metric.name: metric.value for metric in measure(Outcome({}, ranked[:, 0], extra=extra), np.r_[0, 4, 9, 11])
    }
    assert (found["top1"], found["recall_at_5"], found["recall_at_10"], found["map"]) == (25.0, 50.0, 75.0, 25.0)


def test_queries_of_classes_that_cannot_be_found_are_left_out_of_the_mean(tmp_path: Path) -> None:
    features, labels = np.eye(3), np.array([0, 0, 1])
    (outcome,) = Retrieval().run(still_subject(features, labels, [0], [1, 2], RetrievalConfig(), tmp_path))
    found = {metric.name: (metric.value, metric.n) for metric in measure(outcome, labels[1:])}
    assert found["map"] == (100.0, 1)


def test_a_bank_without_clips_is_told(tmp_path: Path) -> None:
    subject = still_subject(np.eye(3), np.array([0, 1, 2]), [0], [1, 2], RetrievalConfig(), tmp_path)
    subject.cache["train", 0.95] = torch.empty(0, 3)
    with pytest.raises(UsageError, match="retrieval: there is no training clip"):
        Retrieval().run(subject)
