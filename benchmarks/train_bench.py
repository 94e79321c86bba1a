"""What the training benchmarks measure, and how: device, sizes, the clock, the same weights every time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.stars import StarsConfig
from stars_bench.training.loop import set_precision


@dataclass(frozen=True)
class Bench:
    """What is measured: where, how large. `clips`: the part that stage 2 and the heads run through."""

    device: torch.device
    config: StarsConfig
    batch: int = 8
    steps: int = 1
    clips: int = 16
    precisions: tuple[str, ...] = ("float32",)

    def seconds(self, work: Callable[[], object], precision: str | None = None) -> float:
        """Seconds of some work, to the device's last kernel. precision None: the baseline's float32 (TF32 on a GPU)."""
        set_precision(precision or ("tf32" if self.device.type == "cuda" else "float32"))
        alone = self.device.type == "cpu" and torch.get_num_threads() == 1
        clock = time.process_time if alone else time.perf_counter  # of one thread, whatever else the machine does
        self.wait()
        started = clock()
        work()
        self.wait()
        return clock() - started

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def encoder(self) -> SkeletonEncoder:
        """The same weights every time."""
        torch.manual_seed(0)
        return self.config.build(25).to(self.device)
