"""Runs the tasks of `prepare`: in this process, in forked ones, by one of joblib's backends, or on a dask cluster.

In: a function and its arguments. Out: its results as they come, in any order. A task must leave nothing half done
behind when it is killed, because a cluster may run it again.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from itertools import islice
from multiprocessing import active_children, get_context
from typing import Any, TypeVar

from stars_bench.errors import StarsBenchError, UsageError, cause, one_line

Argument = TypeVar("Argument")
Result = TypeVar("Result")

DASK = "dask"
CAN_FORK = sys.platform == "linux"  # macOS has fork, but its own libraries do not survive it
PR_SET_PDEATHSIG = 1  # prctl(2)
STOPS = (signal.SIGINT, signal.SIGTERM)
KILLED = "a worker was killed (out of memory?); run the same again, it continues; --jobs 1 needs less"


def check_backend(backend: str | None, scheduler: str | None) -> None:
    """Check that there is such a backend, and a scheduler where one is needed.

    Raises:
        UsageError: There is not.
    """
    if scheduler is not None and backend != DASK:
        raise UsageError("--scheduler: only for --backend dask")
    if backend == DASK:
        if scheduler is None:
            raise UsageError("--backend dask needs --scheduler ADDRESS (of a running cluster, as tcp://host:8786)")
        _distributed()
    elif backend is not None:
        from joblib.parallel import BACKENDS

        if backend not in BACKENDS:
            known = ", ".join(sorted({*BACKENDS, DASK}))
            raise UsageError(f"--backend {backend}: there is no such backend; there are {known}")


def run(
    task: Callable[[Argument], Result],
    arguments: Sequence[Argument],
    jobs: int,
    backend: str | None = None,
    scheduler: str | None = None,
) -> Iterator[Result]:
    """Run the tasks in `jobs` processes, or on the cluster whose scheduler is named.

    Args:
        task: Called with each argument.
        arguments: One for each task.
        jobs: Number of processes.
        backend: "dask", or one of joblib's (such as loky). Default: None, this machine's fastest.
        scheduler: Address of the dask cluster's scheduler. Default: None.

    Raises:
        StarsBenchError: A worker was killed, or there is no such cluster.
    """
    if backend is None and CAN_FORK:
        yield from in_forks(task, arguments, min(jobs, len(arguments)))
    elif backend == DASK:
        yield from on_cluster(task, arguments, scheduler or "")
    else:
        import joblib

        pool = joblib.Parallel(n_jobs=jobs, backend=backend or "loky", return_as="generator_unordered", batch_size=1)
        try:
            yield from pool(joblib.delayed(task)(argument) for argument in arguments)
        except BrokenProcessPool as error:
            raise StarsBenchError(KILLED) from error


def in_forks(task: Callable[[Argument], Result], arguments: Sequence[Argument], jobs: int) -> Iterator[Result]:
    """Run tasks in forked workers, which inherit everything that is loaded, the arguments included, and start at once.

    Not joblib here: its loky starts for longer than many a conversion lasts, and its forked pool waits for ever when a
    worker is killed.

    Raises:
        StarsBenchError: A worker was killed.
    """
    numbers = iter(range(len(arguments)))
    inherited = (os.getpid(), task, arguments)
    try:
        pool = ProcessPoolExecutor(jobs, mp_context=get_context("fork"), initializer=_start_fork, initargs=inherited)
    except (OSError, NotImplementedError) as error:  # no semaphores: there is no /dev/shm, or it cannot be written
        logging.getLogger(__name__).warning("no second process can be had here (%s): one does it all", cause(error))
        yield from map(task, arguments)
        return
    others = set(active_children())
    with pool, warnings.catch_warnings():
        # Python 3.12 warns of forking while a thread runs (a progress bar's); the workers do not touch what it holds.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            with _stops_held_back():  # all workers are forked at the first submit
                running = {pool.submit(_inherited_task, number) for number in islice(numbers, 2 * jobs)}
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(_inherited_task, number) for number in islice(numbers, len(finished))}
                for future in finished:
                    yield future.result()
        except BrokenProcessPool as error:
            raise StarsBenchError(KILLED) from error
        finally:
            # Idle ones have nothing to lose, no process waits for what others do, and asking may take for ever: when
            # one was killed while it waited for work, the others never get the lock of the queue.
            for worker in set(active_children()) - others:
                worker.kill()
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _stops_held_back() -> Iterator[None]:
    """Hold back requests to stop: a worker that is being forked would answer them as the command does."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_inherited: tuple[Callable[[Any], Any], Sequence[Any]] | None = None  # in a forked worker: what it is to do


def _start_fork(parent: int, task: Callable[[Any], Any], arguments: Sequence[Any]) -> None:
    """Have the kernel end this forked worker when the command is killed; else it would wait for work for ever.

    Ctrl-C reaches the workers too: the command alone answers. A pool that is broken ends its workers by SIGTERM.
    """
    global _inherited
    _inherited = task, arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _inherited_task(number: int) -> Any:
    assert _inherited is not None
    task, arguments = _inherited
    return task(arguments[number])


def on_cluster(task: Callable[[Argument], Result], arguments: Sequence[Argument], scheduler: str) -> Iterator[Result]:
    """Run tasks on a dask cluster, whose workers must see the same files under the same paths.

    Not through joblib's backend for dask, which gives no results before the last.

    Raises:
        StarsBenchError: There is no such cluster, or its workers were killed again and again.
    """
    distributed = _distributed()
    try:
        client = distributed.Client(scheduler, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise StarsBenchError(
            f"--scheduler {scheduler}: no dask scheduler answers there ({one_line(error)})"
        ) from error
    with client, client.as_current():
        futures = client.map(task, arguments, pure=False)
        try:
            for future in distributed.as_completed(futures):
                yield future.result()
                future.release()  # or the scheduler would keep every result
        except distributed.KilledWorker as error:
            raise StarsBenchError(KILLED.replace("--jobs 1 needs", "fewer threads a worker need")) from error
        finally:
            client.cancel(futures)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        message = "--backend dask needs the package distributed: pip install 'stars-bench[dask]'"
        raise UsageError(message) from error
    return distributed
