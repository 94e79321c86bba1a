"""AimCLR (arXiv:2112.03590; github Levigty/AimCLR): SkeletonCLR that also learns from extremely augmented views.

An extreme view, and the same view after its network has dropped what it attends to most (EADM), must give the normal
view's distribution over key and queue (D3M). From the middle on, the nearest entry of the queue for each of the three
counts as a positive too (NNM). Settings: the released `pretext_aimclr_*_joint.yaml`: those of SkeletonCLR, the extreme
view without the temporal flip that the paper has (`time_flip`), nearest neighbours from epoch 150 of 300.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from stars_bench.api import Citation, Cost, Recipe, Run, Skeleton, TrainingClips
from stars_bench.models.layers.augment import extreme_view
from stars_bench.models.layers.encoder import bodies_of
from stars_bench.models.layers.skeleton_graph import mirrored_joints
from stars_bench.models.networks.stgcn import STGCN
from stars_bench.models.skeletonclr import (
    CROSSCLR_PROBE,
    CROSSCLR_PROFILES,
    QUICK,
    ContrastConfig,
    MomentumContrast,
    contrast,
)

AIMCLR = Citation(
    "guo2022aimclr",
    "Contrastive Learning from Extremely Augmented Skeleton Sequences for Self-supervised Action Recognition",
    authors="Guo, Tianyu and Liu, Hong and Chen, Zhan and Liu, Mengyuan and Wang, Tao and Ding, Runwei",
    venue="AAAI",
    year=2022,
    arxiv="2112.03590",
)

AIMCLR_RECIPE = Recipe(
    "AimCLR (arXiv:2112.03590; github Levigty/AimCLR, linear_eval_aimclr_*.yaml), data and probe as CrosSCLR",
    profiles=CROSSCLR_PROFILES,
    clip_input="crossclr",
    settings={"key_start": "own"},
    evaluations={"linear": CROSSCLR_PROBE},
)

ENERGY_FLOOR = 1e-4


class AimClrConfig(ContrastConfig):
    """Settings of SkeletonCLR and of what AimCLR adds.

    Args:
        keep: Attention above which features are dropped. Default: 0.7.
        mine_after: Epochs before nearest neighbours count as positives. Default: 150.
        time_flip: Whether extreme views are flipped in time, as in the paper's text. Default: False, as in the released
            settings.
    """

    keep: float = Field(0.7, gt=0, lt=1, description="attention from which on features are dropped")
    mine_after: int = Field(150, ge=0, description="epochs before nearest neighbours count as positives")
    time_flip: bool = Field(False, description="flip extreme views in time, as in the paper's text")

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:  # noqa: ARG003 - the official settings are one for all datasets
        """Return a preset: `paper` (the released settings) or `quick` (those of `skeletonclr`).

        In `quick`, neighbours count after the same half of the epochs.
        """
        quick: dict[str, Any] = QUICK | {"mine_after": QUICK["epochs"] // 2}
        return cls(**quick) if name == "quick" else cls()


def attention(maps: Tensor) -> Tensor:
    """Return SimAM's attention (N, C, T, V) of feature maps (N, C, T, V): in (0, 1), larger farther from the mean."""
    away = (maps - maps.mean((2, 3), keepdim=True)).square()
    spread = away.sum((2, 3), keepdim=True) / (maps[0, 0].numel() - 1)
    return (away / (4 * (spread + ENERGY_FLOOR)) + 0.5).sigmoid()


class MiningContrast(MomentumContrast):
    """SkeletonCLR's model that mines nearest neighbours from a step on, and knows which joints a mirror swaps.

    Args:
        config: Settings of the method.
        skeleton: Joint layout of the clips.
        mine_from: Steps after which nearest neighbours count as positives.
        stream: As in SkeletonCLR. Default: joint.
    """

    done: Tensor
    mirrored: Tensor

    def __init__(self, config: ContrastConfig, skeleton: Skeleton, mine_from: int, stream: str = "joint") -> None:
        super().__init__(config, skeleton, stream)
        self.mine_from = mine_from
        self.register_buffer("mirrored", torch.tensor(mirrored_joints(skeleton)), persistent=False)
        self.register_buffer("done", torch.zeros((), dtype=torch.long))

    def positives_loss(self, logits: list[Tensor]) -> Tensor:
        """Return the cross entropy of the normal view's logits with its positives.

        The positives are the view's key and, later, the three nearest neighbours.
        """
        positive = torch.zeros_like(logits[0])
        for one in logits:
            positive.scatter_(1, 1 + one[:, 1:].argmax(1, keepdim=True), 1.0)
        positive = positive * (self.done >= self.mine_from)
        positive[:, 0] = 1.0
        return -((logits[0].log_softmax(1) * positive).sum(1) / positive.sum(1)).mean()

    def after_step(self, step: int) -> None:
        """Note the number of steps done, and move the momentum copies."""
        self.done.fill_(step)
        super().after_step(step)


class ExtremeContrast(MiningContrast):
    """SkeletonCLR's model with extreme views.

    Args:
        config: Settings of the method.
        skeleton: Joint layout of the clips.
        mine_from: Steps after which nearest neighbours count as positives.
        stream: As in SkeletonCLR. Default: joint.
    """

    def __init__(self, config: AimClrConfig, skeleton: Skeleton, mine_from: int, stream: str = "joint") -> None:
        super().__init__(config, skeleton, mine_from, stream)
        self.keep, self.time_flip = config.keep, config.time_flip

    def encode(self, x: Tensor) -> Tensor:
        """Return (B, 4 D + 2): features of the normal view, the extreme view, the same after dropping, and the key.

        The last two columns are the shares of joints and of values that were kept; the loss enlarges the batch by them.
        """
        x = self.encoder.placed(x)
        shear, ratio = self.config.shear, self.config.crop_ratio
        extreme = extreme_view(x, self.mirrored, shear, ratio, self.time_flip, self.planar)
        normal, key, extreme = (self.seen(view) for view in (self.view(x), self.view(x), extreme))
        keys = self.key_features(key)
        pooled, dropped, kept = self.attended(extreme)
        return torch.cat([self.encoder.features(normal), pooled, dropped, keys, kept], 1)

    def attended(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return features of clips (B, 3, T, V, M), with and without what is attended to, and the shares that are kept.

        Returns:
            Features (B, D), features without what is attended to (B, D), and shares of joints and values kept (B, 2).
        """
        clips, bodies = x.shape[0], x.shape[4]
        maps = self.encoder.maps(bodies_of(x))
        with torch.no_grad():
            attended = attention(maps)
            joints = attended.mean((1, 2)) < self.keep  # (B * M, V)
            values = attended < self.keep  # (B * M, D, T, V)
            kept = torch.stack([part.view(clips, -1).to(maps.dtype).mean(1) for part in (joints, values)], 1)
        dropped = maps * joints[:, None, None] * values
        pooled, rest = (each.mean((2, 3)).view(clips, bodies, -1).mean(1) for each in (maps, dropped))
        return pooled, rest, kept

    def loss(self, features: Tensor) -> Tensor:
        """Return the loss of a whole batch (B, 4 D + 2); then enqueue the keys."""
        features = features.to(self.queue.vectors.dtype)
        with torch.autocast(features.device.type, enabled=False):
            normal, extreme, dropped, key, kept = torch.split(features, [self.config.dim] * 4 + [2], 1)
            dropped = dropped / kept.mean(0).prod()
            key = self.key_of(key)
            logits = [self.logits(self.head(view), key) for view in (normal, extreme, dropped)]
            target = logits[0].detach().softmax(1)
            alike = [-(one.log_softmax(1) * target).sum(1).mean() for one in logits[1:]]
            loss = self.positives_loss(logits) + (alike[0] + alike[1]) / 2
            self.queue.enqueue(key)
        return loss


class AimClr:
    """Train as SkeletonCLR, with extreme augmentation, attention-guided dropping and neighbours as positives."""

    name: ClassVar[str] = "aimclr"
    Config: ClassVar[type[BaseModel]] = AimClrConfig
    citations: ClassVar[tuple[Citation, ...]] = (AIMCLR,)
    recipe: ClassVar[Recipe] = AIMCLR_RECIPE
    costs: ClassVar[Mapping[str, Cost]] = {
        "paper": Cost(
            "NTU-60 x-sub, computed: 300 epochs of 8.5 GFLOP a clip (two views forward and back, a third "
            "forward), 1.0e17 FLOP, a sixth of mamp's stage 1."
        ),
        "quick": Cost("Minutes on two CPU cores for some 300 clips."),
    }

    def fit(self, clips: TrainingClips, run: Run[AimClrConfig]) -> STGCN:
        """Pre-train on the training part without labels.

        Raises:
            UsageError: The dataset's joints are not named in pairs of left and right.
        """
        config = run.config
        mine_from = config.mine_after * (len(clips) // config.batch_size)
        return contrast("contrast", clips, run, ExtremeContrast(config, clips.skeleton, mine_from, clips.stream))

    def build(self, config: AimClrConfig, num_joints: int) -> STGCN:
        """Return the network without weights and graph, for a checkpoint."""
        return config.blank(num_joints)
