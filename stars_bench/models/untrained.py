"""The lowest baseline of every table: the encoder of STARS with its random initialisation."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import BaseModel

from stars_bench.api import Run, TrainingClips
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.mamp import QUICK_STAGE1, EncoderConfig


class UntrainedConfig(EncoderConfig):
    """Settings of the encoder's size; `preset` gives those of STARS under the same preset."""

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:  # noqa: ARG003 - the size does not depend on the dataset
        """Return a preset: `paper` or `quick`."""
        size = {key: value for key, value in QUICK_STAGE1.items() if key in cls.model_fields}
        return cls(**size) if name == "quick" else cls()


class Untrained:
    """Use a randomly initialised encoder, without training."""

    name: ClassVar[str] = "untrained"
    Config: ClassVar[type[BaseModel]] = UntrainedConfig
    trains: ClassVar[bool] = False

    def fit(self, clips: TrainingClips, run: Run[UntrainedConfig]) -> SkeletonEncoder:
        """Return the encoder as it is initialised under the run's seed."""
        return self.build(run.config, clips.num_joints).to(run.device)

    def build(self, config: UntrainedConfig, num_joints: int) -> SkeletonEncoder:
        """Return the encoder without its weights, for a checkpoint."""
        return config.build(num_joints)
