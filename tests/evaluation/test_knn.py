"""k-NN equals scikit-learn's, ties included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from stars_bench.errors import UsageError
from stars_bench.evaluation import nearest
from stars_bench.evaluation.knn import KNN, KNNConfig, knn_predict
from tests.evaluation.still_clips import still_subject

KS = (1, 2, 5, 10)


def predict(bank: np.ndarray, labels: np.ndarray, queries: np.ndarray, ks: tuple[int, ...] = KS) -> list[np.ndarray]:
    tensors = (torch.from_numpy(array) for array in (bank, labels, queries))
    return [found.numpy() for found in knn_predict(*tensors, ks, int(labels.max()) + 1)]


def scikit_learn(bank: np.ndarray, labels: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    model = KNeighborsClassifier(k, metric="cosine", weights="uniform", algorithm="brute")
    return model.fit(bank.astype(np.float64), labels).predict(queries.astype(np.float64))


@pytest.mark.parametrize("few_pairs", [nearest.FEW_PAIRS, 0], ids=["compare everything", "fast search"])
@pytest.mark.parametrize("classes", [3, 20])
def test_equals_scikit_learn(classes: int, few_pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "FEW_PAIRS", few_pairs)
    rng = np.random.default_rng(classes)
    bank, queries = (rng.normal(size=(n, 40)).astype(np.float32) for n in (1200, 1500))
    labels = rng.integers(0, classes, 1200)
    for k, ours in zip(KS, predict(bank, labels, queries), strict=True):
        assert np.array_equal(ours, scikit_learn(bank, labels, queries, k))


@pytest.mark.parametrize("few_pairs", [nearest.FEW_PAIRS, 0], ids=["compare everything", "fast search"])
def test_equals_scikit_learn_where_votes_are_tied(few_pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "FEW_PAIRS", few_pairs)
    rng = np.random.default_rng(5)
    bank, queries = (rng.normal(size=(n, 40)).astype(np.float32) for n in (1200, 800))
    labels = np.arange(1200)[::-1] // 3  # hardly a class twice among ten neighbours: with k > 1 most votes are tied
    for k, ours in zip(KS, predict(bank, labels, queries), strict=True):
        assert np.array_equal(ours, scikit_learn(bank, labels, queries, k))


@pytest.mark.parametrize("few_pairs", [nearest.FEW_PAIRS, 0], ids=["compare everything", "fast search"])
def test_equals_scikit_learn_where_distances_are_tied(few_pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "FEW_PAIRS", few_pairs)
    rng = np.random.default_rng(6)
    # Every clip twice, under one class: which of the two counts is left open by scikit-learn and changes nothing.
    bank, labels = np.repeat(rng.normal(size=(600, 40)), 2, axis=0).astype(np.float32), np.repeat(np.arange(600) % 7, 2)
    queries = np.concatenate([bank[::3], rng.normal(size=(400, 40)).astype(np.float32)])
    for k, ours in zip(KS, predict(bank, labels, queries), strict=True):
        assert np.array_equal(ours, scikit_learn(bank, labels, queries, k))


def test_of_equally_many_votes_the_smallest_class_wins() -> None:
    bank = np.array([[1.0, 0.0], [0.9, 0.1]])
    assert [int(found[0]) for found in predict(bank, np.array([3, 1]), np.array([[1.0, 0.0]]), (1, 2))] == [3, 1]


def test_of_equally_near_clips_the_first_counts() -> None:
    bank = np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 0.0]])
    assert int(predict(bank, np.array([0, 2, 1]), np.array([[1.0, 0.0]]), (1,))[0][0]) == 2


def test_features_are_normalised_first() -> None:
    bank = np.array([[10.0, 10.0], [0.1, 0.0]])
    assert int(predict(bank, np.array([0, 1]), np.array([[5.0, 0.5]]), (1,))[0][0]) == 1


def test_k_that_the_bank_is_too_small_for_is_left_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    features, labels = rng.normal(size=(14, 6)), np.arange(14) % 3
    parts = np.arange(5), np.arange(5, 14)
    subject = still_subject(features, labels, *parts, KNNConfig(), tmp_path)
    assert [outcome.settings for outcome in KNN().run(subject)] == [{"k": 1}, {"k": 2}, {"k": 5}]
    with pytest.raises(UsageError, match=r"k = \(6,\) is more than the 5 training clips"):
        KNN().run(still_subject(features, labels, *parts, KNNConfig(k=(6,)), tmp_path))
