"""The clips of a prepared dataset in any order, read from its shards in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import h5py
import numpy as np
from numpy.typing import NDArray

from stars_bench.storage.compression import read_rows
from stars_bench.storage.shards import PreparedDataset

RUN_ROWS = 8_192  # rows read at once: 2.4 MB with 25 joints


def bodies_of(dataset: PreparedDataset, clips: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
    """Yield bodies (M, F, V, 3) of the clips with these numbers (rows of the dataset's table), one after the other.

    Clips that lie one behind the other in a shard are read together: the published orders keep a performer's, a
    camera's and a setup's clips so.

    Raises:
        UsageError: A shard is missing, damaged, or not as it was prepared.
    """
    first, bodies, frames = (dataset.table[name].to_numpy()[clips] for name in ("offset", "num_bodies", "num_frames"))
    last = first + bodies * frames
    starts = _first_rows(dataset)
    shard = np.searchsorted(starts, first, side="right") - 1
    file: h5py.File | None = None
    with ExitStack() as opened:
        for begin, end in _runs(first, last, shard):
            path, start = dataset.shards[shard[begin]], starts[shard[begin]]
            if file is None or file.filename != str(path):
                opened.close()
                file = opened.enter_context(dataset.opened(path.name))
            joints = np.empty((last[end - 1] - first[begin], *file["joints"].shape[1:]), np.float32)
            read_rows(file["joints"], joints, int(first[begin] - start))
            for i in range(begin, end):
                own = joints[first[i] - first[begin] : last[i] - first[begin]]
                clip = own.reshape(bodies[i], frames[i], *joints.shape[1:])
                dataset.check_clip(int(clips[i]), clip)
                yield clip


def _runs(first: NDArray[np.int64], last: NDArray[np.int64], shard: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield ranges of clips that can be read at once: one shard, no gap, at most RUN_ROWS rows (or a single clip)."""
    begin = 0
    for end in range(1, len(first) + 1):
        whole = end < len(first) and first[end] == last[end - 1] and shard[end] == shard[begin]
        if not whole or last[end] - first[begin] > RUN_ROWS:
            yield begin, end
            begin = end


def _first_rows(dataset: PreparedDataset) -> NDArray[np.int64]:
    """Return the number of the first row of each shard, in `PreparedDataset.load`."""
    rows = []
    for path in dataset.shards:
        with dataset.opened(path.name) as file:
            rows.append(file["joints"].shape[0])
    return np.cumsum([0, *rows[:-1]])
