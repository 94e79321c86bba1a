"""Where runs of a sweep are computed: processes of this machine (joblib's loky), or jobs of submitit (SLURM)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from stars_bench.errors import UsageError, one_line
from stars_bench.experiments.sweeps.worker import Result, Task, start_worker, work
from stars_bench.io import allowance

EXECUTORS = ("processes", "slurm", "local")


class Slot(Protocol):
    """A place where one run at a time is computed."""

    def start(self, task: Task) -> None:
        """Start a run; the one before has ended."""

    def result(self) -> Result | None:
        """Return how the run ended; None while it runs."""

    def stop(self) -> None:
        """End what is running."""


class ProcessSlot:
    """A process of this machine; one that is killed is replaced by the next run.

    Args:
        device: Where it computes; None for the request's own.
        threads: Threads on a CPU; None to leave them as they are.
    """

    def __init__(self, device: str | None, threads: int | None) -> None:
        self.device, self.threads = device, threads
        self._pool: Any = None
        self._future: Future[Result] | None = None

    def start(self, task: Task) -> None:
        """Start a run."""
        from joblib.externals.loky import ProcessPoolExecutor

        if self.device is not None:
            training = replace(task.request.training, device=self.device)
            task = replace(task, request=replace(task.request, training=training))
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, initializer=start_worker, initargs=(os.getpid(),), timeout=None)
        self._future = self._pool.submit(work, replace(task, threads=self.threads))

    def result(self) -> Result | None:
        """Return how the run ended; None while it runs."""
        if self._future is None or not self._future.done():
            return None
        error = self._future.exception()
        if error is None:
            return self._future.result()
        self.stop()
        return Result(failure=f"its process was killed (out of memory?): {one_line(error)}")

    def stop(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=True)
        self._pool = self._future = None


class JobSlot:
    """A job of submitit.

    Args:
        executor: Its executor.
        device: Where it computes; None for the job's own choice.
    """

    def __init__(self, executor: Any, device: str | None) -> None:
        self.executor, self.device = executor, device
        self._job: Any = None

    def start(self, task: Task) -> None:
        """Submit a run."""
        training = replace(task.request.training, device=self.device)
        self._job = self.executor.submit(work, replace(task, request=replace(task.request, training=training)))

    def result(self) -> Result | None:
        """Return how the job ended; None while it waits or runs."""
        if self._job is None or not self._job.done():
            return None
        error = self._job.exception()
        if error is None:
            found: Result = self._job.result()
            return found
        return Result(failure=f"job {self._job.job_id}: {str(error).strip().splitlines()[-1]}")

    def stop(self) -> None:
        """Cancel the job."""
        if self._job is not None and not self._job.done():
            self._job.cancel()
        self._job = None


def slots(
    executor: str, devices: Sequence[str], jobs: int | None, runs: int, folder: Path, slurm: Mapping[str, Any]
) -> list[Slot]:
    """Return the places of a sweep.

    Args:
        executor: processes, slurm, or local (submitit on this machine).
        devices: Devices; empty for one, chosen as `run` does.
        jobs: Runs at once on each device; None for 1, under SLURM for all.
        runs: Number of runs.
        folder: Where submitit keeps its files.
        slurm: What SLURM is asked for.

    Raises:
        UsageError: There is no such executor, no submitit, or it refuses what it is asked for.
    """
    if executor not in EXECUTORS:
        raise UsageError(f"--executor {executor}: there are {', '.join(EXECUTORS)}")
    at_once = jobs or (runs if executor == "slurm" else 1)
    places = [device for _ in range(at_once) for device in devices or (None,)][: max(runs, 1)]
    if executor == "processes":
        own = "OMP_NUM_THREADS" in os.environ or len(places) == 1
        threads = None if own else max(1, allowance.cpus() // len(places))
        return [ProcessSlot(device, threads) for device in places]
    made = _submitit(executor, folder, slurm)
    return [JobSlot(made, device) for device in places]


def _submitit(cluster: str, folder: Path, parameters: Mapping[str, Any]) -> Any:
    try:
        import submitit
    except ImportError as error:
        raise UsageError(f"--executor {cluster} needs submitit: pip install 'stars-bench[slurm]'") from error
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
        executor.update_parameters(**{"name": "stars-bench", "timeout_min": 24 * 60, **parameters})
    except (RuntimeError, NameError, TypeError, ValueError) as error:
        raise UsageError(f"--executor {cluster}: {one_line(error)}") from error
    return executor
