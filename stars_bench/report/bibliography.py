"""What a report cites, as BibTeX: papers of methods, and the places where published numbers were read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from stars_bench.report.latex_escape import escape


class Paper(NamedTuple):
    """A paper: its key in the .bib file, authors as BibTeX writes them, and where it appeared."""

    key: str
    authors: str
    title: str
    venue: str
    year: int
    arxiv: str


STARS = Paper(
    "mehraban2024stars",
    "Mehraban, Soroush and Rajabi, Mohammad Javad and Iaboni, Andrea and Taati, Babak",
    "STARS: Self-supervised Tuning for 3D Action Recognition in Skeleton Sequences",
    "arXiv preprint",
    2024,
    "2407.10935",
)
MAMP = Paper(
    "mao2023mamp",
    "Mao, Yunyao and Deng, Jiajun and Zhou, Wengang and Fang, Yao and Ouyang, Wanli and Li, Houqiang",
    "Masked Motion Predictors are Strong 3D Action Representation Learners",
    "ICCV",
    2023,
    "2308.07092",
)
NNCLR = Paper(
    "dwibedi2021nnclr",
    "Dwibedi, Debidatta and Aytar, Yusuf and Tompson, Jonathan and Sermanet, Pierre and Zisserman, Andrew",
    "With a Little Help from My Friends: Nearest-Neighbor Contrastive Learning of Visual Representations",
    "ICCV",
    2021,
    "2104.14548",
)
MAE = Paper(
    "he2022mae",
    "He, Kaiming and Chen, Xinlei and Xie, Saining and Li, Yanghao and Doll{\\'a}r, Piotr and Girshick, Ross",
    "Masked Autoencoders Are Scalable Vision Learners",
    "CVPR",
    2022,
    "2111.06377",
)
CROSSCLR = Paper(
    "li2021crossclr",
    "Li, Linguo and Wang, Minsi and Ni, Bingbing and Wang, Hang and Yang, Jiancheng and Zhang, Wenjun",
    "3D Human Action Representation Learning via Cross-View Consistency Pursuit",
    "CVPR",
    2021,
    "2104.14466",
)
AIMCLR = Paper(
    "guo2022aimclr",
    "Guo, Tianyu and Liu, Hong and Chen, Zhan and Liu, Mengyuan and Wang, Tao and Ding, Runwei",
    "Contrastive Learning from Extremely Augmented Skeleton Sequences for Self-supervised Action Recognition",
    "AAAI",
    2022,
    "2112.03590",
)
STGCN = Paper(
    "yan2018stgcn",
    "Yan, Sijie and Xiong, Yuanjun and Lin, Dahua",
    "Spatial Temporal Graph Convolutional Networks for Skeleton-Based Action Recognition",
    "AAAI",
    2018,
    "1801.07455",
)
PAPERS = {
    "stars": (STARS,),
    "stars-3stage": (STARS,),
    "stars+flip": (STARS,),
    "moco-tuning": (STARS,),
    "dino-tuning": (STARS,),
    "mamp": (MAMP,),
    "mamp+nnclr": (MAMP, NNCLR),
    "nnclr-scratch": (NNCLR,),
    "mae": (MAE, MAMP),
    "skeletonclr": (CROSSCLR,),
    "crossclr": (CROSSCLR,),
    "aimclr": (AIMCLR,),
    "stgcn": (STGCN,),
    "st-gcn": (STGCN,),
}
"""By name of a method, as this package or published tables write it, in lower case."""


@dataclass
class Bibliography:
    """Entries in the order in which they are first cited, by key."""

    entries: dict[str, str] = field(default_factory=dict)

    def cite_method(self, name: str) -> list[str]:
        """Keys of a method's papers; none where they are not known here (a plug-in's)."""
        papers = PAPERS.get(name.casefold(), ())
        for paper in papers:
            self.entries.setdefault(paper.key, _article(paper))
        return [paper.key for paper in papers]

    def cite_source(self, source: str) -> str:
        """Key of the place where a number was read, e.g. `github:TaatiTeam/STARS/README.md`."""
        stem = re.sub(r"[^A-Za-z0-9]+", "-", source.removeprefix("github:")).strip("-")[:48].strip("-") or "source"
        key, number = stem, 1
        while (entry := _source(key, source)) != self.entries.setdefault(key, entry):
            number += 1
            key = f"{stem}-{number}"
        return key

    @property
    def text(self) -> str:
        """The .bib file."""
        return "\n".join(self.entries.values())


def _article(paper: Paper) -> str:
    fields = {
        "author": paper.authors,
        "title": f"{{{paper.title}}}",
        "booktitle" if paper.venue.isupper() else "journal": paper.venue,
        "year": str(paper.year),
        "note": f"arXiv:{paper.arxiv}",
    }
    return _entry("inproceedings" if paper.venue.isupper() else "article", paper.key, fields)


def _source(key: str, source: str) -> str:
    where = source.removeprefix("github:")
    told = f"github.com/{where}" if where != source else source
    return _entry("misc", key, {"key": key, "title": "{Results}", "howpublished": escape(told, breakable=True)})


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines}}}\n"
