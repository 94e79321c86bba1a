"""Workers: results as they come, no argument twice, and an end when one of them dies."""

from __future__ import annotations

import builtins
import errno
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.io import process_pool

forks = pytest.mark.skipif(not process_pool.CAN_FORK, reason="forks")


def squared(number: int) -> int:
    return number**2


def killed(_number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def broken(number: int) -> None:
    raise ValueError(f"number {number}")


@forks
@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_forked_workers_do_every_task_once(jobs: int) -> None:
    assert sorted(process_pool.in_forks(squared, range(20), jobs)) == [n**2 for n in range(20)]


@forks
def test_without_semaphores_one_process_does_it_all(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")  # /dev/shm

    monkeypatch.setattr(process_pool, "ProcessPoolExecutor", refused)
    assert list(process_pool.in_forks(squared, range(20), 2)) == [n**2 for n in range(20)]
    assert "no second process can be had here (Read-only file system): one does it all" in caplog.text


@forks
def test_forked_workers_inherit_what_cannot_be_pickled() -> None:
    secret = lambda number: number + 1  # noqa: E731
    assert sorted(process_pool.in_forks(secret, range(4), 2)) == [1, 2, 3, 4]


@forks
def test_a_worker_that_is_killed_ends_the_run_with_advice_and_does_not_hang_it() -> None:
    with pytest.raises(StarsBenchError, match="a worker was killed"):
        list(process_pool.in_forks(killed, [0], 1))


def test_a_worker_of_loky_that_is_killed_is_told_of_in_the_same_way() -> None:
    with pytest.raises(StarsBenchError, match="a worker was killed"):
        list(process_pool.run(killed, [0, 1], 2, backend="loky"))


@forks
def test_an_error_of_a_task_is_the_callers() -> None:
    with pytest.raises(ValueError, match="number 0"):
        list(process_pool.in_forks(broken, [0], 1))


@forks
def test_what_nobody_waits_for_is_not_done(tmp_path: Path) -> None:
    def touch(number: int) -> int:
        time.sleep(0.05)
        (tmp_path / str(number)).touch()
        return number

    results = process_pool.in_forks(touch, range(100), 1)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(list(tmp_path.iterdir())) < 10


def test_without_dask_its_backend_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "distributed":
            raise ImportError(name)
        return real_import(name, *rest, **more)

    monkeypatch.delitem(sys.modules, "distributed", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"pip install 'stars-bench\[dask\]'"):
        process_pool.check_backend("dask", "tcp://127.0.0.1:1")


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_told_in_one_line() -> None:
    pytest.importorskip("distributed")
    with pytest.raises(StarsBenchError, match="no dask scheduler answers there") as error:
        list(process_pool.on_cluster(squared, [1], "tcp://127.0.0.1:9"))
    assert "\n" not in str(error.value)
    with pytest.raises(StarsBenchError, match="no dask scheduler answers there"):
        list(process_pool.on_cluster(squared, [1], "nonsense"))
