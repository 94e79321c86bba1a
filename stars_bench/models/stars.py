"""STARS (arXiv:2407.10935; github TaatiTeam/STARS): masked motion prediction, then nearest-neighbour tuning."""

from __future__ import annotations

from typing import ClassVar, Self, cast

from pydantic import BaseModel

from stars_bench.api import Run, TrainingClips
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.nnclr import TuningConfig, stage2_preset, tune
from stars_bench.models.layers.tuning import UpperPart, first_stage
from stars_bench.models.mamp import MampConfig, stage1_preset


class StarsConfig(MampConfig, TuningConfig, UpperPart):
    """Settings of both stages: those of MAMP, and the tuning's with the prefix `tune_`.

    What presets cost beside `mamp`'s (stage 2 is short: 4 % of its FLOP):

    - `paper`: official settings. NTU-60 x-sub: 50,000 distinct bodies, each 7.0 GFLOP once for the frozen half, then
      21.1 GFLOP in every epoch, 2.1e16 FLOP in all; 38 GB to keep the frozen half (computed anew in every step, a third
      more, on GPUs of less than 60 GB).
    - `paper-10-epochs`: as the released two-stage file; half of stage 2.
    - `paper-one-body`: `paper` with the one-body stage 1 of MAMP. `quick`: for a CPU.
    """

    presets: ClassVar[tuple[str, ...]] = ("paper", "paper-10-epochs", "paper-one-body", "quick")

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:
        """`paper`, `paper-10-epochs`, `paper-one-body` or `quick`, for the dataset."""
        return cls(**stage1_preset(name, dataset), **stage2_preset(name, dataset))


class Stars:
    """Stage 1 (masked motion prediction), then stage 2 (nearest-neighbour contrastive tuning of the upper half)."""

    name: ClassVar[str] = "stars"
    Config: ClassVar[type[BaseModel]] = StarsConfig
    starts_from: ClassVar[tuple[str, ...]] = ("mamp",)

    def fit(self, clips: TrainingClips, run: Run) -> SkeletonEncoder:
        """Pre-trains and tunes on the training part without labels. `run.start` stands for stage 1 where it is given.

        Raises:
            UsageError: the encoder to start from is not of the size that the config says.
        """
        config = cast(StarsConfig, run.config)
        return tune(clips, run, first_stage(self, clips, run), config, share=config.tune_share)

    def build(self, config: StarsConfig, num_joints: int) -> SkeletonEncoder:
        """The encoder without its weights, for a checkpoint."""
        return config.build(num_joints)
