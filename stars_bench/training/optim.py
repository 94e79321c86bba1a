"""Learning-rate schedules by fractional epoch, parameter groups, and gradient clipping as in the official programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Schedule = Callable[[float], float]
"""From the fractional epoch to the factor on every group's learning rate."""


def warmup_cosine(epochs: float, warmup: float, final: float) -> Schedule:
    """Return a schedule: linear from 0 over `warmup` epochs, then half a cosine from 1 to `final` at `epochs`."""

    def factor(epoch: float) -> float:
        if epoch < warmup:
            return epoch / warmup
        progress = (epoch - warmup) / (epochs - warmup)
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))

    return factor


def step_decay(milestones: Sequence[float], factor: float = 0.1, warmup: float = 0) -> Schedule:
    """Return a schedule by whole epochs: 1, times `factor` from each of the epochs `milestones` on.

    Args:
        milestones: Epochs from which on the rate is lower.
        factor: What the rate is multiplied with each time. Default: 0.1.
        warmup: Epochs in which the factor rises: epoch e, from 0, has (e + 1) / warmup. Default: 0.
    """

    def at(epoch: float) -> float:
        rise = min((int(epoch) + 1) / warmup, 1.0) if warmup else 1.0
        return rise * float(factor ** sum(int(epoch) >= milestone for milestone in milestones))

    return at


def decay_matrices_only(named: Iterable[tuple[str, nn.Parameter]], weight_decay: float) -> list[dict[str, Any]]:
    """Return two parameter groups: weight decay on matrices and tables, none on biases and 1-D parameters."""
    with_decay: list[nn.Parameter] = []
    without: list[nn.Parameter] = []
    for name, parameter in named:
        (without if parameter.ndim <= 1 or name.endswith(".bias") else with_decay).append(parameter)
    return [{"params": with_decay, "weight_decay": weight_decay}, {"params": without, "weight_decay": 0.0}]


def layer_decay_groups(
    named: Iterable[tuple[str, nn.Parameter]],
    layer_of: Callable[[str], int],
    lr: float,
    layer_decay: float,
    weight_decay: float,
) -> list[dict[str, Any]]:
    """Return parameter groups whose learning rate falls towards the input: lr * layer_decay^(highest layer - layer).

    Weight decay on matrices and tables, none on 1-D parameters. As in BEiT, MAE and MAMP.

    Args:
        named: Names and parameters.
        layer_of: From a parameter's name to its layer; the highest layer learns at `lr`.
        lr: Learning rate of the highest layer.
        layer_decay: Factor on the learning rate per layer towards the input.
        weight_decay: Weight decay of matrices and tables.
    """
    parameters = list(named)
    top = max(layer_of(name) for name, _ in parameters)
    groups: dict[tuple[int, float], dict[str, Any]] = {}
    for name, parameter in parameters:
        layer, decay = layer_of(name), weight_decay if parameter.ndim > 1 else 0.0
        new = {"params": [], "lr": lr * layer_decay ** (top - layer), "weight_decay": decay}
        groups.setdefault((layer, decay), new)["params"].append(parameter)
    return list(groups.values())


def clip_each(parameters: Iterable[nn.Parameter], max_norm: float) -> None:
    """Scale each parameter's own gradient down to at most `max_norm` (not the norm of all together).

    As `nn.utils.clip_grad_norm_` would one by one, to the bit, in a few kernels for all: gradients are scaled as one
    vector and copied back, because a list of factors would be multiplied one by one.
    """
    by_type: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            by_type.setdefault((parameter.grad.device, parameter.grad.dtype), []).append(parameter.grad)
    for gradients in by_type.values():
        factors = (max_norm / (torch.stack(torch._foreach_norm(gradients)) + 1e-6)).clamp(max=1.0)
        sizes = [gradient.numel() for gradient in gradients]
        scaled = torch.cat([gradient.flatten() for gradient in gradients])
        scaled *= torch.cat([factor.expand(size) for factor, size in zip(factors, sizes, strict=True)])
        parts = zip(torch.split(scaled, sizes), gradients, strict=True)
        torch._foreach_copy_(gradients, [part.view_as(gradient) for part, gradient in parts])
