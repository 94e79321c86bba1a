"""Lists for semi-supervised learning: 1 % or 10 % of the training clips keep their labels.

In: labels and names of the training clips. Out: row numbers. The published lists (MAMP, STARS) come from an unbalanced
draw that depends on the number of GPUs and cannot be repeated. These lists depend on the names only, and there can be
any number of them. A partial dataset gives lists that share as many clips as possible with those of the complete one.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np

from stars_bench.errors import UsageError

Drawing = Literal["balanced", "published", "published-two-gpus"]
"""balanced: the same number of clips from every class. published: clips at random, of any class. published-two-gpus:
two such draws together, because each of MAMP's two processes draws on its own: nearly twice as many clips."""

FEWEST = 2
"""Clips in the smallest list: a batch for BatchNorm."""


def semi_rows(
    labels: np.ndarray, names: np.ndarray, percent: float, list_number: int, drawing: Drawing = "balanced"
) -> np.ndarray:
    """Return row numbers (K,) int64, ascending, of the clips that keep their labels.

    balanced: K = round(percent % of N), but at least one clip of every class. Classes have equally many clips (one more
    or less if K is not a multiple), as long as they have them. published: K = int(percent % of N), as the official
    program counts. published-two-gpus: two such draws, which share some clips. Lists of one number are nested: the
    clips of 1 % are among those of 10 %.

    Args:
        labels: (N,) classes.
        names: (N,) names without repetition.
        percent: In (0, 100].
        list_number: 0, 1, ...
        drawing: "balanced", "published" or "published-two-gpus". Default: "balanced".

    Raises:
        UsageError: There are fewer than two clips, or the percentage is out of range.
    """
    if not 0 < percent <= 100 or len(names) < FEWEST:
        raise UsageError(f"semi: {percent:g} % of {len(names)} training clips cannot be drawn")
    order = np.array([_rank(list_number, name) for name in names.tolist()]).argsort()
    if drawing != "balanced":
        count = max(int(len(names) * percent / 100), FEWEST)
        if drawing == "published":
            return np.sort(order[:count])
        second = np.array([_rank(list_number, f"second process {name}") for name in names.tolist()]).argsort()
        return np.union1d(order[:count], second[:count])
    classes, counts = np.unique(labels, return_counts=True)
    total = max(round(len(names) * percent / 100), len(classes), FEWEST)
    shares = dict(zip(classes.tolist(), equal_shares(counts, total, list_number, classes), strict=True))
    return np.sort(np.concatenate([order[labels[order] == label][:share] for label, share in shares.items()]))


def equal_shares(counts: np.ndarray, total: int, list_number: int, classes: np.ndarray) -> np.ndarray:
    """Return how many of its `counts` (C,) clips each class gives, `total` in all.

    Classes give one clip in turn, in an order drawn by the list's number, until there are enough.
    """
    turn = np.array([_rank(list_number, f"class {label}") for label in classes.tolist()]).argsort()
    rounds = np.arange(counts.max())[:, None] < counts[turn]  # (rounds, C): who still has a clip to give
    given = rounds & (np.cumsum(rounds).reshape(rounds.shape) <= total)
    shares = np.empty(len(counts), np.int64)
    shares[turn] = given.sum(0)
    return shares


def _rank(list_number: int, name: str) -> str:
    return hashlib.sha256(f"{list_number}/{name}".encode()).hexdigest()
