"""What the name of a clip says: who, which camera, which setup; of NTU RGB+D and of PKU-MMD."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from stars_bench.datasets.parsing.ntu import parse_name
from stars_bench.datasets.pku_mmd import CAMERAS, VIDEO_1, VIDEO_2

if TYPE_CHECKING:
    import pandas as pd

VIDEOS = {"pku1": VIDEO_1, "pku2": VIDEO_2}


MOST_DIGITS = 9  # of the row of a label file


class Numbers(NamedTuple):
    """The metadata in a clip's name. `label` (0-based) is None where the name does not say it (PKU-MMD)."""

    item: str  # the raw file or video that the clip is of
    subject: int = 0
    camera: int = 0
    setup: int = 0
    replication: int = 0
    label: int | None = None


def numbers_of(dataset: str, name: str) -> Numbers:
    """The numbers in a name: `S001C002P003R002A013` of NTU and made-up data, `0002-L_7` or `A01N01-L_7` of PKU-MMD.

    Raises:
        ValueError: no name of this dataset.
    """
    if dataset not in VIDEOS:
        setup, camera, subject, replication, action = parse_name(name)
        return Numbers(name, subject, camera, setup, replication, action - 1)
    video, _, row = name.rpartition("_")
    match = VIDEOS[dataset].fullmatch(video)
    if match is None or not row.isdecimal() or len(row) > MOST_DIGITS:
        raise ValueError(f"{name!r} is no clip of {dataset} (VIDEO_ROW)")
    parts = match.groupdict()
    return Numbers(video, int(parts["subject"]), CAMERAS[parts["camera"]], 0, int(parts.get("replication", 0)))


def table_of(numbers: Mapping[str, Numbers]) -> pd.DataFrame:
    """A clip table of names alone: name, item, subject, camera, setup, replication, label."""
    import pandas as pd

    return pd.DataFrame(list(numbers.values()), columns=Numbers._fields).assign(name=list(numbers))
