"""HiCLR (arXiv:2211.13466; github JHang2020/HiCLR): contrast in which each stronger view follows the next weaker one.

The basic view is SkeletonCLR's, the normal one AimCLR's extreme chain, the strong one another draw of that chain in
which two of 25 joints of every frame are replaced by a learnt number. Over key and queue the normal view must give the
basic view's distribution, and the strong view the normal one's. Later, neighbours count as positives, as in AimCLR.
Settings: the released `pretext_hiclr_xsub_joint.yaml` of its graph network, which drops and adds no edges.

The joints to replace are drawn once for a batch, frame by frame, as in the program, and after the stream is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from stars_bench.api import Citation, Cost, Recipe, Run, Skeleton, TrainingClips
from stars_bench.data.channels import scored
from stars_bench.models.aimclr import MiningContrast
from stars_bench.models.layers.augment import extreme_view
from stars_bench.models.networks.stgcn import STGCN
from stars_bench.models.skeletonclr import CROSSCLR_PROBE, CROSSCLR_PROFILES, QUICK, ContrastConfig, contrast

HICLR = Citation(
    "zhang2023hiclr",
    "Hierarchical Consistent Contrastive Learning for Skeleton-Based Action Recognition with Growing Augmentations",
    authors="Zhang, Jiahang and Lin, Lilang and Liu, Jiaying",
    venue="AAAI",
    year=2023,
    arxiv="2211.13466",
)
HICLR_RECIPE = Recipe(
    "HiCLR (arXiv:2211.13466; github JHang2020/HiCLR, linear_eval_hiclr_xsub_joint.yaml), data and probe as CrosSCLR",
    profiles=CROSSCLR_PROFILES,
    clip_input="crossclr",
    settings={"key_start": "own"},
    evaluations={"linear": CROSSCLR_PROBE},
)


class HiClrConfig(ContrastConfig):
    """Settings of SkeletonCLR and of what HiCLR adds.

    Args:
        mask_share: Share of the joints of a frame that the strong view replaces. Default: 0.1, two of 25.
        mine_after: Epochs before nearest neighbours count as positives. Default: 150.
    """

    mask_share: float = Field(0.1, ge=0, le=1, description="of the joints of a frame that the strong view replaces")
    mine_after: int = Field(150, ge=0, description="epochs before nearest neighbours count as positives")

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:  # noqa: ARG003 - the official settings are one for all datasets
        """Return a preset: `paper` (the released settings) or `quick` (those of `skeletonclr`)."""
        quick: dict[str, Any] = QUICK | {"mine_after": QUICK["epochs"] // 2}
        return cls(**quick) if name == "quick" else cls()


class GrowingContrast(MiningContrast):
    """SkeletonCLR's model with AimCLR's mining, a normal view, and a strong one that has joints replaced.

    Args:
        config: Settings of the method.
        skeleton: Joint layout of the clips.
        mine_from: Steps after which nearest neighbours count as positives.
        stream: As in SkeletonCLR. Default: joint.
    """

    def __init__(self, config: HiClrConfig, skeleton: Skeleton, mine_from: int, stream: str = "joint") -> None:
        super().__init__(config, skeleton, mine_from, stream)
        self.masked = int(config.mask_share * len(skeleton.joints))
        self.replacement = nn.Parameter(torch.zeros(1))

    def encode(self, x: Tensor) -> Tensor:
        """Return features (B, 4, D) of the basic, the normal and the strong view, and of the key."""
        x = self.encoder.placed(x)
        shear, ratio = self.config.shear, self.config.crop_ratio
        basic, key = (self.seen(self.view(x)) for _ in range(2))
        normal, strong = (self.seen(extreme_view(x, self.mirrored, shear, ratio, planar=self.planar)) for _ in range(2))
        keys = self.key_features(key)
        features = [self.encoder.features(view) for view in (basic, normal, self.replaced(strong))]
        return torch.stack([*features, keys], 1)

    def replaced(self, x: Tensor) -> Tensor:
        """Return clips (B, 3, T, V, M) in which each frame has joints replaced, the same in all clips and bodies."""
        draws = torch.rand(x.shape[2:4], dtype=torch.float64, device=x.device)
        chosen = torch.zeros_like(draws, dtype=torch.bool).scatter_(1, draws.argsort(1)[:, : self.masked], True)
        return scored(torch.where(chosen[..., None], self.replacement.to(x.dtype), x), x, 1, self.planar)

    def loss(self, features: Tensor) -> Tensor:
        """Return the loss of a whole batch (B, 4, D); then enqueue the keys."""
        *queries, key = features.to(self.queue.vectors.dtype).unbind(1)
        with torch.autocast(features.device.type, enabled=False):
            key = self.key_of(key)
            logits = [self.logits(self.head(query), key) for query in queries]
            weaker = [one.detach().softmax(1) for one in logits[:-1]]
            chain = [-(one.log_softmax(1) * p).sum(1).mean() for p, one in zip(weaker, logits[1:], strict=True)]
            loss = self.positives_loss(logits) + (chain[0] + chain[1]) / 2
            self.queue.enqueue(key)
        return loss


class HiClr:
    """Train as SkeletonCLR, with a chain of growing augmentations in which each view follows the weaker one."""

    name: ClassVar[str] = "hiclr"
    Config: ClassVar[type[BaseModel]] = HiClrConfig
    citations: ClassVar[tuple[Citation, ...]] = (HICLR,)
    recipe: ClassVar[Recipe] = HICLR_RECIPE
    costs: ClassVar[Mapping[str, Cost]] = {
        "paper": Cost("NTU-60 x-sub: 300 epochs of three views of each clip forward and back, the copy's forward."),
        "quick": Cost("Minutes on two CPU cores for some 300 clips."),
    }

    def fit(self, clips: TrainingClips, run: Run[HiClrConfig]) -> STGCN:
        """Pre-train on the training part without labels.

        Raises:
            UsageError: The dataset's joints are not named in pairs of left and right.
        """
        config = run.config
        mine_from = config.mine_after * (len(clips) // config.batch_size)
        return contrast("contrast", clips, run, GrowingContrast(config, clips.skeleton, mine_from, clips.stream))

    def build(self, config: HiClrConfig, num_joints: int) -> STGCN:
        """Return the network without weights and graph, for a checkpoint."""
        return config.blank(num_joints)
