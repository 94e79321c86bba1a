"""Intervals of means and of metrics that are no means: bounds, and the correction for few clusters."""

from __future__ import annotations

import numpy as np
import pytest

from stars_bench.records.statistics import formulas, intervals


@pytest.mark.parametrize(
    ("value", "scale", "low", "high"), [(1.0, 100.0, 0.0, None), (99.0, 100.0, None, 100.0), (0.0, 1.0, -1.0, 1.0)]
)
def test_an_interval_stays_within_what_a_metric_can_be(
    value: float, scale: float, low: float | None, high: float | None
) -> None:
    se = 2.0
    found = intervals.around(value, se, 10, scale=scale)
    half = formulas.quantile(10) * se
    assert found.low == (value - half if low is None else low)
    assert found.high == (value + half if high is None else high)


def test_the_bootstrap_of_few_clusters_is_corrected_as_a_mean_is() -> None:
    rng = np.random.default_rng(0)
    clusters = np.arange(40) % 4
    hits = rng.random(40) < 0.2 + 0.2 * clusters
    sums = np.stack([np.bincount(clusters, hits), np.bincount(clusters)], axis=1)
    found = intervals.of_totals(
        100 * hits.mean(), sums, lambda drawn: 100 * drawn[:, 0] / drawn[:, 1], {"person": clusters}
    )
    # Without the correction it is 1.15 times smaller; 1,000 draws tell a standard error to 2 %.
    assert found["person"].se == pytest.approx(100 * formulas.clustered_se(hits, clusters), rel=0.06)
    assert found["person"].clusters == 4
