"""Tiny synthetic clips for checks: smooth walks of joints of any layout, the parts of a protocol, other clips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from stars_bench.api import Skeleton
from stars_bench.data.clip_store import ClipPart, ClipStore

CLIPS, CLASSES = 64, 4
FRAMES = 16  # of the clips that the encoder of `check_evaluation` takes
SHORTEST, LONGEST = 20, 40  # frames
FOR_METHODS = slice(0, 48)
"""The training part of a method; the other clips are test clips."""
LABELLED, TEST, OUTSIDE = slice(0, 32), slice(32, 56), slice(56, 64)
"""Both parts of an evaluation, and clips that belong to neither."""


class WatchedPart(ClipPart):
    """A part that remembers whether its labels were read."""

    labels_read = False

    @property
    def labels(self) -> Tensor:
        """The classes (N,) int64, as in `ClipPart`."""
        self.labels_read = True
        return super().labels


def training_part(skeleton: Skeleton, labelled: bool, other_test_clips: bool = False) -> WatchedPart:
    """Return the training part for a method, in a store whose last clips are test clips.

    Args:
        skeleton: Joint layout of the clips.
        labelled: Whether the part has labels.
        other_test_clips: Whether the test clips get other coordinates; the training part stays as it is. Default:
            False.
    """
    others = slice(FOR_METHODS.stop, CLIPS) if other_test_clips else slice(0)
    store, labels = _store(skeleton, others)
    ids = np.arange(CLIPS)[FOR_METHODS]
    return WatchedPart(store, ids, labels[ids] if labelled else None, CLASSES)


@dataclass(frozen=True)
class EvaluationClips:
    """The clips of an evaluation, and the labels of the test part, which it must not see.

    Args:
        train: The labelled part.
        test: The test part without labels.
        train_names: (N,) names of the training clips.
        test_names: (T,) names of the test clips.
        test_labels: (T,) classes of the test clips.
    """

    train: ClipPart
    test: WatchedPart
    train_names: np.ndarray
    test_names: np.ndarray
    test_labels: np.ndarray


def evaluation_clips(
    skeleton: Skeleton, *, other_clips_outside: bool = False, other_names: bool = False, reverse: bool = False
) -> EvaluationClips:
    """Return both parts for an evaluation; the clips' names state their classes, as those of NTU RGB+D do.

    Args:
        skeleton: Joint layout of the clips.
        other_clips_outside: Whether the clips that are in neither part get other coordinates. Default: False.
        other_names: Whether the test clips get names that state other classes. Default: False.
        reverse: Whether the test part has the opposite order. Default: False.
    """
    store, labels = _store(skeleton, OUTSIDE if other_clips_outside else slice(0))
    ids = np.arange(CLIPS)
    train, test = ids[LABELLED], ids[TEST][:: -1 if reverse else 1]
    said = (labels + 1) % CLASSES if other_names else labels
    return EvaluationClips(
        train=ClipPart(store, train, labels[train], CLASSES),
        test=WatchedPart(store, test, None, CLASSES),
        train_names=np.array([_name(number, labels[number]) for number in train]),
        test_names=np.array([_name(number, said[number]) for number in test]),
        test_labels=labels[test],
    )


def _name(number: int, label: int) -> str:
    return f"S{number:03}C001P001R001A{label + 1:03}"


def _store(skeleton: Skeleton, others: slice) -> tuple[ClipStore, np.ndarray]:
    """Return a store of all clips and their labels (N,); the clips of `others` are noise."""
    rng = np.random.default_rng(0)
    labels, bodies = rng.integers(0, CLASSES, CLIPS), rng.integers(1, 3, CLIPS)
    frames = rng.integers(SHORTEST, LONGEST + 1, CLIPS)
    joints = len(skeleton.joints)
    clips = []
    for label, length, people in zip(labels, frames, bodies, strict=True):
        walk = np.cumsum(0.02 * rng.normal(size=(people, length, joints, 3)), axis=1)
        walk[:, :, int(label) % joints, 2] += np.sin(np.linspace(0, 6, length))
        clips.append((walk - walk[:1, :1, skeleton.centre, None]).reshape(-1, joints, 3))
    clips[others] = [rng.normal(size=clip.shape) for clip in clips[others]]
    offset = np.cumsum([0, *(len(clip) for clip in clips[:-1])])
    rows = np.concatenate(clips).astype(np.float32)
    return ClipStore(rows, offset, frames, bodies, absent="zero", skeleton=skeleton), labels
