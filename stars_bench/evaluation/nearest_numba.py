"""Nearest neighbours by cosine on the CPU, without comparing everything in all dimensions: bounds first, then exactly.

In the bank's principal axes (unit vectors, mean removed) q and x are at least as far apart as (q_1 .. q_d, |q_rest|)
and (x_1 .. x_d, |x_rest|): the triangle inequality. So one float32 product of d + 2 columns bounds every cosine from
above. The best candidates by bound are compared in float64, in order, until the bound says that no other clip can be
nearer (multi-step search: Seidl and Kriegel, SIGMOD 1998). Queries whose candidates prove nothing are tried with more
dimensions; with all of them the bound is the cosine itself, up to rounding. What is still open is handed back.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from stars_bench.io.numba_cache import ANY_ORDER, compiled, kept

ROW_BITS = 24
LAST_ROW = 2**ROW_BITS - 1
STEP = 2.0**-38
"""Cosines are compared as multiples of this; equal ones count in the order of rows."""

DIMENSIONS = (30, 62, 126)
MAX_UNPROVEN = 0.2
"""Fewer dimensions are used where they decide for all but this share of a sample of the queries: searching the others
again costs about what is saved."""
SAMPLE = 256
SPARE = 22
"""Candidates beyond the neighbours that are asked for."""
QUERIES_AT_ONCE, BANK_AT_ONCE = 512, 1024
"""Their product in float32 stays in the cache."""
FLOAT32_ROUNDING = 2.0**-24


def search(
    bank: NDArray[np.float32], queries: NDArray[np.float32], count: int, threads: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the `count` nearest rows of a bank (N, D) for queries (Q, D): (Q, count), and the queries left open.

    Rows of open queries mean nothing. There are some only where more clips than there are candidates lie closer to each
    other than float32 can tell, as with many copies of one vector.
    """
    rows = np.zeros((len(queries), count), np.int64)
    todo = np.arange(len(queries))
    dim = bank.shape[1]
    # Each thread multiplies its own blocks: faster than sharing a product, and no thread waits for another.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        axes = Axes(bank)
        for d in (*(d for d in DIMENSIONS if d < dim), dim):
            bounded = Bounded(axes, d, count)
            if d < dim and len(todo) > SAMPLE:
                sample = todo[np.linspace(0, len(todo) - 1, SAMPLE).astype(np.int64)]
                if 1 - bounded.nearest(queries[sample])[1].mean() > MAX_UNPROVEN:
                    continue
            parts = [todo[first : first + QUERIES_AT_ONCE] for first in range(0, len(todo), QUERIES_AT_ONCE)]
            found = list(pool.map(lambda part, b=bounded: b.nearest(queries[part]), parts))
            rows[todo] = np.concatenate([part for part, _ in found])
            todo = todo[~np.concatenate([proven for _, proven in found])]
            if not len(todo):
                break
    return rows, todo


class Axes:
    """A bank (N, D) and its principal axes, largest variance first, with the mean of its unit vectors as origin.

    Distances between unit vectors stay what they are there, and cosines are 1 - distance^2 / 2; but numbers are smaller
    and round less.
    """

    def __init__(self, bank: NDArray[np.float32]) -> None:
        self.bank = bank
        self.scale = scale_to_unit(bank)
        units: NDArray[np.float64] = bank * self.scale[:, None]
        self.origin = units.mean(0)
        units -= self.origin
        self.axes = np.linalg.eigh(units.T @ units)[1][:, ::-1]
        self.turned = units @ self.axes

    def turn(self, queries: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return 1 / length (B,) of queries (B, D), and their unit vectors (B, D) in these axes."""
        scale = scale_to_unit(queries)
        return scale, (queries * scale[:, None] - self.origin) @ self.axes


def scale_to_unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return 1 / length of vectors (N, D); 0 for a vector of zeros."""
    length = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    scale = np.zeros(len(vectors))
    np.divide(1.0, length, out=scale, where=length > 0)
    return scale


class Bounded:
    """The search with bounds from the first `d` principal axes."""

    def __init__(self, axes: Axes, d: int, count: int) -> None:
        self.axes, self.d, self.count = axes, d, count
        self.candidates = min(count + SPARE, len(axes.bank))
        squares = _squares(axes.turned)
        self.radius = float(np.sqrt(squares.max()))
        self.columns = _columns(axes.turned, d, -squares / 2)

    def limits(self, turned: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return columns (B, d + 2) whose product with the bank's, plus offsets (B,), is no less than the cosine."""
        squares = _squares(turned)
        # Rounding of a float32 dot product and of its factors: n u |a| |b| (Higham, Accuracy and Stability, 3.1).
        rounding = (self.d + 8) * FLOAT32_ROUNDING * (self.radius * np.sqrt(squares) + self.radius**2 / 2)
        return _columns(turned, self.d, np.ones(len(turned))), 1 - squares / 2 + rounding + 2 * STEP

    def nearest(self, queries: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the nearest rows (B, count) of queries (B, D), and whether they are proven (B,)."""
        size, axes = len(queries), self.axes
        best = np.full((size, self.candidates), -np.inf, np.float32)
        candidates = np.zeros((size, self.candidates), np.int64)
        product = np.empty((size, BANK_AT_ONCE), np.float32)
        scale, turned = axes.turn(queries)
        columns, offset = self.limits(turned)
        for first in range(0, len(self.columns), BANK_AT_ONCE):
            block = self.columns[first : first + BANK_AT_ONCE]
            np.matmul(columns, block.T, out=product[:, : len(block)])
            keep_best(product, len(block), first, best, candidates)
        rows = np.zeros((size, self.count), np.int64)
        proven = np.full(size, self.candidates == len(axes.bank))
        refine(queries, scale, axes.bank, axes.scale, candidates, best + offset[:, None], rows, proven)
        return rows, proven


def _squares(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    squares: NDArray[np.float64] = np.einsum("nd,nd->n", vectors, vectors)
    return squares


def _columns(turned: NDArray[np.float64], d: int, last: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return (N, d + 2) float32: the first d axes, the length of the rest, and one more column."""
    out = np.empty((len(turned), d + 2), np.float32)
    out[:, :d] = turned[:, :d]
    out[:, d] = np.sqrt(_squares(turned[:, d:]))
    out[:, d + 1] = last
    return out


@partial(kept, options=ANY_ORDER)
def keep_best(
    product: NDArray[np.float32],
    width: int,
    first: int,
    best: NDArray[np.float32],
    rows: NDArray[np.int64],
) -> None:
    """Take the columns 0 .. width of bounds (B, ...) into the sorted best of each row (B, C) and their numbers."""
    last = best.shape[1] - 1
    for i in range(product.shape[0]):
        scores, cut = product[i], best[i, last]
        for start in range(0, width, 64):
            end = min(start + 64, width)
            hits = np.int32(0)  # counting is a vector operation, and hits are rare
            for j in range(start, end):
                hits += scores[j] > cut
            if hits == 0:
                continue
            for j in range(start, end):
                if scores[j] > cut:
                    place = last
                    while place > 0 and best[i, place - 1] < scores[j]:
                        best[i, place], rows[i, place] = best[i, place - 1], rows[i, place - 1]
                        place -= 1
                    best[i, place], rows[i, place] = scores[j], first + j
                    cut = best[i, last]


@partial(compiled, options=ANY_ORDER)
def dot(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the dot product in float64."""
    total = 0.0
    for i in range(a.shape[0]):
        total += np.float64(a[i]) * np.float64(b[i])
    return total


@partial(kept, options=ANY_ORDER)
def refine(
    queries: NDArray[np.float32],
    query_scale: NDArray[np.float64],
    bank: NDArray[np.float32],
    bank_scale: NDArray[np.float64],
    candidates: NDArray[np.int64],
    limits: NDArray[np.float64],
    rows: NDArray[np.int64],
    proven: NDArray[np.bool_],
) -> None:
    """Sort candidates (B, C) by cosine, and by row if equal, into rows (B, count).

    Args:
        queries: (B, D) vectors.
        query_scale: (B,) 1 / length of the queries.
        bank: (N, D) vectors.
        bank_scale: (N,) 1 / length of the bank's vectors.
        candidates: (B, C) rows of the bank, best bound first.
        limits: (B, C) bounds: no candidate from here on, and no other clip, has a larger cosine.
        rows: (B, count) nearest rows; filled in.
        proven: (B,) set where the bounds prove the answer.
    """
    count = rows.shape[1]
    keys = np.empty(count, np.int64)
    for i in range(queries.shape[0]):
        found = 0
        for c in range(candidates.shape[1]):
            if found == count and limits[i, c] < (keys[count - 1] >> ROW_BITS) * STEP:
                proven[i] = True
                break
            row = candidates[i, c]
            cosine = dot(queries[i], bank[row]) * query_scale[i] * bank_scale[row]
            key = (np.int64(np.rint(cosine / STEP)) << ROW_BITS) + LAST_ROW - row
            if found == count and key <= keys[count - 1]:
                continue
            found = min(found + 1, count)
            place = found - 1
            while place > 0 and keys[place - 1] < key:
                keys[place], rows[i, place] = keys[place - 1], rows[i, place - 1]
                place -= 1
            keys[place], rows[i, place] = key, row
