"""Metrics from predictions and labels. The one place where test labels are read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stars_bench.evaluation.features import Outcome

RESAMPLES = 10_000


@dataclass(frozen=True)
class Metric:
    """A number of a record: name, value and unit, over n test clips, with a 95 % interval where one is computed."""

    name: str
    value: float
    n: int
    interval: tuple[float, float] | None = None
    unit: str = "%"


def measure(outcome: Outcome, labels: np.ndarray) -> list[Metric]:
    """top1 (with its bootstrap interval), top5 where classes are ranked, and the best epoch on the test part.

    Args:
        labels: (N,) true classes of the test part.
    """
    hits = outcome.predictions == labels
    metrics = [Metric("top1", _percent(hits), len(labels), bootstrap_interval(hits))]
    if outcome.scores is not None and outcome.scores.shape[1] > 5:
        best = np.argpartition(-outcome.scores, 5, axis=1)[:, :5]
        metrics.append(Metric("top5", _percent((best == labels[:, None]).any(1)), len(labels)))
    if outcome.by_epoch is not None:
        accuracies = (outcome.by_epoch == labels).mean(1)
        metrics.append(Metric("top1_best_epoch_on_test", 100 * float(accuracies.max()), len(labels)))
    return metrics


def bootstrap_interval(hits: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval, in percent, of the mean of hits (N,) bool: resampled clips, seeded.

    Resampling N clips with replacement makes the number of hits binomial, so it is drawn at once.
    """
    draws = np.random.default_rng(0).binomial(len(hits), hits.mean(), RESAMPLES) / len(hits)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return 100 * float(low), 100 * float(high)


def _percent(hits: np.ndarray) -> float:
    return 100 * float(hits.mean())
