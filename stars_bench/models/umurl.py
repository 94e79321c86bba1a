"""UmURL (arXiv:2311.03106; github HuiGuanLab/UmURL): one encoder for joint, bone and motion together.

Three views of each clip give a joint, a bone and a motion feature, a fourth view one of all three, fused before the
encoder. Behind a projector for each modality, the fused feature must agree with each single one, and these with their
mean; VICReg's variance and covariance keep them from collapse. Settings: the program's scripts. 22,067,200 parameters,
72,448,000 with the projectors, as in the program. A batch of 512 is that of NTU-60 x-sub; x-view, NTU-120 and PKU-MMD
have 1,024, which the preset of NTU-60 cannot know of its protocol.

The encoder is given joints and makes bones and motion itself, so there is no other stream. The loss is computed in
float32, in the program in half precision. Crops are cut from the frames that show a body, in the program from all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field
from torch import Tensor, nn

from stars_bench.api import Citation, Cost, Recipe, Run, TrainingClips
from stars_bench.errors import UsageError
from stars_bench.models.contrastive.decorrelation import covariance, projector, variance
from stars_bench.models.contrastive.views import views
from stars_bench.models.mamp import QUICK_STAGE1
from stars_bench.models.networks.umurl import MODALITIES, FusedEncoder
from stars_bench.training.step import SplitStep
from stars_bench.training.stepwise import AdamConfig

UMURL = Citation(
    "sun2023umurl",
    "Unified Multi-modal Unsupervised Representation Learning for Skeleton-based Action Understanding",
    authors="Sun, Shengkai and Liu, Daizong and Dong, Jianfeng and Qu, Xiaoye and Gao, Junyu and Yang, Xun and "
    "Wang, Xun and Wang, Meng",
    venue="ACM MM",
    year=2023,
    arxiv="2311.03106",
    doi="10.1145/3581783.3612449",
)
UMURL_RECIPE = Recipe(
    "UmURL (arXiv:2311.03106; github HuiGuanLab/UmURL, script_action_recognition.sh, script_action_retrieval.sh)",
    profiles={"ntu60": "agcn-x", "ntu120": "agcn-x", "synthetic": "agcn-x"},
    evaluations={
        "linear": {
            "epochs": 150,
            "batch_size": 512,
            "lr": 0.03,
            "milestones": (120, 140),
            "augment": False,
            "crop": 1.0,
            "batch_norm": False,
        },
        "knn": {"k": (1,), "crop": 1.0},
    },
)
VARIANCE = 5.0
"""Weight of the variance beside that of the covariance, 1."""


class UmurlConfig(AdamConfig):
    """Settings of UmURL. The defaults are the program's for NTU-60 x-sub.

    Args:
        frames: T, the frames of a view. Default: 64.
        width: Width of a token; features are twice as wide. Default: 1,024.
        agreement_weight: Weight of the squared differences of features. Default: 5.
    """

    frames: int = Field(64, ge=4)
    width: int = Field(1024, ge=2, multiple_of=2, description="of a token; features are twice as wide")
    agreement_weight: float = Field(5.0, ge=0, description="of the squared differences of features")

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:
        """Return a preset: `paper` (the program's settings) or `quick` (the sizes of the other quick presets)."""
        return (
            cls(**QUICK) if name == "quick" else cls(batch_size=1024 if dataset in ("ntu120", "pku1", "pku2") else 512)
        )


QUICK: dict[str, Any] = {
    "frames": QUICK_STAGE1["frames"],
    "width": 64,
    "epochs": 20,
    "milestones": (16,),  # after the same part of the whole
    "batch_size": 32,
}
"""The rate is the paper's; no other was tried."""


class Unified(nn.Module):
    """The encoder, a projector for each modality, and the loss.

    Args:
        encoder: The encoder.
        config: Settings of the method.
    """

    def __init__(self, encoder: FusedEncoder, config: UmurlConfig) -> None:
        super().__init__()
        self.encoder, self.config, dim = encoder, config, encoder.dim
        self.projectors = nn.ModuleDict({name: projector(dim, 2 * dim, dim) for name in MODALITIES})

    def encode(self, seen: Tensor) -> Tensor:
        """Return features (B, 4, D) of four views of joints (B, 4, 3, T, V, M): joint, bone, motion, all three."""
        *single, fused = seen.unbind(1)
        features = [self.encoder.of(name, view) for name, view in zip(MODALITIES, single, strict=True)]
        return torch.stack([*features, self.encoder(fused)], 1)

    def loss(self, features: Tensor) -> Tensor:
        """Return the loss of a whole batch (B, 4, D)."""
        with torch.autocast(features.device.type, enabled=False):
            *own, fused = features.to(next(self.projectors.parameters()).dtype).unbind(1)
            heads = [self.projectors[name] for name in MODALITIES]
            single = [head(one) for head, one in zip(heads, own, strict=True)]
            parts = [head(fused) for head in heads]
            centre = torch.stack(single).mean(0)
            within = [F.mse_loss(one, part) for one, part in zip(single, parts, strict=True)]
            between = [F.mse_loss(one, centre) for one in single]
            spread = [VARIANCE * variance(z) + covariance(z) for z in (*single, *parts)]
            return self.config.agreement_weight * torch.stack(within + between).sum() + torch.stack(spread).sum()


class Umurl:
    """Train one encoder of joint, bone and motion, whose fused feature agrees with each of them."""

    name: ClassVar[str] = "umurl"
    Config: ClassVar[type[BaseModel]] = UmurlConfig
    citations: ClassVar[tuple[Citation, ...]] = (UMURL,)
    recipe: ClassVar[Recipe] = UMURL_RECIPE
    costs: ClassVar[Mapping[str, Cost]] = {
        "paper": Cost("NTU-60 x-sub: 451 epochs of four views of each clip; 72 million parameters under Adam."),
        "quick": Cost("Minutes on two CPU cores for some 300 clips."),
    }

    def fit(self, clips: TrainingClips, run: Run[UmurlConfig]) -> FusedEncoder:
        """Pre-train on the training part without labels.

        Raises:
            UsageError: The encoder would be given another stream than joints.
        """
        config, skeleton = run.config, clips.skeleton
        if clips.stream != "joint":
            raise UsageError(f"umurl makes bones and motion of joints itself: leave --stream {clips.stream} out")
        encoder = FusedEncoder(config.frames, len(skeleton.joints), config.width, skeleton.parents, skeleton.planar)
        model = Unified(encoder, config).to(run.device)

        def encode(rows: Tensor) -> Tensor:
            return model.encode(views(clips, rows, config.frames, len(MODALITIES) + 1))

        def loss(features: Tensor, rows: Tensor) -> Tensor:  # noqa: ARG001 - every clip is its own class
            return model.loss(features)

        run.train(config.stage("decorrelation", model, SplitStep(encode, loss), len(clips)))
        return model.encoder

    def build(self, config: UmurlConfig, num_joints: int) -> FusedEncoder:
        """Return the encoder without its weights and its bones, for a checkpoint."""
        return FusedEncoder(config.frames, num_joints, config.width)
