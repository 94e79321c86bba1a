"""Subjects with features of one's choice: clips that stand still, and an encoder that reads their joints."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stars_bench.data.clip_store import ClipPart, ClipStore
from stars_bench.evaluation.subject import Subject
from stars_bench.protocols.episodes import draw_episodes
from stars_bench.training.stages import StageRun

FRAMES = 2


class Reader(nn.Module):
    """Features (B, 3 V): the joints of the first body's first frame. Counts the clips that it has read."""

    frames = FRAMES

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim, self.clips_read = dim, 0

    def forward(self, x: Tensor) -> Tensor:
        self.clips_read += len(x)
        return x[:, :, 0, :, 0].mT.flatten(1)


def still_store(features: np.ndarray) -> ClipStore:
    """Clips whose joints are features (N, D), D a multiple of 3."""
    joints = np.repeat(features.reshape(len(features), 1, -1, 3).astype(np.float32), FRAMES, axis=1)
    one = np.ones(len(features), np.int64)
    offset = FRAMES * np.arange(len(features))
    return ClipStore(joints.reshape(-1, *joints.shape[2:]), offset, FRAMES * one, one, absent="zero")


def still_subject(
    features: np.ndarray,
    labels: np.ndarray,
    train: Sequence[int] | np.ndarray,
    test: Sequence[int] | np.ndarray,
    config: Any,
    folder: Path,
    **more: Any,
) -> Subject:
    """A subject whose features are those given; `train` and `test` are rows of them."""
    store, names = still_store(features), np.array([f"clip{row:05}" for row in range(len(features))])
    reuse = more.pop("reuse", False)
    return Subject(
        **{
            "encoder": Reader(features.shape[1]),
            "train": ClipPart(store, np.asarray(train), labels[train], int(labels.max()) + 1),
            "test": ClipPart(store, np.asarray(test)),
            "num_classes": int(labels.max()) + 1,
            "run": StageRun(config, 0, torch.device("cpu"), folder, {}, reuse=reuse),
            "names": {"train": names[train], "test": names[test]},
            "key": "reader",
            "test_classes": len(np.unique(labels[test])),
            "draw_episodes": partial(draw_episodes, labels[train], labels[test]),
        }
        | more
    )
