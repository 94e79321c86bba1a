"""Cross-subject, cross-view and cross-setup: from the clip table alone to who trains and who tests.

Rules and counts: NTU RGB+D (CVPR 2016), NTU RGB+D 120 (TPAMI 2019), github shahroudy/NTURGB-D; PKU-MMD
(arXiv:1703.07475) gives its splits as files, whose statement per clip is in the columns official_xsub, official_xview.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pydantic import BaseModel

from stars_bench.api import ProtocolSpec, Split
from stars_bench.errors import StarsBenchError

NTU60_TRAIN_SUBJECTS = frozenset({1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38})
NTU120_TRAIN_SUBJECTS = NTU60_TRAIN_SUBJECTS | {
    *(45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86),
    *(89, 91, 92, 93, 94, 95, 97, 98, 100, 103),
}
NTU_TRAIN_CAMERAS = frozenset({2, 3})


def official(table: pd.DataFrame, protocol: str) -> Split | None:
    """The split that the dataset's own files state, or None where it ships none."""
    column = f"official_{protocol}"
    if column not in table:
        return None
    return _split(table[column] == "train", table[column] == "test")


def cross_subject(table: pd.DataFrame) -> Split:
    """NTU: performers 1-106 of the published lists train, the others test. PKU-MMD: its file."""
    train = table["subject"].isin(NTU120_TRAIN_SUBJECTS)  # the performers of NTU-60 are 1-40: one list serves both
    return official(table, "xsub") or _split(train, ~train)


def cross_view(table: pd.DataFrame) -> Split:
    """NTU: cameras 2 and 3 train, camera 1 tests. PKU-MMD: its file."""
    train = table["camera"].isin(NTU_TRAIN_CAMERAS)
    return official(table, "xview") or _split(train, ~train)


def cross_setup(table: pd.DataFrame) -> Split:
    """NTU-120: even setups train, odd ones test. Imported data without names: as its file says."""
    train = table["setup"] % 2 == 0
    return official(table, "xset") or _split(train, ~train)


def _split(train: pd.Series, test: pd.Series) -> Split:
    return Split(np.flatnonzero(train.to_numpy()), np.flatnonzero(test.to_numpy()))


XSUB = ProtocolSpec(
    name="xsub",
    title="cross-subject",
    rule="published lists of training performers (NTU) or videos (PKU-MMD)",
    datasets=("ntu60", "ntu120", "pku1", "pku2", "synthetic"),
    split=cross_subject,
    expected={"ntu60": (40_091, 16_487), "ntu120": (63_026, 50_919)},
)
XVIEW = ProtocolSpec(
    name="xview",
    title="cross-view",
    rule="NTU: cameras 2 and 3 train, camera 1 tests; PKU-MMD: its file (camera M tests)",
    datasets=("ntu60", "pku1", "pku2", "synthetic"),
    split=cross_view,
    expected={"ntu60": (37_646, 18_932)},
)
XSET = ProtocolSpec(
    name="xset",
    title="cross-setup",
    rule="even setups train, odd setups test",
    datasets=("ntu120", "synthetic"),
    split=cross_setup,
    expected={"ntu120": (54_468, 59_477)},
)


def make_split(
    spec: ProtocolSpec, dataset: str, table: pd.DataFrame, complete: bool, config: BaseModel | None = None
) -> Split:
    """The split of a prepared dataset, with its counts checked where the dataset is complete.

    Args:
        config: of a protocol that has settings; None for its defaults.

    Raises:
        StarsBenchError: a part is empty, or a complete dataset does not give the published counts.
    """
    split = compute_split(spec, table, config)
    column = f"official_{spec.name}"
    if column in table and not (table[column] != "").any():
        raise StarsBenchError(
            f"{dataset} {spec.name}: no official split file was among the raw files: add "
            f"{_split_file(spec.name, dataset)} and prepare again"
        )
    parts = {"training part": split.train, "test part": split.test, "bank": split.labelled}
    for part, ids in parts.items():
        if not len(ids):
            raise StarsBenchError(
                f"{dataset} {spec.name}: no clip of the prepared data is in the {part} ({spec.rule}); "
                "prepare more of the dataset"
            )
    if complete and column in table:
        _check_videos(spec.name, dataset, table)
    if complete and dataset in spec.expected and (config is None or spec.Config is None or config == spec.Config()):
        counts = (len(split.train), len(split.test), *([] if split.bank is None else [len(split.bank)]))
        expected = (*spec.expected[dataset], *([] if split.bank is None else [spec.expected_bank[dataset]]))
        if counts != expected:
            raise StarsBenchError(f"{dataset} {spec.name}: {counts} clips, published are {expected}")
    return split


def compute_split(spec: ProtocolSpec, table: pd.DataFrame, config: BaseModel | None = None) -> Split:
    """The split that a protocol gives, unchecked; `config` None for its defaults."""
    return spec.split(table) if spec.Config is None else spec.split(table, config or spec.Config())


PKU1_VIDEOS = {"xsub": (944, 132), "xview": (717, 359)}
"""Training and test videos of PKU-MMD I's official split files."""


def _split_file(protocol: str, dataset: str) -> str:
    """What the official split file of a PKU-MMD phase is called."""
    name = {"xsub": "cross-subject", "xview": "cross-view"}.get(protocol, protocol)
    return f"{name.replace('-', '_')}_v2.txt" if dataset == "pku2" else f"{name}.txt"


def _check_videos(protocol: str, dataset: str, table: pd.DataFrame) -> None:
    videos = table.drop_duplicates("item")[f"official_{protocol}"].value_counts()
    counts = (int(videos.get("train", 0)), int(videos.get("test", 0)))
    if dataset == "pku1" and counts != PKU1_VIDEOS[protocol]:
        raise StarsBenchError(f"{dataset} {protocol}: {counts} videos, published are {PKU1_VIDEOS[protocol]}")
