"""k-nearest-neighbour evaluation: cosine on L2-normalised features, uniform vote, centre crop 0.95 for all clips."""

from __future__ import annotations

from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor

from stars_bench.api import UsageError
from stars_bench.evaluation.features import Outcome, Subject
from stars_bench.training.loop import full_precision

QUERIES_AT_ONCE = 1024


class KNNConfig(BaseModel):
    """Settings of the k-NN evaluation; the defaults are the official ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    k: tuple[PositiveInt, ...] = Field((1, 2, 5, 10), min_length=1)
    crop: float = Field(0.95, gt=0, le=1)


class KNN:
    """Nearest neighbours of each test clip among the training clips."""

    name: ClassVar[str] = "knn"
    Config: ClassVar[type[BaseModel]] = KNNConfig

    def run(self, subject: Subject) -> list[Outcome]:
        """One outcome for each k that the training part is large enough for."""
        config = cast(KNNConfig, subject.run.config)
        bank, queries = subject.features("train", config.crop), subject.features("test", config.crop)
        ks = tuple(k for k in config.k if k <= len(bank))
        if not ks:
            raise UsageError(f"knn: k = {config.k} is more than the {len(bank)} training clips")
        votes = knn_predict(bank, subject.train.labels, queries, ks, subject.num_classes)
        return [Outcome({"k": k}, vote.cpu().numpy()) for k, vote in zip(ks, votes, strict=True)]


def knn_predict(bank: Tensor, labels: Tensor, queries: Tensor, ks: tuple[int, ...], num_classes: int) -> list[Tensor]:
    """Predicted classes (Q,) for each k, of queries (Q, D) among bank vectors (N, D) with labels (N,).

    Every neighbour has one vote; of classes with equally many votes the one with the smallest number wins (as in
    scikit-learn).
    """
    bank, queries = F.normalize(bank, dim=1), F.normalize(queries, dim=1)
    chunks: list[list[Tensor]] = [[] for _ in ks]
    for chunk in torch.split(queries, QUERIES_AT_ONCE):
        with full_precision(bank.device):
            nearest = labels[(chunk @ bank.T).topk(max(ks), dim=1).indices]
        for i, k in enumerate(ks):
            votes = torch.zeros(len(chunk), num_classes, device=bank.device)
            votes.scatter_add_(1, nearest[:, :k], torch.ones_like(nearest[:, :k], dtype=votes.dtype))
            chunks[i].append(votes.argmax(1))
    return [torch.cat(chunk) for chunk in chunks]
