"""Metrics: equal to scikit-learn's, intervals that cover, and the maximum over epochs under a name that says so."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn import metrics as theirs

from stars_bench.errors import StarsBenchError
from stars_bench.records.metrics import bootstrap_interval, confusion_matrix, measure, per_class
from stars_bench.records.outcome import Outcome

RNG = np.random.default_rng(0)
LABELS = RNG.choice([0, 1, 2, 4, 7], 300, p=[0.5, 0.2, 0.15, 0.1, 0.05])
GUESSES = np.where(RNG.random(300) < 0.7, LABELS, RNG.integers(0, 9, 300))


def named(outcome: Outcome, labels: np.ndarray) -> dict[str, float]:
    return {metric.name: metric.value for metric in measure(outcome, labels)}


def test_last_epoch_counts_and_the_best_is_named() -> None:
    labels = np.array([0, 1, 2, 3])
    by_epoch = np.array([[0, 1, 2, 0], [0, 1, 0, 0]])
    found = named(Outcome({}, by_epoch[-1], by_epoch=by_epoch), labels)
    assert (found["top1"], found["top1_best_epoch_on_test"]) == (50.0, 75.0)


def test_top1_comes_first() -> None:
    scores = RNG.normal(size=(300, 9))
    found = measure(Outcome({}, GUESSES, scores=scores, by_epoch=GUESSES[None]), LABELS)
    assert [m.name for m in found] == ["top1", "top5", "macro_accuracy", "macro_f1", "top1_best_epoch_on_test"]
    assert found[0].interval is not None
    assert {m.unit for m in found} == {"%"}


def test_top5() -> None:
    scores = np.tile(np.arange(10.0), (2, 1))
    found = named(Outcome({}, scores.argmax(1), scores=scores), np.array([5, 4]))
    assert (found["top1"], found["top5"]) == (0.0, 50.0)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_means_over_classes_equal_scikit_learn() -> None:
    found = named(Outcome({}, GUESSES), LABELS)
    assert found["top1"] == pytest.approx(100 * theirs.accuracy_score(LABELS, GUESSES))
    assert found["macro_accuracy"] == pytest.approx(100 * theirs.balanced_accuracy_score(LABELS, GUESSES))
    assert found["macro_f1"] == pytest.approx(100 * theirs.f1_score(LABELS, GUESSES, average="macro"))


def test_confusions_equal_scikit_learn_and_their_diagonal_is_the_accuracy_of_each_class() -> None:
    outcome = Outcome({}, GUESSES.astype(np.int16))
    counts = confusion_matrix(outcome, LABELS.astype(np.int16), 400)
    assert counts.shape == (400, 400)
    assert np.array_equal(counts[:9, :9], theirs.confusion_matrix(LABELS, GUESSES, labels=np.arange(9)))
    accuracies = per_class(outcome, LABELS, 9)
    assert np.array_equal(np.isnan(accuracies), ~np.isin(np.arange(9), LABELS))
    for label in np.unique(LABELS):
        assert accuracies[label] == pytest.approx(100 * (label == GUESSES[label == LABELS]).mean())
    with pytest.raises(StarsBenchError, match="of kind 'clusters'"):
        confusion_matrix(Outcome({}, GUESSES, kind="clusters"), LABELS, 9)


def test_rows_tell_which_clips_the_predictions_are_of() -> None:
    rows = np.array([3, 1])
    assert named(Outcome({}, LABELS[rows], rows=rows), LABELS)["top1"] == 100.0


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


def test_episodes_give_their_mean_and_a_normal_interval() -> None:
    rows = RNG.integers(0, 300, (500, 20))
    right = RNG.random((500, 20)) < 0.8
    guesses = np.where(right, LABELS[rows], (LABELS[rows] + 1) % 9)
    (metric,) = measure(Outcome({}, guesses, kind="episodes", rows=rows), LABELS)
    accuracies = 100 * right.mean(1)
    assert (metric.name, metric.n) == ("top1", 500)
    assert metric.value == pytest.approx(accuracies.mean())
    interval = norm.interval(0.95, accuracies.mean(), accuracies.std(ddof=1) / 500**0.5)
    assert metric.interval == pytest.approx(interval, abs=1e-3)


def test_one_episode_has_no_interval() -> None:
    (metric,) = measure(Outcome({}, LABELS[:1, None], kind="episodes", rows=np.zeros((1, 1), int)), LABELS)
    assert (metric.value, metric.n, metric.interval) == (100.0, 1, None)


def clusters_outcome(clusters: np.ndarray, features: np.ndarray, neighbours: np.ndarray, rows: np.ndarray) -> Outcome:
    extra = {"neighbours": neighbours, "sampled_rows": rows, "sampled_features": features[rows]}
    return Outcome({}, clusters, kind="clusters", extra=extra)


def test_cluster_metrics_equal_scikit_learn() -> None:
    features = RNG.normal(size=(300, 5)) + LABELS[:, None]
    rows, clusters = np.arange(0, 300, 2), RNG.permutation(9)[GUESSES]
    found = named(clusters_outcome(clusters, features, RNG.integers(0, 300, (300, 10)), rows), LABELS)
    assert next(iter(found)) == "nmi"
    assert found["nmi"] == pytest.approx(theirs.normalized_mutual_info_score(LABELS, clusters))
    assert found["ari"] == pytest.approx(theirs.adjusted_rand_score(LABELS, clusters))
    assert found["silhouette"] == pytest.approx(theirs.silhouette_score(features[rows], LABELS[rows]))


def test_clusters_are_matched_with_classes_in_the_best_way() -> None:
    labels = np.repeat([0, 1, 2], [5, 4, 3])
    clusters = np.array([2, 2, 2, 0, 0, 0, 0, 0, 2, 1, 1, 0])  # best: 2 -> 0 (3), 0 -> 1 (3), 1 -> 2 (2)
    empty = np.empty((12, 0), int)
    found = named(clusters_outcome(clusters, np.eye(12), empty, np.arange(12)), labels)
    assert found["cluster_accuracy"] == pytest.approx(100 * 8 / 12)
    assert "neighbour_purity" not in found


def test_purity_is_the_share_of_neighbours_of_the_same_class() -> None:
    labels = np.array([0, 0, 1])
    outcome = clusters_outcome(labels, np.eye(3), np.array([[1, 2], [0, 2], [0, 1]]), np.arange(3))
    assert named(outcome, labels)["neighbour_purity"] == pytest.approx(100 * 2 / 6)


def test_no_silhouette_where_the_sample_has_one_class() -> None:
    labels = np.zeros(5, int)
    assert "silhouette" not in named(clusters_outcome(labels, np.eye(5), np.zeros((5, 1), int), np.arange(5)), labels)


def test_clusters_without_what_the_metrics_need_are_refused() -> None:
    with pytest.raises(StarsBenchError, match="lacks extra neighbours, sampled_features, sampled_rows"):
        measure(Outcome({}, GUESSES, kind="clusters"), LABELS)
