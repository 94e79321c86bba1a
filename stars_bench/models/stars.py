"""STARS (arXiv:2407.10935; github TaatiTeam/STARS): masked motion prediction, then nearest-neighbour tuning."""

from __future__ import annotations

from copy import deepcopy
from typing import ClassVar, Self, cast

from pydantic import BaseModel

from stars_bench.api import Run, TrainingClips, UsageError
from stars_bench.models.encoder import SkeletonEncoder
from stars_bench.models.mamp import MampConfig, pretrain, stage1_preset
from stars_bench.models.nnclr import TuningConfig, stage2_preset, tune


class StarsConfig(MampConfig, TuningConfig):
    """Settings of both stages: those of MAMP, and the tuning's with the prefix `tune_`."""

    presets: ClassVar[tuple[str, ...]] = ("paper", "paper-10-epochs", "quick")

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:
        """`paper`: official settings; `paper-10-epochs`: as the released two-stage file; `quick`: for a CPU."""
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
        start = cast(SkeletonEncoder | None, run.start)
        encoder = pretrain(clips, run, config) if start is None else self._copy(start, config, clips.num_joints)
        return tune(clips, run, encoder, config)

    def build(self, config: StarsConfig, num_joints: int) -> SkeletonEncoder:
        """The encoder without its weights, for a checkpoint."""
        return config.build(num_joints)

    def _copy(self, start: SkeletonEncoder, config: StarsConfig, num_joints: int) -> SkeletonEncoder:
        if start.size != self.build(config, num_joints).size:
            size = " ".join(f"--set {name}={value}" for name, value in start.size.items())
            raise UsageError(f"stars: the encoder to start from is of another size than asked for; say {size}")
        return deepcopy(start)
