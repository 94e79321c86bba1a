"""What `stars_bench.run` and `stars_bench.evaluate` return: their records, with a table for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

import pandas as pd

from stars_bench.records.record import Metric
from stars_bench.records.store import StoredRecord, to_frame


class RunResults(Sequence[StoredRecord]):
    """The records of a call, in the order of seeds and evaluations.

        runs = stars_bench.run("stars", protocol="xsub")
        runs[0].metrics  # numbers of one evaluation under one seed, with intervals
        runs[0].path     # the JSON file that has everything else
        runs.to_frame()

    Args:
        stored: Records with their files.
    """

    def __init__(self, stored: Iterable[StoredRecord]) -> None:
        self._stored = tuple(stored)

    @overload
    def __getitem__(self, index: int) -> StoredRecord: ...

    @overload
    def __getitem__(self, index: slice) -> RunResults: ...

    def __getitem__(self, index: int | slice) -> StoredRecord | RunResults:
        return RunResults(self._stored[index]) if isinstance(index, slice) else self._stored[index]

    def __len__(self) -> int:
        return len(self._stored)

    def to_frame(self) -> pd.DataFrame:
        """Return a tidy table: one row per record and metric, as `stars_bench.results` has it."""
        return to_frame([one.record for one in self._stored])

    def __repr__(self) -> str:
        lines = [f"{_title(one)}: {', '.join(map(_number, one.metrics))}" for one in self._stored]
        return "\n".join([f"{len(self)} records", *lines])

    def _repr_html_(self) -> str:
        html: str = self._table().to_html(index=False, float_format="{:.2f}".format, border=0)
        return html

    def _table(self) -> pd.DataFrame:
        """Return what a notebook shows: one row per record, one column per metric."""
        return pd.DataFrame(
            {
                "method": one.record.method.name,
                "dataset": one.record.dataset.name,
                "protocol": one.record.protocol.name,
                "seed": one.record.seed,
                "evaluation": one.record.evaluation.title,
                **{f"{metric.name} {metric.unit}".strip(): metric.value for metric in one.metrics},
                "marks": "; ".join(one.record.marks),
            }
            for one in self._stored
        )


def _title(one: StoredRecord) -> str:
    record = one.record
    names = record.method.name, record.dataset.name, record.protocol.name
    return f"{' '.join(names)} seed {record.seed} {record.evaluation.title}"


def _number(metric: Metric) -> str:
    return f"{metric.name} {metric.value:.2f} {metric.unit}".strip()
