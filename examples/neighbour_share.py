"""Measure how often the nearest clip in a queue has the class of the clip: what stage 2 of STARS learns from.

    python examples/neighbour_share.py DATASET PROTOCOL RUN [RUN ...] > shares.json

RUN is what `stars_bench.load_encoder` takes, as `runs/pku1/xsub/mamp/KEY`. For each run and seed, and for each size of
the queue, the training clips look for their nearest neighbour among as many other training clips, drawn at random. As
in stage 2, features are normalised by their mean and variance (its projector is a BatchNorm) and compared by cosine,
and a clip never finds itself. Labels are read to count, and for nothing else.

`right`: share of clips whose neighbour has their class. `same_performance`: share whose neighbour is the same
performance, seen by another camera. `right_elsewhere`: share with the right class among those whose neighbour is
another performance. `chance`: share of pairs of clips that have one class. All in percent.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import normalize
from torch.utils.data import DataLoader

import stars_bench
from stars_bench.storage.shards import PreparedDataset

QUEUES = (128, 256, 512, 1024, 2048, 4096, 8192, 32768)
DRAWS = 20


def performances(dataset: PreparedDataset, rows: np.ndarray) -> np.ndarray:
    """Number what several cameras film at once."""
    table, name_of = dataset.table.iloc[rows], dataset.spec.performance
    if name_of is not None:
        return pd.factorize(table["name"].map(name_of).to_numpy())[0]
    return table.groupby(["label", "subject", "setup", "replication"], sort=False).ngroup().to_numpy()


def shares(features: torch.Tensor, labels: np.ndarray, performance: np.ndarray, size: int) -> dict[str, float]:
    """Look for each clip's nearest neighbour in queues of `size` other clips.

    Args:
        features: (N, D) of the training clips.
        labels: (N,) classes.
        performance: (N,) numbers of performances.
        size: Clips in the queue; N - 1 where it is more.
    """
    units = normalize((features - features.mean(0)) / features.std(0).clamp_min(1e-6), dim=1)
    rng, right, same, elsewhere = np.random.default_rng(0), [], [], []
    for _ in range(DRAWS if size < len(units) - 1 else 1):
        queue = rng.permutation(len(units))[: size + 1]
        similarity = units @ units[queue].T
        similarity[torch.from_numpy(queue), torch.arange(len(queue))] = -torch.inf
        nearest = queue[similarity.argmax(1).numpy()]
        agrees, one_performance = labels[nearest] == labels, performance[nearest] == performance
        right.append(agrees.mean())
        same.append(one_performance.mean())
        elsewhere.append(agrees[~one_performance].mean())
    names = ("right", "same_performance", "right_elsewhere")
    found = zip(names, (right, same, elsewhere), strict=True)
    return {name: round(100 * float(np.mean(values)), 2) for name, values in found}


def measured(run: Path, seed: int, dataset: str, protocol: str) -> dict[str, Any]:
    """Return the shares of one seed of a run."""
    encoder = stars_bench.load_encoder(run, seed=seed)
    parts = stars_bench.load(dataset, protocol, frames=int(encoder.frames))  # type: ignore[arg-type]
    train = parts.train
    with torch.no_grad():
        features = torch.cat([encoder(clips) for clips, _, _ in DataLoader(train, batch_size=64)])
    performance = performances(parts.dataset, train.rows)
    counts = np.bincount(train.labels)
    chance = (counts * (counts - 1)).sum() / (len(train) * (len(train) - 1))
    sizes = [size for size in QUEUES if size < len(train)] + [len(train) - 1]
    return {
        "dataset": dataset,
        "protocol": protocol,
        "method": run.parent.name,
        "key": run.name,
        "seed": seed,
        "training_clips": len(train),
        "chance": round(100 * float(chance), 2),
        "queues": {size: shares(features, train.labels, performance, size) for size in sizes},
    }


if __name__ == "__main__":
    _, dataset, protocol, *runs = sys.argv
    found = [
        measured(Path(run), int(folder.name.removeprefix("seed")), dataset, protocol)
        for run in runs
        for folder in sorted(Path(run).glob("seed*"))
    ]
    print(json.dumps(found, indent=1))
