"""NTU RGB+D 60 and 120 as poses in pictures: pyskl's ntu60_hrnet.pkl and ntu120_hrnet.pkl.

The same clips, names and rules as in three dimensions (`datasets/ntu.py`): the same 302 clips of NTU RGB+D 60 are
missing. Of NTU RGB+D 120 no count is stated here.
"""

from __future__ import annotations

from functools import partial

from stars_bench.api import DatasetSpec
from stars_bench.datasets.ntu import (
    CITATION_60,
    CITATION_120,
    LICENCE,
    NTU60_CLASSES,
    NTU120_CLASSES,
    class_names,
    expected_names,
    read_name,
)
from stars_bench.datasets.pickled import pickled

NTU60_2D = DatasetSpec(
    **pickled("ntu60-2d", "nturgbd", "ntu60_hrnet.pkl"),
    title="NTU RGB+D, 2D",
    classes=class_names("ntu_actions.txt")[:NTU60_CLASSES],
    expected_clips=56_578,
    licence=LICENCE,
    citation=CITATION_60,
    expected_names=partial(expected_names, "ntu60"),
    read_name=read_name,
)
NTU120_2D = DatasetSpec(
    **pickled("ntu120-2d", "nturgbd", "ntu120_hrnet.pkl"),
    title="NTU RGB+D 120, 2D",
    classes=class_names("ntu_actions.txt")[:NTU120_CLASSES],
    expected_clips=None,
    licence=LICENCE,
    citation=CITATION_120,
    read_name=read_name,
)
