"""One array for the processes of a machine: filled once, the same memory, and an error is everybody's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from stars_bench.errors import UsageError
from stars_bench.training.parallel import distributed
from stars_bench.training.parallel.shared_memory import filled_once
from tests.training.ranks import together

SHAPE = (1000, 25, 3)


def here() -> None:
    """What torchrun says beside RANK and WORLD_SIZE."""
    os.environ |= {"LOCAL_RANK": os.environ["RANK"], "LOCAL_WORLD_SIZE": os.environ["WORLD_SIZE"]}


def fill(out: np.ndarray) -> None:
    fills.append(1)
    out[:] = np.arange(out.size, dtype=np.float32).reshape(out.shape)


fills: list[int] = []


def shared() -> tuple[int, float, float, bool]:
    here()
    found = filled_once(SHAPE, fill)
    before = float(found.sum())
    if distributed.rank() == 1:
        found[:] = 0
    distributed.wait_for_all()
    mine = Path("/proc/self/maps").read_text()
    return len(fills), before, float(found.sum()), "memfd:stars-bench" in mine


def refused() -> str:
    here()

    def fails(_: np.ndarray) -> None:
        raise UsageError(f"shard of process {distributed.rank()}: damaged")

    with pytest.raises(UsageError) as told:
        filled_once(SHAPE, fails)
    return str(told.value)


def test_alone_it_is_an_array_like_any_other() -> None:
    expected = np.empty(SHAPE, np.float32)
    fill(expected)
    np.testing.assert_array_equal(filled_once(SHAPE, fill), expected)


@pytest.mark.skipif(sys.platform != "linux", reason="memory without a name is Linux's")
def test_two_processes_see_what_one_has_filled(tmp_path: Path) -> None:
    total = float(np.arange(np.prod(SHAPE), dtype=np.float32).sum())
    first, second = together("tests.training.parallel.test_shared_memory:shared", 2, tmp_path / "ranks")
    assert first == (1, total, total, True)
    assert second == (0, total, 0.0, True)


@pytest.mark.skipif(sys.platform != "linux", reason="memory without a name is Linux's")
def test_an_error_of_the_first_is_raised_in_all(tmp_path: Path) -> None:
    told = together("tests.training.parallel.test_shared_memory:refused", 2, tmp_path / "ranks")
    assert told == ["shard of process 0: damaged"] * 2
