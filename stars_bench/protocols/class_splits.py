"""Protocols of published class splits, each a file lists/NAME.toml: zero-shot, few-shot and one-shot.

`stars_bench.protocols.class_splits:NAME` is the protocol of lists/NAME.toml. Its numbers of classes begin at 1. A list
is compared with its line in lists/SHA256SUMS when it is read (`sha256sum *.toml > SHA256SUMS` writes that file).
Cross-subject is the usual way to divide the clips; STAR and others divide NTU by camera and setup, too (`divided_by`).
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from stars_bench.api import ProtocolSpec, Split
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.protocols.standard import cross_setup, cross_subject, cross_view, own_split

FOLDER = Path(__file__).parent / "lists"
DIVIDED: dict[str, Callable[[pd.DataFrame], Split]] = {"xsub": cross_subject, "xview": cross_view, "xset": cross_setup}


class ClassList(BaseModel):
    """A class split as its file states it; numbers of classes begin at 1.

    Attributes:
        task: zero-shot, few-shot or one-shot.
        title: Name in print.
        source: The paper or program that publishes it.
        datasets: Names of the datasets.
        novel: The classes that training never sees: numbers and names.
        validation: Classes in their stead while settings are chosen.
        base: The classes to train on. Default: all that are not novel, validation or excluded.
        excluded: Classes in no part.
        exemplars: One labelled clip of each novel class, by its number (one-shot).
        occurring: Classes are numbered among those that occur in the dataset, and there are so many of them; an
            exemplar VIDEO_k is then the k-th clip of a video. Default: None, numbers and names are the dataset's.
        expected: Training, test and bank clips of the complete dataset.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Literal["zero-shot", "few-shot", "one-shot"]
    title: str
    source: str
    datasets: tuple[str, ...]
    novel: dict[PositiveInt, str] = {}
    validation: dict[PositiveInt, str] = {}
    base: dict[PositiveInt, str] = {}
    excluded: dict[PositiveInt, str] = {}
    exemplars: dict[PositiveInt, str] = {}
    occurring: int | None = None
    expected: dict[str, tuple[int, ...]] = {}

    def tested(self, part: str) -> dict[PositiveInt, str]:
        """Return the classes that are tested under a setting `part`.

        Raises:
            UsageError: There are no validation classes.
        """
        if part == "validation" and not self.validation:
            raise UsageError(f"part=validation: {self.title} has no published validation classes: leave it out")
        return self.validation if part == "validation" else self.novel


class ZeroShotConfig(BaseModel):
    """Settings of a zero-shot split.

    Args:
        part: "test", or "validation" to choose settings: the published validation classes are then unseen, and the
            unseen ones in no part. Default: test.
        divided_by: Which clips of the seen classes train: "xsub", "xview", "xset"; "own" is the dataset's first split,
            or x-sub. Default: own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    part: Literal["test", "validation"] = "test"
    divided_by: Literal["own", "xsub", "xview", "xset"] = "own"


class NovelConfig(ZeroShotConfig):
    """Settings of a few-shot split.

    Args:
        clips_per_class: So many clips of each class, drawn by a hash of their names; the others are in no part.
            Default: none, all.
    """

    clips_per_class: int | None = Field(None, ge=2)


def zero_shot(table: pd.DataFrame, config: ZeroShotConfig, classes: ClassList) -> Split:
    """Train on the training clips of seen classes; test on the test clips of seen and unseen classes."""
    split, unseen = _divided(table, config), _of(table, classes.tested(config.part))
    nowhere = _of(table, classes.novel) & ~unseen
    return Split(split.train[~(unseen | nowhere)[split.train]], split.test[~nowhere[split.test]])


def few_shot(table: pd.DataFrame, config: NovelConfig, classes: ClassList) -> Split:
    """Train on base classes; of novel classes the training part is the bank, the test part the queries."""
    split, novel = _divided(table, config), _of(table, classes.tested(config.part))
    kept = _drawn(table, config.clips_per_class)
    base = _of(table, classes.base) if classes.base else ~_of(table, {**classes.novel, **classes.validation})
    parts = (split.train, base), (split.test, novel), (split.train, novel)
    return Split(*(rows[(chosen & kept)[rows]] for rows, chosen in parts))


def one_shot(table: pd.DataFrame, classes: ClassList) -> Split:
    """Take one exemplar of each novel class as the bank, their other clips as queries; train on all other classes."""
    names, numbers = table["name"].to_numpy(dtype=str), table["label"].to_numpy() + 1
    if classes.occurring is not None:
        found = np.unique(numbers)
        if len(found) != classes.occurring:  # the list cannot be read then; `make_split` says that more is needed
            return Split(*(np.empty(0, np.int64) for _ in range(3)))
        names, numbers = _counted(table), np.searchsorted(found, numbers) + 1
    novel = np.isin(numbers, list(classes.exemplars))
    exemplar = np.array(
        [classes.exemplars.get(number) == name for number, name in zip(numbers.tolist(), names.tolist(), strict=True)],
        bool,
    )
    excluded = np.isin(numbers, list(classes.excluded))
    return Split(np.flatnonzero(~novel & ~excluded), np.flatnonzero(novel & ~exemplar), np.flatnonzero(exemplar))


RULES = {
    "zero-shot": "listed classes are unseen: the training clips of the others train, all test clips test",
    "few-shot": "base classes train; the training part of novel classes is the bank, their test part the queries",
    "one-shot": "listed exemplars are the bank, the other clips of their classes the queries, other classes train",
}


def protocol_of(name: str, classes: ClassList) -> ProtocolSpec:
    """Make the protocol of a class split.

    Args:
        name: Its name on the command line.
        classes: The split.
    """
    rules: dict[str, tuple[Callable[..., Split], type[BaseModel] | None, tuple[str, ...]]] = {
        "zero-shot": (zero_shot, ZeroShotConfig, ("zeroshot",)),
        "few-shot": (few_shot, NovelConfig, ("fewshot",)),
        "one-shot": (one_shot, None, ("exemplar",)),
    }
    split, config, evaluations = rules[classes.task]
    bank = {dataset: len(classes.exemplars) for dataset in classes.datasets if classes.exemplars}
    return ProtocolSpec(
        name=name,
        title=classes.title,
        rule=RULES[classes.task],
        source=classes.source,
        datasets=classes.datasets,
        split=partial(split, classes=classes),
        expected={dataset: (counts[0], counts[1]) for dataset, counts in classes.expected.items()},
        expected_bank=bank,
        evaluations=evaluations,
        Config=config,
    )


@cache
def class_list(name: str) -> ClassList:
    """Read lists/NAME.toml.

    Raises:
        StarsBenchError: It is not the file that was shipped.
    """
    content = (FOLDER / f"{name}.toml").read_bytes()
    if f"{hashlib.sha256(content).hexdigest()}  {name}.toml" not in (FOLDER / "SHA256SUMS").read_text().splitlines():
        raise StarsBenchError(f"{FOLDER / name}.toml: is not the list that was shipped: install stars-bench again")
    return ClassList.model_validate(tomllib.loads(content.decode()))


def __getattr__(name: str) -> Any:
    if not (FOLDER / f"{name}.toml").is_file():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return protocol_of(name, class_list(name))


def _divided(table: pd.DataFrame, config: ZeroShotConfig) -> Split:
    if config.divided_by == "own":
        return own_split(table) or cross_subject(table)
    return DIVIDED[config.divided_by](table)


def _of(table: pd.DataFrame, classes: Iterable[int]) -> NDArray[np.bool_]:
    """Return which clips (N,) are of classes, by number."""
    found: NDArray[np.bool_] = np.isin(table["label"].to_numpy() + 1, list(classes))
    return found


def _drawn(table: pd.DataFrame, clips_per_class: int | None) -> NDArray[np.bool_]:
    """Return which clips (N,) are among the first of their class, ranked by a hash of the name."""
    if clips_per_class is None:
        return np.ones(len(table), bool)
    hashed = table["name"].map(lambda name: hashlib.sha256(str(name).encode()).hexdigest())
    rank = hashed.groupby(table["label"]).rank(method="first")
    drawn: NDArray[np.bool_] = rank.to_numpy() <= clips_per_class
    return drawn


def _counted(table: pd.DataFrame) -> NDArray[np.str_]:
    """Return VIDEO_k of each clip, the k-th of its video, from 1, by the row number at the end of its name."""
    row = table["name"].str.rpartition("_")[2].astype(int)
    position = row.groupby(table["item"]).rank(method="first").astype(int)
    return (table["item"].astype(str) + "_" + position.astype(str)).to_numpy(dtype=str)
