"""What the frozen part of an encoder gives, computed once for every distinct body and kept where memory allows.

In stage 2 the embeddings and the lower half of the blocks no longer change, and clips are whole, without augmentation:
the tokens between the halves are the same in every epoch. Kept as computed (float32, 0.77 MB a body at the paper's
size), so features and gradients are those of a plain forward. Where heads learn alone, features are kept (1 KB a body).
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import psutil
import torch
from torch import Tensor

from stars_bench.api import TrainingClips
from stars_bench.data import placement
from stars_bench.models.layers.encoder import SkeletonEncoder, distinct_bodies
from stars_bench.training import memory
from stars_bench.training.parallel import distributed

CHUNK = 64
"""Clips that are encoded at once while filling; fixed, so that a resumed run fills in the same numbers."""
GPU_LEFT, CPU_SHARE = 20_000_000_000, 0.25
"""What of a GPU's memory is left to a step (9 GB at the paper's size in float32), the clips and the rest; the largest
part of a CPU's that is filled. Of all of it: where nothing else uses the memory, every run keeps the same."""
FREE_LEFT, FREE_SHARE = 12_000_000_000, 0.5
"""The same of what is free: others, and this process, may have taken the rest."""


class FrozenHalf:
    """Features of whole clips by an encoder whose embeddings and first `frozen` blocks no longer change.

    Args:
        clips: The training part, whose row numbers are used.
        limit: Bytes that may be kept. Default: None, a share of the memory.
    """

    def __init__(self, encoder: SkeletonEncoder, clips: TrainingClips, frozen: int, limit: int | None = None) -> None:
        self.encoder, self.clips, self.frozen = encoder, clips, frozen
        self.limit = memory_share(clips.ids.device) if limit is None else limit
        self.kept: tuple[Tensor, Tensor] | None = None
        self.looked = not frozen  # where nothing is frozen there is nothing to keep

    def features(self, rows: Tensor) -> Tensor:
        """Return features (B, D) of clips by their rows (B,).

        The first call fills in what is kept, if all of it fits.
        """
        return self.encoder.features_from(*self.tokens(rows), self.frozen)

    def tokens(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the input of `features`: tokens (K, L, D) above the frozen part, each body's sequence (B, M)."""
        if not self.looked:
            self.looked, self.kept = True, self._fill()
        if self.kept is None:
            return self.encoder.lower(self.clips.whole(rows, self.encoder.frames), self.frozen)
        tokens, which = self.kept
        bodies, where = torch.unique(which[placement.on_host(rows)], return_inverse=True)
        return tokens[placement.sent(bodies, rows.device)], placement.sent(where, rows.device)

    @torch.no_grad()
    def _fill(self) -> tuple[Tensor, Tensor] | None:
        """Return tokens (K, L, D) of the distinct bodies, an empty one first, and each body's number (N, M)."""
        empty = torch.zeros_like(distinct_bodies(self._whole(0))[0][:1])
        first = self._tokens(empty)
        count = 1 + sum(int(_present(distinct_bodies(self._whole(start))[0]).sum()) for start in self._starts)
        if count * first.nbytes > self.limit:
            self._advise(count * first.nbytes)
            return None
        try:
            tokens = first.new_empty(count, *first.shape[1:])
        except (RuntimeError, MemoryError) as error:
            if not memory.is_out_of_memory(error):
                raise
            self._advise(count * first.nbytes)
            return None
        tokens[0], done = first[0], 1
        numbers = []
        for start in self._starts:
            bodies, which = distinct_bodies(self._whole(start))
            present = _present(bodies)
            new = self._tokens(bodies[present])
            tokens[done : done + len(new)] = new
            numbers.append(torch.where(present, done + present.cumsum(0) - 1, 0)[which])
            done += len(new)
        return tokens, torch.cat(numbers).cpu()

    def _advise(self, needed: int) -> None:
        if distributed.is_first():
            logging.getLogger(__name__).warning(
                f"the frozen half takes {needed / 1e9:.3g} GB to keep, and {self.limit / 1e9:.3g} GB may be kept: "
                "each step computes it again, which takes longer and gives the same to rounding; to keep it, end "
                "what else uses the memory, or take a larger device (--grad-accum and --fit-batch do not help)"
            )

    @property
    def _starts(self) -> range:
        return range(0, len(self.clips), CHUNK)

    def _whole(self, start: int) -> Tensor:
        rows = torch.arange(start, min(start + CHUNK, len(self.clips)))
        return self.clips.whole(placement.with_host_copy(rows, self.clips.ids.device), self.encoder.frames)

    def _tokens(self, bodies: Tensor) -> Tensor:
        return self.encoder.lower_of(bodies, self.frozen)


def _present(bodies: Tensor) -> Tensor:
    """Return which bodies (K, T, V, 3) are not empty, (K,) bool."""
    return (bodies != 0).flatten(1).any(1)


def memory_share(device: torch.device) -> int:
    """Return the bytes that may be kept on a device: all but 20 GB of a GPU, else a quarter of the machine's memory.

    Less where less is free: all but 12 GB of that, or half of it. In a container, the container's memory counts.
    """
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # torch's own, to take again
        free = torch.cuda.mem_get_info(device)[0] + unused
        whole = torch.cuda.get_device_properties(device).total_memory
        return max(0, min(whole - GPU_LEFT, free - FREE_LEFT))
    most = min(CPU_SHARE * _machine_memory(), FREE_SHARE * psutil.virtual_memory().available)
    return int(most / int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _machine_memory() -> int:
    try:
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        machine = 8 << 30
    limit = Path("/sys/fs/cgroup/memory.max")
    allowed = limit.read_text().strip() if limit.exists() else "max"
    return min(machine, int(allowed)) if allowed.isdecimal() else machine
