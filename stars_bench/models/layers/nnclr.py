"""Stage 2 of STARS (arXiv:2407.10935): nearest-neighbour contrastive tuning (NNCLR, arXiv:2104.14548) without views.

The clip's own representation must predict its nearest neighbour in a queue of earlier clips. The official program runs
the encoder twice on the same input and averages two equal losses, one of them without gradient: its gradient is half of
the loss's. One forward and a back-propagation of half the loss give the same weights.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field
from torch import Tensor, nn

from stars_bench.api import Citation, Run, TrainingClips
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.feature_queue import FeatureQueue
from stars_bench.models.layers.frozen_features import FrozenHalf
from stars_bench.models.layers.tuning import Part, Tuned, TuningSettings, tune_stages
from stars_bench.training.step import SplitStep

NNCLR = Citation(
    "dwibedi2021nnclr",
    "With a Little Help from My Friends: Nearest-Neighbor Contrastive Learning of Visual Representations",
    authors="Dwibedi, Debidatta and Aytar, Yusuf and Tompson, Jonathan and Sermanet, Pierre and Zisserman, Andrew",
    venue="ICCV",
    year=2021,
    arxiv="2104.14548",
)

OFFICIAL_GRADIENT_SCALE = 0.5
"""The official gradient is that of half the reported loss; clipping and Adam's epsilon feel it."""

PREDICTOR_HIDDEN = 4096


class TuningConfig(TuningSettings):
    """Settings of stage 2. The defaults are the official ones for NTU-60.

    Args:
        queue_size: Vectors in the queue. Default: 32,768.
        temperature: Temperature of the contrastive loss. Default: 0.07.
        predictor_hidden: Hidden width of the predictor. Default: 4096.
    """

    queue_size: int = Field(32_768, ge=2)
    temperature: float = Field(0.07, gt=0)
    predictor_hidden: int = Field(PREDICTOR_HIDDEN, ge=1)


LAYER_DECAY = {"ntu60": 0.45, "ntu120": 0.40, "pku1": 0.35, "pku2": 0.35}
"""alpha by dataset. No official value exists for PKU-MMD I: it takes PKU-MMD II's."""


def stage2_preset(name: str, dataset: str) -> dict[str, Any]:
    """Return the settings of stage 2 under a preset (`paper`, `paper-10-epochs` or `quick`), as keyword arguments."""
    paper: dict[str, Any] = {
        "tune_layer_decay": LAYER_DECAY.get(dataset, 0.45),
        "tune_lr": 1e-4 if dataset == "pku2" else 1e-3,
    }
    if name == "paper-10-epochs":
        return paper | {"tune_epochs": 10}
    return paper | QUICK_STAGE2 if name == "quick" else paper


QUICK_STAGE2: dict[str, Any] = {
    "tune_batch_size": 32,
    "tune_lr": 1e-3,
    "tune_layer_decay": 0.45,
    "queue_size": 256,
    "predictor_hidden": 1024,
}
"""The queue holds about as large a share of some 300 clips as 32,768 vectors do of NTU-60's 40,091."""


class ContrastiveHead(nn.Module):
    """Projector (BatchNorm) and predictor (Linear, BatchNorm, ReLU, Linear) with the official initialisation.

    Args:
        dim: D, the width of the representations.
        hidden: Hidden width of the predictor. Default: 4096.
    """

    def __init__(self, dim: int, hidden: int = PREDICTOR_HIDDEN) -> None:
        super().__init__()
        self.projector = nn.Sequential(nn.BatchNorm1d(dim))
        self.predictor = nn.Sequential(
            nn.Linear(dim, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, dim)
        )
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, std=0.02)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)
            elif isinstance(part, nn.BatchNorm1d):
                nn.init.normal_(part.weight, mean=1.0, std=0.02)

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the normalised projection z and prediction p, both (B, D), of representations h (B, D)."""
        projected = self.projector(h)
        return F.normalize(projected, dim=1), F.normalize(self.predictor(projected), dim=1)


class NeighbourTuning(Tuned):
    """An encoder, a head, a queue and the loss of stage 2, which trains the upper half of the encoder and its norm.

    Args:
        encoder: The pre-trained encoder; everything below block depth / 2 is frozen.
        queue_size: Vectors in the queue. Default: 32,768.
        temperature: Temperature of the loss. Default: 0.07.
        predictor_hidden: Hidden width of the predictor. Default: 4096.
        part: Which part of the encoder learns. Default: "half".
        share: Share of the blocks, from the last, that counts as the upper half. Default: 0.5.
    """

    def __init__(
        self,
        encoder: SkeletonEncoder,
        queue_size: int = 32_768,
        temperature: float = 0.07,
        predictor_hidden: int = PREDICTOR_HIDDEN,
        part: Part = "half",
        share: float = 0.5,
    ) -> None:
        super().__init__(encoder, part, share)
        self.head = ContrastiveHead(encoder.dim, predictor_hidden)
        self.temperature = temperature
        self.queue = FeatureQueue(encoder.dim, queue_size)

    def forward(self, x: Tensor, ids: Tensor) -> Tensor:
        """Return the loss of clips (B, 3, T, V, M) with dataset indices (B,); in training, then enqueue z."""
        return self.loss(self.encoder.features(x, self.frozen), ids)

    def loss(self, features: Tensor, ids: Tensor) -> Tensor:
        """Return the loss of the representations (B, D) of a whole batch; in training, then enqueue z."""
        features = features.to(self.queue.vectors.dtype)
        # bf16 is for the encoder: here it would change neighbours.
        with torch.autocast(features.device.type, enabled=False):
            z, p = self.head(features)
            loss = self.neighbour_loss(self.queue.nearest(z.detach(), ids), p)
            self.queue.enqueue(z.detach(), ids)
        return loss

    def neighbour_loss(self, neighbours: Tensor, p: Tensor) -> Tensor:
        """Return the cross entropy of neighbours (B, D) with predictions (B, D), each clip's with its own."""
        logits = neighbours @ p.T / self.temperature
        return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def tune(
    clips: TrainingClips,
    run: Run[BaseModel],
    encoder: SkeletonEncoder,
    config: TuningConfig,
    head_epochs: int = 0,
    share: float = 0.5,
) -> SkeletonEncoder:
    """Run stage 2 on the training part, from a pre-trained encoder.

    Args:
        clips: The training part.
        run: Device, seed and stages.
        encoder: The pre-trained encoder.
        config: Settings of stage 2.
        head_epochs: Epochs of the heads alone; stage 2 then starts from these heads and their queue. Default: 0.
        share: Share of the blocks, from the last, that is tuned. Default: 0.5.

    Returns:
        The encoder after the last epoch.
    """
    model = NeighbourTuning(encoder, config.queue_size, config.temperature, config.predictor_hidden, share=share)
    return tune_by_neighbours(clips, run, model.to(run.device), config, head_epochs)


def tune_by_neighbours(
    clips: TrainingClips, run: Run[BaseModel], model: NeighbourTuning, config: TuningConfig, head_epochs: int = 0
) -> SkeletonEncoder:
    """Run the stages of `tune` on a given model."""

    def loss(features: Tensor, rows: Tensor) -> Tensor:
        return model.loss(features, clips.ids[rows])

    def step_of(half: FrozenHalf) -> SplitStep:
        return SplitStep(half.features, loss)

    return tune_stages(clips, run, model, step_of, config, TuningConfig, head_epochs, OFFICIAL_GRADIENT_SCALE)
