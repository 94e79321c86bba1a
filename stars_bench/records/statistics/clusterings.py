"""How clusters agree with classes, from tables of counts, and silhouettes of resampled clips: many tables at once.

A bootstrap draws persons (or performances) and computes the metric again on all of their clips, as often as each was
drawn. NMI, ARI and cluster accuracy need the drawn counts of clips by cluster and class alone.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from stars_bench.records.statistics.formulas import Numbers, bootstrap_counts, numbered

BLOCK = 100
"""Draws of silhouettes that are computed at once."""


def mutual_information(tables: Numbers) -> Numbers:
    """Compute the normalised mutual information (arithmetic mean, 0 to 1).

    Args:
        tables: (..., K, C) counts of clips by cluster and class.
    """
    joint = tables / tables.sum((-2, -1), keepdims=True)
    rows, columns = _entropy(joint.sum(-1)), _entropy(joint.sum(-2))
    both = _entropy(joint.reshape(*joint.shape[:-2], -1))
    mean = (rows + columns) / 2
    return np.divide(rows + columns - both, mean, out=np.ones_like(mean), where=mean > 0)


def _entropy(shares: Numbers) -> Numbers:
    return np.asarray(-np.sum(shares * np.log(shares, out=np.zeros_like(shares), where=shares > 0), axis=-1))


def adjusted_rand(tables: Numbers) -> Numbers:
    """Compute the adjusted Rand index (Hubert and Arabie 1985): 0 by chance, 1 where clusters are classes.

    Args:
        tables: (..., K, C) counts of clips by cluster and class.
    """
    together = _pairs(tables).sum((-2, -1))
    clusters, classes = _pairs(tables.sum(-1)).sum(-1), _pairs(tables.sum(-2)).sum(-1)
    expected, most = clusters * classes / _pairs(tables.sum((-2, -1))), (clusters + classes) / 2
    return np.asarray(np.divide(together - expected, most - expected, out=np.ones_like(most), where=most > expected))


def _pairs(counts: Numbers) -> Numbers:
    return np.asarray(counts * (counts - 1) / 2)


def matched_accuracy(tables: Numbers) -> Numbers:
    """Compute the share in % of clips in the class that their cluster is matched with, one to one, at best (Hungarian).

    Args:
        tables: (..., K, C) counts of clips by cluster and class.
    """
    flat = tables.reshape(-1, *tables.shape[-2:])
    matched = [table[linear_sum_assignment(table, maximize=True)].sum() for table in flat]
    return np.asarray(100 * np.reshape(matched, tables.shape[:-2]) / tables.sum((-2, -1)))


def silhouettes(distances: Numbers, classes: np.ndarray, clusters: np.ndarray, draws: int, seed: int = 0) -> Numbers:
    """Draw clusters of clips with replacement and compute the silhouette of the classes of the drawn clips.

    Args:
        distances: (N, N) between clips.
        classes: (N,) class of each clip.
        clusters: (N,) what is drawn: its person, as numbers 0 .. G - 1.
        draws: Number of draws.
        seed: Seed of the random numbers.

    Returns:
        (draws,) silhouettes; nan where a draw has one class. Equal to that of the clips written out as often as drawn.
    """
    by_class = np.argsort(classes, kind="stable")
    classes, clusters = numbered(classes[by_class]), clusters[by_class]
    cells = numbered(classes, clusters)
    order = np.argsort(cells, kind="stable")
    starts = np.flatnonzero(np.diff(cells[order], prepend=-1))
    class_of, cluster_of, clips = classes[order][starts], clusters[order][starts], np.bincount(cells)
    to_cells = np.add.reduceat(distances[np.ix_(by_class, by_class[order])], starts, axis=1, dtype=np.float64)
    ends = np.cumsum(np.bincount(classes))
    found = []
    for counts in bootstrap_counts(int(clusters.max()) + 1, draws, seed):
        for start in range(0, len(counts), BLOCK):
            drawn = counts[start : start + BLOCK].T  # (G, draws)
            own, nearest = np.empty((len(classes), drawn.shape[1])), np.full((len(classes), drawn.shape[1]), np.inf)
            for label, end in enumerate(ends):
                of_class, members = class_of == label, slice(ends[label - 1] if label else 0, end)
                times = drawn[cluster_of[of_class]]  # (cells of the class, draws)
                sizes, totals = clips[of_class] @ times, to_cells[:, of_class] @ times
                own[members] = totals[members] / np.maximum(sizes - 1, 1)
                own[members, sizes <= 1] = np.nan  # alone in its class: its silhouette is 0
                totals /= np.maximum(sizes, 1)
                totals[:, sizes == 0] = np.inf
                totals[members] = np.inf
                np.minimum(nearest, totals, out=nearest)
            found.append(_mean_silhouette(own, nearest, drawn[clusters]))
    return np.concatenate(found)


def _mean_silhouette(own: Numbers, nearest: Numbers, times: Numbers) -> Numbers:
    """Average (nearest - own) / larger over clips (N, draws) that were drawn so many times."""
    with np.errstate(invalid="ignore", divide="ignore"):
        each = (nearest - own) / np.maximum(nearest, own)
    has_others = np.isfinite(np.where(times > 0, nearest, 0)).all(0)
    mean = (np.nan_to_num(each, posinf=0, neginf=0) * times).sum(0) / times.sum(0)
    return np.where(has_others, mean, np.nan)
