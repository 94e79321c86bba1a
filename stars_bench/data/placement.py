"""Where the coordinates of all clips lie: on the device where they fit, else in RAM, from where each batch is copied.

From RAM the rows of a batch are gathered into pinned memory and copied on a stream of their own, while the device is
still busy with the step before. For that the row numbers must be known without asking the device: `with_host_copy`.
"""

from __future__ import annotations

from copy import copy
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor

SHARE = 0.25
"""The largest part of a GPU's memory that coordinates may take: NTU RGB+D 120 (4 GB) on a card of 24 GB."""


class Coordinates(Protocol):
    """Coordinates of clips; `of` returns those of a batch."""

    def of(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows (R, V, 3) on the device that hold the clips `ids` (B,) int64, and the first row of each, (B,)."""
        ...

    def subset(self, ids: Tensor) -> Self:
        """Return the clips `ids` (N,) int64 alone, numbered anew from 0; no coordinate is copied."""
        ...


class OnDevice:
    """All rows (R, V, 3) on the device, clips from row `offset` (N,) on."""

    def __init__(self, joints: np.ndarray, offset: np.ndarray, device: torch.device) -> None:
        self.joints = torch.from_numpy(joints).to(device)
        self.offset = torch.from_numpy(np.array(offset, dtype=np.int64)).to(device)

    def of(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """See `Coordinates`."""
        return self.joints, self.offset[ids]

    def subset(self, ids: Tensor) -> Self:
        """See `Coordinates`."""
        part = copy(self)
        part.offset = self.offset[ids]
        return part


class InMemory:
    """All rows (R, V, 3) in RAM; clips of `rows` (N,) rows each, from row `offset` (N,) on."""

    def __init__(self, joints: np.ndarray, offset: np.ndarray, rows: np.ndarray, device: torch.device) -> None:
        self.device, self.shape = device, joints.shape[1:]
        self.joints = torch.from_numpy(joints).flatten(1)
        self.offset, self.rows = (torch.from_numpy(np.array(column, dtype=np.int64)) for column in (offset, rows))
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def of(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """See `Coordinates`."""
        known = on_host(ids)
        rows = self.rows[known]
        first = rows.cumsum(0) - rows
        numbers = torch.repeat_interleave(self.offset[known] - first, rows) + torch.arange(int(rows.sum()))
        pinned = self.stream is not None
        staged = torch.empty(len(numbers), self.joints.shape[1], dtype=self.joints.dtype, pin_memory=pinned)
        torch.index_select(self.joints, 0, numbers, out=staged)
        joints, first = self._copy(staged), self._copy(first.pin_memory() if pinned else first)
        return joints.view(-1, *self.shape), first

    def subset(self, ids: Tensor) -> Self:
        """See `Coordinates`."""
        part, here = copy(self), ids.cpu()
        part.offset, part.rows = self.offset[here], self.rows[here]
        return part

    def _copy(self, pinned: Tensor) -> Tensor:
        """Copy to the device on a stream of its own; the caller does not wait."""
        if self.stream is None:
            return pinned.to(self.device)
        with torch.cuda.stream(self.stream):
            there = pinned.to(self.device, non_blocking=True)
        current = torch.cuda.current_stream(self.device)
        current.wait_stream(self.stream)
        there.record_stream(current)
        return there


def place(joints: np.ndarray, offset: np.ndarray, rows: np.ndarray, device: torch.device) -> Coordinates:
    """Place coordinates on the device where they fit, else in RAM."""
    if device.type == "cuda" and joints.nbytes > SHARE * torch.cuda.get_device_properties(device).total_memory:
        return InMemory(joints, offset, rows, device)
    return OnDevice(joints, offset, device)


def sent(numbers: Tensor, device: torch.device) -> Tensor:
    """Send numbers from the CPU to the device; the caller does not wait."""
    return numbers.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else numbers


HOST_COPY = "host_copy"
"""The attribute of a tensor on the device that holds the same numbers on the CPU."""


def with_host_copy(numbers: Tensor, device: torch.device) -> Tensor:
    """Copy whole numbers (B,) to the device, such that `on_host` knows them and those of every slice.

    The result must not be changed.
    """
    there = numbers.to(device)
    setattr(there, HOST_COPY, numbers)
    return there


def on_host(numbers: Tensor) -> Tensor:
    """Return whole numbers (B,) on the CPU.

    This does not wait for the device where the numbers are a slice that has a host copy.
    """
    here = known_on_host(numbers)
    return numbers.cpu() if here is None else here


def known_on_host(numbers: Tensor) -> Tensor | None:
    """Return whole numbers (B,) on the CPU; None where the device would have to be waited for."""
    if numbers.device.type == "cpu":
        return numbers
    whole = numbers if numbers._base is None else numbers._base  # of a slice of a slice too
    here: Tensor | None = getattr(whole, HOST_COPY, None)
    if here is None or not numbers.is_contiguous():
        return None
    return here[numbers.storage_offset() :][: len(numbers)]
