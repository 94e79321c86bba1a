"""MAE on skeletons: stage 1 with a plain random mask, predicting the joints themselves.

The masked autoencoder (MAE, arXiv:2111.06377) that MAMP (arXiv:2308.07092) is compared with; the official MAMP program
holds it beside its own (`model_mae`, `pretrain_mae_*.yaml`) under the same settings, which are the preset `paper`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import BaseModel

from stars_bench.api import Citation, Cost, Recipe, Run, TrainingClips
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.mamp import MAMP, MAMP_RECIPE, MaskedConfig, MaskedPrediction, stage1_preset, train_masked

MAE = Citation(
    "he2022mae",
    "Masked Autoencoders Are Scalable Vision Learners",
    authors="He, Kaiming and Chen, Xinlei and Xie, Saining and Li, Yanghao and Dollár, Piotr and Girshick, Ross",
    venue="CVPR",
    year=2022,
    arxiv="2111.06377",
)


class MaeConfig(MaskedConfig):
    """Settings of MAE: those of MAMP without the motion-aware mask."""

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:
        """Return a preset: `paper` (the official settings for the dataset) or `quick` (those of `mamp`)."""
        settings = stage1_preset(name, dataset)
        return cls(**{key: value for key, value in settings.items() if key in cls.model_fields})


class Mae:
    """Predict the joints themselves under a plain random mask."""

    name: ClassVar[str] = "mae"
    Config: ClassVar[type[BaseModel]] = MaeConfig
    citations: ClassVar[tuple[Citation, ...]] = (MAE, MAMP)
    recipe: ClassVar[Recipe] = MAMP_RECIPE
    costs: ClassVar[Mapping[str, Cost]] = {
        "paper": Cost("As mamp: the same networks on as many tokens."),
        "quick": Cost("As mamp: the same networks on as many tokens."),
    }

    def fit(self, clips: TrainingClips, run: Run[MaeConfig]) -> SkeletonEncoder:
        """Pre-train on the training part without labels."""
        config = run.config
        encoder = self.build(config, clips.num_joints)
        planar = clips.skeleton.planar
        model = MaskedPrediction(encoder, config.decoder_depth, config.mask_ratio, target="joints", planar=planar)
        return train_masked(clips, run, model, config, MaeConfig)

    def build(self, config: MaeConfig, num_joints: int) -> SkeletonEncoder:
        """Return the encoder without its weights, for a checkpoint."""
        return config.build(num_joints)
