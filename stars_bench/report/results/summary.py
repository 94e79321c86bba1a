"""What is said of the measured numbers of one table: its subtitle, and their best epochs on the test part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from stars_bench.records.published.numbers import spelled
from stars_bench.report.results.result import BEST_ON_TEST, MAIN_METRIC, PublishedResult, Result

Spread = Literal["deviation", "interval", "none"]
"""What stands behind a mean: the deviation over seeds, half the 95 % interval, or nothing."""


def summary(results: Sequence[Result], published: Sequence[PublishedResult] = (), spread: Spread = "deviation") -> str:
    """Say what the numbers are and over how many clips.

    Args:
        results: The measured numbers.
        published: Published ones, which are described where nothing is measured. Default: none.
        spread: What stands behind a number. Default: the deviation over seeds.
    """
    accuracies = [result for result in results if result.main.unit == "%"]
    if not results:
        return f"published {_metrics(published)} in %"
    if not accuracies:
        return "agreement of clusters with classes"
    several = any(result.main.n > 1 for result in results)
    validated = {result.benchmark.validation is not None for result in results}
    parts = " and ".join("validation" if validation else "test" for validation in sorted(validated))
    lists = any("percent" in result.measure.settings for result in results)
    seeds = "seeds and lists" if lists else "seeds"
    said = {
        "deviation": f", mean ± standard deviation over {seeds}" if several else "",
        "interval": f", {f'mean over {seeds} ' if several else ''}± half the 95 % interval",
        "none": f", mean over {seeds}" if several else "",
    }
    episodes = [result for result in accuracies if "ways" in result.measure.settings]
    clips = [result for result in accuracies if "ways" not in result.measure.settings]
    groups = ((clips, f"{parts} clips"), (episodes, "episodes"))
    counts = [f"{_counts(group)} {name}" for group, name in groups if group]
    return f"{_metrics(accuracies)} in %{said[spread]}; {', '.join(counts)}"


def _metrics(results: Sequence[Result] | Sequence[PublishedResult]) -> str:
    """Name the metrics of numbers; top-1 accuracy where there are none."""
    metrics = dict.fromkeys(result.measure.metric for result in results) or {MAIN_METRIC: None}
    return ", ".join("top-1 accuracy" if one == MAIN_METRIC else one.replace("_", " ") for one in metrics)


def best_on_test(results: Sequence[Result], published: Sequence[PublishedResult]) -> list[str]:
    """Return the measured counterpart of published maxima, where such a number stands in the same column."""
    claimed = {_claim(result) for result in published}
    found = [result for result in results if BEST_ON_TEST in result.metrics and _claim(result) in claimed]
    several = len({result.benchmark for result in results}) > 1
    numbers = [
        f"{result.label} {f'{result.benchmark.name} ' if several else ''}{result.measure.title} "
        f"{result.metrics[BEST_ON_TEST].mean:.1f}"
        for result in found
    ]
    if not numbers:
        return []
    return [
        "Measured numbers are the last epoch's. The official programs print the best epoch on the test part, "
        f"which here is: {'; '.join(numbers)}."
    ]


def _claim(result: Result | PublishedResult) -> tuple[object, ...]:
    """Parse whose number of which column of which benchmark is claimed; the case of the name does not matter."""
    return result.benchmark, spelled(result.method), result.measure.title


def _counts(results: Sequence[Result]) -> str:
    """Return how many clips, or episodes, numbers rest on: the fewest and the most."""
    numbers = sorted({n for result in results for n in (result.main.clips, result.main.most_clips)})
    return f"{numbers[0]:,}" if len(numbers) == 1 else f"{numbers[0]:,} to {numbers[-1]:,}"
