"""How fast the evaluations are: nearest neighbours beside scikit-learn's brute force, episodes, and clusters.

Made-up features of two kinds: `isotropic`, where no direction matters more than another and no bound saves work; and
`decaying`, as encoders give them: classes, a common direction, 90 / 99 / 99.9 % of the variance in 19 / 38 / 56 of 256
dimensions (quick-preset encoders of 64 dimensions on made-up clips: 8 / 19 / 38). Ours and scikit-learn's run in turn
on the same arrays in memory, everything included (normalising, votes for every k). scikit-learn runs as the fastest way
that it offers (one search with the largest k, votes counted for each k), and with --commonly also as it is usually
called (one classifier for each k). Times are medians of the rounds. Where predictions differ, scikit-learn in float64
decides.

Usage, at the top of a checkout: python -m benchmarks.evaluate [--full] [--rounds N] [--commonly]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sklearn.neighbors import KNeighborsClassifier

from stars_bench.evaluation.clusters import k_means
from stars_bench.evaluation.few_shot import classify_episodes
from stars_bench.evaluation.knn import knn_predict, majority
from stars_bench.evaluation.nearest import unit
from stars_bench.evaluation.nearest_numba import search
from stars_bench.protocols.episodes import draw_episodes

DIM, CLASSES, KS = 256, 120, (1, 2, 5, 10)
FULL, REDUCED = (63_026, 50_919), (20_000, 10_000)
"""Bank and queries: NTU RGB+D 120, cross-subject; and a sixteenth of the work."""
UNSEEN = 22_935, 34_432, 60
"""Bank, queries and classes of the episodes: NTU RGB+D 120's own classes, cross-subject."""
NTU60_TEST = 16_487, 60
console = Console(width=120, highlight=False)


def features(kind: str, labels: np.ndarray, seed: int) -> np.ndarray:
    """Made-up features (N, 256) float32 of clips of classes (N,)."""
    noise = np.random.default_rng([seed, 1]).standard_normal((len(labels), DIM))
    if kind == "isotropic":
        return noise.astype(np.float32)
    shared = np.random.default_rng(0)  # class centres and axes are the same for bank and queries
    spread = np.exp(-np.arange(DIM) / 16)  # standard deviation along each axis
    centres = 0.8 * shared.standard_normal((CLASSES, DIM)) * spread
    axes = np.linalg.qr(shared.standard_normal((DIM, DIM)))[0]
    common = shared.standard_normal(DIM)
    common *= 1.5 * np.linalg.norm(spread) / np.linalg.norm(common)
    return ((centres[labels] + noise * spread) @ axes + common).astype(np.float32)


def timed(function: Callable[[], list[np.ndarray]]) -> tuple[float, float, list[np.ndarray]]:
    """Seconds, seconds of all processors together, and what the function gives."""
    started, processor = time.perf_counter(), time.process_time()
    out = function()
    return time.perf_counter() - started, time.process_time() - processor, out


def neighbours(kind: str, sizes: tuple[int, int], rounds: int, commonly: bool) -> None:
    """Times both searches in turn and compares their predictions."""
    rng = np.random.default_rng(1)
    bank_labels, query_labels = (rng.integers(0, CLASSES, size) for size in sizes)
    bank, queries = features(kind, bank_labels, 2), features(kind, query_labels, 3)
    model = KNeighborsClassifier(max(KS), metric="cosine", weights="uniform", algorithm="brute").fit(bank, bank_labels)
    search(bank[:100], queries[:10], 10, 1)  # compiles

    def ours() -> list[np.ndarray]:
        tensors = (torch.from_numpy(array) for array in (bank, bank_labels, queries))
        return [found.numpy() for found in knn_predict(*tensors, KS, CLASSES)]

    def one_search() -> list[np.ndarray]:
        classes = torch.from_numpy(bank_labels[model.kneighbors(queries, return_distance=False)])
        return [majority(classes[:, :k], CLASSES).numpy() for k in KS]

    def classifier_each() -> list[np.ndarray]:
        return [model.set_params(n_neighbors=k).predict(queries) for k in KS]

    ways = {"stars-bench": ours, "scikit-learn, one search for all k": one_search}
    if commonly:
        ways["scikit-learn, a classifier for each k"] = classifier_each
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    found = {}
    for _ in range(rounds):
        for name, way in ways.items():
            *took, found[name] = timed(way)
            seconds[name].append(tuple(took))
    table = Table(title=f"{kind}: {sizes[1]:,} queries x {sizes[0]:,} vectors of {DIM}, k = {KS}", title_justify="left")
    for column in ("", "seconds", "processor seconds", "times slower", "differs from ours", "ours right"):
        table.add_column(column, justify="left" if not column else "right")
    own = statistics.median(took for took, _ in seconds["stars-bench"])
    for name, runs in seconds.items():
        middle, processor = (statistics.median(took) for took in zip(*runs, strict=True))
        different, right = disagreement(found["stars-bench"], found[name], bank, bank_labels, queries)
        table.add_row(name, f"{middle:.1f}", f"{processor:.1f}", f"{middle / own:.1f}", f"{different:,}", f"{right:,}")
    console.print(table)


def disagreement(
    ours: list[np.ndarray], theirs: list[np.ndarray], bank: np.ndarray, labels: np.ndarray, queries: np.ndarray
) -> tuple[int, int]:
    """Predictions that differ, over all k; and of these, how many scikit-learn gives as we do in float64."""
    differ = right = 0
    for k, own, other in zip(KS, ours, theirs, strict=True):
        rows = np.flatnonzero(own != other)
        differ += len(rows)
        if len(rows):
            model = KNeighborsClassifier(k, metric="cosine", algorithm="brute").fit(bank.astype(np.float64), labels)
            right += int((model.predict(queries[rows].astype(np.float64)) == own[rows]).sum())
    return differ, right


def episodes() -> None:
    """Times 1,000 episodes of 20-way 10-shot, the draw included."""
    rng = np.random.default_rng(4)
    bank_labels, query_labels = (rng.integers(0, UNSEEN[2], size) for size in UNSEEN[:2])
    bank, queries = (
        unit(torch.from_numpy(features("decaying", labels, seed)))
        for labels, seed in ((bank_labels, 5), (query_labels, 6))
    )
    for ways, shots in ((5, 1), (20, 10)):
        took, *_ = timed(lambda n=ways, k=shots: [draw_episodes(bank_labels, query_labels, n, k, 15, 1000, 0).query])
        line = [f"1,000 episodes {ways}-way {shots}-shot, 15 queries a class: draw {took:.1f} s"]
        drawn = draw_episodes(bank_labels, query_labels, ways, shots, 15, 1000, 0)
        for classifier in ("prototype", "nearest"):
            took, *_ = timed(lambda d=drawn, c=classifier: [classify_episodes(bank, queries, d, c)])
            line.append(f"{classifier} {took:.1f} s")
        console.print(", ".join(line))


def clusters() -> None:
    """Times k-means with ten starts at the size of NTU-60's x-sub test part."""
    size, classes = NTU60_TEST
    labels = np.random.default_rng(7).integers(0, classes, size)
    units = features("decaying", labels, 8)
    units /= np.linalg.norm(units, axis=1)[:, None]
    took, *_ = timed(lambda: [k_means(units, classes, 10, 0)])
    console.print(f"k-means, {classes} clusters of {size:,} clips, 10 starts: {took:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="the size of NTU-120 x-sub; scikit-learn takes minutes")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--commonly", action="store_true", help="also scikit-learn with a classifier for each k")
    arguments = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "torch", "scikit-learn"))
    console.print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {packages}")
    for kind in ("isotropic", "decaying"):
        neighbours(kind, FULL if arguments.full else REDUCED, arguments.rounds, arguments.commonly)
    episodes()
    clusters()


if __name__ == "__main__":
    main()
