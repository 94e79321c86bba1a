"""Clusters of the test clips: k-means on L2-normalised features, neighbourhoods, and a map of some classes by t-SNE.

k-means has as many clusters as the test part has classes and sees no label; how clusters and classes agree is computed
in metrics.py. The paper (STARS, arXiv:2407.10935) claims that masked prediction alone forms no separated clusters.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.evaluation.nearest import nearest, unit
from stars_bench.evaluation.subject import Subject
from stars_bench.records.outcome import Outcome
from stars_bench.training.parallel import distributed

PAPER_CLASSES = (1, 2, 5, 10, 15, 18, 20, 22, 25, 28, 30, 40, 50, 55, 57)
"""0-based classes of NTU-60 in the paper's t-SNE picture."""
PAPER_PER_CLASS, PAPER_SEED = 100, 42
PERPLEXITY = 30.0


class ClustersConfig(BaseModel):
    """Settings of the cluster evaluation.

    Args:
        restarts: Starts of k-means; the best is kept. Default: 10.
        neighbours: Neighbours of each clip whose classes are compared. Default: 10.
        sample: Clips that the silhouette is computed over. Default: 5000.
        seed: Seed of k-means and of the sample. Default: 0.
        crop: Share of the frames that the centre crop keeps. Default: 0.95.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    restarts: PositiveInt = 10
    neighbours: PositiveInt = 10
    sample: int = Field(5000, ge=3)
    seed: int = Field(0, ge=0)
    crop: float = Field(0.95, gt=0, le=1)


class Clusters:
    """Agreement of k-means clusters and of neighbourhoods with the classes of the test part."""

    name: ClassVar[str] = "clusters"
    Config: ClassVar[type[BaseModel]] = ClustersConfig
    source: ClassVar[str] = "k-means and silhouette; the claim tested is that of STARS (arXiv:2407.10935)"

    def run(self, subject: Subject[ClustersConfig]) -> list[Outcome]:
        """Return one outcome: cluster numbers, and in `extra` nearest clips (N, 10), sampled rows (S,) and features."""
        config = subject.run.config
        if not subject.test_classes:
            raise StarsBenchError("clusters: this Subject has no test_classes, the number of clusters")
        features = subject.features("test", config.crop)
        if len(features) < max(subject.test_classes, 3):
            raise UsageError(f"clusters: {len(features)} test clips are too few for {subject.test_classes} clusters")
        units = unit(features).float().cpu().numpy()
        rng = np.random.default_rng(config.seed)
        sampled = np.sort(rng.choice(len(units), min(config.sample, len(units)), replace=False))
        neighbours = partial(other_neighbours, features, min(config.neighbours, len(features) - 1))
        extra = {
            "neighbours": distributed.from_first(neighbours),
            "sampled_rows": sampled,
            "sampled_features": units[sampled],
        }
        clusters = distributed.from_first(partial(k_means, units, subject.test_classes, config.restarts, config.seed))
        return [Outcome({}, clusters, kind="clusters", extra=extra)]


def k_means(units: NDArray[np.float32], clusters: int, restarts: int, seed: int) -> NDArray[np.int64]:
    """Return cluster numbers (N,) of vectors (N, D): the best of several starts."""
    from sklearn.cluster import KMeans

    model = KMeans(clusters, n_init=restarts, random_state=seed).fit(units.astype(np.float64))
    return np.asarray(model.labels_, dtype=np.int64)


def other_neighbours(features: torch.Tensor, count: int) -> NDArray[np.int64]:
    """Return rows (N, count) of the nearest other clips of each clip, by cosine."""
    found = nearest(features, features, count + 1).cpu().numpy()
    own = found == np.arange(len(found))[:, None]
    own[~own.any(1), -1] = True  # more copies of a clip than neighbours: it does not stand among its own
    others: NDArray[np.int64] = found[~own].reshape(len(found), count)
    return others


def tsne_map(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: tuple[int, ...] = PAPER_CLASSES,
    per_class: int = PAPER_PER_CLASS,
    seed: int = PAPER_SEED,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return places (n, 2) on a map of the first `per_class` clips of each class, and their rows (n,), in order.

    As in the paper: features as they are, PCA initialisation. Where a class asked for is absent though others could
    stand in for it, the first ones that are present are drawn instead. Small maps get a smaller perplexity.

    Raises:
        UsageError: Fewer than four clips.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    present = np.unique(labels)
    chosen = np.intersect1d(classes, present)
    if len(chosen) < min(len(classes), len(present)):
        chosen = present[: len(classes)]
    rows = np.sort(np.concatenate([np.flatnonzero(labels == number)[:per_class] for number in chosen]))
    if len(rows) < 4:
        raise UsageError(f"t-SNE: {len(rows)} clips are too few for a map")
    settings: dict[str, Any] = {"init": "pca", "random_state": seed, "perplexity": min(PERPLEXITY, (len(rows) - 1) / 3)}
    with threadpool_limits(1):  # several threads add in another order, which the map magnifies to another map
        return TSNE(**settings).fit_transform(features[rows].astype(np.float32)), rows
