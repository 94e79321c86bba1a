"""What the processes of test_distributed.py compute, all cases in one go: starting them takes longer than the cases."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from stars_bench.errors import UsageError
from stars_bench.training.loop import train
from stars_bench.training.parallel import distributed
from stars_bench.training.parallel.batch_norm import of_the_whole_batch
from tests.training.small_steps import outcome
from tests.training.test_loop import CPU, small_stage

BATCHES = (8, 7, 2)
"""Of the training steps: divided evenly by 2, by neither 2 nor 3, and fewer clips than three processes."""
MICRO = ("stage1", "stage2", "stage2_kept", "moco", "finetune")
KINDS = (*MICRO, "skeletonclr", "convolution", "undivided")
SHAPES = ((7, 4), (7, 4, 3), (7, 4, 3, 2))
FEW = ((2, 4), (1, 4, 3))
"""Rows of which three processes, or two, do not have one each."""


def everything() -> dict[str, Any]:
    """All cases, in this process."""
    steps = {(kind, batch, 1): outcome(kind, batch) for kind in KINDS for batch in BATCHES}
    steps["stage1", 1, 1] = outcome("stage1", 1)  # one clip for two processes
    steps |= {(kind, 7, 2): outcome(kind, 7, micro_batches=2) for kind in MICRO}
    return {
        "steps": steps,
        "norms": [norm(shape, momentum) for shape in (*SHAPES, *FEW) for momentum in (0.1, None)],
        "rows": gathered(own(torch.arange(10.0).view(5, 2).bfloat16()), 5),
        "told": told(),
        "largest": distributed.largest(10 + distributed.rank()),
        "weights": weights_of_own_training(),
        "epoch": chosen_epoch(),
        "ranks": (distributed.rank(), distributed.world_size(), distributed.is_first()),
    }


def chosen_epoch() -> int:
    """The epoch that is kept where each process finds another one to be the best, as rounding may have it."""
    at = train(
        small_stage(), seed=0, device=CPU, look=iter([0.1, 0.2, 0.3][:: 1 - 2 * (distributed.rank() > 0)]).__next__
    )
    assert at.best is not None
    return int(at.best["epoch"])


def own(x: Tensor) -> Tensor:
    first, count = distributed.own_share(len(x))
    return x[first : first + count]


def gathered(x: Tensor, count: int) -> Tensor:
    return distributed.gather_rows(x, [size for _, size in distributed.shares(count)])


def over_processes(layer: nn.Module, count: int) -> AbstractContextManager[None]:
    """Gathered statistics among several processes; torch's own layer, which they are compared with, in one."""
    return of_the_whole_batch(layer, count) if distributed.world_size() > 1 else nullcontext()


def norm(shape: tuple[int, ...], momentum: float | None) -> dict[str, Tensor]:
    """Output, gradients and statistics of a BatchNorm over rows that are divided among the processes."""
    kind = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}[len(shape)]
    layer = kind(shape[1], momentum=momentum).double()
    x = torch.linspace(-1, 2, math.prod(shape), dtype=torch.float64).sin().view(shape) * 3 + 100
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(0.5, 2, shape[1]))
    first, count = distributed.own_share(len(x))
    part = (x[first : first + count] if count else x[:1]).clone().requires_grad_()
    outs = []
    for _ in range(2):
        with over_processes(layer, count):
            outs.append(layer(part)[:count])
    weights = torch.arange(x.numel(), dtype=torch.float64).view(shape).cos()[first : first + count]
    (outs[-1] * weights).sum().backward()
    distributed.sum_gradients(layer.parameters())
    layer.eval()
    with over_processes(layer, count):
        evaluated = layer(part)[:count]
    gradient = part.grad[:count]
    rows = {"out": outs[-1], "gradient": gradient, "evaluated": evaluated}
    all_rows = {name: gathered(value, len(x)) for name, value in rows.items()}
    parameters = {name: value.grad for name, value in layer.named_parameters()}
    return all_rows | parameters | {name: value.clone() for name, value in layer.named_buffers()}


def weights_of_own_training() -> float:
    """Of a module that every process has trained otherwise, and then made the first's."""
    layer = nn.Linear(1, 1)
    nn.init.constant_(layer.weight, 5 + distributed.rank())
    distributed.take_weights_of_first(layer)
    return layer.weight.item()


def told() -> list[Any]:
    """What the first process makes, and its error, arrive everywhere."""

    def fail() -> None:
        raise UsageError(f"process {distributed.rank()} says no")

    try:
        distributed.from_first(fail)
    except UsageError as error:
        return [distributed.from_first(lambda: {"made by": distributed.rank()}), str(error)]
    return []
