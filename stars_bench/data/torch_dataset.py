"""A prepared dataset under a protocol as PyTorch Datasets and arrays, for training programs of one's own.

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
from pydantic import ValidationError
from torch import Tensor
from torch.utils.data import Dataset

from stars_bench import registry
from stars_bench.api import ProtocolSpec, Skeleton
from stars_bench.data.clip_store import STREAMS, ClipPart, ClipStore
from stars_bench.errors import UsageError
from stars_bench.protocols.standard import make_split
from stars_bench.protocols.validation import hold_out_subjects
from stars_bench.storage.shards import PreparedDataset

BATCH = 256

Sample = tuple[Tensor, int, str]
"""A clip (C, T, V, M) float32 in metres, its class counted from 0, its name."""


class ClipDataset(Dataset[Sample]):
    """Clips of one part of a protocol; an item is (clip (3, T, V, 2) float32 in metres, label, name).

    Batches come out of a `torch.utils.data.DataLoader` as (N, C, T, V, M), (N,) int64 and a list of names. Where a
    clip has one body, the second is what the dataset's profile says: zeros, or the first again.

    Args:
        store: all clips of the dataset; the parts share it. rows: (N,) their row numbers in `table`. frames: T of every
        clip; None: each clip has its own length and is neither cropped nor resized. keep: share of each clip that the
        centre crop keeps. augment: a random crop of half to all frames, turned at random, in place of the centre crop.
        max_angle: the largest random turn about each axis, radians.
    """

    def __init__(
        self,
        store: ClipStore,
        table: pd.DataFrame,
        rows: np.ndarray,
        num_classes: int,
        frames: int | None,
        keep: float = 0.95,
        augment: bool = False,
        max_angle: float = 0.3,
    ) -> None:
        self.rows = np.asarray(rows, dtype=np.int64)
        self.names: list[str] = table["name"].iloc[self.rows].tolist()
        self.labels: np.ndarray = table["label"].to_numpy(dtype=np.int64)[self.rows]
        self.frames, self.keep, self.augment, self.max_angle = frames, keep, augment, max_angle
        self._part = ClipPart(store, self.rows, self.labels, num_classes)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Items of a whole batch at once, as DataLoader asks for them: one gathering, resizing and rotation."""
        numbers = torch.as_tensor(indices, dtype=torch.int64)
        if len(numbers) and not -len(self) <= int(numbers.min()) <= int(numbers.max()) < len(self):
            raise IndexError(f"clip {indices} of {len(self):,}")
        numbers = numbers % max(len(self), 1)
        clips = self._clips(numbers)
        labels, names = self.labels[numbers.numpy()].tolist(), (self.names[number] for number in numbers.tolist())
        return list(zip(clips, labels, names, strict=True))

    def arrays(self) -> tuple[np.ndarray, np.ndarray, list[str]] | tuple[list[np.ndarray], np.ndarray, list[str]]:
        """Everything at once: clips (N, 3, T, V, 2) float32, labels (N,) int64, names.

        With `frames=None` clips are a list of arrays (3, F, V, 2), each of its own length.
        """
        parts = [self._clips(numbers) for numbers in torch.split(torch.arange(len(self)), BATCH)]
        if self.frames is None:
            return [clip.numpy() for part in parts for clip in part], self.labels, self.names
        out = np.empty((len(self), 3, self.frames, self._part.num_joints, 2), np.float32)
        for number, part in enumerate(parts):
            out[number * BATCH : (number + 1) * BATCH] = part
        return out, self.labels, self.names

    def _clips(self, numbers: Tensor) -> Tensor | list[Tensor]:
        """Clips (B, 3, T, V, 2), or B of them, each of its own length."""
        if self.frames is None:
            return [self._whole(number) for number in numbers]
        if self.augment:
            return self._part.cropped(numbers, self.frames, self.max_angle)
        return self._part.whole(numbers, self.frames, self.keep)

    def _whole(self, number: Tensor) -> Tensor:
        """All frames of one clip: resized to its own length, which changes no bit."""
        store, ids = self._part.store, self._part.ids[number].reshape(1)
        length = store.frames[ids]
        return store.resized(ids, torch.zeros_like(length), length, int(length))[0]


@dataclass(frozen=True)
class Parts:
    """A dataset under a protocol.

    Args:
        train, test: what a method learns from, and what it is asked. bank: the labelled clips of classes that training
        never sees, where the protocol has some (`unseen`, `oneshot`, `fewshot`), else None. classes: names, by label.
        skeleton: names of the joints, parents, centre. dataset: what was prepared: `.digest` says exactly which data.
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
    frames: int | None = 120,
    keep: float = 0.95,
    augment: bool = False,
    max_angle: float = 0.3,
    stream: str = "joint",
    validation: str | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> Parts:
    """See `stars_bench.load`."""
    _check(frames, keep, augment, stream, validation)
    rule: ProtocolSpec = registry.load("protocols", protocol)
    if not dataset.has_protocol(rule):
        raise UsageError(f"{dataset.name} has no protocol {rule.name} ({', '.join(rule.datasets)} have it)")
    split = make_split(rule, dataset.name, dataset.table, dataset.complete, _settings(rule, settings))
    if validation is not None:
        if split.bank is not None:
            raise UsageError(f"validation={validation!r} is not for {rule.name}, which tests other classes")
        split = hold_out_subjects(dataset.table, split, seed)
    store, classes = ClipStore.of(dataset, "cpu", stream), dataset.spec.classes

    def part(rows: np.ndarray, augmented: bool = False) -> ClipDataset:
        return ClipDataset(store, dataset.table, rows, len(classes), frames, keep, augmented, max_angle)

    return Parts(
        train=part(split.train, augment),
        test=part(split.test),
        bank=None if split.bank is None else part(split.bank),
        classes=classes,
        skeleton=dataset.spec.skeleton,
        dataset=dataset,
        protocol=rule.name,
    )


def _check(frames: int | None, keep: float, augment: bool, stream: str, validation: str | None) -> None:
    if frames is not None and frames < 1:
        raise UsageError(f"frames={frames}: at least 1, or None for clips of their own length")
    if frames is None and augment:
        raise UsageError("augment=True crops and resizes: it needs frames=N")
    if not 0 < keep <= 1:
        raise UsageError(f"keep={keep}: the share of a clip's frames, above 0 and at most 1")
    if stream not in STREAMS:
        raise UsageError(f"stream={stream!r}: there are {', '.join(STREAMS)}")
    if validation not in (None, "subjects"):
        raise UsageError(f"validation={validation!r}: there is 'subjects'")


def _settings(rule: ProtocolSpec, settings: Mapping[str, Any] | None) -> Any:
    if rule.Config is None:
        if settings:
            raise UsageError(f"settings={dict(settings)}: {rule.name} has none")
        return None
    try:
        return rule.Config.model_validate(dict(settings or {}))
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise UsageError(f"{rule.name}: {place}: {fault['msg'].removeprefix('Value error, ').lower()}") from error
