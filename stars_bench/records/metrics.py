"""Metrics from predictions and labels: the one place where test labels are read.

Whatever an outcome's kind, all of its numbers can be computed again from the saved predictions (`load_predictions`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from stars_bench.errors import StarsBenchError
from stars_bench.records.outcome import Outcome

RESAMPLES = 10_000
NORMAL_95 = 1.96
"""Half a 95 % interval of a normal distribution, in standard deviations, as the few-shot papers have it."""


@dataclass(frozen=True)
class Metric:
    """A number of a record.

    Args:
        name: Name of the metric.
        value: The number.
        n: Number of test clips.
        interval: 95 % interval. Default: None.
        unit: Unit of the number. Default: %.
    """

    name: str
    value: float
    n: int
    interval: tuple[float, float] | None = None
    unit: str = "%"


def measure(outcome: Outcome, labels: np.ndarray) -> list[Metric]:
    """Compute the metrics of an outcome; the first is its main one: top1, or nmi for clusters.

    Args:
        outcome: The predictions.
        labels: (N,) true classes of the test part.
    """
    return KINDS[outcome.kind](outcome, labels)


# ------------------------------------------------------------------------------------------------- classes


def of_classes(outcome: Outcome, labels: np.ndarray) -> list[Metric]:
    """Compute top1 with its bootstrap interval, top5 if classes are ranked, class means, and the best test epoch.

    macro_accuracy is the mean of the classes' accuracies, macro_f1 that of their F1 over all classes that occur in
    labels or predictions (both as scikit-learn: balanced_accuracy_score, f1_score).
    """
    truth, n = true_classes(outcome, labels), len(outcome.predictions)
    hits = outcome.predictions == truth
    metrics = [Metric("top1", _percent(hits), n, bootstrap_interval(hits))]
    if outcome.scores is not None and outcome.scores.shape[1] > 5:
        best = np.argpartition(-outcome.scores, 5, axis=1)[:, :5]
        metrics.append(Metric("top5", _percent((best == truth[:, None]).any(1)), n))
    right, told, are = _counts(outcome, truth)
    metrics.append(Metric("macro_accuracy", _percent(right[are > 0] / are[are > 0]), n))
    occurs = told + are > 0
    metrics.append(Metric("macro_f1", _percent(2 * right[occurs] / (told + are)[occurs]), n))
    if outcome.by_epoch is not None:
        accuracies = (outcome.by_epoch == truth).mean(1)
        metrics.append(Metric("top1_best_epoch_on_test", 100 * float(accuracies.max()), n))
    return metrics


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


def bootstrap_interval(hits: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile bootstrap interval, in percent, of the mean of hits (N,) bool: resampled clips, seeded.

    Resampling N clips with replacement makes the number of hits binomial, so it is drawn at once.
    """
    draws = np.random.default_rng(0).binomial(len(hits), hits.mean(), RESAMPLES) / len(hits)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return 100 * float(low), 100 * float(high)


def _counts(outcome: Outcome, truth: NDArray[np.int64]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count by class (C,): clips classified correctly, clips predicted to be of it, clips that are of it."""
    classes = int(max(truth.max(), outcome.predictions.max())) + 1
    hits = outcome.predictions == truth
    right, told, are = (np.bincount(part, minlength=classes) for part in (truth[hits], outcome.predictions, truth))
    return right, told, are


def _percent(shares: np.ndarray) -> float:
    return 100 * float(shares.mean())


# ------------------------------------------------------------------------------------------------ episodes


def of_episodes(outcome: Outcome, labels: np.ndarray) -> list[Metric]:
    """Compute top1: the mean accuracy of the episodes, with the interval mean +- 1.96 s / sqrt(E); n is episodes."""
    accuracies = (outcome.predictions == true_classes(outcome, labels)).mean(1)
    n = len(accuracies)
    half = NORMAL_95 * float(accuracies.std(ddof=1)) / n**0.5 if n > 1 else None
    mean = float(accuracies.mean())
    interval = None if half is None else (100 * max(mean - half, 0.0), 100 * min(mean + half, 1.0))
    return [Metric("top1", 100 * mean, n, interval)]


# ------------------------------------------------------------------------------------------------ clusters


def of_clusters(outcome: Outcome, labels: np.ndarray) -> list[Metric]:
    """Return how clusters and neighbourhoods of the test clips' features agree with the classes.

    nmi: normalised mutual information (arithmetic mean, 0 to 1). ari: adjusted Rand index. cluster_accuracy: clips in
    the class that their cluster is matched with, one to one, in the best way (Hungarian). silhouette: of the true
    classes, over the sampled clips. neighbour_purity: share of each clip's nearest clips that are of its class.

    Raises:
        StarsBenchError: `extra` lacks what `evaluation/clusters.py` puts there.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score

    truth, n, extra = true_classes(outcome, labels), len(outcome.predictions), outcome.extra
    if missing := {"neighbours", "sampled_rows", "sampled_features"} - extra.keys():
        raise StarsBenchError(f"clusters: the outcome lacks extra {', '.join(sorted(missing))}")
    metrics = [
        Metric("nmi", float(normalized_mutual_info_score(truth, outcome.predictions)), n, unit=""),
        Metric("ari", float(adjusted_rand_score(truth, outcome.predictions)), n, unit=""),
        Metric("cluster_accuracy", 100 * _matched(outcome.predictions, truth) / n, n),
    ]
    sampled = truth[extra["sampled_rows"]]
    if 1 < len(np.unique(sampled)) < len(sampled):
        silhouette = float(silhouette_score(extra["sampled_features"], sampled))
        metrics.append(Metric("silhouette", silhouette, len(sampled), unit=""))
    if extra["neighbours"].size:
        metrics.append(Metric("neighbour_purity", _percent(truth[extra["neighbours"]] == truth[:, None]), n))
    return metrics


def _matched(clusters: np.ndarray, truth: NDArray[np.int64]) -> int:
    """Return clips in the class that their cluster is matched with, at best."""
    together = np.zeros((int(clusters.max()) + 1, int(truth.max()) + 1), np.int64)
    np.add.at(together, (clusters, truth), 1)
    return int(together[linear_sum_assignment(together, maximize=True)].sum())


KINDS = {"classes": of_classes, "episodes": of_episodes, "clusters": of_clusters}
