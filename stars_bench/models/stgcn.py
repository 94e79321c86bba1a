"""ST-GCN (arXiv:1801.07455; github yysijie/st-gcn), supervised: the first graph network of the field.

Settings: the released `config/st_gcn/ntu-xsub/train.yaml` and the defaults of its program (SGD with Nesterov momentum
0.9, lr 0.1, a tenth after 10 and 50 of 80 epochs, weight decay 1e-4, batch 64, dropout 0.5, no augmentation). Clips
are resized to its 300 frames, and a batch is normalised as one. Under its own recipe (`--recipe own`) clips are filled
up with zeros, and BatchNorm sees a batch in four parts, as on the four GPUs of the official program. 3,098,832
parameters with 60 classes and 25 joints, those of the official program's network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from stars_bench.api import Citation, Cost, Recipe, Run, TrainingClips
from stars_bench.models.layers.skeleton_graph import spatial_partitions
from stars_bench.models.mamp import QUICK_STAGE1
from stars_bench.models.networks.class_layer import ClassLayer
from stars_bench.models.networks.stgcn import STGCN, blank, initialise
from stars_bench.models.supervised import QUICK as QUICK_SUPERVISED
from stars_bench.training.step import SplitStep
from stars_bench.training.stepwise import SgdConfig

STGCN_PAPER = Citation(
    "yan2018stgcn",
    "Spatial Temporal Graph Convolutional Networks for Skeleton-Based Action Recognition",
    authors="Yan, Sijie and Xiong, Yuanjun and Lin, Dahua",
    venue="AAAI",
    year=2018,
    arxiv="1801.07455",
)


STGCN_RECIPE = Recipe(
    "ST-GCN (arXiv:1801.07455; github yysijie/st-gcn, config/st_gcn/ntu-xsub/train.yaml, on four GPUs)",
    profiles={"ntu60": "raw", "ntu120": "raw", "synthetic": "raw"},
    clip_input="zero-padded",
    settings={"bn_splits": 4},
    evaluations={"classifier": {"crop": 1.0}},
)


class GraphConfig(SgdConfig):
    """Settings of the network's size and of SGD.

    Args:
        frames: T, the frames of a clip. Default: 300.
        channels: Width of the first blocks. Default: 64.
        dim: Width of the last block and of the features. Default: 256.
        dropout: Dropout of a block. Default: 0.5.
    """

    frames: int = Field(300, ge=4)
    channels: int = Field(64, ge=1, description="width of the first blocks")
    dim: int = Field(256, ge=1, description="width of the last block: of the features")
    dropout: float = Field(0.5, ge=0, lt=1)

    def blank(self, joints: int) -> STGCN:
        """Return the network without its weights and its graph, for a checkpoint."""
        return STGCN(self.frames, blank(joints), self.channels, self.dim, self.dropout)


class StgcnConfig(GraphConfig):
    """Settings of the supervised network.

    Args:
        bn_splits: Parts of a batch that BatchNorm normalises one by one, its running statistics those of the first: a
            GPU each in the official program. Such a step is not divided among processes. Default: 1.
    """

    bn_splits: int = Field(1, ge=1, description="parts of a batch that BatchNorm normalises one by one")

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:  # noqa: ARG003 - the official settings are one for both datasets
        """Return a preset: `paper` (the released settings) or `quick` (the sizes of the other quick presets)."""
        return cls(**QUICK) if name == "quick" else cls()


QUICK: dict[str, Any] = {
    "frames": QUICK_STAGE1["frames"],
    "channels": 8,
    "dim": QUICK_STAGE1["dim"],
    "epochs": QUICK_SUPERVISED["epochs"],
    "milestones": (5, 25),  # after the same parts of the whole
    "batch_size": QUICK_SUPERVISED["batch_size"],
}
"""The rate is the paper's, chosen on held-out scenes: docs/methods.md."""


class ClassifyingSTGCN(STGCN):
    """The network with its last layer.

    Args:
        config: Size of the network.
        partitions: (3, V, V), `skeleton_graph.spatial_partitions`.
        num_classes: Number of classes.
    """

    def __init__(self, config: StgcnConfig, partitions: Any, num_classes: int) -> None:
        super().__init__(config.frames, partitions, config.channels, config.dim, config.dropout)
        self.fc = ClassLayer(config.dim, num_classes)
        initialise(self.fc)

    def classify(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) of clips (B, 3, T, V, M)."""
        return cast(Tensor, self.fc(self(x)))

    def classify_in_parts(self, x: Tensor, parts: int) -> Tensor:
        """Return logits (B, classes), BatchNorm seeing B / parts clips at a time, as nn.DataParallel has it on GPUs.

        The running statistics follow the first part alone: so do those of the module that nn.DataParallel copies.
        """
        first, *others = x.chunk(parts)
        logits = [self.classify(first)]
        norms = [part for part in self.modules() if isinstance(part, _BatchNorm)]
        for norm in norms:
            norm.track_running_stats = False
        try:
            logits += [self.classify(other) for other in others]
        finally:
            for norm in norms:
                norm.track_running_stats = True
        return torch.cat(logits)


class Stgcn:
    """Train a spatial temporal graph convolutional network with labels."""

    name: ClassVar[str] = "stgcn"
    Config: ClassVar[type[BaseModel]] = StgcnConfig
    citations: ClassVar[tuple[Citation, ...]] = (STGCN_PAPER,)
    recipe: ClassVar[Recipe] = STGCN_RECIPE
    costs: ClassVar[Mapping[str, Cost]] = {
        "paper": Cost("NTU-60 x-sub, computed: 80 epochs of 103 GFLOP a clip, 3.3e17 FLOP, 55 % of mamp's stage 1."),
        "quick": Cost("Minutes on two CPU cores for some 300 clips."),
    }
    needs_labels: ClassVar[bool] = True
    evaluations: ClassVar[tuple[str, ...]] = ("classifier",)

    def fit(self, clips: TrainingClips, run: Run[StgcnConfig]) -> ClassifyingSTGCN:
        """Train on the labelled training part."""
        config = run.config
        model = ClassifyingSTGCN(config, spatial_partitions(clips.skeleton), clips.num_classes).to(run.device)
        labels = clips.labels

        def logits(rows: Tensor) -> Tensor:
            return model.classify(clips.whole(rows, config.frames))

        def loss(encoded: Tensor, rows: Tensor) -> Tensor:
            return F.cross_entropy(encoded, labels[rows])

        def in_parts(rows: Tensor) -> Tensor:
            return loss(model.classify_in_parts(clips.whole(rows, config.frames), config.bn_splits), rows)

        step = SplitStep(logits, loss) if config.bn_splits == 1 else in_parts
        run.train(config.stage("supervised", model, step, len(clips)))
        return model

    def build(self, config: StgcnConfig, num_joints: int) -> ClassifyingSTGCN:
        """Return the network without weights and graph, for a checkpoint, which brings its number of classes."""
        return ClassifyingSTGCN(config, blank(num_joints), num_classes=1)
