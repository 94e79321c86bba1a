"""Published numbers: published.csv in the words of this package, and the ones that stand beside a measured number.

published.csv holds what papers, READMEs and reviews print, with the place where it was read. `direct`: the authors'
own page or paper; `secondary`: somebody else's table that quotes it. Sources contradict each other: of several numbers
for one method the best source's is taken and the others stay visible as `others`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Literal, cast

import pandas as pd

from stars_bench.records.name_patterns import by_patterns
from stars_bench.records.record import Scalar

DATASETS = {"NTU60": "ntu60", "NTU120": "ntu120", "PKU-MMD I": "pku1", "PKU-MMD II": "pku2"}
PROTOCOLS = {"xsub": "xsub", "xview": "xview", "xset": "xset"}
NOVEL_CLASSES = {"NTU120 (60 classes not in NTU60)": ("ntu120", "unseen"), "NTU120 (20 novel)": ("ntu120", "oneshot")}
"""Names of datasets that are in truth protocols (METHOD.md, evaluations `unseen` and `oneshot`)."""

EVALUATIONS = {
    "linear": "linear",
    "finetune": "finetune",
    "semi": "semi",
    "knn": "knn",
    "supervised": "supervised",
    "transfer_finetune": "transfer",
    "transfer_linear": "transfer-linear",
    "fewshot_60novel": "knn",
    "oneshot_official": "exemplar",
}
JOINTS = "J"
"""The streams of a result from joints alone; sums over several streams are no competitors of one model."""

_PROVENANCE = re.compile(r" \((released|re-run|re-trained|log\b).*\)$")
_AGREES = 0.05  # sources that round to one decimal may differ by this much


@dataclass(frozen=True)
class Published:
    """One published number, in percent.

    Args:
        method: Name of the method.
        stated_as: Name as the source prints it.
        year: Year of the publication.
        backbone: Network of the method.
        streams: Input streams.
        dataset: Name of the dataset.
        protocol: Name of the protocol.
        evaluation: Name of the evaluation.
        settings: Variant of the evaluation.
        metric: Name of the metric.
        value: The number, in percent.
        source: Where it was read.
        confidence: "direct" for the authors' own page or paper, "secondary" for another's table.
        others: Numbers of other sources for the same method and measurement. Default: none.
    """

    method: str
    stated_as: str  # the method as the source names it, e.g. "MAMP (released checkpoints)"
    year: int | None
    backbone: str
    streams: str
    dataset: str
    protocol: str
    evaluation: str
    settings: Mapping[str, Scalar]
    metric: str
    value: float
    source: str
    confidence: Literal["direct", "secondary"]
    others: tuple[Published, ...] = ()

    @property
    def conflicts(self) -> tuple[Published, ...]:
        """Those of `others` whose number is another one, not the same one rounded differently."""
        return tuple(other for other in self.others if abs(other.value - self.value) > _AGREES + 1e-9)


@cache
def published_numbers() -> tuple[Published, ...]:
    """Return every row of published.csv, in its order; none is left out."""
    with files("stars_bench.records").joinpath("published.csv").open(encoding="utf-8") as file:
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    return tuple(_translate({str(name): str(cell) for name, cell in row.items()}) for row in frame.to_dict("records"))


def published_for(
    dataset: str,
    protocol: str,
    evaluation: str,
    settings: Mapping[str, Scalar],
    methods: Collection[str] | None = None,
) -> list[Published]:
    """Return the joint-stream numbers for one measurement, one per method, oldest first.

    Args:
        dataset: Name of the dataset.
        protocol: Name of the protocol.
        evaluation: Name of the evaluation, such as "knn".
        settings: Its variant, such as {"k": 1}.
        methods: Only these, in any case ("mamp" finds MAMP and its released checkpoints). Default: None, all.
    """
    wanted = None if methods is None else {method.casefold() for method in methods}
    by_method: dict[str, list[Published]] = {}
    for row in published_numbers():
        measured = row.dataset, row.protocol, row.evaluation, row.settings, row.streams
        same = measured == (dataset, protocol, evaluation, dict(settings), JOINTS)
        if same and (wanted is None or row.method.casefold() in wanted):
            by_method.setdefault(row.method, []).append(row)
    best = [_best(rows) for rows in by_method.values()]
    return sorted(best, key=lambda row: (row.year or 9999, row.method.casefold()))


def matching(patterns: str) -> set[str]:
    """Return names of published methods that match one of several patterns (`MAMP,*CLR`, in any case).

    Raises:
        UsageError: A pattern that fits none.
    """
    names = {row.method for row in published_numbers()}
    return set(by_patterns(names, patterns, "--published", "published methods"))


def _best(rows: list[Published]) -> Published:
    """Return the authors' own number before quoted ones, the plain name before re-runs by others, else the first."""
    ranked = sorted(rows, key=lambda row: (row.confidence != "direct", row.stated_as != row.method))
    year = next((row.year for row in ranked if row.year is not None), None)
    return replace(ranked[0], year=year, others=tuple(ranked[1:]))


def _translate(row: Mapping[str, str]) -> Published:
    name = row["dataset"]
    dataset, protocol = NOVEL_CLASSES.get(name) or (DATASETS[name], PROTOCOLS[row["protocol"]])
    return Published(
        method=_PROVENANCE.sub("", row["method"]),
        stated_as=row["method"],
        year=int(float(row["year"])) if row["year"] else None,
        backbone=row["backbone"],
        streams=row["streams"],
        dataset=dataset,
        protocol=protocol,
        evaluation=EVALUATIONS[row["eval"]],
        settings=_settings(row["eval"], row["k_or_percent"], row["pretrain_dataset"]),
        metric=row["metric"],
        value=float(row["value"]),
        source=row["source"],
        confidence=cast(Literal["direct", "secondary"], row["confidence"]),
    )


def _settings(evaluation: str, number: str, pretrained_on: str) -> dict[str, Scalar]:
    """Return the variant of an evaluation.

    An encoder that was trained on other data than the protocol's is a variant too, so that it matches nothing that was
    measured under the protocol's own rule.
    """
    settings: dict[str, Scalar] = {}
    if evaluation == "semi":
        settings["percent"] = int(number.removesuffix("%"))
    elif evaluation in ("knn", "fewshot_60novel") and number:  # a source that does not state its k matches no k
        settings["k"] = int(number)
    # The 60 novel classes are by definition met with an encoder from NTU-60.
    if evaluation == "fewshot_60novel" or pretrained_on in ("same", "none"):
        return settings
    if evaluation == "oneshot_official" and (classes := re.search(r"(\d+) classes", pretrained_on)):
        return settings | {"auxiliary_classes": int(classes[1])}
    return settings | {"from": DATASETS.get(pretrained_on.removesuffix(" xsub"), pretrained_on)}
