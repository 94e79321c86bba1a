"""The nearest neighbours by cosine, exactly: k-NN, exemplars and the purity of neighbourhoods rest on them.

In: features of a bank (N, D) and of queries (Q, D). Out: the bank's rows, nearest first. Cosines are computed in
float64 and compared to 12 digits; equal ones count in the order of rows (scikit-learn leaves it open which of several
equally near clips count). So the answer depends neither on the device nor on the order or the size of blocks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stars_bench.errors import StarsBenchError
from stars_bench.evaluation.nearest_numba import LAST_ROW, ROW_BITS, STEP, search

PAIRS_AT_ONCE = 2**25
NUMBERS_AT_ONCE = 2**24
"""Numbers of vectors that are held in float64, from the bank and from the queries each (128 MB)."""
WIDE = 4096
"""Longer vectors are compared as they are: finding their principal axes would take longer, and the memory of several
copies of all in float64 (32 GB for the coordinates of NTU RGB+D 120)."""
FEW_PAIRS = 2**24
"""Up to here comparing everything is as fast as preparing not to."""


def unit(vectors: Tensor) -> Tensor:
    """Return vectors (..., D) at length 1, in float64; a vector of zeros stays one."""
    vectors = vectors.double()
    length = vectors.norm(dim=-1, keepdim=True)
    return vectors / torch.where(length > 0, length, 1)


def nearest(bank: Tensor, queries: Tensor, count: int) -> Tensor:
    """Return rows (Q, count) int64 of the bank's vectors (N, D) nearest to each query (Q, D), nearest first.

    Raises:
        StarsBenchError: More bank vectors than the order by rows can tell apart (16.7 million).
    """
    if len(bank) > LAST_ROW:
        raise StarsBenchError(
            f"nearest neighbours: {len(bank):,} clips are more than the {LAST_ROW:,} that are possible"
        )
    bank, queries = bank.float().contiguous(), queries.float().contiguous()
    if bank.device.type != "cpu" or len(bank) * len(queries) <= FEW_PAIRS or bank.shape[1] > WIDE:
        return by_definition(bank, queries, count)
    rows, still_open = search(bank.numpy(), queries.numpy(), count, torch.get_num_threads())
    found = torch.from_numpy(rows)
    if len(still_open):
        found[still_open] = by_definition(bank, queries[still_open], count)
    return found


def by_definition(bank: Tensor, queries: Tensor, count: int) -> Tensor:
    """Find the nearest rows as `nearest` does, by comparing everything with everything, block by block."""
    most = max(NUMBERS_AT_ONCE // bank.shape[1], 1)
    blocks, rows = torch.split(bank, most), torch.split(torch.arange(len(bank), device=bank.device), most)
    out = [torch.empty(0, count, dtype=torch.int64, device=bank.device)]
    for chunk in torch.split(queries, max(min(PAIRS_AT_ONCE // len(blocks[0]), most), 1)):
        asked, best = unit(chunk), torch.empty(len(chunk), 0, dtype=torch.int64, device=bank.device)
        for block, numbers in zip(blocks, rows, strict=True):
            keys = ((asked @ unit(block).T / STEP).round().long() << ROW_BITS) + (LAST_ROW - numbers)
            best = torch.cat([best, keys.topk(min(count, len(block)), dim=1).values], 1)
            best = best.topk(min(count, best.shape[1]), dim=1).values  # keys are unique: they have the row in them
        out.append(LAST_ROW - (best & LAST_ROW))
    return torch.cat(out)
