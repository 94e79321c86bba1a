"""STARS-3stage (arXiv:2407.10935; github TaatiTeam/STARS): the heads alone first, then the tuning with those heads.

The older variant of STARS. Between its two stages the projector and predictor learn on the frozen encoder for 20
epochs; the tuning, of 10 epochs, starts from those heads and that queue. Settings: the released
`clrtuning_*_second.yaml` and `clrtuning_*_third.yaml` (NTU-60 and NTU-120, both protocols, PKU-MMD II); their weight
decay is never passed on, so AdamW's 0.01 holds in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import BaseModel, Field

from stars_bench.api import Citation, Cost, Recipe, Run, TrainingClips
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.nnclr import TuningConfig, stage2_preset, tune
from stars_bench.models.layers.tuning import HeadsFirst, UpperPart
from stars_bench.models.mamp import MAMP_RECIPE, MampConfig, first_stage, stage1_preset
from stars_bench.models.stars import STARS


class Stars3StageConfig(MampConfig, TuningConfig, HeadsFirst, UpperPart):
    """Settings of all three stages.

    Args:
        tune_epochs: Epochs of the tuning. Default: 10.
    """

    tune_epochs: int = Field(10, ge=1)

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:
        """Return a preset: `paper` (the released settings) or `quick` (those of `stars`, for two CPU cores)."""
        return cls(**stage1_preset(name, dataset), **stage2_preset(name, dataset))


class Stars3Stage:
    """Pre-train as MAMP, train the contrastive heads on the frozen encoder, then tune its upper half."""

    name: ClassVar[str] = "stars-3stage"
    Config: ClassVar[type[BaseModel]] = Stars3StageConfig
    citations: ClassVar[tuple[Citation, ...]] = (STARS,)
    recipe: ClassVar[Recipe] = MAMP_RECIPE
    costs: ClassVar[Mapping[str, Cost]] = {
        "paper": Cost(
            "Stage 1 of mamp, one pass of the encoder over the training part for the heads (their 20 epochs "
            "learn on kept features), and 10 epochs of tuning: half of the stage 2 of stars."
        ),
        "paper-one-body": Cost("As paper, with the one-body stage 1 of mamp."),
        "quick": Cost("As stars."),
    }
    official_checkpoints: ClassVar[tuple[str, ...]] = ("mamp", "stars")
    starts_from: ClassVar[tuple[str, ...]] = ("mamp",)

    def fit(self, clips: TrainingClips, run: Run[Stars3StageConfig]) -> SkeletonEncoder:
        """Pre-train and tune on the training part without labels. `run.start` stands for stage 1 where it is given.

        Raises:
            UsageError: The encoder to start from is not of the size that the config says.
        """
        config = run.config
        return tune(clips, run, first_stage(self, clips, run), config, config.head_epochs, config.tune_share)

    def build(self, config: Stars3StageConfig, num_joints: int) -> SkeletonEncoder:
        """Return the encoder without its weights, for a checkpoint."""
        return config.build(num_joints)
