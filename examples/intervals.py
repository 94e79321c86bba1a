"""Accuracies over seeds with 95 % intervals, from saved predictions, also of the difference to one method.

One performance is seen by three cameras, so performances are drawn anew (percentile bootstrap), not clips: a
clip's score is the share of seeds that got it right. Names are those of PKU-MMD and NTU RGB+D.

    python examples/intervals.py RUNS/pku1/xsub [METHOD; default: untrained]
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from stars_bench.experiments.rescore import read

SHOWN = {("knn", 1): "k-NN k=1", ("knn", 5): "k-NN k=5", ("linear", None): "linear", ("classifier", None): "classifier"}
DRAWS = 10_000
base = sys.argv[2] if len(sys.argv) > 2 else "untrained"

right: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)
for one in read(Path(sys.argv[1])):
    evaluation = one.record.evaluation
    column = SHOWN.get((evaluation.name, evaluation.settings.get("k")))
    if column is not None:
        names = one.names
        right[one.record.method.name, column].append(one.outcome.predictions == one.labels)

performance = np.unique([re.sub(r"-[LMR]_|C\d{3}", " ", name) for name in names], return_inverse=True)[1]
sizes = np.bincount(performance)
draws = np.random.default_rng(0).integers(0, len(sizes), (DRAWS, len(sizes)))


def told(scores: np.ndarray, form: str) -> str:
    """Mean and interval in %."""
    drawn = np.bincount(performance, scores)[draws].sum(1) / sizes[draws].sum(1)
    low, high = 100 * np.percentile(drawn, [2.5, 97.5])
    return f"{100 * scores.mean():{form}} [{low:.0f}, {high:.0f}]"


print(f"{len(names)} clips of {len(sizes)} performances")
print("method", *SHOWN.values(), sep=" | ")
for method in dict.fromkeys(method for method, _ in right):
    cells = []
    for column in SHOWN.values():
        seeds = right[method, column]
        cells.append(f"{told(np.mean(seeds, 0), '.1f')} ({len(seeds)})" if seeds else "–")
        floor = right[base, column]
        if seeds and floor and method != base:
            cells[-1] += f", {told(np.mean(seeds, 0) - np.mean(floor, 0), '+.0f')}"
    print(method, *cells, sep=" | ")
