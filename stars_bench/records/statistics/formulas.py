"""Statistics of results that are measured on clips of few persons: standard errors, resampling, tests, power.

In: numbers by clip (hits, or differences of hits) and the cluster of each clip, such as its person. Out: plain numbers.
Clips of one person, and the cameras of one performance, are not independent: the cluster is what is sampled.

Follows E. Miller, "Adding error bars to evals" (2024), for clustered and paired standard errors; S. Holm (1979); and
Y. Benjamini and Y. Hochberg (1995).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit
from scipy.stats import false_discovery_control

DRAWS = 10_000
"""Bootstrap draws and sign flips of means, which need cluster sums alone."""
NORMAL_95 = 1.96
FEW_CLUSTERS = 50
"""With fewer clusters, intervals have the quantile of Student's t."""
MOST_EXACT = 16
"""With up to so many clusters, all 2^G sign flips are counted."""
BLOCK = 1 << 21
"""Drawn numbers that are held at once."""
EXACT_IN_SINGLE = 1 << 24
TIE = 1e-9
"""Sums of differences that are closer than this, relative to their size, are equal."""

Numbers = NDArray[np.float64]


# -------------------------------------------------------------------------------------------- standard errors


def numbered(*keys: ArrayLike) -> NDArray[np.int64]:
    """Number the clusters of clips 0 .. G - 1.

    Args:
        keys: (N,) columns; clips that agree in all of them are of one cluster.

    Returns:
        (N,) cluster of each clip.
    """
    ids = np.zeros(len(np.asarray(keys[0])), np.int64)
    for key in keys:
        values, inverse = np.unique(np.asarray(key), return_inverse=True)
        ids = np.unique(ids * len(values) + inverse.reshape(-1), return_inverse=True)[1].reshape(-1)
    return ids.astype(np.int64)


def cluster_sums(values: ArrayLike, clusters: NDArray[np.int64]) -> Numbers:
    """Sum the values of each cluster.

    Args:
        values: (..., N) numbers by clip.
        clusters: (N,) cluster of each clip, 0 .. G - 1.

    Returns:
        (..., G) sums.
    """
    rows = np.asarray(values, np.float64)
    count = int(clusters.max()) + 1
    flat = [np.bincount(clusters, row, count) for row in rows.reshape(-1, rows.shape[-1])]
    return np.reshape(flat, (*rows.shape[:-1], count))


def independent_se(values: ArrayLike) -> float:
    """Compute the standard error of a mean as if clips were independent; of hits, the binomial one."""
    numbers = np.asarray(values, np.float64)
    return float(numbers.std() / np.sqrt(len(numbers)))


def clustered_se(values: ArrayLike, clusters: NDArray[np.int64], correct: bool = True) -> float:
    """Compute the clustered standard error of a mean (CR1; CR0 without the correction for few clusters).

    Args:
        values: (N,) numbers by clip.
        clusters: (N,) cluster of each clip.
        correct: Multiply CR0 by sqrt(G / (G - 1)).

    Returns:
        The standard error; nan of one cluster when corrected.
    """
    numbers = np.asarray(values, np.float64)
    errors = cluster_sums(numbers - numbers.mean(), clusters)
    se = float(np.sqrt((errors**2).sum()) / len(numbers))
    return se * _correction(len(errors)) if correct else se


def stratified_se(values: ArrayLike, clusters: NDArray[np.int64], classes: NDArray[np.int64]) -> float:
    """Compute the clustered standard error of a mean over fixed classes.

    Differences between classes are no noise then. A class with one cluster contributes nothing.

    Args:
        values: (N,) numbers by clip.
        clusters: (N,) cluster of each clip; clips of one cluster and several classes count as several clusters.
        classes: (N,) class of each clip.
    """
    numbers = np.asarray(values, np.float64)
    strata = numbered(classes)
    within = numbered(strata, clusters)
    stratum = np.empty(int(within.max()) + 1, np.int64)
    stratum[within] = strata
    means = cluster_sums(numbers, strata) / np.bincount(strata)
    errors = cluster_sums(numbers - means[strata], within)
    counts = np.bincount(stratum)
    corrected = np.divide(counts, counts - 1, out=np.zeros(len(counts)), where=counts > 1)
    return float(np.sqrt((corrected * np.bincount(stratum, errors**2)).sum()) / len(numbers))


def lonely_classes(clusters: NDArray[np.int64], classes: NDArray[np.int64]) -> list[int]:
    """Return the classes whose clips are all of one cluster, ascending: they contribute nothing to `stratified_se`."""
    labels, strata = np.unique(classes, return_inverse=True)
    pairs = np.unique(np.stack([strata.reshape(-1), numbered(clusters)]), axis=1)
    return [int(label) for label in labels[np.bincount(pairs[0]) == 1]]


def total_se(sample_se: float, means: ArrayLike, *factors: ArrayLike) -> float:
    """Add the noise of training to that of the test part: sqrt(SE^2 + sd^2 / S).

    Several results of one seed are no further seeds: where lists of labelled clips vary, too, seeds and lists each add
    sd^2 / S of their own means, which counts what is left over twice and so is no smaller than the truth.

    Args:
        sample_se: The clustered standard error of the mean hits.
        means: (S,) the mean of each result; one seed has no known noise of training.
        factors: (S,) each: the seed of each result, and its list. Default: each result is of a seed of its own.
    """
    values = np.asarray(means, np.float64)
    noise = 0.0
    for groups in map(numbered, factors or [np.arange(len(values))]):
        of_groups = np.bincount(groups, values) / np.bincount(groups)
        noise += of_groups.var(ddof=1) / len(of_groups) if len(of_groups) > 1 else 0.0
    return float(np.sqrt(sample_se**2 + noise))


def quantile(clusters: int) -> float:
    """Return half a 95 % interval in standard errors: Student's t with G - 1 degrees below 50 clusters, else 1.96."""
    return float(stdtrit(clusters - 1, 0.975)) if clusters < FEW_CLUSTERS else NORMAL_95


class Intraclass(NamedTuple):
    """How alike the clips of a cluster are.

    Attributes:
        icc: Intraclass correlation by one-way analysis of variance; 0: independent, 1: the same.
        size: The effective cluster size k0.
    """

    icc: float
    size: float


def intraclass_correlation(values: ArrayLike, clusters: NDArray[np.int64]) -> Intraclass:
    """Compute the intraclass correlation of clusters that differ in size.

    Args:
        values: (N,) numbers by clip.
        clusters: (N,) cluster of each clip.
    """
    numbers, sizes = np.asarray(values, np.float64), np.bincount(clusters)
    total, count = len(numbers), len(sizes)
    means = cluster_sums(numbers, clusters) / sizes
    size = float((total - (sizes**2).sum() / total) / (count - 1))
    between = (sizes * (means - numbers.mean()) ** 2).sum() / (count - 1)
    within = ((numbers - means[clusters]) ** 2).sum() / (total - count)
    return Intraclass(float((between - within) / (between + (size - 1) * within)), size)


def _correction(clusters: int) -> float:
    return float(np.sqrt(clusters / (clusters - 1))) if clusters > 1 else float("nan")


# ------------------------------------------------------------------------------------------------- resampling


def bootstrap_counts(
    clusters: int, draws: int = DRAWS, seed: int = 0, kind: type[np.floating[Any]] = np.float64
) -> Iterator[NDArray[Any]]:
    """Draw clusters with replacement.

    Args:
        clusters: How many there are.
        draws: How often as many are drawn.
        seed: Seed of the random numbers.
        kind: Type of the counts.

    Yields:
        (B, G) how often each cluster was drawn, in blocks of B draws: multinomial counts.
    """
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK // clusters)
    for start in range(0, draws, block):
        size = min(block, draws - start)
        drawn = rng.integers(0, clusters, (size, clusters), dtype=np.int32)
        drawn += np.arange(size, dtype=np.int32)[:, None] * clusters
        yield np.bincount(drawn.reshape(-1), minlength=size * clusters).reshape(size, clusters).astype(kind)


def bootstrap_totals(contributions: ArrayLike, draws: int = DRAWS, seed: int = 0) -> Numbers:
    """Draw clusters with replacement and add up what they contribute.

    Args:
        contributions: (K, G) sums by cluster: hits and clips for a mean, counts by class for macro F1.
        draws: Number of draws.
        seed: Seed of the random numbers.

    Returns:
        (draws, K) totals; a ratio of two of them takes unequal cluster sizes into account.
    """
    rows = np.ascontiguousarray(np.asarray(contributions, np.float64).T)
    # Sums of whole numbers below 2^24 are exact in single precision, which is twice as fast.
    whole = np.abs(rows).max() * len(rows) < EXACT_IN_SINGLE and bool((rows == np.rint(rows)).all())
    kind: type[np.floating[Any]] = np.float32 if whole else np.float64
    numbers = rows.astype(kind)
    parts = [counts @ numbers for counts in bootstrap_counts(len(rows), draws, seed, kind)]
    return np.concatenate(parts).astype(np.float64)


def bootstrap_means(sums: ArrayLike, sizes: ArrayLike, draws: int = DRAWS, seed: int = 0) -> Numbers:
    """Draw clusters with replacement and compute the means of the clips that are drawn.

    Args:
        sums: (K, G) sums of several quantities on the same clips, by cluster.
        sizes: (G,) clips of each cluster.
        draws: Number of draws.
        seed: Seed of the random numbers.

    Returns:
        (draws, K) means.
    """
    totals = bootstrap_totals(np.vstack([sums, sizes]), draws, seed)
    return totals[:, :-1] / totals[:, -1:]


def two_level_means(sums: ArrayLike, sizes: ArrayLike, draws: int = DRAWS, seed: int = 0) -> Numbers:
    """Draw clusters and seeds with replacement, independently, and compute the mean.

    Args:
        sums: (S, G) sums of each seed by cluster.
        sizes: (G,) clips of each cluster.
        draws: Number of draws.
        seed: Seed of the random numbers.

    Returns:
        (draws,) means.
    """
    means = bootstrap_means(sums, sizes, draws, seed)
    seeds = np.concatenate([*bootstrap_counts(means.shape[1], draws, seed + 1)])
    return np.asarray((means * seeds).mean(1))


def two_level_differences(
    first: ArrayLike, second: ArrayLike, sizes: ArrayLike, draws: int = DRAWS, seed: int = 0
) -> Numbers:
    """Draw clusters, and the seeds of both methods, with replacement, and compute the difference of their means.

    Args:
        first: (S, G) sums of each seed of the first method by cluster.
        second: (S', G) those of the second.
        sizes: (G,) clips of each cluster.
        draws: Number of draws.
        seed: Seed of the random numbers.

    Returns:
        (draws,) differences.
    """
    count = len(np.asarray(first))
    means = bootstrap_means(np.vstack([first, second]), sizes, draws, seed)
    parts = means[:, :count], means[:, count:]
    drawn = [
        (part * np.concatenate([*bootstrap_counts(part.shape[1], draws, seed + place)])).mean(1)
        for place, part in enumerate(parts, 1)
    ]
    return np.asarray(drawn[0] - drawn[1])


# ------------------------------------------------------------------------------------------------------ tests


class SignFlip(NamedTuple):
    """A permutation test by cluster.

    Attributes:
        p: Two-sided p-value.
        extreme: Flips whose sum is at least as large as the observed one.
        flips: How many were counted; 2^G if exact.
        exact: Whether all were.
    """

    p: float
    extreme: int
    flips: int
    exact: bool


def sign_flip(differences: ArrayLike, flips: int = DRAWS, seed: int = 0) -> SignFlip:
    """Test whether paired differences are zero: under exchange of the two methods each cluster's sign is random.

    Args:
        differences: (G,) difference of each cluster, summed over its clips.
        flips: How many random flips are drawn where there are more than 16 clusters.
        seed: Seed of the random numbers.

    Returns:
        Exact up to 16 clusters; the smallest possible p-value is then 2 / 2^G.
    """
    sums = np.asarray(differences, np.float64)
    observed = abs(sums.sum()) - TIE * np.abs(sums).sum()
    if len(sums) <= MOST_EXACT:
        signs = 1.0 - 2.0 * (np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1)
        extreme = int((np.abs(signs @ sums) >= observed).sum())
        return SignFlip(extreme / len(signs), extreme, len(signs), True)
    rng, extreme = np.random.default_rng(seed), 0
    block = max(1, BLOCK // len(sums))
    for start in range(0, flips, block):
        flipped = rng.integers(0, 2, (min(block, flips - start), len(sums)), np.int8).astype(np.float64)
        extreme += int((np.abs(2 * (flipped @ sums) - sums.sum()) >= observed).sum())
    return SignFlip((1 + extreme) / (1 + flips), extreme, flips, False)


def least_p(clusters: int) -> float:
    """Return the smallest p-value that `sign_flip` can give: 2 of 2^G flips where all are counted."""
    return float(2.0 ** (1 - clusters)) if clusters <= MOST_EXACT else 1 / (1 + DRAWS)


def holm(p_values: ArrayLike) -> Numbers:
    """Adjust p-values so that the chance of any false claim is bounded (Holm).

    Args:
        p_values: (k,) p-values of k tests.

    Returns:
        (k,) adjusted ones, in the same order.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> Numbers:
    """Adjust p-values so that the expected share of false claims is bounded (Benjamini and Hochberg).

    Args:
        p_values: (k,) p-values of k tests.

    Returns:
        (k,) adjusted ones, in the same order.
    """
    return np.asarray(false_discovery_control(p_values, method="bh"), np.float64)


# ------------------------------------------------------------------------------------------------------ power


def clusters_needed(sd: float, difference: float, power: float = 0.8) -> int:
    """Count the clusters that a paired test needs to find a difference.

    Args:
        sd: Standard deviation over clusters of the cluster mean differences.
        difference: The true difference, in the same unit.
        power: Probability of finding it.
    """
    return int(np.ceil((_two_quantiles(power) * sd / difference) ** 2))


def smallest_difference(se: float, power: float = 0.8) -> float:
    """Return the smallest true difference that a paired test finds.

    Args:
        se: Standard error of the paired difference, about sd / sqrt(G) by cluster.
        power: Probability of finding it.
    """
    return _two_quantiles(power) * se


def _two_quantiles(power: float) -> float:
    return float(ndtri(0.975) + ndtri(power))
