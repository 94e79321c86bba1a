"""The numbers of a leaderboard, each in its place: a method under one measure of one benchmark."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from stars_bench import registry
from stars_bench.records.aggregate import Estimate
from stars_bench.records.paired.differences import Difference
from stars_bench.records.paired.hits import Hits
from stars_bench.records.published.numbers import Published
from stars_bench.records.record import REPLICATES, Record, Scalar
from stars_bench.records.store import StoredRecord

MAIN_METRIC = "top1"
CLUSTER_METRICS = ("nmi", "silhouette")
"""What a table shows of an evaluation that classifies nothing."""
GENERALIZED = ("seen", "unseen", "harmonic_mean")
"""What a table shows of generalised zero-shot recognition."""
BEST_ON_TEST = "top1_best_epoch_on_test"
"""What the official programs print: a maximum over epochs that has seen the test labels. Never in a column."""

PUBLISHED_PROFILES = ("mamp", "imported-mamp")
"""The cleaning that published numbers rest on; beside other data they would compare nothing."""

_Item = TypeVar("_Item")
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True)
class Benchmark:
    """What all numbers of one ranking share.

    Attributes:
        dataset: Its name.
        protocol: Its name.
        profile: How clips were cleaned.
        validation: The part of the training set that was measured instead of the test part; None: the test part.
    """

    dataset: str
    protocol: str
    profile: str
    validation: str | None = None

    @classmethod
    def of(cls, record: Record) -> Benchmark:
        """Return the benchmark that a record belongs to."""
        return cls(record.dataset.name, record.protocol.name, record.dataset.profile, record.protocol.validation)

    @property
    def name(self) -> str:
        """Dataset and protocol, which is enough where no other benchmark shares them."""
        return f"{self.dataset} {self.protocol}"

    @property
    def title(self) -> str:
        """Everything that tells it from other benchmarks."""
        part = f", validation part ({self.validation})" if self.validation is not None else ""
        return f"{self.name}, profile {self.profile}{part}"

    @property
    def order(self) -> tuple[object, ...]:
        """Sorts benchmarks as the registry does, those that have published numbers first."""
        other_profile = self.profile not in PUBLISHED_PROFILES
        place = by_registry("datasets")(self.dataset), by_registry("protocols")(self.protocol)
        return *place, other_profile, self.profile, self.validation or ""


@dataclass(frozen=True)
class Measure:
    """One metric of one variant of an evaluation.

    Attributes:
        evaluation: The evaluation's name.
        variant: The evaluation with its settings, as people write it: `k-NN k=1`.
        settings: Those of the variant.
        metric: The name of the metric that is shown.
        order: Sorts measures as the registry does.
    """

    evaluation: str
    variant: str
    settings: Mapping[str, Scalar]
    metric: str
    order: tuple[object, ...]

    @property
    def title(self) -> str:
        """What a column is called; two measures of one title are the same."""
        return self.variant if self.metric == MAIN_METRIC else f"{self.variant} {self.metric.replace('_', ' ')}"


@dataclass(frozen=True)
class Result:
    """One measured number, over its seeds.

    Attributes:
        benchmark: where it was measured.
        measure: what was measured.
        method: the method's name.
        label: tells the row from other rows of the same method.
        preset: the preset that the method was trained with.
        metrics: everything that was measured with it, by name.
        marks: why the number needs footnotes; those that the whole row shares come first.
        stored: the records that it comes from, one a seed (and list of clips).
        hits: which test clips each seed recognised; None where that cannot be read, or nothing is recognised.
        difference: to the baseline, where one was named and both were asked the same clips.
    """

    benchmark: Benchmark
    measure: Measure
    method: str
    label: str
    preset: str
    metrics: Mapping[str, Estimate]
    marks: tuple[str, ...]
    stored: tuple[StoredRecord, ...]
    hits: Hits | None = None
    difference: Difference | None = None

    @property
    def records(self) -> tuple[Record, ...]:
        """The records without their files."""
        return tuple(one.record for one in self.stored)

    def label_without(self, *, streams: bool, start: bool) -> str:
        """Return the label without what a column or group says already.

        Args:
            streams: Leave out the streams: `stars (bone, quick)` is `stars (quick)`.
            start: Leave out what the encoder started from: `stars (from ntu60 xsub)` is `stars`.
        """
        label = self.label
        for word in filter(None, self.records[0].origin.split(", ")):
            if start if word.startswith("from ") else streams:
                places = ((f"({word}, ", "("), (f" ({word})", ""), (f", {word}", ""))
                label = next((label.replace(old, new, 1) for old, new in places if old in label), label)
        return label

    @property
    def main(self) -> Estimate:
        """The number that tables show: the last epoch's top-1 accuracy, where the evaluation classifies."""
        return self.metrics[self.measure.metric]

    @property
    def seeds(self) -> int:
        """How many seeds were averaged, lists of labelled clips apart."""
        return len({record.seed for record in self.records})

    @property
    def value(self) -> float:
        """The mean over seeds."""
        return self.main.mean

    @property
    def decimals(self) -> int:
        """How many decimals are shown."""
        return 1 if self.main.unit == "%" else 2

    @property
    def is_fair(self) -> bool:
        """Whether no record has seen what it was tested on: other results are not ranked."""
        return not any(record.advantages for record in self.records)


@dataclass(frozen=True)
class PublishedResult:
    """One published number.

    Attributes:
        benchmark: Where the number stands.
        measure: The column that it stands in.
        number: The number, its source, and what other sources say.
        other_recipe: Whether it rests on another recipe than the measured numbers, or may do so. Default: False.
    """

    benchmark: Benchmark
    measure: Measure
    number: Published
    other_recipe: bool = False

    @property
    def method(self) -> str:
        """The method's published name, which is also its label."""
        return self.number.method

    label = method

    @property
    def value(self) -> float:
        """The number in percent."""
        return self.number.value


@dataclass(frozen=True)
class Results:
    """The numbers of a leaderboard.

    Attributes:
        measured: Benchmark by benchmark, row by row.
        published: Those that stand beside them, likewise.
        notes: By benchmark, in order, sentences that belong under its numbers.
    """

    measured: Sequence[Result]
    published: Sequence[PublishedResult]
    notes: Mapping[Benchmark, Sequence[str]]

    def where(self, benchmark: Benchmark | None = None, measure: str | None = None) -> Results:
        """Keep the numbers of one benchmark, or of the measures of one title."""

        def fits(result: Result | PublishedResult) -> bool:
            return benchmark in (None, result.benchmark) and measure in (None, result.measure.title)

        return Results([*filter(fits, self.measured)], [*filter(fits, self.published)], self.notes)


RECIPES = {"common": "common", "own": "own", "both": "common, own", None: "common"}
"""Whose recipe a record follows, as tables say it; `both` is the common one, which is the own one too."""
PUBLISHED_RECIPE = "own"
"""Published numbers rest on the recipe of their own paper."""


def recipes_of(results: Iterable[Result]) -> str:
    """Say whose recipe these numbers follow: `common`, `own`, `common, own`."""
    words = [RECIPES[record.method.recipe] for result in results for record in result.records]
    return ", ".join(dict.fromkeys(part for word in words for part in word.split(", ")))


def shown_metrics(record: Record) -> tuple[str, ...]:
    """Name the metrics of a record that have a column."""
    names = [metric.name for metric in record.metrics]
    if GENERALIZED[-1] in names:
        return GENERALIZED
    return (MAIN_METRIC,) if MAIN_METRIC in names else tuple(name for name in CLUSTER_METRICS if name in names)


def measures(records: Iterable[Record]) -> list[Measure]:
    """List what these records measured, in the registry's order."""
    order = by_registry("evaluations")
    variants = {record.evaluation.title: record for record in records}
    found = [
        Measure(
            evaluation=record.evaluation.name,
            variant=variant,
            settings={key: value for key, value in record.evaluation.settings.items() if key not in REPLICATES},
            metric=metric,
            order=(order(record.evaluation.name), record.evaluation.order, place),
        )
        for variant, record in variants.items()
        for place, metric in enumerate(shown_metrics(record))
    ]
    return sorted(found, key=lambda measure: measure.order)


def by_registry(kind: str) -> Callable[[str], tuple[int, str]]:
    """Make a sort key: registered names in their order, then the others by name."""
    places = {name: place for place, name in enumerate(registry.names(kind))}
    return lambda name: (places.get(name, len(places)), name)


def group_by(items: Iterable[_Item], key: Callable[[_Item], _Key]) -> dict[_Key, list[_Item]]:
    """Collect items under their key, in the order of their first appearance."""
    groups: dict[_Key, list[_Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups
