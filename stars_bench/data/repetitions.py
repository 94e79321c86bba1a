"""Which bodies of a batch are repetitions, known from the table of clips before the device has computed anything.

A missing body is nothing but zeros or a copy of its clip's first body, and stays so whatever crop, resizing, rotation
or stream its batch has. A network that encodes repetitions once asks `known` which bodies are distinct. So no shape
depends on what lies on the device, and the program does not wait for it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from stars_bench.api import AbsentBody
from stars_bench.data import placement
from stars_bench.storage.clip_facts import ABSENT, COPY, EMPTY

NOTE = "repetitions"
"""The attribute of a batch that holds what is known of its bodies."""


class Distinct(NamedTuple):
    """The bodies of a batch without repetitions.

    Args:
        kept: (K,) int64, ascending numbers of the bodies to encode; body m of clip b has the number b * M + m.
        which: (B, M) int64, which of them each body is.
    """

    kept: Tensor
    which: Tensor


def noted(batch: Tensor, second: Tensor, absent: AbsentBody, rows: Tensor) -> Tensor:
    """Note at a batch what is known of its bodies, and return the batch.

    Args:
        batch: (B, 3, T, V, 2) clips.
        second: (N,) int64 on the CPU, what the second body of each clip is (`storage.clip_facts`).
        absent: What stands for a missing second body.
        rows: (B,) int64 numbers of the clips. Nothing is noted where only the device knows them.
    """
    here = placement.known_on_host(rows)
    if here is not None:
        setattr(batch, NOTE, (second, absent, here, batch._version))
    return batch


def carried(batch: Tensor, changed: Tensor) -> Tensor:
    """Note at a changed batch what is known of `batch`, and return it: of changes that treat both bodies alike."""
    note = getattr(batch, NOTE, None)
    if note is not None and note[3] == batch._version:
        setattr(changed, NOTE, (*note[:3], changed._version))
    return changed


def known(batch: Tensor) -> Distinct | None:
    """Return which bodies of a batch (B, 3, T, V, 2) are distinct, on its device.

    None where nothing was noted, or where the batch was changed in place since.
    """
    note: tuple[Tensor, AbsentBody, Tensor, int] | None = getattr(batch, NOTE, None)
    if note is None or note[3] != batch._version:
        return None
    second, absent, rows, _ = note
    kept, which = distinct(second[rows], absent)
    return Distinct(placement.sent(kept, batch.device), placement.sent(which, batch.device))


def distinct(second: Tensor, absent: AbsentBody) -> Distinct:
    """Return which bodies of clips are distinct, of what the second body of each clip is (B,)."""
    own = torch.arange(2 * len(second)).view(-1, 2)
    copied, empty = second == COPY, second == EMPTY
    if absent == "zero":
        empty = empty | (second == ABSENT)
    else:
        copied = copied | (second == ABSENT)
    own[copied, 1] = own[copied, 0]
    own[empty, 1] = own[empty, 1].min() if bool(empty.any()) else 0
    kept, which = torch.unique(own, return_inverse=True)
    return Distinct(kept, which)
