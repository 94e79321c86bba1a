"""FineGYM-99: poses of gymnasts in pictures, pyskl's gym_hrnet.pkl (boxes by hand, one person a clip).

Results of the field are the mean over classes of the recall, not the share of clips (github kennymckormick/pyskl). The
pickle's lists `train` and `val` are the protocol `official`.
"""

from __future__ import annotations

from stars_bench.api import Citation, DatasetSpec, NameFacts
from stars_bench.datasets.ntu import class_names
from stars_bench.datasets.pickled import pickled


def read_name(name: str) -> NameFacts:
    """Return the name alone: it says a video and a time in it, and no class."""
    return NameFacts(name)


GYM99 = DatasetSpec(
    **pickled("gym99", "gym", "gym_hrnet.pkl"),
    title="FineGYM-99",
    classes=class_names("gym99_actions.txt"),
    expected_clips=None,
    licence="the terms of the videos and of the annotations (https://sdolivia.github.io/FineGym): research",
    citation=Citation(
        "shao2020finegym",
        "FineGym: A Hierarchical Video Dataset for Fine-Grained Action Understanding",
        authors="Shao, Dian and Zhao, Yue and Dai, Bo and Lin, Dahua",
        venue="CVPR",
        year=2020,
        arxiv="2004.06704",
    ),
    read_name=read_name,
    ships_splits=True,
    protocols=("official",),
)
