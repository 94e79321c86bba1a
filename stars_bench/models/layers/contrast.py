"""InfoNCE with keys from a momentum teacher and negatives from a queue, as in MoCo (arXiv:1911.05722)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def momentum_logits(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Return logits (B, 1 + K): cosines of queries (B, D) with own keys (B, D) and queue (D, K), over temperature."""
    return torch.cat([(query * key).sum(1, keepdim=True), query @ queue], dim=1) / temperature


def own_key_loss(logits: Tensor) -> Tensor:
    """Return InfoNCE: the cross entropy of `momentum_logits` with each query's own key, column 0."""
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))
