"""Several runs, one after another: a run that fails is reported and does not stop the others; streams are summed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from stars_bench.errors import StarsBenchError, UsageError, one_line
from stars_bench.experiments.finished import rescore
from stars_bench.experiments.plan import resolve
from stars_bench.experiments.request import Request
from stars_bench.experiments.seed_run import EvaluationsFailed
from stars_bench.records.record import Record
from stars_bench.training.loop import Tell


@dataclass(frozen=True)
class Failure:
    """A run that failed.

    Args:
        request: What was asked for.
        run: What tells it from the others, for people.
        reason: Why, in one line.
        is_usage: Whether the request was wrong, so that nothing was computed. Default: False.
    """

    request: Request
    run: str
    reason: str
    is_usage: bool = False


def run_each(
    requests: Sequence[Request],
    check: Callable[[Request], object],
    run: Callable[[Request], list[Record]],
    failed: Callable[[Failure], None],
) -> tuple[list[Record], list[Failure]]:
    """Check every request before the first is run, and run those that are right.

    Args:
        requests: What is asked for.
        check: Raises UsageError where a request is wrong.
        run: Runs a request.
        failed: Called as soon as a request fails; once for a usage error that several share.

    Returns:
        The records of every request that could be run, and what failed.
    """
    records: list[Record] = []
    failures: list[Failure] = []

    def keep(request: Request, error: Exception) -> None:
        known = {failure.reason for failure in failures if failure.is_usage}
        failures.append(Failure(request, title(request, requests), one_line(error), isinstance(error, UsageError)))
        if failures[-1].reason not in known:
            failed(failures[-1])

    right = []
    for request in requests:
        try:
            check(request)
            right.append(request)
        except UsageError as error:
            keep(request, error)
    for request in right:
        try:
            records += run(request)
        except Exception as error:
            records += error.records if isinstance(error, EvaluationsFailed) else []
            keep(request, error)
    return records, failures


def summary(failures: Sequence[Failure], total: int) -> str:
    """Return one line on what failed; the reason of a usage error is not repeated: it was printed a moment ago."""
    each = "; ".join(failure.run if failure.is_usage else f"{failure.run} ({failure.reason})" for failure in failures)
    return f"{len(failures)} of {total} runs failed: {each}"


def title(request: Request, among: Iterable[Request]) -> str:
    """Name a request by its method and by what tells it from others: `mamp xsub lr=0.01 seed 0`.

    Args:
        request: The request.
        among: All requests, this one included.
    """
    among = list(among)
    parts = [request.method]
    for name in ("dataset", "protocol", "stream"):
        if len({getattr(one, name) for one in among}) > 1:
            parts.append(str(getattr(request, name) or ""))
    same = [set(one.overrides) for one in among if one.method == request.method]
    parts.append(", ".join(item for item in request.overrides if not all(item in one for one in same)))
    if len({tuple(one.seeds) for one in among}) > 1:
        parts.append(f"seed{'s' * (len(request.seeds) > 1)} {', '.join(map(str, request.seeds))}")
    return " ".join(filter(None, parts))


def fuse_streams(requests: Iterable[Request], tell: Tell) -> list[Record]:
    """Sum the scores of runs that differ in their stream alone, with equal weights, and keep the results.

    Args:
        requests: What was run.
        tell: Called with a line for each group of streams that has no scores to sum.

    Returns:
        The new records; none where no run has a second stream.
    """
    groups: dict[Request, list[Request]] = {}
    for request in requests:
        groups.setdefault(replace(request, stream=""), []).append(request)
    records = []
    for group in groups.values():
        if len(group) < 2:
            continue
        folders = [resolve(one).folder(one.seeds[0]).run for one in group]
        try:
            records += rescore.fuse(folders, [1.0] * len(group), group[0].runs_dir, group[0].command)
        except StarsBenchError as error:
            tell(f"{group[0].method} {group[0].protocol}: no sum of {', '.join(one.stream for one in group)}: {error}")
    return records
