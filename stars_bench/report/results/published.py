"""The published numbers that stand beside the measured ones of a benchmark."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cache

from stars_bench import registry
from stars_bench.records.published.numbers import (
    JOINTS,
    Published,
    matching,
    published_for,
    published_numbers,
    spelled,
)
from stars_bench.records.record import EvaluationPart, Scalar
from stars_bench.report.results.result import (
    PUBLISHED_PROFILES,
    Benchmark,
    Measure,
    PublishedResult,
    by_registry,
    group_by,
)

PUBLISHED_AS = {"classifier": "supervised"}
"""Evaluations that published tables call otherwise."""
TRANSFER_AS = {"finetune": "transfer", "linear": "transfer-linear"}
"""What published tables call an evaluation of an encoder that was trained on another dataset."""

RETRIEVAL = "retrieval"
"""What papers call k-NN with k = 1."""
MEASURED_AS = {theirs: ours for ours, theirs in (*PUBLISHED_AS.items(), *TRANSFER_AS.items())}
"""The other way round."""

OWN, ALL, NONE = "own", "all", "none"
"""Choices of published rows that are no patterns of names."""
SECOND_HAND = "second-hand: another publication quotes it"
OTHER_RECIPE = (
    "published under the recipe of its own paper, which is not, or not known to be, that of the measured rows"
)
KIND_WORDS = {"paper": "paper", "authors": "authors' repository", "third-party": "second-hand"}


def wanted_methods(choice: str, measured: Collection[str], named: Collection[str] = ()) -> set[str] | None:
    """Return the names of the published methods that a choice means; None: all.

    Args:
        choice: "own", "all", "none", or patterns of names.
        measured: Names of the measured methods, which "own" means.
        named: Methods that are wanted whatever the choice. Default: none.

    Raises:
        UsageError: A pattern that no published method has.
    """
    if choice == ALL:
        return None
    chosen = measured if choice == OWN else () if choice == NONE else matching(choice)
    return {*chosen, *named}


def published_beside(
    benchmark: Benchmark,
    measures: Iterable[Measure],
    wanted: Collection[str] | None,
    own: Collection[str] = (),
    streams: str | None = JOINTS,
) -> list[PublishedResult]:
    """Find the published numbers of the same dataset, protocol, evaluation and settings, row by row, oldest first.

    Args:
        benchmark: What was measured.
        measures: The columns.
        wanted: Names of methods; None: all.
        own: Those that were measured under the recipe of their own paper. Default: none.
        streams: Those of these streams; None: of any. Default: of joints alone.
    """
    if (wanted is not None and not wanted) or benchmark.validation is not None:
        return []
    by_own_recipe = {spelled(method) for method in own}
    has_common = benchmark.profile in PUBLISHED_PROFILES

    def beside(measure: Measure, number: Published) -> PublishedResult | None:
        """Put a number beside the measured ones where its recipe is theirs; marked where only the data are."""
        alike = spelled(number.method) in by_own_recipe or (has_common and _is_common(number.method))
        return PublishedResult(benchmark, measure, number, not alike) if alike or has_common else None

    found = [
        result
        for measure in measures
        for number in published_for(
            benchmark.dataset,
            benchmark.protocol,
            *_as_published(benchmark, measure),
            wanted,
            streams=streams,
            metric=measure.metric,
        )
        if (result := beside(measure, number)) is not None
    ]
    rows = group_by(found, lambda result: result.method)

    def order(method: str) -> tuple[int, str]:
        return min(result.number.year or 9999 for result in rows[method]), method.casefold()

    return [result for method in sorted(rows, key=order) for result in rows[method]]


def published_measures(dataset: str, protocol: str) -> list[Measure]:
    """List what published numbers of a dataset and protocol measure, in the words of this package.

    Args:
        dataset: Name of the dataset.
        protocol: Name of the protocol.
    """
    order = by_registry("evaluations")
    found: dict[str, Measure] = {}
    for number in published_numbers():
        if (number.dataset, number.protocol) == (dataset, protocol):
            name, settings = _as_measured(number)
            part = EvaluationPart(name=name, config={}, settings=settings)
            measure = Measure(name, part.title, settings, number.metric, (order(name), part.order, 0))
            found.setdefault(measure.title, measure)
    return list(found.values())


@cache
def _is_common(method: str) -> bool:
    """Return whether the recipe of a published method's own paper is the common one, as its class here says."""
    named = [name for name in registry.names("methods") if spelled(name) == spelled(method)]
    return any((recipe := registry.fact("methods", name, "recipe")) is not None and recipe.is_common for name in named)


def left_out_note(count: int) -> list[str]:
    """Say how many second-hand numbers a table leaves out; nothing where there are none."""
    numbers = "number" if count == 1 else "numbers"
    return [f"Left out: {count} second-hand published {numbers} (--sources all prints them)."] if count else []


def why_none(benchmark: Benchmark, choice: str) -> str:
    """Say why no published number stands beside the measured ones."""
    if benchmark.validation is not None:
        return "Published numbers are over the test part: none stand beside a validation part."
    if benchmark.profile not in PUBLISHED_PROFILES and any(
        number.dataset == benchmark.dataset for number in published_numbers()
    ):
        return (
            f"Published numbers rest on profile {PUBLISHED_PROFILES[0]}, or on the recipe of their own paper: none "
            f"stand beside {benchmark.profile}."
        )
    whose = {ALL: "", OWN: " of these methods"}.get(choice, f" of {choice}")
    return f"No published numbers{whose} for {benchmark.name} with these evaluations."


def sources(numbers: Mapping[str, Published]) -> str:
    """Say where the numbers of a row were read, and what other sources say: one sentence per different source.

    Args:
        numbers: By the title of their column.
    """
    by_source = group_by(numbers, lambda title: _source(numbers[title]))
    if len(by_source) == 1:
        return next(iter(by_source))
    return ". ".join(f"{', '.join(titles)}: {source}" for source, titles in by_source.items())


def _source(number: Published) -> str:
    origin = f"{KIND_WORDS[number.kind]}, {', '.join(number.sources)}"
    if not number.conflicts:
        return origin
    others = "; ".join(f"{other.value:g} as {stated(other, number)} ({other.sources[0]})" for other in number.conflicts)
    return f"{origin}; other sources say {others}"


def stated(other: Published, number: Published) -> str:
    """Name another number for the same measurement: as its source does, with its network where that differs."""
    differs = other.backbone and number.backbone and other.backbone != number.backbone
    return f"{other.stated_as}, {other.backbone}" if differs else other.stated_as


def _as_published(benchmark: Benchmark, measure: Measure) -> tuple[str, Mapping[str, Scalar]]:
    """Return an evaluation and its settings in the words of the published table."""
    name = PUBLISHED_AS.get(measure.evaluation, measure.evaluation)
    if name == RETRIEVAL:
        return "knn", {"k": 1}
    if "from" in measure.settings:
        name = TRANSFER_AS.get(name, name)
    one_shot = benchmark.protocol == "oneshot" and name == "exemplar"
    return name, {"auxiliary_classes": 100} if one_shot else measure.settings


def _as_measured(number: Published) -> tuple[str, dict[str, Scalar]]:
    """Return the evaluation of a published number, and its settings, in the words of this package."""
    settings = dict(number.settings)
    if number.protocol == "oneshot" and settings.get("auxiliary_classes") == 100:
        del settings["auxiliary_classes"]
    return MEASURED_AS.get(number.evaluation, number.evaluation), settings
