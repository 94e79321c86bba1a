"""A validation part, held out of the training part: whole subjects, cameras or setups, as the protocol's test part is.

It is for choosing settings or an epoch without reading the test part.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from stars_bench.api import Split
from stars_bench.errors import StarsBenchError

SHARE = 0.2
DRAWS = 100
"""Draws that are tried where every class must be in both parts."""


def hold_out(
    table: pd.DataFrame,
    split: Split,
    column: str = "subject",
    seed: int = 0,
    share: float = SHARE,
    every_class: bool = False,
) -> Split:
    """Split the training part by subject (PKU-MMD I: by scene), camera or setup: some validate, the others train.

    They are drawn at random until they hold at least `share` of the training clips.

    Args:
        table: The clip table.
        split: The split whose training part is divided; its test part is not touched.
        column: The column of the table whose values are held out whole. Default: subject.
        seed: Seed of the draw. Default: 0.
        share: Least share of the training clips that is held out. Default: 0.2.
        every_class: Whether every class of the training part must be in both parts. Values whose loss would leave a
            class without training clips are then passed over. Default: False.

    Returns:
        The split whose test part is the validation part.

    Raises:
        StarsBenchError: The training part has fewer than two values, or a class that only one of them has.
    """
    values, labels = (table[name].to_numpy()[split.train] for name in (column, "label"))
    found, groups = np.unique(values, return_inverse=True)
    if len(found) < 2:
        raise StarsBenchError(
            f"a validation part by {column} needs at least two training {column}s, and there is {len(found)}"
        )
    classes, numbers = np.unique(labels, return_inverse=True)
    clips = np.zeros((len(found), len(classes)), np.int64)
    np.add.at(clips, (groups, numbers), 1)
    lonely = np.flatnonzero((clips > 0).sum(0) < 2)
    if every_class and len(lonely):
        raise StarsBenchError(
            f"a validation part by {column} needs every class in both parts, and class {classes[lonely[0]] + 1} is of "
            f"one training {column} only: prepare more of the dataset"
        )
    rng = np.random.default_rng(seed)
    for _ in range(DRAWS):
        held_out = _drawn(clips, rng.permutation(len(found)), share, every_class)
        if not every_class or clips[held_out].sum(0).all():
            is_held_out = np.isin(groups, held_out)
            return Split(split.train[~is_held_out], split.train[is_held_out])
    raise StarsBenchError(
        f"a validation part by {column} with every class in both parts was not found in {DRAWS} draws: prepare more of "
        "the dataset"
    )


def _drawn(clips: np.ndarray, order: np.ndarray, share: float, every_class: bool) -> list[int]:
    """Take groups in an order until they hold enough clips, and every class; clips is (groups, classes)."""
    held_out: list[int] = []
    for group in order.tolist():
        chosen = clips[held_out].sum(0)
        missing = every_class & (chosen == 0)
        enough = chosen.sum() >= share * clips.sum()
        if enough and not missing.any():
            break
        if enough and not clips[group][missing].any():
            continue
        left = clips.sum(0) - chosen - clips[group]
        if left.all() if every_class else left.any():
            held_out.append(group)
    return held_out
