"""k-nearest-neighbour evaluation: cosine on L2-normalised features, uniform vote, centre crop 0.95 for all clips."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor

from stars_bench.errors import UsageError
from stars_bench.evaluation.nearest import nearest
from stars_bench.evaluation.subject import Subject
from stars_bench.records.outcome import Outcome

PAIRS_AT_ONCE = 2**20


class KNNConfig(BaseModel):
    """Settings of the k-NN evaluation; the defaults are the official ones.

    Args:
        k: Numbers of neighbours; each gives a result. Default: 1, 2, 5 and 10.
        crop: Share of the frames that the centre crop keeps. Default: 0.95.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    k: tuple[PositiveInt, ...] = Field((1, 2, 5, 10), min_length=1)
    crop: float = Field(0.95, gt=0, le=1)


class KNN:
    """Nearest neighbours of each test clip among the training clips."""

    name: ClassVar[str] = "knn"
    Config: ClassVar[type[BaseModel]] = KNNConfig
    source: ClassVar[str] = "the official program of STARS (github TaatiTeam/STARS, knn_eval.py)"

    def run(self, subject: Subject[KNNConfig]) -> list[Outcome]:
        """Return one outcome for each k that the training part is large enough for."""
        config = subject.run.config
        bank, queries = subject.features("train", config.crop), subject.features("test", config.crop)
        ks = tuple(k for k in config.k if k <= len(bank))
        if not ks:
            raise UsageError(f"knn: k = {config.k} is more than the {len(bank)} training clips")
        votes = knn_predict(bank, subject.train.labels, queries, ks, subject.num_classes)
        return [Outcome({"k": k}, vote.cpu().numpy()) for k, vote in zip(ks, votes, strict=True)]


def knn_predict(bank: Tensor, labels: Tensor, queries: Tensor, ks: tuple[int, ...], num_classes: int) -> list[Tensor]:
    """Return predicted classes (Q,) for each k, of queries (Q, D) among bank vectors (N, D) with labels (N,).

    Every neighbour has one vote; of classes with equally many votes the one with the smallest number wins (as in
    scikit-learn). Of equally near clips the earlier rows are the neighbours.
    """
    classes = labels[nearest(bank, queries, max(ks))]
    return [majority(classes[:, :k], num_classes) for k in ks]


def majority(classes: Tensor, num_classes: int) -> Tensor:
    """Return the most frequent class of each row (Q, k), of equally frequent ones the smallest: (Q,)."""
    winners = []
    for part in torch.split(classes, max(PAIRS_AT_ONCE // classes.shape[1] ** 2, 1)):
        votes = (part[:, :, None] == part[:, None, :]).sum(2)  # of each neighbour's class; k is small, classes are many
        best = (votes * num_classes - part).argmax(1, keepdim=True)
        winners.append(part.gather(1, best)[:, 0])
    return torch.cat(winners)
