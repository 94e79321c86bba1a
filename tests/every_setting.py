"""Every method and evaluation on tiny clips, trained for a few steps, and another value of every setting."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel
from torch import nn

from stars_bench import registry
from stars_bench.evaluation.subject import Subject
from stars_bench.io.run_folder import RunFolder
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.supervised import ClassifyingEncoder, SupervisedConfig
from stars_bench.protocols.episodes import draw_episodes
from stars_bench.records.outcome import Outcome
from stars_bench.testing.clips import CLASSES, FRAMES, evaluation_clips, training_part
from stars_bench.training.checkpoint import digest_tensors
from stars_bench.training.loop import Stage, seed_step, train
from tests.evaluation.small_subject import SIX

CPU = torch.device("cpu")
SMALL: Mapping[str, Any] = {
    "frames": 16,
    "dim": 8,
    "depth": 2,
    "heads": 2,
    "mlp_ratio": 2.0,
    "decoder_depth": 1,
    "mask_ratio": 0.5,
    "epochs": 1,
    "warmup_epochs": 0.25,
    "head_epochs": 1,
    "tune_epochs": 1,
    "batch_size": 24,
    "tune_batch_size": 24,
    "queue_size": 40,
    "predictor_hidden": 8,
    "head_hidden": 8,
    "out_dim": 8,
    "feature_dim": 8,
    "channels": 2,
    "width": 8,
    "k": (1, 2),
    "percents": (80,),
    "lists": 1,
    "ways": (2,),
    "shots": (1,),
    "queries": 2,
    "episodes": 20,
    "classifiers": ("prototype",),
    "neighbours": 3,
    "restarts": 1,
    "sample": 20,
    "test_every": 1,
}
"""Replaces the official value where a Config has the field; what is not here stays."""

GRAPH_NETWORKS: Mapping[str, Any] = {
    "epochs": 2, "milestones": (1,), "mine_after": 1, "batch_size": 48, "warmup_epochs": 2
}  # fmt: skip
"""Of methods with settings that name an epoch: two epochs of one step."""

OTHER: Mapping[str, Any] = {
    "agreement_weight": 1.0,
    "augment": None,  # the opposite
    "batch_norm": None,
    "batch_size": 16,
    "bn_splits": 2,
    "centre_momentum": 0.1,
    "channels": 4,
    "classifiers": ("nearest",),
    "contrast_weight": 0.5,
    "correlation_weight": 0.5,
    "crop": 0.5,
    "crop_ratio": 3,
    "decoder_depth": 2,
    "depth": 3,
    "dim": 16,
    "distillation_weight": 3.0,
    "domain_weight": 2.0,
    "drawing": "published",
    "drop_path": 0.6,
    "dropout": 0.1,
    "epochs": 3,
    "episodes": 21,
    "feature_dim": 4,
    "frames": 20,
    "head_epochs": 2,
    "head_hidden": 4,
    "heads": 4,
    "init_std": 0.05,
    "k": (1, 3),
    "keep": 0.9,
    "key_start": "own",
    "koleo_weight": 0.8,
    "label_smoothing": 0.3,
    "layer_decay": 0.5,
    "lists": 2,
    "lr": 7e-4,
    "mask_ratio": 0.7,
    "mask_share": 0.7,
    "mask_tau": 0.3,
    "margin": 0.5,
    "max_angle": 0.1,
    "milestones": (0,),
    "min_lr": 0.0,
    "mine_after": 0,
    "mlp_ratio": 4.0,
    "momentum": 0.5,
    "neighbour_share": 0.2,
    "neighbours": 4,
    "nesterov": None,
    "out_dim": 4,
    "penalty": 0.7,
    "percents": (60,),
    "predictor_hidden": 16,
    "predictor_temperature": 0.3,
    "queries": 3,
    "queue_size": 30,
    "released_gpus": 2,
    "restarts": 4,
    "sample": 10,
    "seed": 1,
    "sgd_momentum": 0.5,
    "shear": 0.1,
    "shots": (2,),
    "skip_absent": True,
    "student_temperature": 0.2,
    "teacher_temperature": 0.08,
    "temperature": 0.2,
    "text": "names",
    "test_every": 2,
    "time_flip": True,
    "tune_batch_size": 16,
    "tune_clip": 1e-3,
    "tune_epochs": 2,
    "tune_layer_decay": 0.8,
    "tune_lr": 3e-3,
    "tune_share": 1.0,
    "tune_weight_decay": 0.2,
    "view_flip": 0.5,
    "view_shift": 0.5,
    "warmup_epochs": 0.0,
    "ways": (3,),
    "weight_decay": 0.2,
    "width": 12,
}
"""Another value of every setting that a method or evaluation has; a new setting needs one here."""


def small_settings(kind: str, name: str) -> BaseModel:
    """The official settings of a plug-in for NTU-60, with small sizes."""
    config: type[BaseModel] = registry.load(kind, name).Config
    values = config().model_dump() | {key: value for key, value in SMALL.items() if key in config.model_fields}
    if kind == "methods" and "milestones" in values:
        values |= {key: value for key, value in GRAPH_NETWORKS.items() if key in values}
    elif name == "s-jepa":
        values["epochs"] = 4  # its teacher stands still in the last step, and its centre moves after the first
    elif kind == "evaluations" and "epochs" in values:
        values["epochs"] = 2  # of one step
    return config.model_validate(values)


def another(settings: BaseModel, setting: str) -> BaseModel:
    """The settings with another value of one of them."""
    now = getattr(settings, setting)
    value = not now if OTHER[setting] is None else OTHER[setting]
    assert value != now, f"{setting}: this is no other value"
    return changed_by(settings, {setting: value})


def changed_by(settings: BaseModel, values: Mapping[str, Any]) -> BaseModel:
    """The settings with other values, validated."""
    return type(settings).model_validate({**settings.model_dump(), **values})


@dataclass
class PlainRun:
    """Trains stages in memory and keeps no file of them; a `Run` for methods and evaluations."""

    config: BaseModel
    folder: RunFolder
    trained: list[Stage] = field(default_factory=list)
    logs: list[Any] = field(default_factory=list)
    stages: list[Any] = field(default_factory=list)
    seed: int = 0
    start: nn.Module | None = None
    device: torch.device = CPU
    precision: str = "float32"
    reuse: bool = False
    progress: None = None
    tell: None = None

    def train(self, stage: Stage) -> None:
        """Train a stage to its end and remember it."""
        self.trained.append(stage)
        self.logs.append([(line["loss"], line["lr"]) for line in train(stage, seed=0, device=self.device).log])


@dataclass(frozen=True)
class Fitted:
    """What a plug-in did: its stages, losses and rates of each, and a digest of all that came out."""

    stages: list[Stage]
    logs: list[Any]
    digest: str


def fitted(kind: str, name: str, settings: BaseModel, folder: Path) -> Fitted:
    """Run a method or an evaluation under a config."""
    run = PlainRun(settings, RunFolder(folder))
    seed_step(0, "start", 0)
    plugin = registry.load(kind, name)
    came_out = _method(plugin, run) if kind == "methods" else _evaluation(plugin, run)
    return Fitted(run.trained, run.logs, hashlib.sha256(f"{run.logs} {came_out}".encode()).hexdigest())


def _method(plugin: Any, run: PlainRun) -> str:
    clips = training_part(SIX, labelled=True)
    encoder = plugin().fit(clips, run).eval()
    with torch.no_grad():
        features = encoder(clips.whole(torch.arange(4), encoder.frames))
    return digest_tensors({**encoder.state_dict(), "features": features})


def _evaluation(plugin: Any, run: PlainRun) -> str:
    clips = evaluation_clips(SIX)
    seed_step(0, "encoder", 0)
    subject: Subject[Any] = Subject(
        encoder=_encoder(plugin.name).eval(),
        train=clips.train,
        test=clips.test,
        num_classes=CLASSES,
        run=run,  # type: ignore[arg-type]
        names={"train": clips.train_names, "test": clips.test_names},
        key="small",
        test_classes=CLASSES,
        class_names=("drink water", "throw", "clapping", "jump up"),
        unseen=np.array([CLASSES - 1]),
        draw_episodes=partial(draw_episodes, clips.train.labels.numpy(), clips.test_labels),
    )
    return " ".join(map(_digest_outcome, plugin().run(subject)))


def _encoder(evaluation: str) -> nn.Module:
    if evaluation == "classifier":
        return ClassifyingEncoder(SupervisedConfig(frames=FRAMES, dim=8, depth=2, heads=2), len(SIX.joints), CLASSES)
    return SkeletonEncoder(FRAMES, len(SIX.joints), dim=8, depth=2, heads=2)


def _digest_outcome(outcome: Outcome) -> str:
    arrays = {
        "predictions": outcome.predictions,
        "scores": outcome.scores,
        "by_epoch": outcome.by_epoch,
        "rows": outcome.rows,
        **outcome.extra,
    }
    parts = [f"{key} {value.shape} {value.tolist()}" for key, value in arrays.items() if isinstance(value, np.ndarray)]
    return f"{dict(outcome.settings)} {parts}"
