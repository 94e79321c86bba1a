"""Metrics from predictions and labels: the one place where test labels are read.

All numbers of an outcome, of any kind, can be computed again from the saved predictions (`load_predictions`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from stars_bench.errors import StarsBenchError
from stars_bench.records.outcome import Outcome
from stars_bench.records.record import Metric
from stars_bench.records.statistics import clusterings, intervals
from stars_bench.records.statistics.formulas import Numbers, numbered
from stars_bench.records.statistics.intervals import Intervals

MOST_CELLS = 20_000_000
"""Of a table of clusters, classes and persons: larger ones (hundreds of persons or single clips) are not resampled."""
RECALLS = (5, 10)
"""Numbers of nearest clips that recall is measured at; at 1 it is top1."""
Units = Mapping[str, np.ndarray]
"""What intervals may take as sampled, the headline first: name and (N,) cluster of each test clip."""


def measure(outcome: Outcome, labels: np.ndarray, units: Units | None = None) -> list[Metric]:
    """Compute the metrics of an outcome; the first is its main one: top1, or nmi for clusters.

    Args:
        outcome: the predictions.
        labels: (N,) true classes of the test part.
        units: what is sampled (`MeasuredClips.units`); default: clips, as if they were independent.
    """
    return KINDS[outcome.kind](outcome, labels, {"clip": np.arange(len(labels))} if units is None else units)


def hits(outcome: Outcome, labels: np.ndarray) -> NDArray[np.bool_]:
    """Compare predictions with the true classes, in the shape of the predictions."""
    return np.asarray(outcome.predictions == true_classes(outcome, labels))


def harmonic_mean(seen: float, unseen: float) -> float:
    """Return the harmonic mean of two accuracies, which is high only where both are; 0 where both are 0.

    Args:
        seen: Accuracy of the classes that training had, as a share or in %.
        unseen: Accuracy of the others, in the same unit.
    """
    return 2 * seen * unseen / (seen + unseen) if seen + unseen else 0.0


def _metric(name: str, value: float, n: int, found: Intervals | None = None, unit: str = "%") -> Metric:
    """Make a metric whose `interval` is its headline."""
    found = found or {}
    first = next((found[by] for by in intervals.HEADLINE if by in found), None)
    bounds = None if first is None else (first.low, first.high)
    return Metric(name=name, value=value, unit=unit, n=n, interval=bounds, intervals=found)


def _mean(name: str, values: np.ndarray, units: Units, classes: np.ndarray) -> Metric:
    """Make a metric of shares (N,) by clip."""
    return _metric(name, _percent(values), len(values), intervals.of_mean(values, units, classes))


# ------------------------------------------------------------------------------------------------- classes


def of_classes(outcome: Outcome, labels: np.ndarray, units: Units) -> list[Metric]:
    """top1, top5 where classes are ranked, means over classes, the best epoch on test.

    macro_accuracy is the mean of the classes' accuracies, macro_f1 that of their F1 over all classes that occur in
    labels or predictions (both as scikit-learn: balanced_accuracy_score, f1_score). The best epoch has no interval: it
    was chosen on these very clips.
    """
    truth, n, units = true_classes(outcome, labels), len(outcome.predictions), _of_rows(units, outcome)
    metrics = [_mean("top1", outcome.predictions == truth, units, truth)]
    if outcome.scores is not None and outcome.scores.shape[1] > 5:
        best = np.argpartition(-outcome.scores, 5, axis=1)[:, :5]
        metrics.append(_mean("top5", (best == truth[:, None]).any(1), units, truth))
    counts = _counts(outcome, truth, next(iter(units.values())))
    for name, metric in (("macro_accuracy", macro_accuracy), ("macro_f1", macro_f1)):
        value = float(metric(counts.sum(0)[None])[0])
        metrics.append(_metric(name, value, n, intervals.of_totals(value, counts, metric, units)))
    if outcome.by_epoch is not None:
        accuracies = (outcome.by_epoch == truth).mean(1)
        metrics.append(_metric("top1_best_epoch_on_test", 100 * float(accuracies.max()), n))
    if "average_precision" in outcome.extra:
        metrics += _retrieved(outcome, truth, units)
    if "unseen" in outcome.extra and outcome.rows is None:
        metrics += _seen_and_unseen(outcome, truth, units)
    return metrics


def _retrieved(outcome: Outcome, truth: NDArray[np.int64], units: Units) -> list[Metric]:
    """Recall at 5 and 10, and mAP: whether clips of the query's class are found among the training clips, and how soon.

    Queries of classes without a training clip cannot be answered: mAP is of the others, and recall counts them as
    missed.
    """
    same = outcome.extra["ranked"] == truth[:, None]
    metrics = [
        _mean(f"recall_at_{count}", same[:, :count].any(1), units, truth) for count in RECALLS if count <= same.shape[1]
    ]
    precisions = np.take_along_axis(outcome.extra["average_precision"], truth[:, None], axis=1)[:, 0]
    asked = ~np.isnan(precisions)
    if asked.any():
        metrics.append(_mean("map", precisions[asked].astype(np.float64), _of_those(units, asked), truth[asked]))
    return metrics


def _seen_and_unseen(outcome: Outcome, truth: NDArray[np.int64], units: Units) -> list[Metric]:
    """Compare the test clips of seen and of unseen classes: seen, unseen, and their harmonic_mean.

    Generalised zero-shot, over clips as SynSE's program (github skelemoa/synse-zsl) counts; macro_ over classes.
    """
    unseen = np.isin(truth, outcome.extra["unseen"])
    cells = 2 * unseen + (outcome.predictions == truth)
    counts = intervals.counts_by_cluster(cells, numbered(next(iter(units.values()))), 4)
    metrics = [
        _mean(name, (outcome.predictions == truth)[part], _of_those(units, part), truth[part])
        for name, part in (("seen", ~unseen), ("unseen", unseen))
        if part.any()
    ]
    value = float(_harmonic_means(counts.sum(0)[None])[0])
    found = intervals.of_totals(value, counts, _harmonic_means, units)
    metrics.append(_metric("harmonic_mean", value, len(truth), found))
    shares = [_accuracy_over_classes(outcome.predictions[part], truth[part]) for part in (~unseen, unseen)]
    names = ("macro_seen", "macro_unseen", "macro_harmonic_mean")
    values = (*shares, harmonic_mean(*shares))
    return metrics + [_metric(name, value, len(truth)) for name, value in zip(names, values, strict=True)]


def _harmonic_means(counts: Numbers) -> Numbers:
    """Return `harmonic_mean` in % of (..., 4) counts: seen classes' clips wrong and right, then unseen classes'."""
    wrong, right = counts[..., ::2], counts[..., 1::2]
    shares = np.nan_to_num(_ratio(right, wrong + right))
    return np.asarray(100 * np.nan_to_num(_ratio(2 * shares.prod(-1), shares.sum(-1))))


def _accuracy_over_classes(predictions: np.ndarray, truth: NDArray[np.int64]) -> float:
    classes = np.unique(truth)
    return 100 * float(np.mean([(predictions[truth == one] == one).mean() for one in classes])) if len(classes) else 0.0


def macro_accuracy(counts: Numbers) -> Numbers:
    """Average the accuracies of the classes that occur, in %.

    Args:
        counts: (..., 3 C) by class: clips recognised, clips predicted as it, clips that are of it.
    """
    right, _, are = np.split(counts, 3, axis=-1)
    return np.asarray(100 * np.nanmean(_ratio(right, are), axis=-1))


def macro_f1(counts: Numbers) -> Numbers:
    """Average the F1 of the classes that occur in labels or predictions, in %.

    Args:
        counts: (..., 3 C) by class: clips recognised, clips predicted as it, clips that are of it.
    """
    right, predicted, are = np.split(counts, 3, axis=-1)
    return np.asarray(100 * np.nanmean(_ratio(2 * right, predicted + are), axis=-1))


def _ratio(part: Numbers, whole: Numbers) -> Numbers:
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))


def _of_rows(units: Units, outcome: Outcome) -> Units:
    """The cluster of each prediction, in the predictions' shape."""
    return units if outcome.rows is None else _of_those(units, outcome.rows)


def _of_those(units: Units, rows: np.ndarray) -> Units:
    return {unit: clusters[rows] for unit, clusters in units.items()}


def per_class(outcome: Outcome, labels: np.ndarray, num_classes: int) -> NDArray[np.float64]:
    """Return top-1 accuracy in % of each class (C,), of an outcome of kind "classes".

    Nan for classes without test clips.
    """
    counts = confusion_matrix(outcome, labels, num_classes)
    clips = counts.sum(1)
    shares = np.full(num_classes, np.nan)
    np.divide(100 * counts.diagonal(), clips, out=shares, where=clips > 0)
    return shares


def confusion_matrix(outcome: Outcome, labels: np.ndarray, num_classes: int) -> NDArray[np.int64]:
    """Return (C, C) clips by true class (rows) and predicted class (columns), of an outcome of kind "classes"."""
    if outcome.kind != "classes":
        raise StarsBenchError(f"a confusion matrix is of predicted classes; this outcome is of kind {outcome.kind!r}")
    cell = true_classes(outcome, labels) * num_classes + outcome.predictions
    return np.bincount(cell, minlength=num_classes**2).reshape(num_classes, num_classes)


def true_classes(outcome: Outcome, labels: np.ndarray) -> NDArray[np.int64]:
    """Return the true class of each prediction, in the predictions' shape."""
    truth: NDArray[np.int64] = labels.astype(np.int64)
    return truth if outcome.rows is None else truth[outcome.rows]


def _counts(outcome: Outcome, truth: NDArray[np.int64], clusters: np.ndarray) -> Numbers:
    """(G, 3 C) by cluster and class: clips recognised, clips predicted as it, clips that are of it."""
    classes = int(max(truth.max(), outcome.predictions.max())) + 1
    clusters, predicted = np.unique(clusters, return_inverse=True)[1], outcome.predictions.astype(np.int64)
    are, told = (intervals.counts_by_cluster(cells, clusters, classes) for cells in (truth, predicted))
    wrong = np.where(predicted == truth, truth, classes)
    right = intervals.counts_by_cluster(wrong, clusters, classes + 1)[:, :classes]
    return np.hstack([right, told, are])


def _percent(shares: np.ndarray) -> float:
    return 100 * float(shares.mean())


# ------------------------------------------------------------------------------------------------ episodes


def of_episodes(outcome: Outcome, labels: np.ndarray, units: Units) -> list[Metric]:
    """top1: mean accuracy of the episodes; n counts episodes.

    Intervals by person and performance are of all queries; that of episodes is mean +- 1.96 s / sqrt(E), as the
    few-shot papers have it.
    """
    truth = true_classes(outcome, labels)
    right = outcome.predictions == truth
    accuracies, n = right.mean(1), len(right)
    of_queries = {unit: ids.reshape(-1) for unit, ids in _of_rows(units, outcome).items() if unit != "clip"}
    found = intervals.of_mean(right.reshape(-1), of_queries, truth.reshape(-1))
    if n > 1:
        se = 100 * float(accuracies.std(ddof=1)) / n**0.5
        found["episode"] = intervals.around(_percent(accuracies), se, n)
    return [_metric("top1", _percent(accuracies), n, found)]


# ------------------------------------------------------------------------------------------------ clusters


def of_clusters(outcome: Outcome, labels: np.ndarray, units: Units) -> list[Metric]:
    """How clusters and neighbourhoods of the test clips' features agree with the classes.

    nmi: normalised mutual information (arithmetic mean, 0 to 1). ari: adjusted Rand index. cluster_accuracy: clips in
    the class that their cluster is matched with, one to one, in the best way (Hungarian). silhouette: of the true
    classes, over the sampled clips. neighbour_purity: share of each clip's nearest clips that are of its class.

    Raises:
        StarsBenchError: `extra` lacks what `evaluation/clusters.py` puts there.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    truth, n, extra = true_classes(outcome, labels), len(outcome.predictions), outcome.extra
    if missing := {"neighbours", "sampled_rows", "sampled_features"} - extra.keys():
        raise StarsBenchError(f"clusters: the outcome lacks extra {', '.join(sorted(missing))}")
    units, clusters = _of_rows(units, outcome), outcome.predictions.astype(np.int64)
    shape = int(clusters.max()) + 1, int(truth.max()) + 1
    cells, drawn = clusters * shape[1] + truth, numbered(next(iter(units.values())))
    small = (int(drawn.max()) + 1) * shape[0] * shape[1] <= MOST_CELLS
    counts = intervals.counts_by_cluster(cells, drawn, shape[0] * shape[1]) if small else np.empty((0, 0))

    def agreement(name: str, value: float, metric: Callable[[Numbers], Numbers], unit: str = "") -> Metric:
        scale = 100.0 if unit else 1.0
        found = intervals.of_totals(value, counts, lambda sums: metric(sums.reshape(-1, *shape)), units, scale)
        return _metric(name, value, n, found, unit)

    table = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    accuracy = float(clusterings.matched_accuracy(table))
    metrics = [
        agreement("nmi", normalized_mutual_info_score(truth, clusters), clusterings.mutual_information),
        agreement("ari", adjusted_rand_score(truth, clusters), clusterings.adjusted_rand),
        agreement("cluster_accuracy", accuracy, clusterings.matched_accuracy, "%"),
    ]
    rows = extra["sampled_rows"]
    if 1 < len(np.unique(truth[rows])) < len(rows):
        metrics.append(_silhouette(extra["sampled_features"], truth[rows], _of_those(units, rows)))
    if extra["neighbours"].size:
        alike = (truth[extra["neighbours"]] == truth[:, None]).mean(1)
        metrics.append(_mean("neighbour_purity", alike, units, truth))
    return metrics


def _silhouette(features: np.ndarray, classes: NDArray[np.int64], units: Units) -> Metric:
    from sklearn.metrics import pairwise_distances, silhouette_score

    value, drawn = float(silhouette_score(features, classes)), numbered(next(iter(units.values())))
    count = int(drawn.max()) + 1
    if count < 2:
        return _metric("silhouette", value, len(classes), unit="")
    found = clusterings.silhouettes(pairwise_distances(features), classes, drawn, intervals.DRAWS)
    return _metric("silhouette", value, len(classes), intervals.of_draws(value, found, count, units, 1.0), unit="")


KINDS = {"classes": of_classes, "episodes": of_episodes, "clusters": of_clusters}
