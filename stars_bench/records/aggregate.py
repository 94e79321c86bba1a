"""One number out of several seeds: mean, sample standard deviation, n, and a 95 % interval.

Only records that differ in nothing but the seed are averaged; `tables` sees to that. The interval holds two kinds of
noise: that of the test part (persons, or what else is sampled), and, with several seeds, that of training.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from stars_bench.records.record import Metric, Scalar
from stars_bench.records.statistics.formulas import total_se
from stars_bench.records.statistics.intervals import around


@dataclass(frozen=True)
class Estimate:
    """A metric over the seeds.

    Attributes:
        mean: mean over seeds.
        std: sample standard deviation over them; None of one.
        n: number of results: of seeds, times lists of labelled clips.
        low: lower end of the 95 % interval; None where there is none.
        high: its upper end.
        clips: the smallest number of clips that a seed was measured on; validation parts differ in size.
        most_clips: the largest.
        unit: "%" or "".
        sampled: what the interval takes as sampled: "person", "performance", "episode" or "clip".
        clusters: how many of these.
        design_effect: variance relative to independent clips, the mean over seeds.
        classes_of_one: classes with one performance, which add nothing to an interval by performance.
    """

    mean: float
    std: float | None
    n: int
    low: float | None
    high: float | None
    clips: int
    most_clips: int
    unit: str
    sampled: str | None = None
    clusters: int | None = None
    design_effect: float | None = None
    classes_of_one: tuple[int, ...] = ()

    @property
    def half(self) -> float | None:
        """Half the width of the interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def estimate(
    metrics: Sequence[Metric], sample_se: float | None = None, factors: Sequence[Sequence[Scalar]] = ()
) -> Estimate:
    """Average one metric over the seeds that measured it.

    Args:
        metrics: the metric, as each seed measured it.
        sample_se: clustered standard error of the seed-mean hits, in the metric's unit. None: the mean of the seeds'
            own, which is no smaller.
        factors: the seed of each, and its list of labelled clips. Default: each is of a seed of its own.
    """
    values, clips = [metric.value for metric in metrics], [metric.n for metric in metrics]
    mean = statistics.fmean(values)
    std = statistics.stdev(values) if len(values) > 1 else None
    known = [metric.sampled for metric in metrics]
    found = [one for one in known if one is not None]
    unit = metrics[0].unit
    if len(found) < len(known) or len({one.unit for one in found}) > 1:
        return Estimate(mean, std, len(values), None, None, min(clips), max(clips), unit)
    clusters = min(one.interval.clusters for one in found)
    effects = [one.interval.design_effect for one in found if one.interval.design_effect is not None]
    interval = found[0].interval
    if len(values) > 1:
        se = statistics.fmean(one.interval.se for one in found) if sample_se is None else sample_se
        interval = around(mean, total_se(se, values, *factors), clusters, scale=100.0 if unit == "%" else 1.0)
    return Estimate(
        mean,
        std,
        len(values),
        interval.low,
        interval.high,
        min(clips),
        max(clips),
        unit,
        found[0].unit,
        clusters,
        statistics.fmean(effects) if effects else None,
        tuple(sorted({label for one in found for label in one.interval.classes_of_one})),
    )
