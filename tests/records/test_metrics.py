"""Metrics: equal to scikit-learn's, intervals that cover, and the maximum over epochs under a name that says so."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import norm, t
from sklearn import metrics as theirs

from stars_bench.errors import StarsBenchError
from stars_bench.records.metrics import confusion_matrix, harmonic_mean, macro_f1, measure, per_class
from stars_bench.records.outcome import Outcome
from stars_bench.records.statistics import formulas
from tests.paths import STATISTICS

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


PERSONS, PERFORMANCES = RNG.integers(0, 6, 300), RNG.integers(0, 90, 300)
UNITS = {"person": PERSONS, "performance": PERFORMANCES}


def test_a_record_has_an_interval_by_person_and_one_by_performance_within_class() -> None:
    top1 = measure(Outcome({}, GUESSES), LABELS, UNITS)[0]
    hits = GUESSES == LABELS
    assert [*top1.intervals] == ["person", "performance"]
    person, performance = top1.intervals["person"], top1.intervals["performance"]
    assert person.se == pytest.approx(100 * formulas.clustered_se(hits, PERSONS))
    assert performance.se == pytest.approx(100 * formulas.stratified_se(hits, PERFORMANCES, LABELS))
    assert (person.clusters, performance.clusters) == (6, len(np.unique(PERFORMANCES)))
    assert person.high - top1.value == pytest.approx(t.ppf(0.975, 5) * person.se)
    assert performance.high - top1.value == pytest.approx(1.96 * performance.se)
    assert person.design_effect == pytest.approx(
        (formulas.clustered_se(hits, PERSONS, correct=False) / formulas.independent_se(hits)) ** 2
    )
    assert top1.interval == (person.low, person.high)


def test_the_design_effect_of_performances_is_within_class() -> None:
    copies = np.repeat(np.arange(100), 3)  # three cameras that always agree
    hits = np.repeat(RNG.random(100) < 0.6, 3)
    labels = np.repeat(np.arange(100) % 2, 3)
    top1 = measure(Outcome({}, np.where(hits, labels, 1 - labels)), labels, {"performance": copies})[0]
    assert top1.intervals["performance"].design_effect == pytest.approx(3, rel=0.05)


def test_without_units_clips_count_as_independent() -> None:
    top1 = measure(Outcome({}, GUESSES), LABELS)[0]
    (unit,) = top1.intervals
    hits = GUESSES == LABELS
    assert (unit, top1.intervals[unit].design_effect) == ("clip", pytest.approx(1))
    assert top1.intervals[unit].se == pytest.approx(100 * hits.std(ddof=1) / 300**0.5)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_means_over_classes_are_resampled_by_person() -> None:
    found = {metric.name: metric for metric in measure(Outcome({}, GUESSES), LABELS, UNITS)}
    rng, rows = np.random.default_rng(1), [np.flatnonzero(person == PERSONS) for person in range(6)]
    drawn = [np.concatenate([rows[person] for person in rng.integers(0, 6, 6)]) for _ in range(600)]
    by_hand = {
        "macro_accuracy": [theirs.balanced_accuracy_score(LABELS[clips], GUESSES[clips]) for clips in drawn],
        "macro_f1": [theirs.f1_score(LABELS[clips], GUESSES[clips], average="macro") for clips in drawn],
    }
    for name, values in by_hand.items():
        assert [*found[name].intervals] == ["person"]
        assert found[name].intervals["person"].se == pytest.approx(100 * np.std(values) * (6 / 5) ** 0.5, rel=0.15)


def test_the_best_epoch_on_test_has_no_interval() -> None:
    found = {metric.name: metric for metric in measure(Outcome({}, GUESSES, by_epoch=GUESSES[None]), LABELS, UNITS)}
    assert found["top1_best_epoch_on_test"].intervals == {}


def test_one_cluster_has_no_interval() -> None:
    top1 = measure(Outcome({}, GUESSES), LABELS, {"performance": np.zeros(300, int)})[0]
    assert (top1.interval, top1.intervals) == (None, {})


def test_tables_of_counts_give_scikit_learns_metrics() -> None:
    assert macro_f1(np.array([[1.0, 0, 2, 0, 1, 0]])) == pytest.approx([100 * 2 / 3])  # a class that occurs nowhere


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
    assert [*metric.intervals] == ["episode"]


def test_queries_of_episodes_are_clustered_by_person() -> None:
    rows = RNG.integers(0, 300, (50, 20))
    right = RNG.random((50, 20)) < 0.8
    guesses = np.where(right, LABELS[rows], (LABELS[rows] + 1) % 9)
    (metric,) = measure(Outcome({}, guesses, kind="episodes", rows=rows), LABELS, UNITS)
    assert [*metric.intervals] == ["person", "performance", "episode"]
    expected = formulas.clustered_se(right.reshape(-1), PERSONS[rows].reshape(-1))
    assert metric.intervals["person"].se == pytest.approx(100 * expected)
    assert metric.interval == (metric.intervals["person"].low, metric.intervals["person"].high)


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


def test_cluster_metrics_have_intervals_by_person() -> None:
    persons = RNG.integers(0, 6, 300)
    outcome = clusters_outcome(
        GUESSES, RNG.normal(size=(300, 3)) + LABELS[:, None], np.empty((300, 0), int), np.arange(80)
    )
    for metric in measure(outcome, LABELS, {"person": persons, "performance": np.arange(300)}):
        (unit,) = metric.intervals
        assert (unit, metric.intervals[unit].clusters) == ("person", len(np.unique(persons[: metric.n])))
        assert metric.interval[0] < metric.value < metric.interval[1]


def test_classes_with_one_performance_are_named() -> None:
    labels, performances = np.array([0, 0, 1, 1, 4, 4]), np.array([0, 0, 1, 2, 3, 3])
    top1 = measure(Outcome({}, labels), labels, {"person": np.arange(6) % 2, "performance": performances})[0]
    assert top1.intervals["performance"].classes_of_one == (1, 5)
    assert top1.intervals["person"].classes_of_one == ()


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


def test_the_harmonic_mean_is_that_of_the_reference() -> None:
    reference = json.loads(STATISTICS.read_text(encoding="utf-8"))["harmonic_mean"]
    assert harmonic_mean(reference["seen"], reference["unseen"]) == pytest.approx(reference["h"], abs=1e-12, rel=0)
    assert harmonic_mean(0.0, 0.0) == reference["both_zero"]
    assert harmonic_mean(0.5, 0.0) == 0.0
