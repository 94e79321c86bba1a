"""Agreement of clusters with classes: scikit-learn's values, of the clips written out as often as they were drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as theirs

from stars_bench.records.statistics import clusterings, intervals
from stars_bench.records.statistics.formulas import Numbers, bootstrap_counts, numbered

RNG = np.random.default_rng(0)
CLIPS, PERSONS, DRAWS = 60, 5, 30
CLASSES, CLUSTERS = RNG.integers(0, 4, CLIPS), RNG.integers(0, 3, CLIPS)
WHO = numbered(RNG.integers(0, PERSONS, CLIPS))
DRAWN = np.concatenate([*bootstrap_counts(PERSONS, DRAWS)])


def written_out(draw: Numbers) -> np.ndarray:
    """The rows of the clips of a draw, as often as their person was drawn."""
    return np.repeat(np.arange(CLIPS), draw[WHO].astype(int))


def matched(classes: np.ndarray, clusters: np.ndarray) -> float:
    from itertools import permutations

    names = permutations(range(4), 3)
    return 100 * max(float((np.array(name)[clusters] == classes).mean()) for name in names)


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (clusterings.mutual_information, theirs.normalized_mutual_info_score),
        (clusterings.adjusted_rand, theirs.adjusted_rand_score),
        (clusterings.matched_accuracy, matched),
    ],
)
def test_metrics_of_many_tables_are_those_of_the_written_out_clips(
    ours: Callable[[Numbers], Numbers], expected: Callable[[np.ndarray, np.ndarray], float]
) -> None:
    counts = intervals.counts_by_cluster(CLUSTERS * 4 + CLASSES, WHO, 12)
    found = ours((DRAWN @ counts).reshape(-1, 3, 4))
    rows = [written_out(draw) for draw in DRAWN]
    assert found == pytest.approx([expected(CLASSES[one], CLUSTERS[one]) for one in rows], abs=1e-12)


def test_where_clusters_are_classes_all_agree() -> None:
    table = np.diag([3.0, 4.0])
    assert clusterings.mutual_information(table) == pytest.approx(1)
    assert clusterings.adjusted_rand(table) == pytest.approx(1)
    assert clusterings.matched_accuracy(table) == 100
    assert (
        clusterings.mutual_information(np.array([[5.0, 0.0]])) == clusterings.adjusted_rand(np.array([[5.0, 0]])) == 1
    )


def test_silhouettes_are_those_of_the_written_out_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusterings, "BLOCK", 7)
    features = RNG.normal(size=(CLIPS, 3))
    distances = theirs.pairwise_distances(features)
    classes = np.where(np.arange(CLIPS) == 7, 9, CLASSES)  # one clip is alone in its class
    found = clusterings.silhouettes(distances, classes, WHO, DRAWS)
    for draw, ours in zip(DRAWN, found, strict=True):
        rows = written_out(draw)
        expected = theirs.silhouette_score(distances[np.ix_(rows, rows)], classes[rows], metric="precomputed")
        assert ours == pytest.approx(expected, abs=1e-10)


def test_a_draw_of_one_class_has_no_silhouette() -> None:
    drawn = clusterings.silhouettes(1 - np.eye(4), np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), 40)
    counts = np.concatenate([*bootstrap_counts(2, 40)])
    assert np.isnan(drawn).tolist() == (counts == 2).any(1).tolist()
