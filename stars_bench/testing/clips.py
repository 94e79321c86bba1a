"""Tiny made-up clips for `check_method`: smooth walks of joints of any layout, a training part and clips beyond it."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from stars_bench.api import Skeleton
from stars_bench.data.clip_store import ClipPart, ClipStore

TRAIN, TEST, CLASSES = 48, 16, 4
SHORTEST, LONGEST = 20, 40  # frames


class WatchedPart(ClipPart):
    """A training part that remembers whether its labels were asked for."""

    labels_read = False

    @property
    def labels(self) -> Tensor:
        """As in `ClipPart`."""
        self.labels_read = True
        return super().labels


def training_part(skeleton: Skeleton, labelled: bool, other_test_clips: bool = False) -> WatchedPart:
    """The training part of a store whose last clips are test clips.

    Args:
        other_test_clips: leaves the training part as it is and gives other coordinates to the test clips.
    """
    rng = np.random.default_rng(0)
    count = TRAIN + TEST
    labels, bodies = rng.integers(0, CLASSES, count), rng.integers(1, 3, count)
    frames = rng.integers(SHORTEST, LONGEST + 1, count)
    joints = len(skeleton.joints)
    clips = []
    for label, length, people in zip(labels, frames, bodies, strict=True):
        walk = np.cumsum(0.02 * rng.normal(size=(people, length, joints, 3)), axis=1)
        walk[:, :, int(label) % joints, 2] += np.sin(np.linspace(0, 6, length))
        clips.append((walk - walk[:1, :1, skeleton.centre, None]).reshape(-1, joints, 3))
    if other_test_clips:
        clips[TRAIN:] = [rng.normal(size=clip.shape) for clip in clips[TRAIN:]]
    offset = np.cumsum([0, *(len(clip) for clip in clips[:-1])])
    rows = np.concatenate(clips).astype(np.float32)
    store = ClipStore(rows, offset, frames, bodies, absent="zero", skeleton=skeleton)
    return WatchedPart(store, np.arange(TRAIN), labels[:TRAIN] if labelled else None, CLASSES)
