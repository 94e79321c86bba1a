"""Random numbers of a batch, clip by clip: work on a share of the batch draws for all of it and keeps its own.

So a batch that is divided among processes, or into micro-batches, meets the numbers that it would meet undivided, as
long as the generators were seeded alike. Without a share these are torch's own functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Share:
    """The clips first .. first + count of a batch of `total`.

    Args:
        first: Number of the first clip in the batch.
        count: Number of clips.
        total: Number of clips of the whole batch.
        parts: Parts that the process divides its clips of the batch into. Default: 1.
    """

    first: int
    count: int
    total: int
    parts: int = 1

    def per_clip(self, size: int) -> int:
        """Return how many rows of a dimension of `size` belong to each clip (2 where bodies are rows).

        Raises:
            ValueError: The dimension is not one of clips.
        """
        if size % self.count:
            raise ValueError(f"random numbers for {size} rows do not belong to {self.count} clips")
        return size // self.count


_current: Share | None = None


@contextmanager
def share(first: int, count: int, total: int, parts: int = 1) -> Iterator[None]:
    """Draw random numbers for clips first .. first + count of a batch of `total` while the block runs."""
    global _current
    before, _current = _current, Share(first, count, total, parts)
    try:
        yield
    finally:
        _current = before


def parts() -> int:
    """Return how many parts this process divides its clips of the batch into."""
    return 1 if _current is None else _current.parts


@dataclass(frozen=True)
class _Replay:
    """Numbers that stand in for drawn ones, in the order of the draws."""

    uniform: Iterator[Tensor]
    kept: Iterator[Tensor]


_replay: _Replay | None = None


@contextmanager
def replayed(uniform: Iterable[Tensor] = (), kept: Iterable[Tensor] = ()) -> Iterator[None]:
    """Inside, `rand` and `dropout` take known numbers, one tensor a call, in the order of the calls.

    Args:
        uniform: What `rand` gives; as many numbers as are asked for, of any shape.
        kept: Masks of what `dropout` keeps, True where it does, of its input's shape.
    """
    global _replay
    before, _replay = _replay, _Replay(iter(uniform), iter(kept))
    try:
        yield
    finally:
        _replay = before


def rand(
    *size: int,
    dim: int = 0,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Call torch.rand with `size`, whose dimension `dim` counts clips (or rows of clips, clip after clip)."""
    if _replay is not None:
        return next(_replay.uniform).view(size)
    return _drawn(partial(torch.rand, generator=generator), size, dim, dtype, device)


def randn(
    *size: int,
    dim: int = 0,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Call torch.randn with `size`, whose dimension `dim` counts clips (or rows of clips, clip after clip)."""
    return _drawn(partial(torch.randn, generator=generator), size, dim, dtype, device)


def _drawn(
    draw: Callable[..., Tensor],
    size: tuple[int, ...],
    dim: int,
    dtype: torch.dtype | None,
    device: torch.device | str | None,
) -> Tensor:
    part = _current
    if part is None:
        return draw(*size, dtype=dtype, device=device)
    each = part.per_clip(size[dim])
    drawn = draw(*size[:dim], each * part.total, *size[dim + 1 :], dtype=dtype, device=device)
    return drawn.narrow(dim, each * part.first, size[dim])


def dropout(x: Tensor, p: float) -> Tensor:
    """Apply dropout to x (B, ...), whose first dimension counts clips (or rows of clips, clip after clip)."""
    if _replay is not None and p:
        return x * next(_replay.kept) / (1 - p)
    part = _current
    if part is None or not p:
        return F.dropout(x, p)
    each = part.per_clip(len(x))
    kept = F.dropout(x.new_ones(each * part.total, *x.shape[1:]), p)
    return x * kept[each * part.first :][: len(x)]
