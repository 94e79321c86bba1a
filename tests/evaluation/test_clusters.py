"""Clusters: found where there are some, without labels, the same each time; the t-SNE map takes the paper's clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stars_bench.errors import UsageError
from stars_bench.evaluation.clusters import PAPER_CLASSES, Clusters, ClustersConfig, k_means, other_neighbours, tsne_map
from stars_bench.records.metrics import measure
from stars_bench.records.outcome import Outcome
from tests.evaluation.still_clips import still_subject

RNG = np.random.default_rng(0)


def outcome_of(tmp_path: Path, spread: float, **settings: int) -> tuple[Outcome, np.ndarray]:
    """Of 240 test clips of six classes, on the axes of nine dimensions at different lengths."""
    labels = np.arange(300) % 6
    features = (np.eye(6, 9)[labels] + spread * RNG.normal(size=(300, 9))) * RNG.uniform(1, 50, (300, 1))
    subject = still_subject(
        features, labels, np.arange(60), np.arange(60, 300), ClustersConfig(**settings), tmp_path, test_classes=6
    )
    (outcome,) = Clusters().run(subject)
    return outcome, labels[60:]


def test_clusters_that_are_there_are_found(tmp_path: Path) -> None:
    outcome, labels = outcome_of(tmp_path, spread=0.02)
    found = {metric.name: metric.value for metric in measure(outcome, labels)}
    assert found["nmi"] == pytest.approx(1)
    assert found["ari"] == pytest.approx(1)
    assert found["cluster_accuracy"] == found["neighbour_purity"] == 100
    assert found["silhouette"] > 0.9


def test_clusters_that_are_not_there_are_not_found(tmp_path: Path) -> None:
    outcome, labels = outcome_of(tmp_path, spread=50)
    found = {metric.name: metric.value for metric in measure(outcome, labels)}
    assert found["nmi"] < 0.15
    assert abs(found["ari"]) < 0.05
    assert found["neighbour_purity"] < 30
    assert abs(found["silhouette"]) < 0.1


def test_the_outcome_holds_what_the_metrics_need_and_no_more(tmp_path: Path) -> None:
    outcome, _ = outcome_of(tmp_path, spread=0.3, sample=100, neighbours=7)
    assert outcome.kind == "clusters"
    assert set(np.unique(outcome.predictions)) == set(range(6))
    assert {name: value.shape for name, value in outcome.extra.items()} == {
        "neighbours": (240, 7),
        "sampled_rows": (100,),
        "sampled_features": (100, 9),
    }
    assert len(np.unique(outcome.extra["sampled_rows"])) == 100
    assert np.allclose(np.linalg.norm(outcome.extra["sampled_features"], axis=1), 1)


def test_k_means_is_the_same_each_time_and_the_best_of_its_starts() -> None:
    units = RNG.normal(size=(200, 4))
    units /= np.linalg.norm(units, axis=1)[:, None]
    assert np.array_equal(k_means(units, 8, 5, seed=3), k_means(units, 8, 5, seed=3))

    def inertia(clusters: np.ndarray) -> float:
        return float(sum(units[clusters == c].var(0).sum() * (clusters == c).sum() for c in range(8)))

    assert inertia(k_means(units, 8, 10, seed=0)) <= inertia(k_means(units, 8, 1, seed=0))


def test_a_clip_is_not_its_own_neighbour_even_among_copies() -> None:
    features = torch.ones(20, 3)
    found = other_neighbours(features, 4)
    assert found.shape == (20, 4)
    assert (found != np.arange(20)[:, None]).all()
    assert all(len(set(row)) == 4 for row in found.tolist())


def test_too_few_clips_are_refused(tmp_path: Path) -> None:
    labels = np.arange(9) % 5
    subject = still_subject(
        RNG.normal(size=(9, 3)), labels, np.arange(5), np.arange(5, 9), ClustersConfig(), tmp_path, test_classes=5
    )
    with pytest.raises(UsageError, match="4 test clips are too few for 5 clusters"):
        Clusters().run(subject)


def test_the_map_takes_the_first_clips_of_the_papers_classes() -> None:
    labels = np.repeat(np.arange(60), 8)[RNG.permutation(480)]
    features = RNG.normal(size=(480, 12)).astype(np.float32) + 4 * RNG.normal(size=(60, 12))[labels]
    places, rows = tsne_map(features, labels, per_class=5)
    assert places.shape == (75, 2)
    assert (np.diff(rows) > 0).all()
    for number in PAPER_CLASSES:
        assert np.array_equal(rows[labels[rows] == number], np.flatnonzero(labels == number)[:5])
    again, _ = tsne_map(features, labels, per_class=5)
    assert np.array_equal(places, again)
    # What lies together is drawn together.
    distances = np.linalg.norm(places[:, None] - places[None], axis=2) + 1e9 * np.eye(75)
    assert (labels[rows][distances.argmin(1)] == labels[rows]).mean() > 0.9


def test_small_datasets_are_mapped_by_the_classes_that_are_there() -> None:
    labels = np.repeat([0, 3, 4], 6)
    features = RNG.normal(size=(18, 5)).astype(np.float32)
    assert np.array_equal(tsne_map(features, labels)[1], np.arange(18))  # none of the paper's classes
    assert np.array_equal(tsne_map(features, labels, classes=(3, 4))[1], np.arange(6, 18))
    assert np.array_equal(tsne_map(features, labels, classes=(3, 9))[1], np.arange(12))  # one is absent: the first two
    with pytest.raises(UsageError, match="3 clips are too few"):
        tsne_map(features[:3], labels[:3])
