"""The clips of a test part: names, classes, and who performed what, when and before which camera.

Saved beside every prediction, so that intervals and paired tests need nothing but the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from stars_bench.records.statistics.formulas import numbered

if TYPE_CHECKING:
    from stars_bench.storage.shards import PreparedDataset

COLUMNS = ("subject", "setup", "camera", "replication", "performance")
FEWEST_PERSONS = 4
"""With fewer persons, an interval by person says nothing."""
UNKNOWN = 0
"""The number of a person, setup or repetition that the data does not name."""


@dataclass(frozen=True, eq=False)
class MeasuredClips:
    """The test part, in its order.

    Args:
        names: (N,) names of the clips.
        labels: (N,) their classes, 0-based.
        numbers: (N,) each: subject, setup, camera, replication, and, where the data names it, performance, which all
            cameras share; empty for predictions of an older version.
        names_persons: whether a subject is a person, and no scene or video; default True.
    """

    names: np.ndarray
    labels: np.ndarray
    numbers: Mapping[str, np.ndarray]
    names_persons: bool = True

    @classmethod
    def of(cls, dataset: PreparedDataset, rows: np.ndarray) -> Self:
        """Look up clips of a prepared dataset.

        Args:
            dataset: the dataset.
            rows: (N,) row numbers of its table.
        """
        table, spec = dataset.table.iloc[rows], dataset.spec
        numbers = {name: table[name].to_numpy(np.int64) for name in COLUMNS if name != "performance"}
        names, labels = table["name"].to_numpy(dtype=str), table["label"].to_numpy(np.int64)
        if spec.performance is None:
            keys: list[np.ndarray] = [labels, *(numbers[name] for name in ("subject", "setup", "replication"))]
        else:
            keys = [np.array([spec.performance(name) for name in names.tolist()])]
        if any((numbers[name] != UNKNOWN).any() for name in ("subject", "setup", "replication")):
            numbers["performance"] = numbered(*keys)
        return cls(names, labels, numbers, spec.names_persons)

    @property
    def persons(self) -> int | None:
        """How many persons are tested; None where the data names none."""
        subjects = self.numbers.get("subject")
        if subjects is None or not self.names_persons:
            return None
        found = np.unique(subjects)
        return None if found.tolist() in ([], [UNKNOWN]) else len(found)

    @property
    def performances(self) -> int | None:
        """How many performances are tested; None where the data does not name them."""
        found = self.numbers.get("performance")
        return None if found is None else len(np.unique(found))

    @property
    def units(self) -> dict[str, np.ndarray]:
        """What a 95 % interval may take as sampled, the headline first: name and (N,) cluster of each clip.

        Persons from four on; else performances; else single clips, as if they were independent.
        """
        found = {}
        if (self.persons or 0) >= FEWEST_PERSONS:
            found["person"] = numbered(self.numbers["subject"])
        if self.performances is not None:
            found["performance"] = numbered(self.numbers["performance"])
        return found or {"clip": np.arange(len(self.labels))}
