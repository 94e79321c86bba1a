"""Splits that a dataset itself states: by lists that it ships, or by a rule of its own over subjects, classes, parts.

`official` is a dataset's one split, where it is none by person, camera or setup (Kinetics, FineGYM). The others are
those of datasets with several: the two lists of persons of UAV-Human (arXiv:2104.00946), the three subsets of classes
of MSR-Action3D (Li et al., CVPRW 2010), the folds of SBU Kinect Interaction (Yun et al., CVPRW 2012), the three splits
of UCF101 and HMDB51. Any other dataset that brings a split has it, too.
"""

from __future__ import annotations

from functools import partial

import pandas as pd

from stars_bench.api import ProtocolSpec, Split
from stars_bench.errors import StarsBenchError
from stars_bench.protocols.standard import official

SOURCE = "the dataset's own files or rule"


def stated(table: pd.DataFrame, protocol: str) -> Split:
    """Return the split that the dataset states.

    Raises:
        StarsBenchError: It states none of this name.
    """
    split = official(table, protocol)
    if split is None:
        raise StarsBenchError(f"the dataset states no split {protocol!r}")
    return split


def _spec(name: str, title: str, rule: str, *datasets: str, held_out: str | None = None) -> ProtocolSpec:
    split = partial(stated, protocol=name)
    return ProtocolSpec(name, title, rule, datasets, split, {}, source=SOURCE, held_out=held_out)


OFFICIAL = _spec(
    "official", "official", "the training and test part of the dataset's own lists", "gym99", "kinetics-skeleton"
)
XSUB_V1 = _spec(
    "xsub-v1", "cross-subject 1", "the first of two lists of training persons", "uav-human", held_out="subject"
)
XSUB_V2 = _spec(
    "xsub-v2", "cross-subject 2", "the second of two lists of training persons", "uav-human", held_out="subject"
)
AS1, AS2, AS3 = (
    _spec(
        f"as{number}", f"AS{number}", f"x-sub with the classes of subset AS{number}", "msr-action3d", held_out="subject"
    )
    for number in (1, 2, 3)
)
SPLIT1, SPLIT2, SPLIT3, SPLIT4, SPLIT5 = (
    _spec(
        f"split{number}", f"split {number}", f"the dataset's split (or fold) {number}; report the mean over all", "sbu"
    )
    for number in range(1, 6)
)
NAMES = ("official", "xsub-v1", "xsub-v2", "as1", "as2", "as3", *(f"split{number}" for number in range(1, 6)))
"""Names of these protocols, as registered."""
