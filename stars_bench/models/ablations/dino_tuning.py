"""DINO-tuning: STARS with self-distillation (DINO, arXiv:2104.14294) in the place of nearest neighbours.

A competitor in the paper's ablation (arXiv:2407.10935). A teacher follows by momentum; the student must give the
teacher's assignment of the same clip, without augmentation, where the teacher's is balanced over the batch by
Sinkhorn-Knopp (arXiv:2006.09882), and KoLeo (arXiv:1806.03198) keeps the student's vectors apart.

Settings: the released `dinotuning_*_second.yaml` and `dinotuning_*_third.yaml` (NTU-60): 20 epochs of the head alone,
20 of the upper half. Other datasets: not published; alpha and rate are STARS's. The official program's two views are
the same clip, so one forward has the same loss and gradient. By default the losses are those of the whole batch and the
teacher starts as a copy. `released_gpus` repeats what the released program does otherwise: every GPU balances
assignments over its own clips, KoLeo is the sum over four parts of a GPU's views (here their mean, at four times the
weight), the teacher's momentum is planned for as many times the steps as there are GPUs and starts an epoch late, and
the teacher's head is initialised on its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field
from torch import Tensor, nn

from stars_bench.api import Citation, Cost, Recipe, Run, TrainingClips
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.momentum_teacher import cosine_momentum
from stars_bench.models.layers.nnclr import stage2_preset
from stars_bench.models.layers.teacher_tuning import COSTS, TeacherSettings, TeacherTuned
from stars_bench.models.layers.tuning import Part, tune_stages
from stars_bench.models.mamp import MAMP_RECIPE, MampConfig, first_stage, stage1_preset
from stars_bench.models.stars import STARS

DINO = Citation(
    "caron2021dino",
    "Emerging Properties in Self-Supervised Vision Transformers",
    authors=(
        "Caron, Mathilde and Touvron, Hugo and Misra, Ishan"
        " and Jégou, Hervé and Mairal, Julien and Bojanowski, Piotr and Joulin, Armand"
    ),
    venue="ICCV",
    year=2021,
    arxiv="2104.14294",
)

SINKHORN_ROUNDS = 3
KOLEO_PARTS = 4
"""Parts of a GPU's two views within which the released program computes KoLeo."""


class DinoSettings(TeacherSettings):
    """Settings of the head-only stage and the tuning.

    Args:
        out_dim: Width of the head, which gives logits of the assignment. Default: 128.
        student_temperature: Temperature of the student's assignment. Default: 0.1.
        teacher_temperature: Temperature of the teacher's assignment. Default: 0.04.
        momentum: Momentum of the teacher at the start of a stage; it rises to 1 at its end. Default: 0.996.
        koleo_weight: Weight of the KoLeo loss. Default: 0.4.
    """

    batch_unit: ClassVar[int] = KOLEO_PARTS

    out_dim: int = Field(128, ge=2, description="what the head gives: logits of the assignment")
    student_temperature: float = Field(0.1, gt=0)
    teacher_temperature: float = Field(0.04, gt=0)
    momentum: float = Field(0.996, ge=0, le=1, description="of the teacher at the start of a stage; 1 at its end")
    koleo_weight: float = Field(0.4, ge=0)


class DinoTuningConfig(MampConfig, DinoSettings):
    """Settings of DINO-tuning: those of MAMP for stage 1, then those of the tuning."""

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:
        """Return a preset: `paper` (the released settings) or `quick` (those of `stars`, for two CPU cores)."""
        stage2 = {key: value for key, value in stage2_preset(name, dataset).items() if key in cls.model_fields}
        settings: dict[str, Any] = stage1_preset(name, dataset) | stage2
        return cls(**settings)


def sinkhorn(logits: Tensor, rounds: int = SINKHORN_ROUNDS) -> Tensor:
    """Return assignments (B, K) by Sinkhorn-Knopp on exp(logits).

    Each clip's assignments sum to 1; those of each class have the same sum over the batch.
    """
    assigned = (logits - logits.amax()).exp()
    for _ in range(rounds):
        assigned = assigned / assigned.sum(0, keepdim=True)
        assigned = assigned / assigned.sum(1, keepdim=True)
    return assigned


def koleo(vectors: Tensor) -> Tensor:
    """Return the mean of -log distance to the nearest other of unit vectors (B, D); large when two lie close."""
    with torch.no_grad():
        nearest = (vectors @ vectors.T).fill_diagonal_(-1).argmax(1)
    distance = (vectors - vectors[nearest] + 1e-8).norm(dim=1)
    loss: Tensor = -(distance + 1e-8).log().mean()
    return loss


class SelfDistillation(TeacherTuned):
    """An encoder, a head (one Linear), their teacher, and the loss.

    Args:
        encoder: The pre-trained encoder.
        settings: Width, temperatures, momentum and weights.
    """

    head: nn.Linear

    def __init__(self, encoder: SkeletonEncoder, settings: DinoSettings) -> None:
        def new_head() -> nn.Linear:
            head = nn.Linear(encoder.dim, settings.out_dim)
            nn.init.normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)
            return head

        super().__init__(encoder, new_head, settings.momentum, independent=settings.released_gpus > 0)
        self.settings = settings

    def begin(self, part: Part, epochs: int, steps_per_epoch: int) -> None:
        """Start a stage of so many epochs, over which the teacher's momentum rises to 1."""
        gpus = self.settings.released_gpus
        planned = cosine_momentum(self.settings.momentum, epochs * steps_per_epoch * max(gpus, 1))
        self.teacher.momentum = (lambda step: planned(step + steps_per_epoch)) if gpus else planned
        super().begin(part, epochs, steps_per_epoch)

    def loss(self, features: Tensor) -> Tensor:
        """Return the loss of a whole batch (B, 2, D): cross entropy of the assignments, and KoLeo."""
        student, teacher = features.to(self.head.weight.dtype).unbind(1)
        with torch.autocast(features.device.type, enabled=False):
            own = F.normalize(self.head(student), dim=1)
            with torch.no_grad():
                taught = F.normalize(self.of_teacher("head")(teacher), dim=1)
            gpus = max(self.settings.released_gpus, 1)
            shares = zip(own.chunk(gpus), taught.chunk(gpus), strict=True)
            return torch.stack([self.distillation(*share) + self.spread(share[0]) for share in shares]).mean()

    def distillation(self, own: Tensor, taught: Tensor) -> Tensor:
        """Return the cross entropy of the student's outputs (b, K) with the teacher's balanced assignments (b, K)."""
        target = sinkhorn(taught / self.settings.teacher_temperature)
        return -(target * (own / self.settings.student_temperature).log_softmax(1)).sum(1).mean()

    def spread(self, own: Tensor) -> Tensor:
        """KoLeo of the student's outputs (b, K), weighted."""
        parts = torch.cat([own, own]).chunk(KOLEO_PARTS) if self.settings.released_gpus else (own,)
        return self.settings.koleo_weight * torch.stack([koleo(part) for part in parts]).mean()


class DinoTuning:
    """Pre-train as MAMP, then tune by self-distillation: the head alone, then with the upper half of the encoder."""

    name: ClassVar[str] = "dino-tuning"
    Config: ClassVar[type[BaseModel]] = DinoTuningConfig
    citations: ClassVar[tuple[Citation, ...]] = (STARS, DINO)
    recipe: ClassVar[Recipe] = MAMP_RECIPE
    costs: ClassVar[Mapping[str, Cost]] = COSTS
    official_checkpoints: ClassVar[tuple[str, ...]] = ("mamp",)
    starts_from: ClassVar[tuple[str, ...]] = ("mamp",)

    def fit(self, clips: TrainingClips, run: Run[DinoTuningConfig]) -> SkeletonEncoder:
        """Pre-train and tune on the training part without labels. `run.start` stands for stage 1 where it is given.

        Raises:
            UsageError: The encoder to start from is not of the size that the config says.
        """
        config = run.config
        model = SelfDistillation(first_stage(self, clips, run), config).to(run.device)
        return tune_stages(clips, run, model, model.step_of, config, DinoSettings, config.head_epochs)

    def build(self, config: DinoTuningConfig, num_joints: int) -> SkeletonEncoder:
        """Return the encoder without its weights, for a checkpoint."""
        return config.build(num_joints)
