"""Nearest-neighbour contrastive learning from scratch: STARS (arXiv:2407.10935) without its first stage.

The objective of stage 2 (NNCLR, arXiv:2104.14548, without views) on an encoder that was not pre-trained. Nothing is
published for it: the whole encoder learns, at one rate, for as many epochs as stage 1; all else is as in stage 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import BaseModel, Field

from stars_bench.api import Citation, Cost, Run, TrainingClips
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.nnclr import NNCLR, NeighbourTuning, TuningConfig, stage2_preset, tune_by_neighbours
from stars_bench.models.mamp import QUICK_STAGE1, EncoderConfig

EPOCHS = 400
"""As MAMP's stage 1 (not published for this method)."""


class NnclrScratchConfig(EncoderConfig, TuningConfig):
    """Settings of the encoder and of stage 2.

    Args:
        tune_epochs: Epochs. Default: those of stage 1 of MAMP.
        tune_layer_decay: Factor on the learning rate per block downwards. Default: 1, the same rate everywhere.
    """

    tune_epochs: int = Field(EPOCHS, ge=1)
    tune_layer_decay: float = Field(1.0, gt=0, le=1, description="factor on the rate per block downwards")

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:
        """Return a preset: `paper` (STARS's settings of stage 2 for the dataset) or `quick` (those of `stars`).

        `quick` has as many epochs as its stage 1.
        """
        size = {key: value for key, value in QUICK_STAGE1.items() if key in EncoderConfig.model_fields}
        quick = size | {"tune_epochs": QUICK_STAGE1["epochs"]} if name == "quick" else {}
        return cls(**(stage2_preset(name, dataset) | {"tune_layer_decay": 1.0} | quick))


class NnclrScratch:
    """Train the whole encoder by nearest-neighbour contrast, without pre-training."""

    name: ClassVar[str] = "nnclr-scratch"
    Config: ClassVar[type[BaseModel]] = NnclrScratchConfig
    citations: ClassVar[tuple[Citation, ...]] = (NNCLR,)
    costs: ClassVar[Mapping[str, Cost]] = {
        "paper": Cost(
            "NTU-60 x-sub, computed: 400 epochs of 42 GFLOP for each of 50,000 distinct bodies, 8.4e17 FLOP, 1.4 "
            "times mamp's stage 1."
        ),
        "quick": Cost("Some ten minutes on two CPU cores for some 300 clips."),
    }

    def fit(self, clips: TrainingClips, run: Run[NnclrScratchConfig]) -> SkeletonEncoder:
        """Train on the training part without labels."""
        config = run.config
        encoder = self.build(config, clips.num_joints)
        model = NeighbourTuning(encoder, config.queue_size, config.temperature, config.predictor_hidden, part="all")
        return tune_by_neighbours(clips, run, model.to(run.device), config)

    def build(self, config: NnclrScratchConfig, num_joints: int) -> SkeletonEncoder:
        """Return the encoder without its weights, for a checkpoint."""
        return config.build(num_joints)
