"""Time of resampling a large table: 10,000 draws of the clusters of a test part, all methods, evaluations and seeds.

The test part is that of NTU-120 x-sub: 50,919 clips, 53 persons, 17,039 performances. Hits are random.

    python -m benchmarks.statistics [--methods 20] [--evaluations 10] [--seeds 5]
"""

from __future__ import annotations

import argparse
from time import perf_counter

import numpy as np

from stars_bench.records.statistics import formulas

CLIPS, PERSONS, PERFORMANCES = 50_919, 53, 17_039


def resample(results: int, seeds: int, clusters: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Draw clusters and seeds of every result.

    Args:
        results: how many methods times evaluations.
        seeds: seeds of each.
        clusters: (N,) cluster of each clip.
        hits: (results * seeds, N) hits.

    Returns:
        (2, results) ends of the 95 % intervals.
    """
    sizes = np.bincount(clusters)
    means = formulas.bootstrap_means(formulas.cluster_sums(hits, clusters), sizes)
    drawn = np.concatenate([*formulas.bootstrap_counts(seeds, len(means), seed=1)])
    totals = np.einsum("drs,ds->dr", means.reshape(len(means), results, seeds), drawn, optimize=True) / seeds
    return np.asarray(np.quantile(totals, [0.025, 0.975], axis=0))


def main() -> None:
    """Print one line for each kind of cluster."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    results = given.methods * given.evaluations
    rng = np.random.default_rng(0)
    hits = rng.random((results * given.seeds, CLIPS), dtype=np.float32) < 0.8
    for unit, count in (("person", PERSONS), ("performance", PERFORMANCES)):
        clusters = np.sort(np.append(np.arange(count), rng.integers(0, count, CLIPS - count)))
        start = perf_counter()
        resample(results, given.seeds, clusters, hits)
        print(f"by {unit}: {count:,} clusters, {results} x {given.seeds} results: {perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
