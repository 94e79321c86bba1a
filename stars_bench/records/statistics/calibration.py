"""Calibration: whether a classifier that is sure is right as often as it is sure.

In: probabilities of clips, or the confidence in each prediction and whether it is right. Out: the usual numbers, as
shares. The confidence of a prediction is its probability. Definitions: Guo et al., "On Calibration of Modern Neural
Networks" (arXiv:1706.04599) for ECE, MCE and NLL; Nixon et al. (arXiv:1904.01685) for bins of equal mass; Brier (1950).
"""

from __future__ import annotations

import numpy as np

from stars_bench.records.statistics.formulas import Numbers

BINS = 15
"""Bins of equal width, or of equal mass (Guo et al.). ECE depends on their number."""
LEAST_PROBABILITY = 1e-12
"""So that one clip whose class was ruled out does not make NLL infinite."""


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> Numbers:
    """Sum up clips by their confidence: what a reliability diagram shows, and what ECE and MCE are made of.

    Args:
        confidence: (N,) probability of each prediction, in [0, 1].
        right: (N,) whether the prediction is right.
        bins: Number M of bins of equal width: bin i holds (i / M, (i + 1) / M], the first one also 0. Default: 15.

    Returns:
        (M, 3) by bin: clips, right ones, sum of their confidences.
    """
    cells = bin_of(confidence, bins)
    columns = (np.ones(len(cells)), right.astype(np.float64), confidence.astype(np.float64))
    return np.stack([np.bincount(cells, column, minlength=bins) for column in columns], axis=1)


def bin_of(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return the number (N,) of the bin (i / M, (i + 1) / M] that each confidence (N,) lies in; 0 lies in the first."""
    return np.searchsorted(np.arange(1, bins) / bins, confidence, side="left")


def expected_error(table: Numbers) -> Numbers:
    """Return ECE: the gap between accuracy and mean confidence, averaged over clips.

    Args:
        table: (..., M, 3) as from `reliability`; empty bins count nothing.
    """
    return np.asarray(np.abs(_gaps(table)).sum(-1) / table[..., 0].sum(-1))


def largest_error(table: Numbers) -> Numbers:
    """Return MCE: the largest gap between accuracy and mean confidence of a bin.

    Args:
        table: (..., M, 3) as from `reliability`; empty bins count nothing.
    """
    clips = table[..., 0]
    return np.asarray(np.divide(np.abs(_gaps(table)), clips, out=np.zeros(clips.shape), where=clips > 0).max(-1))


def _gaps(table: Numbers) -> Numbers:
    """Return (..., M): clips that are right beyond what their confidence promises."""
    return np.asarray(table[..., 1] - table[..., 2])


def adaptive_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """Return ACE: as ECE, but every bin holds as many clips as any other, or one more.

    Args:
        confidence: (N,) probability of each prediction.
        right: (N,) whether the prediction is right.
        bins: Number of bins. Default: 15.
    """
    order = np.argsort(confidence, kind="stable")
    gaps = (right.astype(np.float64) - confidence)[order]
    return sum(abs(float(part.sum())) for part in np.array_split(gaps, bins)) / len(gaps)


def negative_log_likelihood(probabilities: np.ndarray, labels: np.ndarray) -> Numbers:
    """Return -ln p(true class) (N,) of each clip, in nats; its mean is NLL.

    Args:
        probabilities: (N, C), a sum of 1 in each row. Less than 1e-12 counts as that.
        labels: (N,) true classes.
    """
    return np.asarray(-np.log(np.maximum(_of_truth(probabilities, labels), LEAST_PROBABILITY)))


def brier_score(probabilities: np.ndarray, labels: np.ndarray) -> Numbers:
    """Return the squared distance (N,) to certainty of the true class, summed over classes; its mean is Brier's score.

    Args:
        probabilities: (N, C), a sum of 1 in each row.
        labels: (N,) true classes.
    """
    return np.asarray((probabilities**2).sum(1) - 2 * _of_truth(probabilities, labels) + 1)


def _of_truth(probabilities: np.ndarray, labels: np.ndarray) -> Numbers:
    return np.asarray(np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0], np.float64)


def softmax(logits: np.ndarray) -> Numbers:
    """Return probabilities (N, C) of logits (N, C), in float64."""
    from scipy.special import softmax as of_logits

    return np.asarray(of_logits(logits.astype(np.float64), axis=1))


def vote_shares(votes: np.ndarray, classes: int) -> Numbers:
    """Return probabilities (N, C): the share of each class among the votes (N, k) of neighbours.

    Args:
        votes: (N, k) class of each neighbour.
        classes: Number C of classes.
    """
    clips, k = votes.shape
    cells = np.arange(clips)[:, None] * classes + votes
    counts = np.bincount(cells.reshape(-1), minlength=clips * classes)
    return np.asarray(counts.reshape(clips, classes) / k)
