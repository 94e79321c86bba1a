"""95 % intervals of a metric, by what is sampled: persons, performances, episodes, or single clips.

person       other persons, the same classes: clustered by person
performance  these very persons, other recordings: clustered by performance within each class
episode      other few-shot episodes of these clips
clip         as if clips were independent: where the data names neither persons nor performances

docs/statistics.md says what they mean and how often they hold the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from stars_bench.records.statistics import formulas
from stars_bench.records.statistics.formulas import Numbers

HEADLINE: Final = ("person", "performance", "episode", "clip")
"""The first of these that a metric has is its headline."""
DRAWS = 1_000
"""Bootstrap draws of metrics that are no means."""


class Interval(BaseModel):
    """A 95 % interval, in the unit of its metric.

    Attributes:
        low: its lower end.
        high: its upper end.
        se: standard error.
        clusters: how many persons, performances, episodes or clips were sampled.
        design_effect: variance relative to independent clips; None where it is not defined.
        classes_of_one: within classes, those with one performance, which add nothing to the error: 1-based, as they are
            printed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    low: float
    high: float
    se: Annotated[float, Field(ge=0)]
    clusters: Annotated[int, Field(ge=1)]
    design_effect: float | None = None
    classes_of_one: tuple[int, ...] = ()


Intervals = dict[str, Interval]


def around(value: float, se: float, clusters: int, effect: float | None = None, scale: float = 100.0) -> Interval:
    """Make the interval of an estimate.

    Args:
        value: the estimate, in the metric's unit.
        se: its standard error.
        clusters: how many clusters it rests on.
        effect: the design effect.
        scale: the largest value that the metric can have; the smallest is 0, or -1 where the scale is 1.
    """
    half = formulas.quantile(clusters) * se
    least = 0.0 if scale == 100 else -scale
    return Interval(
        low=max(value - half, min(least, value)),
        high=min(value + half, max(scale, value)),
        se=se,
        clusters=clusters,
        design_effect=effect,
    )


def of_mean(values: np.ndarray, units: Mapping[str, np.ndarray], classes: np.ndarray) -> Intervals:
    """Compute the intervals of a mean in percent.

    Args:
        values: (N,) shares by clip, such as hits.
        units: by name, (N,) cluster of each clip.
        classes: (N,) class of each clip.
    """
    values = values.astype(np.float64)
    found = {}
    for unit, clusters in units.items():
        count = len(np.unique(clusters))
        if count < 2:
            continue
        se, independent = sample_se(values, unit, clusters, classes), _independent(values, unit, classes)
        effect = (se / independent) ** 2 if independent else None
        if effect is not None and unit != "performance":
            effect *= (count - 1) / count  # of CR0, as the variance of independent clips has no correction either
        found[unit] = around(100 * float(values.mean()), 100 * se, count, effect)
        if unit == "performance" and (alone := formulas.lonely_classes(clusters, classes)):
            found[unit] = found[unit].model_copy(update={"classes_of_one": tuple(label + 1 for label in alone)})
    return found


def sample_se(values: np.ndarray, unit: str, clusters: np.ndarray, classes: np.ndarray) -> float:
    """Compute the standard error of a mean: within classes by performance, across them by person or clip.

    Args:
        values: (N,) shares by clip, or their differences.
        unit: what is sampled.
        clusters: (N,) its number for each clip.
        classes: (N,) class of each clip.
    """
    if unit == "performance":
        return formulas.stratified_se(values, clusters, classes)
    return formulas.clustered_se(values, formulas.numbered(clusters))


def _independent(values: np.ndarray, unit: str, classes: np.ndarray) -> float:
    if unit == "performance":
        return formulas.stratified_se(values, np.arange(len(values)), classes)
    return formulas.independent_se(values)


def of_totals(
    value: float,
    contributions: Numbers,
    metric: Callable[[Numbers], Numbers],
    units: Mapping[str, np.ndarray],
    scale: float = 100.0,
) -> Intervals:
    """Compute the interval of a metric that is no mean, by the bootstrap over the clusters of the headline's unit.

    The spread of the draws is its standard error, corrected for few clusters as that of a mean.

    Args:
        value: the metric of all clips.
        contributions: (G, K) what each cluster adds to the sums that the metric is made of.
        metric: takes (draws, K) sums and gives (draws,) values.
        units: what the clusters are, first.
        scale: the largest value that the metric can have.
    """
    count = len(contributions)
    if count < 2:
        return {}
    drawn = np.concatenate([metric(counts @ contributions) for counts in formulas.bootstrap_counts(count, DRAWS)])
    return of_draws(value, drawn, count, units, scale)


def of_draws(
    value: float, drawn: Numbers, count: int, units: Mapping[str, np.ndarray], scale: float = 100.0
) -> Intervals:
    """Make the interval of a metric from its bootstrap draws: their spread, corrected for few clusters, is the error.

    Args:
        value: the metric of all clips.
        drawn: (draws,) its values; nan where a draw has none.
        count: how many clusters were drawn from.
        units: what the clusters are, first.
        scale: the largest value that the metric can have.
    """
    se = float(np.nanstd(drawn) * np.sqrt(count / (count - 1)))
    return {next(iter(units)): around(value, se, count, scale=scale)}


def counts_by_cluster(cells: np.ndarray, clusters: np.ndarray, kinds: int) -> Numbers:
    """Count clips by cluster and kind.

    Args:
        cells: (N,) kind of each clip, 0-based.
        clusters: (N,) cluster of each clip, 0-based.
        kinds: how many kinds there are.

    Returns:
        (G, kinds) counts.
    """
    groups = int(clusters.max()) + 1
    counts = np.bincount(clusters * kinds + cells, minlength=groups * kinds).reshape(groups, kinds)
    return np.asarray(counts, np.float64)
