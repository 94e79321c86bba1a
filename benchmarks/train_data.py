"""Made-up clips for the training benchmarks: the lengths and the share of two-body clips of NTU RGB+D, in memory.

What the joints do is of no matter for the time: a person stands and sways.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.baseline_train import PADDED
from stars_bench.data.clip_store import ClipPart, ClipStore
from stars_bench.datasets.skeletons.kinect import KINECT_V2

TWO_BODIES = 0.24
"""Share of clips of NTU RGB+D 60 that show two bodies after cleaning."""
JOINTS, CLASSES = 25, 60


def made_up(
    clips: int, two_bodies: float = TWO_BODIES, seed: int = 0, device: torch.device | str = "cpu"
) -> tuple[ClipPart, ClipStore]:
    """A part that holds all clips of a store, with labels. Lengths are log-normal, 80 frames on average, 32 to 300."""
    rng = np.random.default_rng(seed)
    frames = np.clip(rng.lognormal(np.log(75), 0.35, clips), 32, PADDED).astype(np.int64)
    bodies = 1 + (rng.permutation(clips) < round(two_bodies * clips)).astype(np.int64)
    rows = frames * bodies
    offset = np.cumsum(rows) - rows
    time = np.arange(rows.sum(), dtype=np.float32)[:, None]
    standing = rng.normal(size=JOINTS * 3).astype(np.float32)
    speed = rng.uniform(0.02, 0.3, JOINTS * 3).astype(np.float32)
    joints = (standing + 0.1 * np.sin(time * speed)).reshape(-1, JOINTS, 3)
    store = ClipStore(joints, offset, frames, bodies, "zero", device, skeleton=KINECT_V2)
    return ClipPart(store, np.arange(clips), rng.integers(0, CLASSES, clips), CLASSES), store


def padded(store: ClipStore) -> np.ndarray:
    """The same clips as the public npz files hold them: (N, 300, 150) float32."""
    out = np.zeros((len(store), PADDED, 2, JOINTS * 3), np.float32)
    joints = store.coordinates.joints.cpu().numpy().reshape(-1, JOINTS * 3)
    columns = (store.coordinates.offset.tolist(), store.frames.tolist(), store.bodies.tolist())
    for number, (first, frames, bodies) in enumerate(zip(*columns, strict=True)):
        for body in range(bodies):
            out[number, :frames, body] = joints[first + body * frames : first + (body + 1) * frames]
    return out.reshape(len(store), PADDED, -1)
