"""One number out of several seeds: mean, sample standard deviation, n, and a 95 % interval.

Only records that differ in nothing but the seed are averaged; `tables` sees to that.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from stars_bench.results.record import Metric

T_975 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""Student's t, 0.975 quantile, for 1 to 30 degrees of freedom; the last serves beyond (it errs on the wide side)."""


@dataclass(frozen=True)
class Estimate:
    """A metric over `n` seeds. One seed: its own interval over the clips, no std. More: the interval over seeds.

    `clips` and `most_clips`: the smallest and largest number of clips that a seed was measured on (validation parts
    differ in size).
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
    """The estimate from one metric as each seed measured it."""
    first = metrics[0]
    if len(metrics) == 1:
        low, high = first.interval or (None, None)
        return Estimate(first.value, None, 1, low, high, first.n, first.n, first.unit)
    values = [metric.value for metric in metrics]
    mean, std = statistics.fmean(values), statistics.stdev(values)
    half = T_975[min(len(values) - 1, len(T_975)) - 1] * std / math.sqrt(len(values))
    clips = [metric.n for metric in metrics]
    return Estimate(mean, std, len(values), mean - half, mean + half, min(clips), max(clips), first.unit)
