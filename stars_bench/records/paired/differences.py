"""Paired differences of two methods on the same test clips: the difference, its interval, its p-value.

The clusters are those of intervals: persons where there are four or more, else performances, else clips.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtr

from stars_bench.errors import StarsBenchError
from stars_bench.records.paired.hits import Hits
from stars_bench.records.statistics import formulas, intervals


@dataclass(frozen=True)
class Difference:
    """The first method's accuracy less the second's, in percentage points.

    Attributes:
        value: the difference of the means over seeds.
        se: its standard error from the test part, clustered and paired.
        total_se: with the noise of training, where a method has several seeds.
        unit: what is sampled: "person", "performance" or "clip".
        clusters: how many of these.
        p_models: sign flips by cluster of the seed-mean hits: are these trained models different?
        p_methods: by the total standard error: are the methods different? None where a method has one seed.
        exact: whether all sign flips were counted.
    """

    value: float
    se: float
    total_se: float
    unit: str
    clusters: int
    p_models: float
    p_methods: float | None
    exact: bool

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.value - formulas.quantile(self.clusters) * self.total_se

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self.value + formulas.quantile(self.clusters) * self.total_se

    @property
    def p(self) -> float:
        """The p-value that a table goes by: the larger one, so that neither kind of noise is left out."""
        return self.p_models if self.p_methods is None else max(self.p_models, self.p_methods)

    @property
    def least_p(self) -> float:
        """The smallest p-value that sign flips of so many clusters can give."""
        return formulas.least_p(self.clusters)

    @property
    def smallest(self) -> float:
        """The smallest true difference that would be found with 80 % power."""
        return formulas.smallest_difference(self.total_se)


def same_clips(first: Hits, second: Hits) -> bool:
    """Whether two methods were asked the same test clips, in the same order."""
    return np.array_equal(first.rows, second.rows) and np.array_equal(first.clips.names, second.clips.names)


def difference(first: Hits, second: Hits, unit: str | None = None) -> Difference:
    """Compare two methods on the same test clips.

    Args:
        first: hits of the first method.
        second: hits of the second.
        unit: "person" or "performance"; None: the headline's.

    Raises:
        StarsBenchError: they were measured on other clips.
        UsageError: the data does not name the unit.
    """
    if not same_clips(first, second):
        raise StarsBenchError("the two were measured on other test clips: no paired difference")
    unit, clusters = max(first, second, key=lambda hits: len(hits.clips.numbers)).clusters(unit)
    apart = first.mean - second.mean
    se = intervals.sample_se(apart, unit, clusters, first.classes)
    total = se
    for hits in (first, second):
        total = formulas.total_se(total, hits.seed_means, *hits.factors)
    flipped = formulas.sign_flip(formulas.cluster_sums(apart, clusters))
    value, count = float(apart.mean()), int(clusters.max()) + 1
    several = first.has_several_seeds and second.has_several_seeds
    return Difference(
        value=100 * value,
        se=100 * se,
        total_se=100 * total,
        unit=unit,
        clusters=count,
        p_models=flipped.p,
        p_methods=_two_sided(value, total, count) if several else None,
        exact=flipped.exact,
    )


def _two_sided(value: float, se: float, clusters: int) -> float:
    """The p-value of a difference by its standard error, with Student's t where there are few clusters."""
    if not se:
        return 1.0 if not value else 0.0
    z = -abs(value) / se
    return float(2 * (stdtr(clusters - 1, z) if clusters < formulas.FEW_CLUSTERS else ndtr(z)))
