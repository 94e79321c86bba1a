"""USDRL (arXiv:2412.09220; github wengwanjiang/USDRL): views agree, and channels are decorrelated, in three domains.

Four views of each clip; the fourth is drawn to the other three, and these to their mean. The features over time, over
space and of the instance are kept from collapse by VICReg's variance and covariance and by Barlow Twins'
cross-correlation. Settings: the program's `pretrain.py` with its encoder DSTE; PKU-MMD has those of PKU-MMD II.
57,137,368 parameters, and 94,931,160 with the projectors, as in the program.

Bones and motion are made of the views' joints. The loss is computed in float32, in the program in half precision. A
batch is normalised as one; the program's two GPUs normalise half of it each. Its PKU-MMD II probe trains on the middle
half of each clip by a slip, so there is no recipe for it here. Crops are cut from the frames that show a body, in the
program from all.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field
from torch import Tensor, nn

from stars_bench.api import Citation, Cost, Recipe, Run, TrainingClips
from stars_bench.models.contrastive.decorrelation import covariance, cross_correlation, projector, variance
from stars_bench.models.contrastive.views import views
from stars_bench.models.layers.augment import as_stream
from stars_bench.models.mamp import QUICK_STAGE1
from stars_bench.models.networks.usdrl import DSTE, initialise
from stars_bench.training.step import SplitStep
from stars_bench.training.stepwise import AdamConfig

USDRL = Citation(
    "weng2025usdrl",
    "USDRL: Unified Skeleton-Based Dense Representation Learning with Multi-Grained Feature Decorrelation",
    authors="Weng, Wanjiang and Wang, Hongsong and Wang, Junbo and He, Lei and Xie, Guosen",
    venue="AAAI",
    year=2025,
    arxiv="2412.09220",
)
USDRL_RECIPE = Recipe(
    "USDRL (arXiv:2412.09220; github wengwanjiang/USDRL, action_recognition.py, scripts/recog.sh for NTU-60 x-sub)",
    profiles={"ntu60": "agcn-x", "ntu120": "agcn-x", "synthetic": "agcn-x"},
    evaluations={
        "linear": {
            "epochs": 150,
            "batch_size": 512,
            "lr": 0.006,
            "milestones": (120, 140),
            "augment": False,
            "crop": 1.0,
            "batch_norm": False,
        },
        "knn": {"k": (1,), "crop": 1.0},
    },
)
VIEWS = 4
VARIANCE = 5.0
"""Weight of the variance beside that of the covariance, 1."""
BETWEEN_CHANNELS = 0.005
"""Weight of the cross-correlations of different channels."""


class UsdrlConfig(AdamConfig):
    """Settings of USDRL. The defaults are the program's.

    Args:
        frames: T, the frames of a view. Default: 64.
        width: Width of a token; features are twice as wide. Default: 1,024.
        drop_path: Rate at which training leaves a branch out. Default: 0.1.
        batch_size: Clips a batch. Default: 356.
        agreement_weight: Weight of the squared differences of views. Default: 5.
        domain_weight: Weight of the domains time and space, beside the instance's 1. Default: 0.5.
        correlation_weight: Weight of the cross-correlation. Default: 1e-3.
    """

    frames: int = Field(64, ge=4)
    width: int = Field(1024, ge=2, multiple_of=2, description="of a token; features are twice as wide")
    drop_path: float = Field(0.1, ge=0, lt=1)
    batch_size: int = Field(356, ge=2)
    agreement_weight: float = Field(5.0, ge=0, description="of the squared differences of views")
    domain_weight: float = Field(0.5, ge=0, description="of time and space, beside the instance's 1")
    correlation_weight: float = Field(1e-3, ge=0, description="of the cross-correlation")

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:
        """Return a preset: `paper` (the program's settings) or `quick` (the sizes of the other quick presets)."""
        longer: dict[str, Any] = {"epochs": 1201, "milestones": (801,), "batch_size": 512}
        return cls(**QUICK) if name == "quick" else cls(**(longer if dataset in ("pku1", "pku2") else {}))


QUICK: dict[str, Any] = {
    "frames": QUICK_STAGE1["frames"],
    "width": 64,
    "epochs": 20,
    "milestones": (16,),  # after the same part of the whole
    "batch_size": 32,
}
"""The rate is the paper's; no other was tried."""


class Decorrelation(nn.Module):
    """The encoder, a projector for each domain, and the loss.

    Args:
        encoder: The encoder.
        config: Settings of the method.
    """

    def __init__(self, encoder: DSTE, config: UsdrlConfig) -> None:
        super().__init__()
        self.encoder, self.config = encoder, config
        width, dim = config.width, encoder.dim
        self.time, self.space = projector(width, dim, dim), projector(width, dim, dim)
        self.instance = projector(dim, 2 * dim, dim)
        for head in (self.time, self.space, self.instance):
            initialise(head)

    def encode(self, seen: Tensor) -> Tensor:
        """Return features (B, 4, D) of views (B, 4, 3, T, V, M)."""
        features: Tensor = self.encoder(seen.flatten(0, 1))
        return features.view(*seen.shape[:2], -1)

    def loss(self, features: Tensor) -> Tensor:
        """Return the loss of a whole batch (B, 4, D)."""
        with torch.autocast(features.device.type, enabled=False):
            by_view = features.to(next(self.time.parameters()).dtype).unbind(1)
            domains = (
                (1.0, [self.instance(one) for one in by_view]),
                (self.config.domain_weight, [self.time(one[:, : self.config.width]) for one in by_view]),
                (self.config.domain_weight, [self.space(one[:, self.config.width :]) for one in by_view]),
            )
            return torch.stack([weight * self.domain_loss(z) for weight, z in domains]).sum()

    def domain_loss(self, z: list[Tensor]) -> Tensor:
        """Return the loss of one domain, of projections (B, P) of the four views."""
        *others, last = z
        centre = torch.stack(others).mean(0)
        agree = torch.stack([F.mse_loss(one, last) + F.mse_loss(one, centre) for one in others]).sum()
        spread = torch.stack([VARIANCE * variance(one) + covariance(one) for one in z]).sum()
        crossed = [cross_correlation(one, other, BETWEEN_CHANNELS) for one, other in combinations(z, 2)]
        config = self.config
        return config.agreement_weight * agree + spread + config.correlation_weight * torch.stack(crossed).sum()


class Usdrl:
    """Train dense features by views that agree and channels that are decorrelated."""

    name: ClassVar[str] = "usdrl"
    Config: ClassVar[type[BaseModel]] = UsdrlConfig
    citations: ClassVar[tuple[Citation, ...]] = (USDRL,)
    recipe: ClassVar[Recipe] = USDRL_RECIPE
    costs: ClassVar[Mapping[str, Cost]] = {
        "paper": Cost("NTU-60 x-sub: 451 epochs of four views of each clip; 95 million parameters under Adam."),
        "quick": Cost("Minutes on two CPU cores for some 300 clips."),
    }

    def fit(self, clips: TrainingClips, run: Run[UsdrlConfig]) -> DSTE:
        """Pre-train on the training part without labels."""
        config, skeleton = run.config, clips.skeleton
        parents = torch.tensor(skeleton.parents, dtype=torch.int64, device=run.device)
        model = Decorrelation(self.build(config, clips.num_joints), config).to(run.device)

        def encode(rows: Tensor) -> Tensor:
            joints = views(clips, rows, config.frames, VIEWS)
            seen = as_stream(joints.flatten(0, 1), clips.stream, parents, skeleton.planar)
            return model.encode(seen.view(joints.shape))

        def loss(features: Tensor, rows: Tensor) -> Tensor:  # noqa: ARG001 - every clip is its own class
            return model.loss(features)

        run.train(config.stage("decorrelation", model, SplitStep(encode, loss), len(clips)))
        return model.encoder

    def build(self, config: UsdrlConfig, num_joints: int) -> DSTE:
        """Return the encoder without its weights, for a checkpoint."""
        return DSTE(config.frames, num_joints, config.width, config.drop_path)
