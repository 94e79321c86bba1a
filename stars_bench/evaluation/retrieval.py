"""Retrieval: test clips ask, training clips are ranked by cosine, and those of the query's class should come first.

What papers of the field call action retrieval is top1, the class of the nearest clip: k-NN with k = 1 (USDRL, HiCo,
CMD). Beside it stand recall at 5 and 10 (a clip of the class among the first 5 or 10) and mean average precision. The
average precision of a query is the mean, over the training clips of its class, of the share of that class among all
clips up to there. Of equally near clips the earlier row comes first. No label of a test clip is read here: the average
precision is computed for every class that a query might be of.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from stars_bench.errors import UsageError
from stars_bench.evaluation.nearest import PAIRS_AT_ONCE, nearest, unit
from stars_bench.evaluation.subject import Subject
from stars_bench.records.outcome import Outcome

RANKED = 10
"""Nearest clips that recall looks at."""
SORTED_AT_ONCE = PAIRS_AT_ONCE // 8
"""Pairs of query and training clip that are sorted together: three copies of 8 bytes each."""


class RetrievalConfig(BaseModel):
    """Settings of the retrieval evaluation.

    Args:
        crop: Share of the frames that the centre crop keeps. Default: 0.95.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    crop: float = Field(0.95, gt=0, le=1)


class Retrieval:
    """Training clips ranked by their nearness to each test clip."""

    name: ClassVar[str] = "retrieval"
    Config: ClassVar[type[BaseModel]] = RetrievalConfig
    source: ClassVar[str] = (
        "top1 as in CMD (arXiv:2208.12448) and USDRL (arXiv:2412.09220); recall and mAP are standard"
    )
    beside: ClassVar[tuple[str, ...]] = ("knn",)

    def run(self, subject: Subject[RetrievalConfig]) -> list[Outcome]:
        """Return one outcome; `extra` has classes of the nearest clips (N, 10) and average precisions (N, classes).

        Raises:
            UsageError: There is no training clip.
        """
        config = subject.run.config
        bank, queries = subject.features("train", config.crop), subject.features("test", config.crop)
        if not len(bank):
            raise UsageError("retrieval: there is no training clip that could be found")
        labels = subject.train.labels
        ranked = labels[nearest(bank, queries, min(RANKED, len(bank)))].cpu().numpy()
        precisions = average_precisions(bank, labels, queries, subject.num_classes).float().cpu().numpy()
        return [Outcome({}, ranked[:, 0], extra={"ranked": ranked, "average_precision": precisions})]


def average_precisions(bank: Tensor, labels: Tensor, queries: Tensor, num_classes: int) -> Tensor:
    """Return the average precision (Q, C) float64 that each query has if it is of class c; nan for absent classes.

    Args:
        bank: (N, D) features that are ranked.
        labels: (N,) their classes.
        queries: (Q, D) features that ask.
        num_classes: Number C of classes.
    """
    bank = unit(bank)
    order = labels.argsort(stable=True)
    of_class = labels[order]
    counts = torch.bincount(labels, minlength=num_classes)
    place = torch.arange(1, len(bank) + 1, device=bank.device) - (counts.cumsum(0) - counts)[of_class]
    found = []
    for chunk in torch.split(unit(queries), max(SORTED_AT_ONCE // len(bank), 1)):
        by_rank = (chunk @ bank.T).round(decimals=12).argsort(dim=1, descending=True, stable=True)
        ranks = torch.empty_like(by_rank)
        ranks.scatter_(1, by_rank, torch.arange(1, len(bank) + 1, device=bank.device).expand_as(by_rank))
        # Within each class ascending: classes are far apart when each adds more than the last rank.
        inside = (ranks[:, order] + of_class * (len(bank) + 1)).sort(dim=1).values - of_class * (len(bank) + 1)
        sums = torch.zeros(len(chunk), num_classes, dtype=torch.float64, device=bank.device)
        sums.index_add_(1, of_class, place / inside.double())
        found.append(sums / counts)
    return torch.cat(found) if found else torch.empty(0, num_classes, dtype=torch.float64)
