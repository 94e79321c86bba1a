"""Poses in a picture: every augmentation and every stream leaves the score alone, and turns in the plane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from stars_bench.api import PLANE
from stars_bench.data import transforms
from stars_bench.data.clip_store import STREAMS, ClipPart, ClipStore
from stars_bench.datasets.skeletons.layouts import COCO_17
from stars_bench.errors import UsageError
from stars_bench.models.layers import augment
from stars_bench.models.layers.skeleton_graph import mirrored_joints, spatial_partitions
from stars_bench.models.networks.stgcn import STGCN
from stars_bench.models.raw import Coordinates

POSES = replace(COCO_17, channels=PLANE)
FRAMES = 12


def store(stream: str = "joint", scores: float = 0.7, skeleton=POSES) -> ClipStore:
    """Three clips, of 80, 90 and 100 frames and of two, one and two bodies; all scores alike."""
    frames, bodies = np.array([80, 90, 100]), np.array([2, 1, 2])
    rows = frames * bodies
    joints = np.random.default_rng(0).normal(size=(rows.sum(), 17, 3)).astype(np.float32)
    joints[..., 2] = scores
    return ClipStore(joints, np.cumsum(rows) - rows, frames, bodies, "duplicate", "cpu", stream, skeleton)


def batch() -> Tensor:
    return ClipPart(store(), np.arange(3)).whole(torch.arange(3), FRAMES)


MIRRORED = torch.tensor(mirrored_joints(POSES))
EVERY = torch.ones(3, dtype=torch.bool)
AUGMENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "normal view": lambda x: augment.normal_view(x, planar=True),
    "extreme view": lambda x: augment.extreme_view(x, MIRRORED, planar=True),
    "with time flip": lambda x: augment.extreme_view(x, MIRRORED, time_flip=True, planar=True),
    "mirror": lambda x: augment.mirror(x, MIRRORED, EVERY),
    "swap sides": lambda x: augment.swap_sides(x, MIRRORED, EVERY),
    "random rotation": transforms.Compose([transforms.RandomRotation(1.0)]).with_skeleton(POSES),
    "cropped": lambda _: ClipPart(store(), np.arange(3)).cropped(torch.arange(3), FRAMES, 1.0),
    "placed": STGCN(FRAMES, spatial_partitions(POSES), 4, 8, root=0, planar=True).placed,
    "raw": lambda x: Coordinates(FRAMES, 17, 0, planar=True)(x).view(x.shape),
}
AUGMENTATIONS |= {
    f"stream {name}": (lambda x, name=name: augment.as_stream(x, name, torch.tensor(POSES.parents), planar=True))
    for name in STREAMS
}
AUGMENTATIONS |= {f"transform {name}": transforms.Stream(name, POSES) for name in STREAMS}
AUGMENTATIONS |= {
    f"store {name}": (lambda _, name=name: ClipPart(store(name), np.arange(3)).whole(torch.arange(3), FRAMES))
    for name in STREAMS
}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_score_is_never_rotated_centred_or_differenced(name: str) -> None:
    x = batch()
    for seed in range(5):
        torch.manual_seed(seed)
        torch.testing.assert_close(AUGMENTATIONS[name](x)[:, 2], x[:, 2], rtol=0, atol=0)
    if not name.endswith(("joint", "swap sides")):
        assert not torch.equal(AUGMENTATIONS[name](x)[:, :2], x[:, :2])


def test_a_pose_turns_in_its_plane() -> None:
    x = batch()
    turned = transforms.RandomRotation(1.0, skeleton=POSES)(x)
    torch.testing.assert_close(turned[:, :2].norm(dim=1), x[:, :2].norm(dim=1))
    cropped = ClipPart(store(scores=0), np.arange(3)).cropped(torch.arange(3), FRAMES, 1.0)
    assert not cropped[:, 2].any()
    in_space = ClipPart(store(scores=0, skeleton=COCO_17), np.arange(3)).cropped(torch.arange(3), FRAMES, 1.0)
    assert in_space[:, 2].any()  # what would happen to joints in space


def test_bone_motion_is_the_motion_of_bones() -> None:
    x = ClipPart(store(skeleton=COCO_17), np.arange(3)).whole(torch.arange(3), FRAMES)
    both = augment.as_stream(
        augment.as_stream(x, "bone", torch.tensor(COCO_17.parents)), "motion", torch.tensor(COCO_17.parents)
    )
    torch.testing.assert_close(augment.as_stream(x, "bone-motion", torch.tensor(COCO_17.parents)), both, rtol=0, atol=0)
    assert not both[:, :, -1].any()


def test_a_placement_about_y_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match="needs x, y and z, these are poses in pictures"):
        ClipStore(
            *(np.zeros((1, 17, 3), np.float32), *np.array([[0], [1], [1]])), "zero", "cpu", "joint", POSES, "crossclr"
        )
