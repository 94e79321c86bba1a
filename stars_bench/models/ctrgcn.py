"""CTR-GCN (arXiv:2107.12213; github Uason-Chen/CTR-GCN), supervised: a graph network with channel-wise graphs.

Settings: the released `config/nturgbd-*/default.yaml`, one for NTU-60 and NTU-120: 64 frames, cross entropy, SGD with
Nesterov momentum 0.9, rate 0.1 after five epochs of warm-up, a tenth from epochs 35 and 55 of 65, weight decay 4e-4,
batch 64, one random rotation of up to 0.3 rad. Its data are those of MAMP (profile `mamp`), so its own recipe is the
common one. 1,446,672 parameters with 60 classes, those of the official program's network.

The paper's four streams are four runs (`--stream joint --stream bone --stream motion --stream bone-motion`), whose
logits `fuse --weights ctr-gcn` sums with the program's weights. The program reports the best epoch on the test part
(`--select best-on-test`); here the last one counts by default.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch.nn.functional as F
from pydantic import BaseModel, Field
from torch import Tensor, nn

from stars_bench.api import Citation, Cost, Recipe, Run, TrainingClips
from stars_bench.models.layers.skeleton_graph import directed_partitions
from stars_bench.models.mamp import QUICK_STAGE1
from stars_bench.models.networks.class_layer import ClassLayer
from stars_bench.models.networks.ctrgcn import CTRGCN
from stars_bench.models.networks.stgcn import blank
from stars_bench.models.supervised import QUICK as QUICK_SUPERVISED
from stars_bench.training.optim import Schedule, step_decay
from stars_bench.training.step import SplitStep
from stars_bench.training.stepwise import SgdConfig

CTRGCN_PAPER = Citation(
    "chen2021ctrgcn",
    "Channel-wise Topology Refinement Graph Convolution for Skeleton-Based Action Recognition",
    authors="Chen, Yuxin and Zhang, Ziqi and Yuan, Chunfeng and Li, Bing and Deng, Ying and Hu, Weiming",
    venue="ICCV",
    year=2021,
    arxiv="2107.12213",
)
CTRGCN_RECIPE = Recipe("CTR-GCN (arXiv:2107.12213; github Uason-Chen/CTR-GCN, config/nturgbd-*/default.yaml)")


class CtrgcnConfig(SgdConfig):
    """Settings of the supervised network. The defaults are the released ones.

    Args:
        frames: T, the frames of a clip. Default: 64.
        width: Width of the first blocks, a multiple of 4; features are four times as wide. Default: 64.
        max_angle: Largest rotation of a training clip about each axis, in radians. Default: 0.3.
        epochs: Epochs. Default: 65.
        warmup_epochs: Epochs in which the learning rate rises, a step an epoch. Default: 5.
        milestones: Epochs after which the learning rate falls to a tenth. Default: 35 and 55.
        weight_decay: Weight decay. Default: 4e-4.
    """

    frames: int = Field(64, ge=4)
    width: int = Field(64, ge=4, multiple_of=4, description="width of the first blocks")
    max_angle: float = Field(0.3, ge=0, description="largest rotation of a training clip, in radians")
    epochs: int = Field(65, ge=1)
    warmup_epochs: float = Field(5, ge=0, description="epochs in which the rate rises, a step an epoch")
    milestones: tuple[int, ...] = Field((35, 55), description="epochs from which the rate is a tenth of what it was")
    weight_decay: float = Field(4e-4, ge=0)

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:  # noqa: ARG003 - the official settings are one for both datasets
        """Return a preset: `paper` (the released settings) or `quick` (the sizes of the other quick presets)."""
        return cls(**QUICK) if name == "quick" else cls()

    @property
    def schedule(self) -> Schedule:
        """The factor on the learning rate by epoch."""
        return step_decay(self.milestones, warmup=self.warmup_epochs)


QUICK: dict[str, Any] = {
    "frames": QUICK_STAGE1["frames"],
    "width": 16,
    "epochs": QUICK_SUPERVISED["epochs"],
    "warmup_epochs": 3,
    "milestones": (22, 34),  # after the same parts of the whole
    "batch_size": QUICK_SUPERVISED["batch_size"],
}
"""The rate is the paper's; no other was tried."""


class ClassifyingCTRGCN(CTRGCN):
    """The network with its last layer.

    Args:
        config: Size of the network.
        partitions: (3, V, V), `skeleton_graph.directed_partitions`.
        num_classes: Number of classes.
    """

    def __init__(self, config: CtrgcnConfig, partitions: np.ndarray, num_classes: int) -> None:
        super().__init__(config.frames, partitions, config.width)
        self.fc = ClassLayer(self.dim, num_classes)
        nn.init.normal_(self.fc.weight, std=math.sqrt(2 / num_classes))

    def classify(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) of clips (B, 3, T, V, 2)."""
        return cast(Tensor, self.fc(self(x)))


class Ctrgcn:
    """Train a graph network that refines its graph for each channel, with labels."""

    name: ClassVar[str] = "ctrgcn"
    Config: ClassVar[type[BaseModel]] = CtrgcnConfig
    citations: ClassVar[tuple[Citation, ...]] = (CTRGCN_PAPER,)
    recipe: ClassVar[Recipe] = CTRGCN_RECIPE
    costs: ClassVar[Mapping[str, Cost]] = {
        "paper": Cost("NTU-60 x-sub, computed: 65 epochs of 10.6 GFLOP a clip, 2.8e16 FLOP, 5 % of mamp's stage 1."),
        "quick": Cost("Minutes on two CPU cores for some 300 clips."),
    }
    needs_labels: ClassVar[bool] = True
    evaluations: ClassVar[tuple[str, ...]] = ("classifier",)

    def fit(self, clips: TrainingClips, run: Run[CtrgcnConfig]) -> ClassifyingCTRGCN:
        """Train on the labelled training part."""
        config = run.config
        model = ClassifyingCTRGCN(config, directed_partitions(clips.skeleton), clips.num_classes).to(run.device)
        labels = clips.labels

        def logits(rows: Tensor) -> Tensor:
            return model.classify(clips.cropped(rows, config.frames, config.max_angle))

        def loss(encoded: Tensor, rows: Tensor) -> Tensor:
            return F.cross_entropy(encoded, labels[rows])

        run.train(config.stage("supervised", model, SplitStep(logits, loss), len(clips)))
        return model

    def build(self, config: CtrgcnConfig, num_joints: int) -> ClassifyingCTRGCN:
        """Return the network without weights and graph, for a checkpoint, which brings its number of classes."""
        return ClassifyingCTRGCN(config, blank(num_joints), num_classes=1)
