"""The definitions, written out clip by clip: what the methods' losses and gradients are compared with, in float64."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def encode(x: Tensor, encoder: nn.Module, blocks: Iterable[nn.Module] | None = None, norm: nn.Module | None = None):
    """Features (B, D): every body of every clip through all blocks, one after the other, then the mean."""
    rows = []
    for clip in x:
        bodies = torch.stack([clip[..., body].permute(1, 2, 0) for body in range(clip.shape[-1])])
        tokens = encoder.embed(bodies)
        for block in encoder.blocks if blocks is None else blocks:
            tokens = block(tokens)
        rows.append((encoder.norm if norm is None else norm)(tokens).mean((0, 1)))
    return torch.stack(rows)


def unit(vectors: Tensor) -> Tensor:
    """Rows of length 1."""
    return torch.stack([row / row.square().sum().sqrt() for row in vectors])


def info_nce(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """MoCo's loss, clip by clip."""
    losses = []
    for q, k in zip(query, key, strict=True):
        cosines = torch.stack([q @ k, *[q @ queue[:, column] for column in range(queue.shape[1])]]) / temperature
        losses.append(-(cosines[0] - cosines.exp().sum().log()))
    return torch.stack(losses).mean()


def neighbour(z: Tensor, own: int, queue: Tensor, queue_id: Tensor) -> Tensor:
    """The entry of the queue with the largest cosine that is not the clip's own."""
    best, found = -math.inf, queue[:, 0]
    for column in range(queue.shape[1]):
        cosine = float(z @ queue[:, column])
        if int(queue_id[column]) != own and cosine > best:
            best, found = cosine, queue[:, column]
    return found


def nnclr(neighbours: Tensor, predictions: Tensor, temperature: float) -> Tensor:
    """Each neighbour must find its own clip's prediction in the batch."""
    losses = []
    for i, n in enumerate(neighbours):
        logits = torch.stack([n @ p for p in predictions]) / temperature
        losses.append(logits.exp().sum().log() - logits[i])
    return torch.stack(losses).mean()


def gradients(module: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    """The gradient of every parameter that has one."""
    module.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def assert_same_gradients(
    ours: dict[str, Tensor], expected: dict[str, Tensor], only: Iterable[str] | None = None
) -> None:
    """All of `ours` are those expected; `only`: and these are all there are."""
    assert ours
    if only is not None:
        assert set(ours) == set(only)
    for name, gradient in ours.items():
        torch.testing.assert_close(
            gradient, expected[name], rtol=1e-9, atol=1e-11, msg=lambda told, name=name: f"{name}: {told}"
        )
