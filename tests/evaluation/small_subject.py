"""A task that is learnt in seconds: which of six joints is far from the others, one body or two, 8 frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from stars_bench.api import Skeleton
from stars_bench.data.clip_store import ClipPart, ClipStore
from stars_bench.evaluation.subject import Subject
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.training.stages import StageRun

CLASSES, FRAMES, JOINTS = 4, 8, 6
NAMES = ("spine", "left hand", "right hand", "head", "left foot", "right foot")
SIX = Skeleton("six", NAMES, parents=(0, 0, 0, 0, 0, 0), centre=0)


def parts(train: int, test: int, device: str = "cpu") -> tuple[ClipPart, ClipPart, np.ndarray, np.ndarray]:
    """Training part with labels, test part without, names of all clips, labels of all clips."""
    rng = np.random.default_rng(0)
    count = train + test
    labels, bodies = rng.integers(0, CLASSES, count), rng.integers(1, 3, count)
    clips = []
    for label, number in zip(labels, bodies, strict=True):
        joints = 0.1 * rng.normal(size=(number, FRAMES, JOINTS, 3))
        joints[:, :, label] += [0, 0, 1]
        clips.append(joints.reshape(-1, JOINTS, 3))
    offset = np.cumsum([0] + [len(clip) for clip in clips[:-1]])
    joints = np.concatenate(clips).astype(np.float32)
    store = ClipStore(joints, offset, np.full(count, FRAMES), bodies, absent="zero", skeleton=SIX, device=device)
    ids = np.arange(count)
    names = np.array([f"clip{i}" for i in ids])
    return ClipPart(store, ids[:train], labels[:train], CLASSES), ClipPart(store, ids[train:]), names, labels


def small_encoder() -> SkeletonEncoder:
    """The same weights every time."""
    torch.manual_seed(0)
    return SkeletonEncoder(FRAMES, JOINTS, dim=16, depth=2, heads=2)


def subject_for(
    encoder: nn.Module, config: object, folder: Path, train: int = 96, test: int = 40, **settings: object
) -> tuple[Subject, np.ndarray]:
    """What an evaluation is given, and the labels of the test part, which it is not."""
    train_part, test_part, names, labels = parts(train, test)
    run = StageRun(config, 0, torch.device("cpu"), folder, {}, **settings)
    subject = Subject(
        encoder=encoder,
        train=train_part,
        test=test_part,
        num_classes=CLASSES,
        run=run,
        names={"train": names[:train], "test": names[train:]},
        key="small",
    )
    return subject, labels[train:]
