"""Layers that look beyond their own clip, while a process encodes its share of a batch: BatchNorm and Dropout.

BatchNorm takes mean and variance of the batch of all processes (arXiv:1502.03167; torch's own nn.SyncBatchNorm does so,
but on GPUs alone), Dropout its share of the numbers of that batch. So the processes compute what one would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from stars_bench.data import random
from stars_bench.errors import UsageError
from stars_bench.training.parallel.distributed import sum_over_processes


@contextmanager
def of_the_whole_batch(module: nn.Module, clips: int = 1, micro_batches: int = 1) -> Iterator[None]:
    """Let BatchNorm layers of `module` normalise, and Dropout layers drop, over the batch of all processes.

    Args:
        module: The network.
        clips: Clips of this process; with 0 it takes part but counts for nothing. Default: 1.
        micro_batches: Parts that each process divides its share into. Default: 1.

    Raises:
        UsageError: A BatchNorm is met while the batch is divided into micro-batches, since it cannot see the others.
    """
    patched: dict[nn.Module, Callable[[Tensor], Tensor]] = {}
    for part in module.modules():
        if isinstance(part, _BatchNorm):
            patched[part] = refuse if micro_batches > 1 else partial(gathered_batch_norm, part, clips > 0)
        elif isinstance(part, nn.Dropout):
            patched[part] = partial(_dropout, part)
    for part, forward in patched.items():
        part.__dict__["forward"] = forward  # seen before the class's own
    try:
        yield
    finally:
        for part in patched:
            del part.__dict__["forward"]


def refuse(x: Tensor) -> Tensor:
    """Stand for a BatchNorm that would see a part of the batch."""
    raise UsageError(
        f"--grad-accum: a BatchNorm inside the encoder needs the whole batch, and would see {len(x)} rows of it; "
        "leave out --grad-accum, or use more processes"
    )


def _dropout(layer: nn.Dropout, x: Tensor) -> Tensor:
    return random.dropout(x, layer.p) if layer.training else x


def gathered_batch_norm(layer: _BatchNorm, counts: bool, x: Tensor) -> Tensor:
    """Return what `layer` gives for x (N, C, ...), a part of the rows, where the other processes have the others.

    Running statistics are updated as if the layer had seen all rows. Gradients go through mean and variance to every
    process's rows, provided that each goes backward.

    Args:
        layer: The BatchNorm.
        counts: False if this process's rows stand in for none: they are normalised, but are not part of the batch.
        x: (N, C, ...), this process's part of the rows.
    """
    if not layer.training and layer.running_mean is not None:
        return type(layer).forward(layer, x)
    given, x = x.dtype, x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    dims = [0, *range(2, x.ndim)]
    weight = float(counts)
    rows = weight * x.numel() / x.shape[1]
    sums = torch.cat([x.sum(dims) * weight, torch.full((1,), rows, dtype=x.dtype, device=x.device)])
    total = sum_over_processes(sums)
    count = total[-1].detach()
    shape = [1, -1] + [1] * (x.ndim - 2)
    mean = total[:-1] / count
    centred = x - mean.view(shape)
    squares = sum_over_processes(centred.square().sum(dims) * weight)
    variance = squares / count
    if layer.training:
        _update(layer, mean.detach(), squares.detach() / (count - 1))
    out = centred * (variance + layer.eps).rsqrt().view(shape)
    if layer.affine:
        out = out * layer.weight.view(shape) + layer.bias.view(shape)
    return out.to(given)


@torch.no_grad()
def _update(layer: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Update running statistics as torch does: the unbiased variance, a moving or (momentum None) a plain mean."""
    if layer.running_mean is None or layer.running_var is None:
        return
    momentum = layer.momentum
    if layer.num_batches_tracked is not None:
        layer.num_batches_tracked.add_(1)
        if momentum is None:
            momentum = 1 / float(layer.num_batches_tracked)
    layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), cast(float, momentum))
    layer.running_var.lerp_(variance.to(layer.running_var.dtype), cast(float, momentum))
