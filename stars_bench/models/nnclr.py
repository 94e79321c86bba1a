"""Stage 2 of STARS (arXiv:2407.10935): nearest-neighbour contrastive tuning (NNCLR, arXiv:2104.14548) without views.

The clip's own representation must predict its nearest neighbour in a queue of earlier clips. The official program runs
the encoder twice on the same input and averages two equal losses of which one has no gradient: its gradient is half of
the loss's. One forward and a back-propagation of half the loss give the same weights.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from stars_bench.api import Run, TrainingClips
from stars_bench.models.encoder import SkeletonEncoder
from stars_bench.models.frozen_half import FrozenHalf
from stars_bench.training.loop import Stage
from stars_bench.training.step import SplitStep

OFFICIAL_GRADIENT_SCALE = 0.5
"""The official gradient is that of half the reported loss; clipping and Adam's epsilon feel it."""

PREDICTOR_HIDDEN = 4096


class TuningConfig(BaseModel):
    """Settings of stage 2, each prefixed `tune_`. The defaults are the official ones for NTU-60."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tune_epochs: int = Field(20, ge=1)
    tune_batch_size: int = Field(128, ge=2)
    tune_lr: float = Field(1e-3, gt=0)
    tune_layer_decay: float = Field(0.45, gt=0, le=1, description="alpha: factor on the rate per block downwards")
    tune_weight_decay: float = Field(0.01, ge=0)
    tune_clip: float = Field(3.0, gt=0, description="largest gradient norm of each parameter")
    queue_size: int = Field(32_768, ge=2)
    temperature: float = Field(0.07, gt=0)
    predictor_hidden: int = Field(PREDICTOR_HIDDEN, ge=1)


LAYER_DECAY = {"ntu60": 0.45, "ntu120": 0.40, "pku1": 0.35, "pku2": 0.35}
"""alpha by dataset. No official value exists for PKU-MMD I: it takes PKU-MMD II's."""


def stage2_preset(name: str, dataset: str) -> dict[str, Any]:
    """The settings of stage 2 under a preset (`paper`, `paper-10-epochs` or `quick`), as keyword arguments."""
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
    """Projector (BatchNorm) and predictor (Linear, BatchNorm, ReLU, Linear) with the official initialisation."""

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
        """Normalised projection z and prediction p, both (B, D), of representations h (B, D)."""
        projected = self.projector(h)
        return F.normalize(projected, dim=1), F.normalize(self.predictor(projected), dim=1)


class NeighbourTuning(nn.Module):
    """Encoder, head, queue and the loss of stage 2. Only the upper half of the encoder (and its norm) is trained.

    Args:
        encoder: pre-trained; everything below block depth / 2 is frozen. queue_size: vectors in the queue.
    """

    queue: Tensor
    queue_id: Tensor
    queue_ptr: Tensor

    def __init__(
        self,
        encoder: SkeletonEncoder,
        queue_size: int = 32_768,
        temperature: float = 0.07,
        predictor_hidden: int = PREDICTOR_HIDDEN,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = ContrastiveHead(encoder.dim, predictor_hidden)
        self.temperature = temperature
        self.first_tuned = (len(encoder.blocks) + 1) // 2  # block i is tuned when i >= depth / 2
        # Stored (D, K) and with these names, as in official checkpoints.
        self.register_buffer("queue", F.normalize(torch.randn(encoder.dim, queue_size), dim=0))
        self.register_buffer("queue_id", torch.full((queue_size,), -1, dtype=torch.long))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))
        for name, parameter in encoder.named_parameters():
            parameter.requires_grad_(self.is_tuned(name))

    def is_tuned(self, parameter: str) -> bool:
        """Whether a parameter of the encoder (by name) is trained in stage 2."""
        return parameter.startswith("norm.") or self.block_of(parameter) >= self.first_tuned

    @staticmethod
    def block_of(parameter: str) -> int:
        """0-based block that an encoder parameter belongs to, -1 for embeddings and the last norm."""
        return int(parameter.split(".")[1]) if parameter.startswith("blocks.") else -1

    def learning_rates(self, base: float, decay: float) -> dict[str, float]:
        """Learning rate of every trained parameter: base * decay^(depth - i) in block i, base elsewhere."""
        depth = len(self.encoder.blocks)
        rates = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                block = self.block_of(name.removeprefix("encoder."))
                rates[name] = base if block < 0 else base * decay ** (depth - block)
        return rates

    def forward(self, x: Tensor, ids: Tensor) -> Tensor:
        """The loss of clips (B, 3, T, V, M) with dataset indices (B,); in training z is then enqueued."""
        return self.loss(self.encoder.features(x, frozen=self.first_tuned), ids)

    def loss(self, features: Tensor, ids: Tensor) -> Tensor:
        """The loss of the representations (B, D) of a whole batch; in training z is then enqueued."""
        features = features.to(self.queue.dtype)
        # bf16 is for the encoder: here it would change neighbours.
        with torch.autocast(features.device.type, enabled=False):
            z, p = self.head(features)
            logits = self.neighbours(z.detach(), ids) @ p.T / self.temperature
            loss = F.cross_entropy(logits, torch.arange(len(ids), device=logits.device))
            self.enqueue(z.detach(), ids)
        return loss

    @torch.no_grad()
    def neighbours(self, z: Tensor, ids: Tensor) -> Tensor:
        """For each z (B, D) the queue entry of largest cosine that is not the clip's own: (B, D)."""
        similarity = z @ self.queue
        similarity.masked_fill_(ids[:, None] == self.queue_id[None, :], -torch.inf)
        return self.queue.T[similarity.argmax(1)]

    @torch.no_grad()
    def enqueue(self, z: Tensor, ids: Tensor) -> None:
        """Overwrites the oldest entries with z (B, D); the batch need not divide the queue."""
        size = self.queue.shape[1]
        z, ids = z[-size:], ids[-size:]  # of a batch larger than the queue only the last can stay
        where = (self.queue_ptr + torch.arange(len(ids), device=ids.device)) % size
        self.queue[:, where] = z.T
        self.queue_id[where] = ids
        self.queue_ptr.copy_((self.queue_ptr + len(ids)) % size)


def tuning_optimizer(model: NeighbourTuning, lr: float, layer_decay: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW with a learning rate per parameter; weight decay on every trained parameter, as officially run."""
    parameters = dict(model.named_parameters())
    by_rate: dict[float, list[nn.Parameter]] = {}
    for name, rate in model.learning_rates(lr, layer_decay).items():
        by_rate.setdefault(rate, []).append(parameters[name])
    groups = [{"params": group, "lr": rate} for rate, group in by_rate.items()]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), weight_decay=weight_decay)


def tune(clips: TrainingClips, run: Run, encoder: SkeletonEncoder, config: TuningConfig) -> SkeletonEncoder:
    """Stage 2 on the training part, from a pre-trained encoder; returns it after the last epoch."""
    model = NeighbourTuning(encoder, config.queue_size, config.temperature, config.predictor_hidden).to(run.device)

    half = FrozenHalf(encoder, clips, model.first_tuned)

    def loss(features: Tensor, rows: Tensor) -> Tensor:
        return model.loss(features, clips.ids[rows])

    run.train(
        Stage(
            name="stage2",
            config=config.model_dump(include=set(TuningConfig.model_fields)),
            module=model,
            optimizer=tuning_optimizer(model, config.tune_lr, config.tune_layer_decay, config.tune_weight_decay),
            step=SplitStep(half.features, loss),
            samples=len(clips),
            epochs=config.tune_epochs,
            batch_size=config.tune_batch_size,
            gradient_scale=OFFICIAL_GRADIENT_SCALE,
            clip_each=config.tune_clip,
        )
    )
    return encoder.requires_grad_(True)
