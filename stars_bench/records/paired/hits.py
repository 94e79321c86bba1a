"""Which test clips each seed recognised, read from saved predictions: what intervals and paired tests are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.io.files import digest_file
from stars_bench.records import metrics
from stars_bench.records.measured_clips import MeasuredClips
from stars_bench.records.predictions import load_predictions
from stars_bench.records.record import Scalar, factors
from stars_bench.records.statistics import formulas, intervals
from stars_bench.records.store import StoredRecord


@dataclass(frozen=True, eq=False)
class Hits:
    """Hits of one method in one measure.

    Args:
        seeds: (S, Q) bool, whether each seed (on each list of labelled clips) recognised each query.
        rows: (Q,) which test clip each query is.
        clips: the test part.
        factors: (S,) each: the seed of each row of hits, and its list; empty: every row is of a seed of its own.
    """

    seeds: np.ndarray
    rows: np.ndarray
    clips: MeasuredClips
    factors: tuple[Sequence[Scalar], ...] = ()

    @cached_property
    def mean(self) -> np.ndarray:
        """(Q,) share of seeds that recognised each query."""
        return np.asarray(self.seeds.mean(0))

    @cached_property
    def seed_means(self) -> np.ndarray:
        """(S,) accuracy of each seed."""
        return np.asarray(self.seeds.mean(1))

    @property
    def has_several_seeds(self) -> bool:
        """Whether the noise of training is known."""
        return len(set(self.factors[0]) if self.factors else self.seeds) > 1

    @property
    def classes(self) -> np.ndarray:
        """(Q,) true class of each query."""
        return np.asarray(self.clips.labels[self.rows])

    def clusters(self, unit: str | None = None) -> tuple[str, np.ndarray]:
        """Number the clusters of the queries.

        Args:
            unit: "person" or "performance"; None: the headline's.

        Returns:
            The unit, and (Q,) cluster of each query.

        Raises:
            UsageError: the data does not name it, or names fewer than four persons.
        """
        units = self.clips.units
        unit = unit or next(iter(units))
        if unit not in units:
            known = "names no persons" if self.clips.persons is None else f"has {self.clips.persons} persons"
            raise UsageError(f"--by {unit}: the test part {known}; intervals by {', '.join(units)} are possible")
        return unit, formulas.numbered(units[unit][self.rows])

    def sample_se(self) -> float:
        """Compute the clustered standard error of the seed-mean hits by the headline's unit, in percent."""
        unit, clusters = self.clusters()
        return 100 * intervals.sample_se(self.mean, unit, clusters, self.classes)


def read_hits(stored: Iterable[StoredRecord]) -> Hits | None:
    """Read the hits of the seeds of one result.

    Args:
        stored: one record a seed (and list of labelled clips).

    Returns:
        None where predictions are gone or changed, are no classes, or are of other clips than the first seed's.
    """
    stored = list(stored)
    found: list[np.ndarray] = []
    first: tuple[np.ndarray, MeasuredClips] | None = None
    for one in stored:
        if one.folder is None:
            return None
        file = one.folder.path / one.record.predictions.file
        try:
            if digest_file(file) != one.record.predictions.digest:
                return None
            outcome, clips = load_predictions(file, scores=False)
        except (OSError, StarsBenchError):
            return None
        if outcome.kind == "clusters":
            return None
        rows = np.arange(len(clips.labels)) if outcome.rows is None else outcome.rows.reshape(-1)
        if first is None:
            first = rows, clips
        elif not (np.array_equal(rows, first[0]) and np.array_equal(clips.names, first[1].names)):
            return None
        found.append(metrics.hits(outcome, clips.labels).reshape(-1))
    return None if first is None else Hits(np.array(found), *first, factors([one.record for one in stored]))
