"""The cost of an encoder: multiply-adds of one clip's features, counted by running it once."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from stars_bench.data.clip_store import BODIES
from stars_bench.training.numerics.compile import compiled


@torch.no_grad()
def multiply_adds(encoder: nn.Module, joints: int, device: torch.device) -> int:
    """Return multiply-adds of matrix products and convolutions in the features of one clip of `encoder.frames` frames.

    The clip has two different bodies, so that nothing is left out. Attention is counted as the products that it is:
    fused kernels are unknown to torch's counter on a CPU, which counts two operations a multiply-add.
    """
    generator = torch.Generator().manual_seed(0)  # not torch's own: the numbers drawn elsewhere stay the same
    frames = int(encoder.frames)  # type: ignore[arg-type]
    clip = torch.randn(1, 3, frames, joints, BODIES, generator=generator).to(device)
    training = encoder.training
    encoder.eval()
    with compiled(None), FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        encoder(clip)
    encoder.train(training)
    return int(counter.get_total_flops()) // 2
