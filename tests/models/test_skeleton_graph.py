"""Graphs come from any joint layout: partitions are those of the official program, mirrors follow the joints' names."""

from __future__ import annotations

import numpy as np
import pytest

from stars_bench.api import Skeleton
from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.errors import UsageError
from stars_bench.models.layers.skeleton_graph import hops_from, mirrored_joints, root_of, spatial_partitions

KINECT_V1 = Skeleton(
    "kinect-v1",
    (
        *("hip centre", "spine", "shoulder centre", "head", "left shoulder", "left elbow", "left wrist", "left hand"),
        *("right shoulder", "right elbow", "right wrist", "right hand", "left hip", "left knee", "left ankle"),
        *("left foot", "right hip", "right knee", "right ankle", "right foot"),
    ),
    parents=(1, 2, 2, 2, 2, 4, 5, 6, 2, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18),
    centre=0,
)


def as_in_the_program(skeleton: Skeleton) -> np.ndarray:
    """Edge by edge, with distances of at most one bone and all others infinite."""
    joints = len(skeleton.parents)
    edges = {(a, b) for a, b in enumerate(skeleton.parents) if a != b}
    edges |= {(b, a) for a, b in edges}
    distance = np.full((joints, joints), np.inf)
    for a, b in edges:
        distance[a, b] = 1
    np.fill_diagonal(distance, 0)
    degree = (distance <= 1).sum(0)
    centre = root_of(skeleton)
    out = np.zeros((3, joints, joints))
    for i in range(joints):
        for j in range(joints):
            if i == j:
                out[0, j, i] = 1 / degree[i]
            elif distance[j, i] == 1:
                nearer = distance[j, centre] < distance[i, centre]
                out[2 if nearer else 1, j, i] = 1 / degree[i]
    return out


@pytest.mark.parametrize("skeleton", [KINECT_V2, KINECT_V1], ids=lambda skeleton: skeleton.name)
def test_partitions_are_those_of_the_official_program(skeleton: Skeleton) -> None:
    ours = spatial_partitions(skeleton)
    np.testing.assert_allclose(ours, as_in_the_program(skeleton), atol=1e-7)
    np.testing.assert_allclose(ours.sum((0, 1)), 1, atol=1e-6)
    assert ((ours > 0).sum(0) <= 1).all()


def test_the_centre_is_the_published_joint() -> None:
    assert KINECT_V2.joints[root_of(KINECT_V2)] == "spine shoulder"  # 21, 1-based, in the official program
    assert [int(hop) for hop in hops_from(20, KINECT_V2.parents)[[20, 1, 0, 23, 19]]] == [0, 1, 2, 6, 6]


def test_mirrors_change_left_and_right() -> None:
    # The order that STARS and AimCLR ship for NTU RGB+D.
    published = [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 16, 17, 18, 19, 12, 13, 14, 15, 20, 23, 24, 21, 22]
    assert list(mirrored_joints(KINECT_V2)) == published
    twice = np.array(mirrored_joints(KINECT_V1))[list(mirrored_joints(KINECT_V1))]
    assert twice.tolist() == list(range(20))


@pytest.mark.parametrize("names", [("a", "b"), ("left hand", "b")])
def test_joints_without_sides_cannot_be_mirrored(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"skeleton odd: mirroring needs joint names in pairs"):
        mirrored_joints(Skeleton("odd", names, parents=(0, 0), centre=0))


def test_bones_that_do_not_connect_all_joints_are_told() -> None:
    with pytest.raises(UsageError, match="joint 2 is connected to joint 0 by no bones"):
        spatial_partitions(Skeleton("broken", ("a", "b", "c", "d"), parents=(0, 0, 3, 3), centre=0))
