"""What contrastive objectives share: a queue of earlier vectors, MoCo's logits, and a copy that follows its original.

MoCo (arXiv:1911.05722). A queue is a buffer (D, K) of unit vectors, as in official checkpoints, and a pointer (1,) to
the oldest of them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def new_queue(dim: int, size: int) -> Tensor:
    """Random unit vectors, (D, K): what a queue holds before its first batch."""
    return F.normalize(torch.randn(dim, size), dim=0)


@torch.no_grad()
def enqueue(queue: Tensor, pointer: Tensor, vectors: Tensor) -> Tensor:
    """Overwrites the oldest columns of a queue (D, K) with vectors (B, D); the batch need not divide the queue.

    Returns:
        the columns written, (min(B, K),): of a batch larger than the queue only the last vectors can stay.
    """
    size = queue.shape[1]
    vectors = vectors[-size:]
    where = (pointer + torch.arange(len(vectors), device=pointer.device)) % size
    queue[:, where] = vectors.T
    pointer.copy_((pointer + len(vectors)) % size)
    return where


def momentum_logits(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Cosines of queries (B, D) with their own keys (B, D) and with the queue (D, K), / temperature: (B, 1 + K)."""
    return torch.cat([(query * key).sum(1, keepdim=True), query @ queue], dim=1) / temperature


def own_key_loss(logits: Tensor) -> Tensor:
    """InfoNCE: cross entropy of `momentum_logits` towards each query's own key, column 0."""
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


@torch.no_grad()
def follow(copy: nn.Module, original: nn.Module, momentum: float | Tensor) -> None:
    """copy <- momentum * copy + (1 - momentum) * original, parameter by parameter; buffers stay the copy's own."""
    for own, other in zip(copy.parameters(), original.parameters(), strict=True):
        weight = 1 - momentum
        own.lerp_(other, weight.to(own) if isinstance(weight, Tensor) else weight)
