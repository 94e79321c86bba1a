"""A validation part, held out of the training part by subject, for choosing settings without reading the test part."""

from __future__ import annotations

import numpy as np
import pandas as pd

from stars_bench.api import Split
from stars_bench.errors import StarsBenchError

SHARE = 0.2


def hold_out_subjects(table: pd.DataFrame, split: Split, seed: int = 0, share: float = SHARE) -> Split:
    """Split the training part by subject (PKU-MMD I: by scene): some whole subjects validate, the others train.

    Subjects are drawn at random until they hold at least `share` of the training clips.

    Args:
        table: The clip table.
        split: The split whose training part is divided; its test part is not touched.
        seed: Seed of the draw. Default: 0.
        share: Least share of the training clips that is held out. Default: 0.2.

    Returns:
        The split whose test part is the validation part.

    Raises:
        StarsBenchError: Fewer than two subjects train.
    """
    subjects = table["subject"].to_numpy()[split.train]
    found, counts = np.unique(subjects, return_counts=True)
    if len(found) < 2:
        raise StarsBenchError("a validation part by subject needs at least two training subjects")
    order = np.random.default_rng(seed).permutation(len(found))
    enough = int(np.searchsorted(np.cumsum(counts[order]), share * len(subjects))) + 1
    held_out = np.isin(subjects, found[order[: min(enough, len(found) - 1)]])
    return Split(split.train[~held_out], split.train[held_out])
