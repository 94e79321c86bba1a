"""What an evaluation returns: predictions for the test part, from which metrics are computed. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from stars_bench.training.stage_result import StageResult

Kind = Literal["classes", "episodes", "clusters"]


@dataclass(frozen=True)
class Outcome:
    """One result of an evaluation: predictions for the test part, in its order. Metrics are computed elsewhere.

    Args:
        settings: The variant, such as {"k": 5}.
        predictions: (N,) int64 classes; (episodes, queries) where `kind` is "episodes".
        kind: "classes"; "episodes", where `rows` names the clips; "clusters", where predictions are cluster numbers.
        scores: (N, classes) float32, if the evaluation ranks classes; default None.
        by_epoch: (E, N) predictions after each epoch, if it trained; default None.
        rows: Row numbers of the test clips that were predicted, in the shape of `predictions`; default None: all test
            clips, in order.
        classes: Classes of which test clips count alone, as a zero-shot result has them; default None: all. Evaluations
            do not know which clips these are, so they predict all of them.
        extra: Arrays that are saved beside the predictions, for metrics that need them; default none.
        checkpoint_rule: Which of its checkpoints predicted; default "last epoch".
        stages: The stages that it trained; default none.
    """

    settings: Mapping[str, object]
    predictions: np.ndarray
    kind: Kind = "classes"
    scores: np.ndarray | None = None
    by_epoch: np.ndarray | None = None
    rows: np.ndarray | None = None
    classes: np.ndarray | None = None
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)
    checkpoint_rule: str = "last epoch"
    stages: tuple[StageResult, ...] = ()

    def limited(self, labels: np.ndarray) -> Outcome:
        """Return the outcome of the test clips of `classes`, which `rows` then names.

        Args:
            labels: (N,) true classes of the test part.
        """
        if self.classes is None:
            return self
        rows = np.flatnonzero(np.isin(labels, self.classes))
        scores = None if self.scores is None else self.scores[rows]
        by_epoch = None if self.by_epoch is None else self.by_epoch[:, rows]
        return replace(
            self, predictions=self.predictions[rows], scores=scores, by_epoch=by_epoch, rows=rows, classes=None
        )
