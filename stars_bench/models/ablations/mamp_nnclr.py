"""MAMP and NNCLR jointly: both losses of STARS (arXiv:2407.10935) in one stage instead of one after the other.

The question behind the two stages, as MAE-CT (arXiv:2304.10520) asks it of images. Every step adds the loss of masked
motion prediction on random crops (MAMP, arXiv:2308.07092) and that of nearest neighbours on the same clips as a whole
(NNCLR, arXiv:2104.14548, without views); the whole encoder learns from both. Nothing is published for skeletons:
optimiser, schedule and epochs are MAMP's, queue, temperature and head STARS's, and the losses weigh the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from stars_bench.api import Citation, Cost, Run, TrainingClips
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.nnclr import NNCLR, PREDICTOR_HIDDEN, QUICK_STAGE2, NeighbourTuning
from stars_bench.models.mamp import MAMP, MampConfig, MaskedPrediction, masked_stage, stage1_preset
from stars_bench.training.step import SplitStep

MAE_CT = Citation(
    "lehner2024maect",
    "Contrastive Tuning: A Little Help to Make Masked Autoencoders Forget",
    authors=(
        "Lehner, Johannes and Alkin, Benedikt and Fürst, Andreas"
        " and Rumetshofer, Elisabeth and Miklautz, Lukas and Hochreiter, Sepp"
    ),
    venue="AAAI",
    year=2024,
    arxiv="2304.10520",
)


class MampNnclrConfig(MampConfig):
    """Settings of MAMP and of the contrastive loss that is added to it.

    Args:
        contrast_weight: Weight of the contrastive loss; the loss of MAMP has weight 1. Default: 1.
        queue_size: Vectors in the queue. Default: 32,768.
        temperature: Temperature of the contrastive loss. Default: 0.07.
        predictor_hidden: Hidden width of the predictor. Default: that of STARS.
    """

    contrast_weight: float = Field(1.0, ge=0, description="of the contrastive loss; that of MAMP weighs 1")
    queue_size: int = Field(32_768, ge=2)
    temperature: float = Field(0.07, gt=0)
    predictor_hidden: int = Field(PREDICTOR_HIDDEN, ge=1)

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:
        """Return a preset: `paper` (the official settings of both parts for the dataset) or `quick` (as `stars`)."""
        contrast: dict[str, Any] = {key: QUICK_STAGE2[key] for key in ("queue_size", "predictor_hidden")}
        return cls(**stage1_preset(name, dataset), **(contrast if name == "quick" else {}))


class Joint(nn.Module):
    """Both objectives around one encoder.

    Args:
        encoder: The encoder, freshly initialised.
        config: Settings of both objectives.
        planar: As in `MaskedPrediction`. Default: False.
    """

    def __init__(self, encoder: SkeletonEncoder, config: MampNnclrConfig, planar: bool = False) -> None:
        super().__init__()
        self.masked = MaskedPrediction(
            encoder,
            config.decoder_depth,
            config.mask_ratio,
            config.mask_tau,
            skip_absent=config.skip_absent,
            planar=planar,
        )
        self.contrast = NeighbourTuning(
            encoder, config.queue_size, config.temperature, config.predictor_hidden, part="all"
        )
        self.weight = config.contrast_weight

    def forward(self, crop: Tensor, whole: Tensor, ids: Tensor) -> Tensor:
        """Return the sum of the losses of crops and whole clips, both (B, 3, T, V, M), with dataset indices (B,)."""
        return self.loss(self.encode(crop, whole), ids)

    def encode(self, crop: Tensor, whole: Tensor) -> Tensor:
        """Return each clip's loss of masked prediction, then its features: (B, 1 + D)."""
        masked = self.masked.clip_losses(crop)[:, None]
        return torch.cat([masked, self.contrast.encoder(whole).to(masked.dtype)], 1)

    def loss(self, encoded: Tensor, ids: Tensor) -> Tensor:
        """Return the sum of the losses of a whole batch (B, 1 + D)."""
        return encoded[:, 0].mean() + self.weight * self.contrast.loss(encoded[:, 1:], ids)


class MampNnclr:
    """Learn masked motion prediction and nearest-neighbour contrast at the same time."""

    name: ClassVar[str] = "mamp+nnclr"
    Config: ClassVar[type[BaseModel]] = MampNnclrConfig
    citations: ClassVar[tuple[Citation, ...]] = (MAMP, NNCLR, MAE_CT)
    costs: ClassVar[Mapping[str, Cost]] = {
        "paper": Cost(
            "Stage 1 of mamp, and more than as much again, computed. NTU-60 x-sub: 42 GFLOP in every epoch for "
            "each of 50,000 distinct bodies (the whole encoder on all tokens, forward and back), 8.4e17 FLOP."
        ),
        "paper-one-body": Cost("As paper, with the masked part of mamp's paper-one-body."),
        "quick": Cost("Some ten minutes on two CPU cores for some 300 clips."),
    }

    def fit(self, clips: TrainingClips, run: Run[MampNnclrConfig]) -> SkeletonEncoder:
        """Pre-train on the training part without labels."""
        config = run.config
        encoder = self.build(config, clips.num_joints)
        model = Joint(encoder, config, clips.skeleton.planar).to(run.device)

        def encode(rows: Tensor) -> Tensor:
            crop = clips.cropped(rows, config.frames, config.max_angle)
            return model.encode(crop, clips.whole(rows, config.frames))

        def loss(encoded: Tensor, rows: Tensor) -> Tensor:
            return model.loss(encoded, clips.ids[rows])

        run.train(masked_stage(model, SplitStep(encode, loss), len(clips), config, config.model_dump(), name="joint"))
        return encoder

    def build(self, config: MampNnclrConfig, num_joints: int) -> SkeletonEncoder:
        """Return the encoder without its weights, for a checkpoint."""
        return config.build(num_joints)
