"""CMD (arXiv:2208.12448; github maoyunyao/CMD): joint, motion and bone learn by contrast and teach each other.

Each modality has MoCo on two views; a network's neighbours in its queue, with their similarities, are what the other
two must find in theirs. Settings: the released `script_pretrain_moco_cmd.sh`, one for NTU-60 and NTU-120, and those of
PKU-MMD II, which PKU-MMD I takes. A query encoder with its head has the program's 49,457,580 parameters.

The program's network runs forward in both of its directions (`networks/gru.py`); so does this one. Motion and bones
are made of the views' joints. A run keeps the encoder of its stream: the paper's three are `--stream joint --stream
motion --stream bone`, which train anew for each and are summed. The program's k-NN takes random crops of the training
clips, so it is not part of the recipe; crops are cut from the frames that show a body, in the program from all.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any, ClassVar, Self, cast

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field
from torch import Tensor, nn

from stars_bench.api import Citation, Cost, Recipe, Run, Skeleton, TrainingClips
from stars_bench.errors import UsageError
from stars_bench.models.contrastive.views import views
from stars_bench.models.layers.augment import as_stream
from stars_bench.models.layers.contrast import momentum_logits, own_key_loss
from stars_bench.models.layers.feature_queue import FeatureQueue
from stars_bench.models.layers.momentum_teacher import MomentumTeacher
from stars_bench.models.layers.nnclr import QUICK_STAGE2
from stars_bench.models.mamp import QUICK_STAGE1
from stars_bench.models.networks.gru import ForwardGRU
from stars_bench.training.step import SplitStep
from stars_bench.training.stepwise import SgdConfig

CMD = Citation(
    "mao2022cmd",
    "CMD: Self-supervised 3D Action Representation Learning with Cross-modal Mutual Distillation",
    authors="Mao, Yunyao and Zhou, Wengang and Lu, Zhenbo and Deng, Jiajun and Li, Houqiang",
    venue="ECCV",
    year=2022,
    arxiv="2208.12448",
    doi="10.1007/978-3-031-20062-5_42",
)
CMD_RECIPE = Recipe(
    "CMD (arXiv:2208.12448; github maoyunyao/CMD, script_action_classification_cmd.sh)",
    profiles={"ntu60": "agcn", "ntu120": "agcn", "synthetic": "agcn"},
    evaluations={
        "linear": {
            "epochs": 80,
            "batch_size": 64,
            "lr": 0.1,
            "milestones": (50, 70),
            "max_angle": 0.0,
            "batch_norm": False,
        }
    },
)
MODALITIES = ("joint", "motion", "bone")


class CmdConfig(SgdConfig):
    """Settings of CMD. The defaults are the released ones for NTU.

    Args:
        frames: T, the frames of a view. Default: 64.
        width: Hidden units of a GRU; features are twice as wide. Default: 1,024.
        depth: Layers of GRUs. Default: 3.
        feature_dim: Width of the vectors that are compared. Default: 128.
        queue_size: Vectors in each queue. Default: 16,384.
        neighbour_share: Share of the queue that a modality teaches the others. Default: 0.5, the script's 8,192.
        momentum: Momentum of the copies that give the keys. Default: 0.999.
        temperature: Temperature of InfoNCE. Default: 0.07.
        teacher_temperature: Temperature of the similarities that teach. Default: 0.05.
        student_temperature: Temperature of the similarities that learn. Default: 0.1.
        distillation_weight: Weight of the mutual distillation. Default: 1.
        epochs: Epochs. Default: 451.
        milestones: Epochs after which the learning rate falls to a tenth. Default: 351.
        lr: Learning rate at the start. Default: 0.01.
        nesterov: Whether SGD uses Nesterov momentum. Default: False.
    """

    frames: int = Field(64, ge=4)
    width: int = Field(1024, ge=1, description="hidden units of a GRU; features are twice as wide")
    depth: int = Field(3, ge=1, description="layers of GRUs")
    feature_dim: int = Field(128, ge=2, description="of the vectors that are compared")
    queue_size: int = Field(16_384, ge=2)
    neighbour_share: float = Field(0.5, gt=0, le=1, description="of the queue that a modality teaches the others")
    momentum: float = Field(0.999, ge=0, lt=1, description="of the copies that give the keys")
    temperature: float = Field(0.07, gt=0)
    teacher_temperature: float = Field(0.05, gt=0)
    student_temperature: float = Field(0.1, gt=0)
    distillation_weight: float = Field(1.0, ge=0, description="of the mutual distillation")
    epochs: int = Field(451, ge=1)
    milestones: tuple[int, ...] = Field((351,), description="epochs from which the rate is a tenth of what it was")
    lr: float = Field(0.01, gt=0)
    nesterov: bool = False

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:
        """Return a preset: `paper` (the released settings) or `quick` (the sizes of the other quick presets)."""
        longer: dict[str, Any] = {"epochs": 1001, "milestones": (801,)}
        return cls(**QUICK) if name == "quick" else cls(**(longer if dataset in ("pku1", "pku2") else {}))


QUICK: dict[str, Any] = {
    "frames": QUICK_STAGE1["frames"],
    "width": 64,
    "epochs": 20,
    "milestones": (16,),  # after the same part of the whole
    "batch_size": QUICK_STAGE2["tune_batch_size"],
    "queue_size": QUICK_STAGE2["queue_size"],
}
"""The rate is the paper's; no other was tried."""


class Modality(nn.Module):
    """One modality: an encoder and its head, their momentum copies, and a queue.

    Args:
        config: Settings of the method.
        joints: V.
    """

    def __init__(self, config: CmdConfig, joints: int) -> None:
        super().__init__()
        self.encoder = ForwardGRU(config.frames, joints, config.width, config.depth)
        dim = self.encoder.dim
        self.head = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, config.feature_dim))
        nn.init.xavier_uniform_(cast(nn.Linear, self.head[2]).weight)
        self.key_encoder = MomentumTeacher(self.encoder, config.momentum)
        self.key_head = MomentumTeacher(self.head, config.momentum)
        self.queue = FeatureQueue(config.feature_dim, config.queue_size)

    def encode(self, query: Tensor, key: Tensor) -> Tensor:
        """Return features (B, 2, D) of two views (B, 3, T, V, M); the key's have no gradient."""
        return torch.stack([self.encoder(query), self.key_encoder(key)], 1)

    def project(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit queries and keys (B, F) of features (B, 2, D)."""
        query, key = features.unbind(1)
        return F.normalize(self.head(query), dim=1), F.normalize(self.key_head(key), dim=1)

    def follow(self, step: int) -> None:
        """Move the copies towards the encoder and the head."""
        self.key_encoder.update(self.encoder, step)
        self.key_head.update(self.head, step)


class MutualDistillation(nn.Module):
    """The three modalities and the loss between them.

    Args:
        config: Settings of the method.
        skeleton: Joint layout of the clips.
    """

    parents: Tensor

    def __init__(self, config: CmdConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.config, self.planar = config, skeleton.planar
        self.register_buffer("parents", torch.tensor(skeleton.parents, dtype=torch.int64), persistent=False)
        self.modalities = nn.ModuleDict({name: Modality(config, len(skeleton.joints)) for name in MODALITIES})

    def of(self, name: str) -> Modality:
        """Return a modality."""
        return cast(Modality, self.modalities[name])

    def encode(self, seen: Tensor) -> Tensor:
        """Return features (B, 3, 2, D) of two views of joints (B, 2, 3, T, V, M), of each modality."""
        out = []
        for name in MODALITIES:
            query, key = (as_stream(view, name, self.parents, self.planar) for view in seen.unbind(1))
            out.append(self.of(name).encode(query, key))
        return torch.stack(out, 1)

    def loss(self, features: Tensor) -> Tensor:
        """Return the loss of a whole batch (B, 3, 2, D); then enqueue the keys."""
        config = self.config
        with torch.autocast(features.device.type, enabled=False):
            features = features.to(self.of("joint").queue.vectors.dtype)
            contrast, taught, learnt, keys = [], [], [], []
            for number, name in enumerate(MODALITIES):
                modality = self.of(name)
                queue = modality.queue.vectors.clone()
                query, key = modality.project(features[:, number])
                contrast.append(own_key_loss(momentum_logits(query, key, queue, config.temperature)))
                taught.append(key @ queue)
                learnt.append(query @ queue)
                keys.append(key)
            pairs = permutations(range(len(MODALITIES)), 2)
            distilled = torch.stack([self.distillation(taught[one], learnt[other]) for one, other in pairs]).sum()
            for name, key in zip(MODALITIES, keys, strict=True):
                self.of(name).queue.enqueue(key)
            return torch.stack(contrast).sum() + config.distillation_weight * distilled

    def distillation(self, taught: Tensor, learnt: Tensor) -> Tensor:
        """Return how far one modality's similarities are from another's, over the neighbours of the other.

        Args:
            taught: (B, K) similarities of the keys that teach, with their queue.
            learnt: (B, K) similarities of the queries that learn, with theirs, whose entries are of the same clips.

        Returns:
            The mean over clips of the Kullback-Leibler divergence.
        """
        config = self.config
        neighbours = max(int(config.neighbour_share * config.queue_size), 1)
        nearest, which = taught.topk(neighbours, dim=1)
        wanted = (nearest / config.teacher_temperature).log_softmax(1)
        found = (learnt.gather(1, which) / config.student_temperature).log_softmax(1)
        return F.kl_div(found, wanted, reduction="batchmean", log_target=True)

    def after_step(self, step: int) -> None:
        """Move the copies of all modalities."""
        for name in MODALITIES:
            self.of(name).follow(step)


class Cmd:
    """Contrast joint, motion and bone, whose neighbours teach each other."""

    name: ClassVar[str] = "cmd"
    Config: ClassVar[type[BaseModel]] = CmdConfig
    citations: ClassVar[tuple[Citation, ...]] = (CMD,)
    recipe: ClassVar[Recipe] = CMD_RECIPE
    costs: ClassVar[Mapping[str, Cost]] = {
        "paper": Cost(
            "NTU-60 x-sub: 451 epochs of three recurrent networks on one view forward and back, one forward."
        ),
        "quick": Cost("Minutes on two CPU cores for some 300 clips."),
    }

    def fit(self, clips: TrainingClips, run: Run[CmdConfig]) -> ForwardGRU:
        """Pre-train on the training part without labels; return the encoder of the stream.

        Raises:
            UsageError: The stream is none of the three.
        """
        config = run.config
        if clips.stream not in MODALITIES:
            raise UsageError(f"cmd learns {', '.join(MODALITIES)}, not {clips.stream}: give one of them as --stream")
        model = MutualDistillation(config, clips.skeleton).to(run.device)

        def encode(rows: Tensor) -> Tensor:
            return model.encode(views(clips, rows, config.frames, 2))

        def loss(features: Tensor, rows: Tensor) -> Tensor:  # noqa: ARG001 - every clip is its own class
            return model.loss(features)

        stage = config.stage("distillation", model, SplitStep(encode, loss), len(clips))
        stage.after_step = model.after_step
        run.train(stage)
        return model.of(clips.stream).encoder

    def build(self, config: CmdConfig, num_joints: int) -> ForwardGRU:
        """Return the encoder without its weights, for a checkpoint."""
        return ForwardGRU(config.frames, num_joints, config.width, config.depth)
