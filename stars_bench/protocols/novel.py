"""Protocols of classes that training never sees: unseen, oneshot, fewshot and zeroshot.

The first three give clips to learn from, a labelled bank of the novel classes, and queries of the novel classes.
unseen: STARS (arXiv:2407.10935), its "few-shot". oneshot: NTU RGB+D 120 (TPAMI 2019), its official one-shot split, and
those of its classes that NTU RGB+D 60 has, as SkeletonX (arXiv:2504.11749) takes them. fewshot: the ordinary episodes,
here across subjects, so that support and queries are never the same performance. zeroshot has no bank: novel classes
are known by their names alone. Published class splits are in class_splits.py.
"""

from __future__ import annotations

import hashlib
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from stars_bench.api import ProtocolSpec, Split
from stars_bench.errors import StarsBenchError
from stars_bench.protocols.standard import cross_subject, own_split

FIRST_NTU120_LABEL = 60
"""Labels (0-based) from here on are NTU-120's own classes."""

ONESHOT_ACTIONS = tuple(range(1, 116, 6))
"""A1, A7, ... A115: the 20 novel classes of the official one-shot split."""

LAST_NTU60_EXEMPLAR = 55
"""Exemplars of actions up to here are of setup 1, the others of setup 18."""


def novel_parts(table: pd.DataFrame, novel: NDArray[np.bool_]) -> Split:
    """Split by subject and by class: base classes train; novel classes are the bank (training part) and the queries.

    A dataset that brings splits is split by the first of them (`standard.OWN`).
    """
    split = own_split(table) or cross_subject(table)
    return Split(
        train=split.train[~novel[split.train]],
        test=split.test[novel[split.test]],
        bank=split.train[novel[split.train]],
    )


def unseen(table: pd.DataFrame) -> Split:
    """Train on classes 1-60 of x-sub's training part; of classes 61-120, x-sub's parts are bank and queries.

    Of a dataset that brings splits, the first and the second half of its classes in their stead.
    """
    labels = table["label"].to_numpy()
    present = np.unique(labels)
    first = FIRST_NTU120_LABEL if own_split(table) is None else present[(len(present) + 1) // 2 :].min(initial=1 << 30)
    return novel_parts(table, labels >= first)


def exemplar_name(action: int) -> str:
    """Return the name of the official exemplar of a novel class (1-based action)."""
    setup = 1 if action <= LAST_NTU60_EXEMPLAR else 18
    return f"S{setup:03}C003P008R001A{action:03}"


def one_shot(table: pd.DataFrame) -> Split:
    """Take one exemplar of each novel class as the bank, their other clips as queries; train on all other classes."""
    novel = table["label"].isin([action - 1 for action in ONESHOT_ACTIONS]).to_numpy()
    exemplar = table["name"].isin([exemplar_name(action) for action in ONESHOT_ACTIONS]).to_numpy()
    return Split(np.flatnonzero(~novel), np.flatnonzero(novel & ~exemplar), np.flatnonzero(exemplar))


class FewShotConfig(BaseModel):
    """Which classes are novel.

    Args:
        novel_classes: 1-based numbers, as printed in names and lists. Default: none; classes 61-120 if the clips have
            some of them and others too, else a share.
        novel_share: Share of the classes of the clips that is novel, drawn by `seed`. Default: 0.5.
        seed: Seed of that draw. Default: 0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    novel_classes: tuple[PositiveInt, ...] = ()
    novel_share: float = Field(0.5, gt=0, lt=1)
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        if len(set(self.novel_classes)) < len(self.novel_classes):
            raise ValueError(f"novel_classes names a class twice: {self.novel_classes}")
        return self


def few_shot(table: pd.DataFrame, config: FewShotConfig) -> Split:
    """Train on base classes of x-sub's training part; for novel classes, this part is the bank, the test part queries.

    Raises:
        StarsBenchError: A class that is asked for has no clip, or no class would be left to train on.
    """
    labels = table["label"].to_numpy()
    novel = novel_labels(np.unique(labels), config)
    return novel_parts(table, np.isin(labels, novel))


def novel_labels(present: NDArray[np.int64], config: FewShotConfig) -> NDArray[np.int64]:
    """Return which of the labels (0-based) of the clips are novel."""
    if config.novel_classes:
        wanted = np.array(sorted(config.novel_classes), np.int64) - 1
        if absent := sorted(set(wanted.tolist()) - set(present.tolist())):
            raise StarsBenchError(f"novel class {absent[0] + 1} has no clip in the prepared data")
    elif 0 < (present >= FIRST_NTU120_LABEL).sum() < len(present):
        wanted = present[present >= FIRST_NTU120_LABEL]
    else:
        # Ranked by a hash of the class alone, so that a class more or less moves few others.
        ranks = [hashlib.sha256(f"{config.seed}/{label}".encode()).digest() for label in present.tolist()]
        count = max(round(config.novel_share * len(present)), 1)
        wanted = np.sort(present[sorted(range(len(ranks)), key=ranks.__getitem__)[:count]])
    if len(wanted) >= len(present):
        raise StarsBenchError("all classes would be novel: none is left to train on")
    return wanted


def zero_shot(table: pd.DataFrame, config: FewShotConfig) -> Split:
    """Train on base classes of x-sub's training part; the whole test part is tested.

    Raises:
        StarsBenchError: A class that is asked for has no clip, or no class would be left to train on.
    """
    labels = table["label"].to_numpy()
    novel = np.isin(labels, novel_labels(np.unique(labels), config))
    split = own_split(table) or cross_subject(table)
    return Split(split.train[~novel[split.train]], split.test)


UNSEEN = ProtocolSpec(
    name="unseen",
    title="unseen classes",
    rule="x-sub (or the own split); classes 1-60 (else the first half) train, the others are bank and queries",
    source="STARS (arXiv:2407.10935), its few-shot evaluation",
    datasets=("ntu120", "synthetic", "ntu120-2d"),
    split=unseen,
    expected={"ntu120": (40_091, 34_432)},
    expected_bank={"ntu120": 22_935},
    evaluations=("knn", "fewshot"),
    any_split=True,
)
ONESHOT = ProtocolSpec(
    name="oneshot",
    title="one-shot",
    rule="official exemplars of A1, A7, ... are the bank, the other clips of their classes the queries, others train",
    source=(
        "NTU RGB+D 120 (TPAMI 2019), github shahroudy/NTURGB-D: the official one-shot split; its 10 classes in NTU-60: "
        "SkeletonX (arXiv:2504.11749)"
    ),
    datasets=("ntu60", "ntu120", "synthetic", "ntu60-2d", "ntu120-2d"),
    split=one_shot,
    expected={"ntu60": (47_180, 9_388), "ntu120": (95_001, 18_924)},
    expected_bank={"ntu60": 10, "ntu120": 20},
    evaluations=("exemplar",),
)
FEWSHOT = ProtocolSpec(
    name="fewshot",
    title="few-shot, N-way K-shot",
    rule="x-sub; base classes train, the training part of novel classes is the bank, their test part the queries",
    source="ours: the usual episodes, across subjects",
    datasets=("ntu60", "ntu120", "pku1", "pku2", "synthetic", "ntu60-2d", "ntu120-2d"),
    split=few_shot,
    expected={"ntu120": (40_091, 34_432)},
    expected_bank={"ntu120": 22_935},
    evaluations=("fewshot",),
    Config=FewShotConfig,
    any_split=True,
)
ZEROSHOT = ProtocolSpec(
    name="zeroshot",
    title="zero-shot",
    rule="x-sub (or the own split); the training part of seen classes trains, all test clips test",
    source="ours: for datasets without a published split; published ones are zeroshot-55-5 and others",
    datasets=("ntu60", "ntu120", "pku1", "pku2", "synthetic", "ntu60-2d", "ntu120-2d"),
    split=zero_shot,
    expected={},
    evaluations=("zeroshot",),
    Config=FewShotConfig,
    any_split=True,
)
