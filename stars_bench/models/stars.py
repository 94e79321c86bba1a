"""STARS (arXiv:2407.10935; github TaatiTeam/STARS): masked motion prediction, then nearest-neighbour tuning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import BaseModel

from stars_bench.api import Citation, Cost, Recipe, Run, TrainingClips
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.nnclr import TuningConfig, stage2_preset, tune
from stars_bench.models.layers.tuning import UpperPart
from stars_bench.models.mamp import MAMP_RECIPE, MampConfig, first_stage, stage1_preset

STARS = Citation(
    "mehraban2024stars",
    "STARS: Self-supervised Tuning for 3D Action Recognition in Skeleton Sequences",
    authors="Mehraban, Soroush and Rajabi, Mohammad Javad and Iaboni, Andrea and Taati, Babak",
    venue="arXiv preprint",
    year=2024,
    kind="article",
    arxiv="2407.10935",
)


class StarsConfig(MampConfig, TuningConfig, UpperPart):
    """Settings of both stages: those of MAMP, and the tuning's with the prefix `tune_`."""

    presets: ClassVar[tuple[str, ...]] = ("paper", "paper-10-epochs", "paper-one-body", "quick")

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:
        """Return a preset for the dataset: `paper`, `paper-10-epochs`, `paper-one-body` or `quick`."""
        return cls(**stage1_preset(name, dataset), **stage2_preset(name, dataset))


class Stars:
    """Pre-train as MAMP (stage 1), then tune the upper half of the encoder by nearest-neighbour contrast (stage 2)."""

    name: ClassVar[str] = "stars"
    Config: ClassVar[type[BaseModel]] = StarsConfig
    citations: ClassVar[tuple[Citation, ...]] = (STARS,)
    recipe: ClassVar[Recipe] = MAMP_RECIPE
    costs: ClassVar[Mapping[str, Cost]] = {
        "paper": Cost(
            "Stage 1 of mamp, and 4 % of its FLOP. NTU-60 x-sub: 50,000 distinct bodies, each 7.0 GFLOP once "
            "for the frozen half, then 21.1 GFLOP in every epoch, 2.1e16 FLOP in all; 38 GB to keep the frozen "
            "half (computed anew in every step, a third more, on GPUs of less than 60 GB)."
        ),
        "paper-10-epochs": Cost("As the released two-stage file: half of stage 2."),
        "paper-one-body": Cost("As paper, with the one-body stage 1 of mamp."),
        "quick": Cost("Stage 1 of mamp under quick, and a short stage 2."),
    }
    official_checkpoints: ClassVar[tuple[str, ...]] = ("mamp", "stars")
    starts_from: ClassVar[tuple[str, ...]] = ("mamp",)

    def fit(self, clips: TrainingClips, run: Run[StarsConfig]) -> SkeletonEncoder:
        """Pre-train and tune on the training part without labels. `run.start` stands for stage 1 where it is given.

        Raises:
            UsageError: The encoder to start from is not of the size that the config says.
        """
        config = run.config
        return tune(clips, run, first_stage(self, clips, run), config, share=config.tune_share)

    def build(self, config: StarsConfig, num_joints: int) -> SkeletonEncoder:
        """Return the encoder without its weights, for a checkpoint."""
        return config.build(num_joints)
