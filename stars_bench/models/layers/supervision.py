"""Learning classes from labels: the head, the settings and the stage of MAMP's fine-tuning (arXiv:2308.07092).

In: an encoder and labelled clips. Out: a module that gives logits. The fine-tuning evaluations train a copy of a
pre-trained encoder with it, the supervised method a fresh one. BatchNorm sees the batch of 48 as one; the official
program splits it over two GPUs and normalises 24 clips at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from stars_bench.data import random
from stars_bench.training.loop import Stage
from stars_bench.training.optim import decay_matrices_only, layer_decay_groups, warmup_cosine
from stars_bench.training.step import SplitStep


class SupervisionConfig(BaseModel):
    """Settings of training with labels. The defaults are those of the official fine-tuning, on every dataset.

    Args:
        epochs: Epochs. Default: 100.
        warmup_epochs: Epochs in which the learning rate rises from 0. Default: 5.
        batch_size: Clips a batch. Default: 48.
        lr: Largest learning rate. Default: 3e-4.
        min_lr: Learning rate at the end of the cosine. Default: 1e-5.
        layer_decay: Factor on the learning rate per layer towards the input. Default: 0.8.
        weight_decay: Weight decay of AdamW. Default: 0.05.
        label_smoothing: Share of a label that is spread over all classes. Default: 0.1.
        drop_path: Stochastic depth of the last block; it rises linearly from 0 in the first. Default: 0.3.
        dropout: Dropout of the tokens in front of the head. Default: 0.3.
        head_hidden: Hidden width of the head. Default: 2048.
        max_angle: Largest rotation about each axis, in radians. Default: 0.3.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(100, ge=1)
    warmup_epochs: float = Field(5, ge=0)
    batch_size: int = Field(48, ge=2)
    lr: float = Field(3e-4, gt=0)
    min_lr: float = Field(1e-5, ge=0)
    layer_decay: float = Field(0.8, gt=0, le=1, description="factor on the rate per layer towards the input")
    weight_decay: float = Field(0.05, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    drop_path: float = Field(0.3, ge=0, lt=1, description="of the last block; rises linearly from 0 in the first")
    dropout: float = Field(0.3, ge=0, lt=1, description="of tokens, in front of the head")
    head_hidden: int = Field(2048, ge=1)
    max_angle: float = Field(0.3, ge=0, description="largest rotation about each axis, in radians")


QUICK_SUPERVISION: dict[str, Any] = {
    "epochs": 8,
    "warmup_epochs": 1,
    "batch_size": 16,
    "lr": 3e-3,
    "min_lr": 1e-4,
    "drop_path": 0.0,  # halves the time where most clips show one person: absent bodies are then encoded once
    "head_hidden": 128,
}
"""Seconds on two CPU cores for some 200 clips and an encoder of the quick presets."""


class ActionHead(nn.Module):
    """Dropout, means over time and bodies, Linear, BatchNorm, ReLU, Linear: tokens (B, M, S, V, D) -> logits (B, K).

    Args:
        width: V * D; or D, for an encoder that gives features (B, D) alone.
        num_classes: K.
        hidden: Width between the two Linear layers. Default: 2048.
        dropout: Dropout of the tokens. Default: 0.3.
    """

    def __init__(self, width: int, num_classes: int, hidden: int = 2048, dropout: float = 0.3) -> None:
        super().__init__()
        self.dropout = dropout
        self.fc1 = nn.Linear(width, hidden)
        self.bn = nn.BatchNorm1d(hidden)
        self.fc2 = nn.Linear(hidden, num_classes)
        for layer in (self.fc1, self.fc2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, K) of tokens (B, M, S, V, D) or features (B, D)."""
        return self.classify(self.pool(x))

    def pool(self, x: Tensor) -> Tensor:
        """Apply dropout and means, every clip on its own: tokens (B, M, S, V, D) or features (B, D) -> (B, width)."""
        x = random.dropout(x, self.dropout) if self.training else x
        return x.mean((1, 2)).flatten(1) if x.ndim > 2 else x

    def classify(self, pooled: Tensor) -> Tensor:
        """Return logits (B, K) of a whole batch (B, width), which BatchNorm must see together."""
        return cast(Tensor, self.fc2(F.relu(self.bn(self.fc1(pooled)))))


def supervised_stage(
    name: str,
    module: nn.Module,
    logits: Callable[[Tensor], Tensor],
    labels: Tensor,
    settings: SupervisionConfig,
    config: Mapping[str, Any],
    layer_of: Callable[[str], int] | None = None,
    after_epoch: Callable[[int], None] | None = None,
    head: Callable[[Tensor], Tensor] | None = None,
) -> Stage:
    """Make the stage that trains `module` to predict labels.

    Args:
        name: Name of the stage.
        module: Everything that learns.
        logits: From row numbers (B,) to (B, K), augmentation included, every clip on its own (`SplitStep.encode`); with
            a `head`, from row numbers to the head's input.
        labels: (N,) int64.
        settings: Epochs, rates and batch size.
        config: Everything that decides the outcome, for the stage's key.
        layer_of: From a parameter's name to its layer. Default: None, one learning rate.
        after_epoch: Called after each epoch with its number. Default: None.
        head: From (B, W) of a whole batch to (B, K), for layers that must see the batch together. Default: None.
    """

    def loss(encoded: Tensor, rows: Tensor) -> Tensor:
        said = encoded if head is None else head(encoded)
        return F.cross_entropy(said, labels[rows], label_smoothing=settings.label_smoothing)

    named = module.named_parameters()
    if layer_of is None:
        groups = decay_matrices_only(named, settings.weight_decay)
    else:
        groups = layer_decay_groups(named, layer_of, settings.lr, settings.layer_decay, settings.weight_decay)
    return Stage(
        name=name,
        config=config,
        module=module,
        optimizer=torch.optim.AdamW(groups, lr=settings.lr, betas=(0.9, 0.999), fused=True),
        step=SplitStep(logits, loss),
        samples=len(labels),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        lr_factor=warmup_cosine(settings.epochs, settings.warmup_epochs, settings.min_lr / settings.lr),
        after_epoch=after_epoch,
    )
