"""InfoNCE with keys from a momentum teacher and negatives from a queue, as in MoCo (arXiv:1911.05722)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def momentum_logits(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Cosines of queries (B, D) with their own keys (B, D) and with the queue (D, K), / temperature: (B, 1 + K)."""
    return torch.cat([(query * key).sum(1, keepdim=True), query @ queue], dim=1) / temperature


def own_key_loss(logits: Tensor) -> Tensor:
    """InfoNCE: cross entropy of `momentum_logits` towards each query's own key, column 0."""
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))
