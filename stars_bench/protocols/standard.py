"""Cross-subject, cross-view and cross-setup: from the clip table alone to the train/test split.

Rules and counts: NTU RGB+D (CVPR 2016), NTU RGB+D 120 (TPAMI 2019), github shahroudy/NTURGB-D; PKU-MMD
(arXiv:1703.07475) gives its splits as files, whose statement per clip is in the columns official_xsub, official_xview.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from stars_bench.api import ProtocolSpec, Split

NTU60_TRAIN_SUBJECTS = frozenset({1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38})
NTU120_TRAIN_SUBJECTS = NTU60_TRAIN_SUBJECTS | {
    *(45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86),
    *(89, 91, 92, 93, 94, 95, 97, 98, 100, 103),
}
NTU_TRAIN_CAMERAS = frozenset({2, 3})


def official(table: pd.DataFrame, protocol: str) -> Split | None:
    """Return the split that the dataset's own files state, or None where it ships none."""
    column = f"official_{protocol}"
    if column not in table:
        return None
    return _split(table[column] == "train", table[column] == "test")


OWN = ("xsub", "xsub-v1", "official", "xview", "xset", "split1", "as1")
"""Splits that a dataset may bring, in the order in which one is taken where any will do."""


def own_split(table: pd.DataFrame) -> Split | None:
    """Return the first split that the dataset itself states, or None where it states none."""
    return next((split for name in OWN if (split := official(table, name)) is not None), None)


def cross_subject(table: pd.DataFrame) -> Split:
    """Split by performer: on NTU those of the published list train, the others test; on PKU-MMD its file decides."""
    train = table["subject"].isin(NTU120_TRAIN_SUBJECTS)  # the performers of NTU-60 are 1-40: one list serves both
    return official(table, "xsub") or _split(train, ~train)


def cross_view(table: pd.DataFrame) -> Split:
    """Split by camera: on NTU cameras 2 and 3 train, camera 1 tests; on PKU-MMD its file decides."""
    train = table["camera"].isin(NTU_TRAIN_CAMERAS)
    return official(table, "xview") or _split(train, ~train)


def cross_setup(table: pd.DataFrame) -> Split:
    """Split by setup: on NTU-120 even setups train, odd ones test; imported data without names follow their file."""
    train = table["setup"] % 2 == 0
    return official(table, "xset") or _split(train, ~train)


def _split(train: pd.Series, test: pd.Series) -> Split:
    return Split(np.flatnonzero(train.to_numpy()), np.flatnonzero(test.to_numpy()))


XSUB = ProtocolSpec(
    name="xsub",
    title="cross-subject",
    rule="published lists of training performers (NTU) or videos (PKU-MMD)",
    source=(
        "NTU RGB+D (CVPR 2016) and NTU RGB+D 120 (TPAMI 2019), github shahroudy/NTURGB-D; "
        "PKU-MMD (arXiv:1703.07475): its split files"
    ),
    datasets=("ntu60", "ntu120", "pku1", "pku2", "synthetic", "ntu60-2d", "ntu120-2d"),
    split=cross_subject,
    expected={"ntu60": (40_091, 16_487), "ntu120": (63_026, 50_919), "ntu60-2d": (40_091, 16_487)},
    held_out="subject",
)
XVIEW = ProtocolSpec(
    name="xview",
    title="cross-view",
    rule="NTU: cameras 2 and 3 train, camera 1 tests; PKU-MMD: its file (camera M tests)",
    source="NTU RGB+D (CVPR 2016), github shahroudy/NTURGB-D; PKU-MMD (arXiv:1703.07475): its split files",
    datasets=("ntu60", "pku1", "pku2", "synthetic", "ntu60-2d"),
    split=cross_view,
    expected={"ntu60": (37_646, 18_932), "ntu60-2d": (37_646, 18_932)},
    held_out="camera",
)
XSET = ProtocolSpec(
    name="xset",
    title="cross-setup",
    rule="even setups train, odd setups test",
    source="NTU RGB+D 120 (TPAMI 2019), github shahroudy/NTURGB-D",
    datasets=("ntu120", "synthetic", "ntu120-2d"),
    split=cross_setup,
    expected={"ntu120": (54_468, 59_477)},
    held_out="setup",
)
