"""Published numbers: published.csv in the words of this package, and the ones that stand beside a measured number.

published.csv holds what papers, repositories and reviews print, with every place where it was read; `row.py`
says what a row is. Sources contradict each other: of several numbers for one method the best source's is taken, the
authors' own before quoted ones, and the others stay visible as `others`.

Rows of tasks and datasets that this package does not measure are kept with their task and stand beside nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import pandas as pd
from pydantic import ValidationError

from stars_bench.errors import StarsBenchError, of_validation
from stars_bench.records.name_patterns import by_patterns
from stars_bench.records.published.row import KINDS, Kind, PublishedRow
from stars_bench.records.record import Scalar

DATASETS = {"NTU60": "ntu60", "NTU120": "ntu120", "PKU-MMD I": "pku1", "PKU-MMD II": "pku2"}
PROTOCOLS = {"xsub": "xsub", "xview": "xview", "xset": "xset"} | {
    f"{split} (SynSE/PURLS split)": f"zeroshot-{split.replace('/', '-')}"
    for split in ("55/5", "48/12", "40/20", "30/30", "110/10", "96/24", "80/40", "60/60")
}
NOVEL_CLASSES = {
    "NTU120 (60 classes not in NTU60)": ("ntu120", "unseen"),
    "NTU120 (20 novel)": ("ntu120", "oneshot"),
    "NTU60 (10 novel)": ("ntu60", "oneshot"),
    "PKU-MMD II (novel)": ("pku2", "oneshot-pku2"),
}
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
    "oneshot": "exemplar",
}
"""Evaluations of this package by those of the file; others keep their name, and nothing is measured by it."""
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
        kind: Who prints it: "paper" and "authors" (their repository or page) are first-hand, "third-party" quotes.
        table: Number of the table that it stands in; empty where it is not known.
        task: What is asked of the method, such as "recognition".
        sources: Where it was read, the best place first.
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
    kind: Kind
    table: str
    task: str
    sources: tuple[str, ...]
    others: tuple[Published, ...] = ()

    @property
    def is_first_hand(self) -> bool:
        """Whether the method's authors print it."""
        return self.kind != "third-party"

    @property
    def conflicts(self) -> tuple[Published, ...]:
        """Those of `others` whose number is another one, not the same one rounded differently."""
        return tuple(other for other in self.others if abs(other.value - self.value) > _AGREES + 1e-9)


@cache
def published_numbers() -> tuple[Published, ...]:
    """Return every row of published.csv, in its order; none is left out."""
    return tuple(map(_translate, published_rows()))


def published_rows() -> list[PublishedRow]:
    """Return every row of published.csv as it stands there.

    Raises:
        StarsBenchError: A row is none, or says what another one says.
    """
    with files("stars_bench.records.published").joinpath("published.csv").open(encoding="utf-8") as file:
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    return checked_rows(frame)


def checked_rows(frame: pd.DataFrame) -> list[PublishedRow]:
    """Check published numbers.

    Args:
        frame: One row a number, with the columns of `PublishedRow`, as text.

    Raises:
        StarsBenchError: A row is none, or says what another one says; with its line.
    """
    rows: dict[tuple[object, ...], PublishedRow] = {}
    for line, cells in enumerate(frame.to_dict("records"), 2):
        try:
            row = PublishedRow.model_validate(cells)
        except ValidationError as error:
            raise StarsBenchError(of_validation(error, f"published.csv line {line}")) from None
        if row.key in rows:
            raise StarsBenchError(f"published.csv line {line}: repeats a row; put its source behind the other's")
        rows[row.key] = row
    return list(rows.values())


def published_for(
    dataset: str,
    protocol: str,
    evaluation: str,
    settings: Mapping[str, Scalar],
    methods: Collection[str] | None = None,
    *,
    streams: str | None = JOINTS,
    metric: str = "top1",
) -> list[Published]:
    """Return the numbers for one measurement, one per method (and streams), oldest first.

    Args:
        dataset: Name of the dataset.
        protocol: Name of the protocol.
        evaluation: Name of the evaluation, such as "knn".
        settings: Its variant, such as {"k": 1}.
        methods: Only these, in any spelling ("mamp" finds MAMP and its released checkpoints, "stgcn" ST-GCN). Default:
            None, all.
        streams: Only of these streams; None: of any. Default: of joints alone.
        metric: Name of the metric. Default: top1.
    """
    wanted = None if methods is None else {spelled(method) for method in methods}
    by_method: dict[tuple[str, str], list[Published]] = {}
    for row in published_numbers():
        measured = row.dataset, row.protocol, row.evaluation, row.settings, row.metric
        same = measured == (dataset, protocol, evaluation, dict(settings), metric) and streams in (None, row.streams)
        if same and (wanted is None or spelled(row.method) in wanted):
            by_method.setdefault((row.method, row.streams), []).append(row)
    best = [_best(rows) for rows in by_method.values()]
    return sorted(best, key=lambda row: (row.year or 9999, row.method.casefold()))


def spelled(method: str) -> str:
    """Return a method's name without case, spaces and hyphens: papers and this package spell them differently."""
    return re.sub(r"[\s-]", "", method.casefold())


def matching(patterns: str) -> set[str]:
    """Return names of published methods that match one of several patterns (`MAMP,*CLR`, in any case).

    Raises:
        UsageError: A pattern that fits none.
    """
    names = {row.method for row in published_numbers()}
    return set(by_patterns(names, patterns, "--published", "published methods"))


def _best(rows: list[Published]) -> Published:
    """Return the authors' own number before quoted ones, the plain name before re-runs by others, else the first."""
    ranked = sorted(rows, key=lambda row: (not row.is_first_hand, row.stated_as != row.method, KINDS.index(row.kind)))
    year = next((row.year for row in ranked if row.year is not None), None)
    return replace(ranked[0], year=year, others=tuple(ranked[1:]))


def _translate(row: PublishedRow) -> Published:
    protocols = DATASETS.get(row.dataset, row.dataset), PROTOCOLS.get(row.protocol, row.protocol)
    dataset, protocol = NOVEL_CLASSES.get(row.dataset, protocols)
    return Published(
        method=_PROVENANCE.sub("", row.method),
        stated_as=row.method,
        year=row.year,
        backbone=row.backbone,
        streams=row.streams,
        dataset=dataset,
        protocol=protocol,
        evaluation=EVALUATIONS.get(row.eval, row.eval),
        settings=_settings(row.eval, row.k_or_percent, row.pretrain_dataset),
        metric=row.metric,
        value=row.value,
        kind=row.kind,
        table=row.table,
        task=row.task,
        sources=row.source,
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
    # Seen classes are by definition what a zero-shot protocol trains on.
    if evaluation == "fewshot_60novel" or pretrained_on in ("same", "none") or pretrained_on.endswith(" seen classes"):
        return settings
    if evaluation in ("oneshot_official", "oneshot") and (classes := re.search(r"(\d+) classes", pretrained_on)):
        return settings | {"auxiliary_classes": int(classes[1])}
    return settings | {"from": DATASETS.get(pretrained_on.removesuffix(" xsub"), pretrained_on)}
