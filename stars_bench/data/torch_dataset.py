"""A prepared dataset under a protocol as PyTorch Datasets and arrays, for your own training program.

Clips are those that methods and evaluations here get: cropped, resized and padded by the same code
(`data/clip_store.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from stars_bench import registry
from stars_bench.api import ProtocolSpec, Skeleton
from stars_bench.data.clip_store import ClipStore
from stars_bench.data.transforms import (
    CenterCrop,
    Compose,
    RandomCrop,
    RandomRotation,
    Stream,
    StreamName,
    Transform,
)
from stars_bench.errors import UsageError
from stars_bench.protocols.splits import config_of, split_of
from stars_bench.storage.shards import PreparedDataset

BATCH = 256
FRAMES = 120
MAX_ANGLE = 0.3
NOTHING = Compose(())

Sample = tuple[Tensor, int, str]
"""A clip (C, T, V, M) float32 in metres, its class counted from 0, its name."""


class ClipDataset(Dataset[Sample]):
    """The clips of one part of a protocol; an item is (clip (3, T, V, 2) float32 in metres, label, name).

    A `torch.utils.data.DataLoader` returns batches as clips (N, C, T, V, M), labels (N,) int64 and a list of names.
    Where a clip has one body, the dataset's profile defines the second: zeros, or a copy of the first.

    Args:
        store: All clips of the dataset; the parts share it.
        table: The dataset's clip table.
        rows: (N,) row numbers of the part's clips in `table`.
        transform: What happens to each clip (3, F, V, 2), F its own length. Default: None, nothing.
    """

    def __init__(
        self,
        store: ClipStore,
        table: pd.DataFrame,
        rows: np.ndarray,
        transform: Compose = NOTHING,
    ) -> None:
        self.rows = np.asarray(rows, dtype=np.int64)
        self.names: list[str] = table["name"].iloc[self.rows].tolist()
        self.labels: np.ndarray = table["label"].to_numpy(dtype=np.int64)[self.rows]
        self.transform = transform
        self._store = store.subset(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Return the items of a whole batch at once, as DataLoader asks: one gathering, resizing and rotation."""
        numbers = torch.as_tensor(indices, dtype=torch.int64)
        if len(numbers) and not -len(self) <= int(numbers.min()) <= int(numbers.max()) < len(self):
            raise IndexError(f"clip {indices} of {len(self):,}")
        numbers = numbers % max(len(self), 1)
        clips = self._clips(numbers)
        labels, names = self.labels[numbers.numpy()].tolist(), (self.names[number] for number in numbers.tolist())
        return list(zip(clips, labels, names, strict=True))

    def arrays(self) -> tuple[np.ndarray, np.ndarray, list[str]] | tuple[list[np.ndarray], np.ndarray, list[str]]:
        """Return the whole part at once: clips (N, 3, T, V, 2) float32, labels (N,) int64 and names.

        Where the transform leaves each clip its own length, clips are a list of arrays (3, F, V, 2).
        """
        parts = [self._clips(numbers) for numbers in torch.split(torch.arange(len(self)), BATCH)]
        if self.transform.frames is None or not parts:
            return [clip.numpy() for part in parts for clip in part], self.labels, self.names
        out = np.empty((len(self), *parts[0][0].shape), np.float32)
        for number, part in enumerate(parts):
            out[number * BATCH : (number + 1) * BATCH] = part if isinstance(part, Tensor) else torch.stack(part)
        return out, self.labels, self.names

    def _clips(self, numbers: Tensor) -> Tensor | list[Tensor]:
        """Return clips (B, 3, T, V, 2), or B of them, each of its own length."""
        first, *others = self.transform.transforms or (None,)
        if isinstance(first, (CenterCrop, RandomCrop)) and first.frames is not None:
            # The usual case: cropped and resized out of the store, all clips of the batch at once.
            start, length = first.window(self._store.valid[numbers])
            return Compose(others)(self._store.resized(numbers, start, length, first.frames))
        return [self.transform(self._whole(number)) for number in numbers]

    def _whole(self, number: Tensor) -> Tensor:
        """Return all frames of one clip: resized to its own length, which changes no bit."""
        row = number.reshape(1)
        length = self._store.frames[row]
        return self._store.resized(row, torch.zeros_like(length), length, int(length))[0]


@dataclass(frozen=True)
class Parts:
    """A dataset under a protocol: the training part, the test part, and what they consist of.

    Args:
        train: The training part.
        test: The test part.
        bank: The labelled clips of classes that training never sees, for a protocol that has them (`unseen`, `oneshot`,
            `fewshot`); else None.
        classes: Names of the classes, by label.
        skeleton: The joint layout: names of the joints, parents and centre joint.
        dataset: The prepared dataset; its `.digest` identifies the data exactly.
        protocol: Name of the protocol.
    """

    train: ClipDataset
    test: ClipDataset
    bank: ClipDataset | None
    classes: tuple[str, ...]
    skeleton: Skeleton
    dataset: PreparedDataset
    protocol: str


def load(
    dataset: PreparedDataset,
    protocol: str,
    *,
    transform: Transform | Sequence[Transform] | None = None,
    test_transform: Transform | Sequence[Transform] | None = None,
    frames: int | None = FRAMES,
    keep: float = 0.95,
    augment: bool = False,
    max_angle: float = MAX_ANGLE,
    stream: StreamName = "joint",
    validation: str | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> Parts:
    """See `stars_bench.load`."""
    if transform is None:
        training = _usual(frames, keep, augment, max_angle, stream)
    elif (frames, augment, max_angle, stream) != (FRAMES, False, MAX_ANGLE, "joint"):
        raise UsageError("transform= says how clips are cropped, turned and streamed: leave out the other options")
    else:
        training = Compose([transform])
    testing = training.for_evaluation(keep) if test_transform is None else Compose([test_transform])
    rule: ProtocolSpec = registry.load("protocols", protocol)
    if not dataset.has_protocol(rule):
        raise UsageError(f"{dataset.name} has no protocol {rule.name} ({', '.join(rule.datasets)} have it)")
    split = split_of(dataset, rule, config_of(rule, settings or {}), validation, seed)
    store, classes, skeleton = ClipStore.of(dataset), dataset.spec.classes, dataset.spec.skeleton

    def part(rows: np.ndarray, transforms: Compose) -> ClipDataset:
        return ClipDataset(store, dataset.table, rows, transforms.with_skeleton(skeleton))

    return Parts(
        train=part(split.train, training),
        test=part(split.test, testing),
        bank=None if split.bank is None else part(split.bank, testing),
        classes=classes,
        skeleton=skeleton,
        dataset=dataset,
        protocol=rule.name,
    )


def _usual(frames: int | None, keep: float, augment: bool, max_angle: float, stream: StreamName) -> Compose:
    """Return the clips of evaluations, or, augmented, of stage 1 of MAMP and STARS."""
    streams = [] if stream == "joint" else [Stream(stream)]
    if augment and frames is None:
        raise UsageError("augment=True crops and resizes: it needs frames=N")
    if augment:
        return Compose([RandomCrop(frames), *streams, RandomRotation(max_angle)])
    centre = CenterCrop(frames, keep)
    return Compose(streams if frames is None else [centre, *streams])
