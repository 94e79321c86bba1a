"""The published numbers that stand beside the measured ones of a benchmark."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Literal

from stars_bench import registry
from stars_bench.records.published.numbers import Published, matching, published_for, published_numbers, spelled
from stars_bench.records.record import Scalar
from stars_bench.report.results.result import (
    MAIN_METRIC,
    PUBLISHED_PROFILES,
    Benchmark,
    Measure,
    PublishedResult,
    Results,
    group_by,
)

PUBLISHED_AS = {"classifier": "supervised"}
"""Evaluations that published tables call otherwise."""
TRANSFER_AS = {"finetune": "transfer", "linear": "transfer-linear"}
"""What published tables call an evaluation of an encoder that was trained on another dataset."""

OWN, ALL, NONE = "own", "all", "none"
"""Choices of published rows that are no patterns of names."""

Sources = Literal["first-hand", "all"]
"""Whose word counts: the authors' alone, or a second-hand one too where the authors' is not known."""
SECOND_HAND = "second-hand: another publication quotes it"
OTHER_RECIPE = (
    "published under the recipe of its own paper, which is not, or not known to be, that of the measured rows"
)
KIND_WORDS = {"paper": "paper", "authors": "authors' repository", "third-party": "second-hand"}


def published_beside(
    benchmark: Benchmark,
    measures: Iterable[Measure],
    choice: str,
    methods: Collection[str],
    own: Collection[str] = (),
) -> list[PublishedResult]:
    """Find the published numbers of the same dataset, protocol, evaluation and settings, row by row, oldest first.

    Args:
        benchmark: What was measured.
        measures: The columns.
        choice: "own", "all", "none", or patterns of names.
        methods: Names of the measured methods, which "own" means.
        own: Those that were measured under the recipe of their own paper. Default: none.
    """
    if choice == NONE or benchmark.validation is not None:
        return []
    wanted = methods if choice == OWN else None if choice == ALL else matching(choice)
    by_own_recipe = {spelled(method) for method in own}
    has_common = benchmark.profile in PUBLISHED_PROFILES

    def beside(measure: Measure, number: Published) -> PublishedResult | None:
        """Put a number beside the measured ones where its recipe is theirs; marked where only the data are."""
        alike = spelled(number.method) in by_own_recipe or (has_common and _is_common(number.method))
        return PublishedResult(benchmark, measure, number, not alike) if alike or has_common else None

    found = [
        result
        for measure in measures
        if measure.metric == MAIN_METRIC
        for number in published_for(benchmark.dataset, benchmark.protocol, *_as_published(benchmark, measure), wanted)
        if (result := beside(measure, number)) is not None
    ]
    rows = group_by(found, lambda result: result.method)

    def order(method: str) -> tuple[int, str]:
        return min(result.number.year or 9999 for result in rows[method]), method.casefold()

    return [result for method in sorted(rows, key=order) for result in rows[method]]


@cache
def _is_common(method: str) -> bool:
    """Return whether the recipe of a published method's own paper is the common one, as its class here says."""
    named = [name for name in registry.names("methods") if spelled(name) == spelled(method)]
    return any((recipe := registry.fact("methods", name, "recipe")) is not None and recipe.is_common for name in named)


def from_sources(results: Results, sources: Sources) -> Results:
    """Keep the published numbers of these sources.

    Args:
        results: Measured and published numbers.
        sources: "first-hand" drops what others quote; "all" drops nothing.
    """
    if sources == "all":
        return results
    kept = [one for one in results.published if one.number.is_first_hand]
    return replace(results, published=kept, left_out=[one for one in results.published if one not in kept])


def left_out_note(results: Results) -> list[str]:
    """Say how many second-hand numbers a table leaves out; nothing where there are none."""
    count = len(results.left_out)
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
    if "from" in measure.settings:
        name = TRANSFER_AS.get(name, name)
    one_shot = benchmark.protocol == "oneshot" and name == "exemplar"
    return name, {"auxiliary_classes": 100} if one_shot else measure.settings
