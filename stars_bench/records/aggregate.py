"""One number out of several seeds: mean, sample standard deviation, n, and a 95 % interval.

Only records that differ in nothing but the seed are averaged; `tables` sees to that.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from stars_bench.records.record import Metric


@dataclass(frozen=True)
class Estimate:
    """A metric over several seeds.

    Args:
        mean: Mean over the seeds.
        std: Sample standard deviation over the seeds; None for one seed.
        n: Number of seeds.
        low: Lower end of the 95 % interval: over the seeds, or over the clips for one seed.
        high: Upper end of the interval.
        clips: Smallest number of clips that a seed was measured on; validation parts differ in size.
        most_clips: Largest number of clips that a seed was measured on.
        unit: Unit of the metric.
    """

    mean: float
    std: float | None
    n: int
    low: float | None
    high: float | None
    clips: int
    most_clips: int
    unit: str


def estimate(metrics: Sequence[Metric]) -> Estimate:
    """Return the estimate from one metric as each seed measured it."""
    first = metrics[0]
    if len(metrics) == 1:
        low, high = first.interval or (None, None)
        return Estimate(first.value, None, 1, low, high, first.n, first.n, first.unit)
    values = [metric.value for metric in metrics]
    mean, std = statistics.fmean(values), statistics.stdev(values)
    half = float(stdtrit(len(values) - 1, 0.975)) * std / math.sqrt(len(values))
    clips = [metric.n for metric in metrics]
    low, high = mean - half, mean + half
    if first.unit == "%":  # an interval of few seeds may reach beyond what there is
        low, high = max(low, 0.0), min(high, 100.0)
    return Estimate(mean, std, len(values), low, high, min(clips), max(clips), first.unit)
