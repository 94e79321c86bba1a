"""Several runs, one after another: a run that fails is reported and does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stars_bench.errors import one_line
from stars_bench.experiments.request import Request
from stars_bench.records.record import Record


@dataclass(frozen=True)
class Failure:
    """A run that failed.

    Args:
        method: Name of the method.
        reason: Why, in one line.
    """

    method: str
    reason: str


def run_each(
    requests: Sequence[Request],
    run: Callable[[Request], list[Record]],
    failed: Callable[[Failure], None],
) -> tuple[list[Record], list[Failure]]:
    """Return the records of every request that could be run, and what failed.

    `failed` is called as soon as one does.
    """
    records: list[Record] = []
    failures: list[Failure] = []
    for request in requests:
        try:
            records += run(request)
        except Exception as error:
            failures.append(Failure(request.method, one_line(error)))
            failed(failures[-1])
    return records, failures


def summary(failures: Sequence[Failure], total: int) -> str:
    """Return one line on what failed."""
    each = "; ".join(f"{failure.method} ({failure.reason})" for failure in failures)
    return f"{len(failures)} of {total} methods failed: {each}"
