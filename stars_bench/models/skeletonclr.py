"""SkeletonCLR, the base of CrosSCLR (arXiv:2104.14466; github LinguoLi/CrosSCLR): MoCo on two augmented views.

An ST-GCN of a quarter of the width; keys come from a copy that follows by momentum, negatives from a queue. Settings:
the released `crossclr_3views_xview.yaml`, whose single-stream part this is: 300 epochs, SGD 0.1, a tenth after 250,
weight decay 1e-4, batch 128, shear 0.5, temporal crop 1/6, queue 32,768, momentum 0.999, temperature 0.07. As in its
data, clips have 50 frames and every body stands with its root joint at the origin in every frame. Bones and motion are
made of the augmented joints. The copy starts equal, as in the paper. Under its own recipe (`--recipe own`) bodies are
also turned to the camera, and the copy is initialised apart, as in the official program.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, cast

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field
from torch import Tensor, nn

from stars_bench.api import Citation, Cost, Recipe, Run, Skeleton, TrainingClips
from stars_bench.models.layers.augment import as_stream, normal_view
from stars_bench.models.layers.contrast import momentum_logits, own_key_loss
from stars_bench.models.layers.feature_queue import FeatureQueue
from stars_bench.models.layers.momentum_teacher import MomentumTeacher
from stars_bench.models.layers.nnclr import QUICK_STAGE2
from stars_bench.models.layers.skeleton_graph import root_of, spatial_partitions
from stars_bench.models.mamp import QUICK_STAGE1
from stars_bench.models.networks.stgcn import STGCN, initialise
from stars_bench.models.stgcn import GraphConfig
from stars_bench.training.step import SplitStep

CROSSCLR = Citation(
    "li2021crossclr",
    "3D Human Action Representation Learning via Cross-View Consistency Pursuit",
    authors="Li, Linguo and Wang, Minsi and Ni, Bingbing and Wang, Hang and Yang, Jiancheng and Zhang, Wenjun",
    venue="CVPR",
    year=2021,
    arxiv="2104.14466",
)


CROSSCLR_PROFILES = {"ntu60": "raw", "ntu120": "raw", "pku1": "mamp", "pku2": "mamp", "synthetic": "raw"}
"""Coordinates as recorded: `mamp` of PKU-MMD is that, too."""
CROSSCLR_PROBE = {
    "epochs": 100,
    "batch_size": 128,
    "lr": 3.0,
    "momentum": 0.9,
    "milestones": (80,),
    "augment": False,
    "crop": 1.0,
    "batch_norm": False,
    "init_std": 0.02,
}
CROSSCLR_RECIPE = Recipe(
    "CrosSCLR (arXiv:2104.14466; github LinguoLi/CrosSCLR, linear_eval_crossclr_3views_xview.yaml)",
    profiles=CROSSCLR_PROFILES,
    clip_input="crossclr",
    settings={"key_start": "own"},
    evaluations={"linear": CROSSCLR_PROBE},
)


class ContrastConfig(GraphConfig):
    """Settings of contrastive learning with a momentum encoder.

    Args:
        frames: T, the frames of a clip. Default: 50.
        channels: Width of the first blocks. Default: 16.
        epochs: Epochs. Default: 300.
        milestones: Epochs after which the learning rate falls to a tenth. Default: 250.
        batch_size: Clips a batch. Default: 128.
        nesterov: Whether SGD uses Nesterov momentum. Default: False.
        feature_dim: Width of the vectors that are compared. Default: 128.
        queue_size: Vectors in the queue. Default: 32,768.
        momentum: Momentum of the copy that gives the keys. Default: 0.999.
        key_start: Weights of that copy at the start: "copy", equal, or "own", initialised apart. Default: copy.
        temperature: Temperature of InfoNCE. Default: 0.07.
        shear: Largest entry of a shear off its diagonal. Default: 0.5.
        crop_ratio: A clip is continued by 1 / crop_ratio of its frames at each end, then cropped. Default: 6.
    """

    frames: int = Field(50, ge=4)
    channels: int = Field(16, ge=1, description="width of the first blocks")
    epochs: int = Field(300, ge=1)
    milestones: tuple[int, ...] = Field((250,), description="epochs from which the rate is a tenth of what it was")
    batch_size: int = Field(128, ge=2)
    nesterov: bool = False
    feature_dim: int = Field(128, ge=2, description="of the vectors that are compared")
    queue_size: int = Field(32_768, ge=2)
    momentum: float = Field(0.999, ge=0, lt=1, description="of the copy that gives the keys")
    key_start: Literal["copy", "own"] = Field("copy", description="weights of that copy at the start")
    temperature: float = Field(0.07, gt=0)
    shear: float = Field(0.5, ge=0, description="largest entry of a shear off its diagonal")
    crop_ratio: int = Field(6, ge=1, description="a clip is continued by 1 / crop_ratio at each end, then cropped")

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:  # noqa: ARG003 - the official settings are one for all datasets
        """Return a preset: `paper` (the released settings) or `quick` (the sizes of the other quick presets)."""
        return cls(**QUICK) if name == "quick" else cls()


QUICK: dict[str, Any] = {
    "frames": QUICK_STAGE1["frames"],
    "channels": 8,
    "dim": QUICK_STAGE1["dim"],
    "epochs": 20,
    "milestones": (17,),  # after the same part of the whole
    "batch_size": QUICK_STAGE2["tune_batch_size"],
    "queue_size": QUICK_STAGE2["queue_size"],
    "lr": 0.025,
}
"""Epochs are what two cores can pay for; the rate was chosen on held-out scenes: docs/methods.md."""


class MomentumContrast(nn.Module):
    """A network and a projection, their momentum copies, a queue and the loss.

    Args:
        config: Settings of the method.
        skeleton: Joint layout of the clips.
        stream: What the network sees of the augmented joints: joint, bone, motion or bone-motion. Default: joint.
    """

    parents: Tensor

    def __init__(self, config: ContrastConfig, skeleton: Skeleton, stream: str = "joint") -> None:
        super().__init__()
        self.config, self.stream, self.planar = config, stream, skeleton.planar
        self.register_buffer("parents", torch.tensor(skeleton.parents, dtype=torch.int64), persistent=False)
        self.encoder = STGCN(
            config.frames,
            spatial_partitions(skeleton),
            config.channels,
            config.dim,
            config.dropout,
            root=root_of(skeleton),
            planar=skeleton.planar,
        )
        self.head = nn.Sequential(
            nn.Linear(config.dim, config.dim), nn.ReLU(), nn.Linear(config.dim, config.feature_dim)
        )
        initialise(self.head)
        self.key_encoder = MomentumTeacher(self.encoder, config.momentum)
        self.key_head = MomentumTeacher(self.head, config.momentum)
        if config.key_start == "own":
            initialise(self.key_encoder)
            initialise(self.key_head)
        self.queue = FeatureQueue(config.feature_dim, config.queue_size)

    def view(self, x: Tensor) -> Tensor:
        """Return a normally augmented view of clips (B, 3, T, V, M)."""
        return normal_view(x, self.config.shear, self.config.crop_ratio, self.planar)

    def encode(self, x: Tensor) -> Tensor:
        """Return features (B, 2, D) of two views: the query's and, without gradient, the key's."""
        x = self.encoder.placed(x)
        query, key = (self.seen(self.view(x)) for _ in range(2))
        keys = self.key_features(key)
        return torch.stack([self.encoder.features(query), keys], 1)

    def seen(self, view: Tensor) -> Tensor:
        """Return what the network sees of a view of joints (B, 3, T, V, M)."""
        return as_stream(view, self.stream, self.parents, self.planar)

    def loss(self, features: Tensor) -> Tensor:
        """Return InfoNCE of a whole batch (B, 2, D); then enqueue the keys."""
        query, key = features.to(self.queue.vectors.dtype).unbind(1)
        with torch.autocast(features.device.type, enabled=False):
            key = self.key_of(key)
            loss = own_key_loss(self.logits(self.head(query), key))
            self.queue.enqueue(key)
        return loss

    @torch.no_grad()
    def key_features(self, view: Tensor) -> Tensor:
        """Return the copy's features (B, D) of a view of clips that are placed already."""
        return cast(STGCN, self.key_encoder.module).features(view)

    @torch.no_grad()
    def key_of(self, features: Tensor) -> Tensor:
        """Return unit keys (B, F) of the copy's features (B, D)."""
        return F.normalize(self.key_head(features), dim=1)

    def logits(self, projected: Tensor, key: Tensor) -> Tensor:
        """Return logits (B, 1 + K) of projected queries (B, F) and unit keys (B, F), with the current queue."""
        return momentum_logits(F.normalize(projected, dim=1), key, self.queue.vectors.clone(), self.config.temperature)

    def after_step(self, step: int) -> None:
        """Move the copies towards the network and the projection."""
        self.key_encoder.update(self.encoder, step)
        self.key_head.update(self.head, step)


def contrast(name: str, clips: TrainingClips, run: Run[BaseModel], model: MomentumContrast) -> STGCN:
    """Train a model on whole clips of the training part; return its network."""
    config = model.config
    model.to(run.device)

    def encode(rows: Tensor) -> Tensor:
        return model.encode(clips.whole(rows, config.frames, stream="joint"))

    def loss(features: Tensor, rows: Tensor) -> Tensor:  # noqa: ARG001 - every clip is its own class
        return model.loss(features)

    stage = config.stage(name, model, SplitStep(encode, loss), len(clips))
    stage.after_step = model.after_step
    run.train(stage)
    return model.encoder


class SkeletonClr:
    """Train an ST-GCN by momentum contrast of sheared and cropped views."""

    name: ClassVar[str] = "skeletonclr"
    Config: ClassVar[type[BaseModel]] = ContrastConfig
    citations: ClassVar[tuple[Citation, ...]] = (CROSSCLR,)
    recipe: ClassVar[Recipe] = CROSSCLR_RECIPE
    costs: ClassVar[Mapping[str, Cost]] = {
        "paper": Cost(
            "NTU-60 x-sub, computed: 300 epochs of 4.9 GFLOP a clip (one view forward and back, the copy's "
            "forward), 5.9e16 FLOP, a tenth of mamp's stage 1."
        ),
        "quick": Cost("Minutes on two CPU cores for some 300 clips."),
    }

    def fit(self, clips: TrainingClips, run: Run[ContrastConfig]) -> STGCN:
        """Pre-train on the training part without labels."""
        config = run.config
        return contrast("contrast", clips, run, MomentumContrast(config, clips.skeleton, clips.stream))

    def build(self, config: ContrastConfig, num_joints: int) -> STGCN:
        """Return the network without weights and graph, for a checkpoint."""
        return config.blank(num_joints)
