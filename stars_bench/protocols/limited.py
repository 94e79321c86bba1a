"""Few training clips of every class: the limited-scale setting of SkeletonX (arXiv:2504.11749) on NTU RGB+D.

Of x-sub's training part, clips of the first 11 training performers (numbers up to 17) are sorted by setup, performer
and name, and the first K of each class train. Few performers and few setups are seen. The test part is x-sub's. The
list is made from the names of the complete dataset: of partial data, those of its clips that are there train.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict

from stars_bench.api import ProtocolSpec, Split
from stars_bench.datasets.ntu import expected_names
from stars_bench.datasets.parsing.ntu import parse_name
from stars_bench.protocols.standard import NTU60_TRAIN_SUBJECTS, cross_subject

PERFORMERS = sorted(NTU60_TRAIN_SUBJECTS)[:11]
"""Those of NTU-120 begin with the same ones."""


class LimitedConfig(BaseModel):
    """How many clips train.

    Args:
        clips_per_class: K: 10, 20, 30 or 50. Default: 10.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    clips_per_class: Literal[10, 20, 30, 50] = 10


@cache
def listed(clips_per_class: int) -> frozenset[str]:
    """Return the names of the training clips; those of NTU-60 are among those of NTU-120."""
    ranked: dict[int, list[tuple[int, int, str]]] = {}
    for name in expected_names("ntu120"):
        setup, _, performer, _, action = parse_name(name)
        if performer in PERFORMERS:
            ranked.setdefault(action, []).append((setup, performer, name))
    return frozenset(name for clips in ranked.values() for *_, name in sorted(clips)[:clips_per_class])


def limited(table: pd.DataFrame, config: LimitedConfig) -> Split:
    """Train on K clips of each class, of few performers and setups; test on x-sub's test part."""
    split, chosen = cross_subject(table), table["name"].isin(listed(config.clips_per_class)).to_numpy()
    return Split(split.train[chosen[split.train]], split.test)


LIMITED = ProtocolSpec(
    name="xsub-limited",
    title="cross-subject, few training clips",
    rule="x-sub; 10 clips of each class train: performers up to 17, by setup, performer and name",
    source="SkeletonX (arXiv:2504.11749), github zzysteve/SkeletonX: limited scale",
    datasets=("ntu60", "ntu120"),
    split=limited,
    expected={"ntu60": (600, 16_487), "ntu120": (1200, 50_919)},
    Config=LimitedConfig,
    held_out="subject",
)
