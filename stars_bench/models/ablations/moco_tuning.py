"""MoCo-tuning: STARS with momentum contrast (MoCo, arXiv:1911.05722) in the place of nearest neighbours.

A competitor in the paper's ablation (arXiv:2407.10935). A copy of encoder and head follows by momentum; a clip's vector
must match the copy's vector of the same clip, without augmentation, among those of earlier clips in a queue.

Settings: the released `mocotuning_*_second.yaml` and `mocotuning_*_third.yaml` (NTU-60): 20 epochs of the head alone,
then 10 of the upper half. Other datasets: not published; alpha and rate are STARS's. By default the queue is MoCo's and
the teacher starts as a copy. `released_gpus` repeats two slips of the released program: it advances the queue's pointer
a second time in each step, by the clips of one GPU, which leaves gaps of old vectors, and its teacher's head is
initialised on its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Self

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from stars_bench.api import Citation, Cost, Recipe, Run, TrainingClips
from stars_bench.models.layers.contrast import momentum_logits, own_key_loss
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.feature_queue import FeatureQueue
from stars_bench.models.layers.nnclr import ContrastiveHead, TuningConfig, stage2_preset
from stars_bench.models.layers.teacher_tuning import COSTS, TeacherSettings, TeacherTuned
from stars_bench.models.layers.tuning import tune_stages
from stars_bench.models.mamp import MAMP_RECIPE, MampConfig, first_stage, stage1_preset
from stars_bench.models.stars import STARS

MOCO = Citation(
    "he2020moco",
    "Momentum Contrast for Unsupervised Visual Representation Learning",
    authors="He, Kaiming and Fan, Haoqi and Wu, Yuxin and Xie, Saining and Girshick, Ross",
    venue="CVPR",
    year=2020,
    arxiv="1911.05722",
)


class MocoSettings(TuningConfig, TeacherSettings):
    """Settings of the head-only stage and the tuning.

    Args:
        tune_epochs: Epochs of the tuning. Default: 10.
        momentum: Momentum of the copy that gives the keys. Default: 0.999.
    """

    tune_epochs: int = Field(10, ge=1)
    momentum: float = Field(0.999, ge=0, lt=1, description="of the copy that gives the keys")


class MocoTuningConfig(MampConfig, MocoSettings):
    """Settings of MoCo-tuning: those of MAMP for stage 1, then those of the tuning."""

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:
        """Return a preset: `paper` (the released settings) or `quick` (those of `stars`, for two CPU cores)."""
        settings: dict[str, Any] = stage1_preset(name, dataset) | stage2_preset(name, dataset)
        return cls(**settings)


class MomentumTuning(TeacherTuned):
    """An encoder and a head, their momentum copies, a queue and the loss.

    Args:
        encoder: The pre-trained encoder.
        settings: Settings of the tuning.
    """

    def __init__(self, encoder: SkeletonEncoder, settings: MocoSettings) -> None:
        new_head = partial(ContrastiveHead, encoder.dim, settings.predictor_hidden)
        super().__init__(encoder, new_head, settings.momentum, independent=settings.released_gpus > 0)
        self.settings = settings
        self.queue = FeatureQueue(encoder.dim, settings.queue_size)

    def loss(self, features: Tensor) -> Tensor:
        """Return InfoNCE of a whole batch (B, 2, D); then enqueue the keys."""
        student, teacher = features.to(self.queue.vectors.dtype).unbind(1)
        with torch.autocast(features.device.type, enabled=False):
            _, query = self.head(student)
            with torch.no_grad():
                _, key = self.of_teacher("head")(teacher)
            loss = own_key_loss(momentum_logits(query, key, self.queue.vectors.clone(), self.settings.temperature))
            self.queue.enqueue(key)
            if gpus := self.settings.released_gpus:
                self.queue.pointer.add_(len(key) // gpus).remainder_(self.settings.queue_size)
        return loss


class MocoTuning:
    """Pre-train as MAMP, then tune by momentum contrast: the head alone, then with the upper half of the encoder."""

    name: ClassVar[str] = "moco-tuning"
    Config: ClassVar[type[BaseModel]] = MocoTuningConfig
    citations: ClassVar[tuple[Citation, ...]] = (STARS, MOCO)
    recipe: ClassVar[Recipe] = MAMP_RECIPE
    costs: ClassVar[Mapping[str, Cost]] = COSTS
    official_checkpoints: ClassVar[tuple[str, ...]] = ("mamp",)
    starts_from: ClassVar[tuple[str, ...]] = ("mamp",)

    def fit(self, clips: TrainingClips, run: Run[MocoTuningConfig]) -> SkeletonEncoder:
        """Pre-train and tune on the training part without labels. `run.start` stands for stage 1 where it is given.

        Raises:
            UsageError: The encoder to start from is not of the size that the config says.
        """
        config = run.config
        model = MomentumTuning(first_stage(self, clips, run), config).to(run.device)
        return tune_stages(clips, run, model, model.step_of, config, MocoSettings, config.head_epochs)

    def build(self, config: MocoTuningConfig, num_joints: int) -> SkeletonEncoder:
        """Return the encoder without its weights, for a checkpoint."""
        return config.build(num_joints)
