"""The fast search finds exactly what comparing everything finds, however awkward the vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from stars_bench.errors import StarsBenchError
from stars_bench.evaluation import nearest as neighbours
from stars_bench.evaluation import nearest_numba
from stars_bench.evaluation.nearest import by_definition, nearest

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape)


def decaying(count: int) -> np.ndarray:
    """As encoders give them: a common direction and a few directions with most of the variance."""
    return normal(count, 200) * np.exp(-np.arange(200) / 12) + 0.5


AWKWARD = {
    "isotropic": (normal(3000, 150), normal(700, 150)),
    "few dimensions hold most of the variance": (decaying(4000), decaying(700)),
    "each vector ten times": (np.repeat(normal(300, 40), 10, axis=0), normal(600, 40)),
    "more copies than candidates": (np.repeat(normal(20, 40), 60, axis=0), normal(600, 40)),
    "all the same": (np.ones((1500, 16)), np.ones((600, 16))),
    "nearly all the same": (1 + 1e-4 * normal(2000, 64), 1 + 1e-4 * normal(600, 64)),
    "closer than float32 can tell": (1 + 3e-7 * normal(2000, 64), 1 + 3e-7 * normal(600, 64)),
    "zeros among them": (np.pad(normal(1500, 40), ((0, 60), (0, 0))), np.pad(normal(600, 40), ((0, 5), (0, 0)))),
    "a small bank": (normal(12, 40), normal(600, 40)),
    "one dimension": (normal(1200, 1), normal(600, 1)),
    "two dimensions": (normal(1200, 2), normal(600, 2)),
    "whole numbers, full of ties": (RNG.integers(-1, 2, (4000, 6)), RNG.integers(-1, 2, (600, 6))),
    "lengths from tiny to huge": (normal(2000, 80) * 10.0 ** RNG.uniform(-12, 12, (2000, 1)), normal(600, 80)),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_the_fast_search_equals_comparing_everything(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bank, queries = (torch.tensor(vectors, dtype=torch.float32) for vectors in AWKWARD[name])
    monkeypatch.setattr(neighbours, "FEW_PAIRS", 0)
    assert torch.equal(nearest(bank, queries, 10), by_definition(bank, queries, 10))


@pytest.mark.parametrize("name", ["isotropic", "few dimensions hold most of the variance", "each vector ten times"])
def test_ordinary_vectors_are_settled_without_comparing_everything(name: str) -> None:
    bank, queries = (vectors.astype(np.float32) for vectors in AWKWARD[name])
    assert len(nearest_numba.search(bank, queries, 10, threads=2)[1]) == 0


def test_bounds_in_few_dimensions_hold_for_every_pair() -> None:
    bank, queries = (vectors[:500].astype(np.float32) for vectors in AWKWARD["isotropic"])
    axes = nearest_numba.Axes(bank)
    scale, turned = axes.turn(queries)
    cosines = (queries * scale[:, None]) @ (bank * axes.scale[:, None]).T
    for d in (1, 30, 150):
        bounded = nearest_numba.Bounded(axes, d, 5)
        columns, offset = bounded.limits(turned)
        limits = columns @ bounded.columns.T + offset[:, None]
        assert (limits >= cosines).all()
    assert (limits - cosines).max() < 1e-4  # in all dimensions the bound is the cosine


def test_the_answer_does_not_depend_on_the_number_of_threads_or_on_the_other_queries() -> None:
    bank, queries = (vectors.astype(np.float32) for vectors in AWKWARD["few dimensions hold most of the variance"])
    rows = nearest_numba.search(bank, queries, 10, threads=1)[0]
    assert np.array_equal(rows, nearest_numba.search(bank, queries, 10, threads=3)[0])
    assert np.array_equal(rows[100:110], nearest_numba.search(bank, queries[100:110], 10, threads=1)[0])


def test_equally_near_clips_count_in_the_order_of_rows() -> None:
    bank = torch.tensor([[0.0, 1.0], [2.0, 2.0], [1.0, 0.0], [3.0, 3.0], [1.0, 1.0]])
    assert nearest(bank, torch.tensor([[1.0, 1.0], [5.0, 0.0]]), 4).tolist() == [[1, 3, 4, 0], [2, 1, 3, 4]]


def test_no_queries_give_no_rows() -> None:
    assert nearest(torch.ones(3, 2), torch.empty(0, 2), 2).shape == (0, 2)


def test_a_bank_too_large_for_the_order_is_refused() -> None:
    with pytest.raises(StarsBenchError, match=r"16,777,216 clips are more than"):
        nearest(torch.empty(1, 1).expand(2**24, 1), torch.ones(1, 1), 1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_finds_the_same() -> None:
    for bank, queries in AWKWARD.values():
        ours = [torch.tensor(vectors, dtype=torch.float32) for vectors in (bank, queries)]
        theirs = nearest(*(vectors.cuda() for vectors in ours), 10)
        assert torch.equal(theirs.cpu(), by_definition(*ours, 10))


class LargestInFloat64(TorchDispatchMode):
    """The most numbers in one tensor of float64 that any operation gives."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.dtype == torch.float64:
            self.largest = max(self.largest, out.numel())
        return out


def test_long_vectors_are_compared_without_a_copy_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    bank, queries = (torch.randn(count, 300, generator=torch.manual_seed(0)) for count in (400, 90))
    bank[7] = bank[300] = bank[3] = queries[3]  # equally near, in different blocks
    expected = by_definition(bank, queries, 5)
    assert expected[3, :3].tolist() == [3, 7, 300]
    monkeypatch.setattr(neighbours, "NUMBERS_AT_ONCE", 300 * 3)  # blocks of three, fewer than neighbours
    monkeypatch.setattr(neighbours, "FEW_PAIRS", 0)
    monkeypatch.setattr(neighbours, "WIDE", 299)
    with LargestInFloat64() as seen:
        found = nearest(bank, queries, 5)
    assert torch.equal(found, expected)
    assert 0 < seen.largest <= 300 * 3
