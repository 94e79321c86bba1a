"""What makes a number doubtful though nothing failed: a constant predictor, ties, classes without training clips.

Labels and predictions in, short reasons out. They stand in the record and are marks in every table.
"""

from __future__ import annotations

import numpy as np

from stars_bench.records.outcome import Outcome

TIED = 0.01
"""Share of clips with two classes in the first place above which the number depends on how ties are broken."""
UNTRAINED = "tested classes have no training clips"
CONSTANT = {
    "classes": "every clip predicted as one class",
    "episodes": "every clip of an episode predicted as one class",
    "clusters": "every clip in one cluster",
}
"""What features that are the same for all clips lead to, by the kind of the outcome."""


def doubts(outcome: Outcome, test: np.ndarray, labelled: np.ndarray) -> tuple[str, ...]:
    """Find what a reader must know of a number.

    Args:
        outcome: Predictions for the test part.
        test: Classes (N,) of the test part.
        labelled: Classes (M,) of the part with labels: the training part, or the bank.

    Returns:
        Short reasons; none where there is nothing to explain.
    """
    found, tested = [], np.unique(test)
    untrained = np.setdiff1d(tested, labelled)
    if len(untrained) and outcome.kind == "classes" and "unseen" not in outcome.extra:
        found.append(f"{len(untrained)} of {len(tested)} {UNTRAINED}")
    if len(tested) == 1:
        found.append("one class tested")
    elif _constant(outcome.predictions):
        found.append(CONSTANT[outcome.kind])
    if outcome.scores is not None:
        finite = np.isfinite(outcome.scores).all(1)
        if not finite.all():
            found.append(f"scores of {int((~finite).sum()):,} of {len(test):,} clips are not finite")
        tied = int(((outcome.scores == outcome.scores.max(1, keepdims=True)).sum(1) > 1)[finite].sum())
        if tied > TIED * len(test):
            found.append(f"ties for first place in {tied:,} of {len(test):,} clips")
    return tuple(found)


def doubts_of_sum(outcome: Outcome, test: np.ndarray, first: tuple[str, ...]) -> tuple[str, ...]:
    """Find the same of summed scores, from the reasons that one of the summed results has; all share the split.

    Args:
        outcome: Predictions from the sum.
        test: Classes (N,) of the test part.
        first: Reasons of one of the results.
    """
    return (*(reason for reason in first if reason.endswith(UNTRAINED)), *doubts(outcome, test, test))


def _constant(predictions: np.ndarray) -> bool:
    """Whether all predictions (N,), or all of each episode (episodes, queries), are the same."""
    rows = np.atleast_2d(predictions)
    return bool((rows == rows[:, :1]).all())
