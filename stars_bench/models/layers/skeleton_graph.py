"""What methods read from a dataset's joint layout: mirrored joints, the graph of the bones, ST-GCN's partitions.

No torch: small NumPy arrays, computed once. Any `Skeleton` will do (25 joints of Kinect v2, 20 of v1, 17 of COCO).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stars_bench.api import Skeleton
from stars_bench.errors import UsageError


def mirrored_joints(skeleton: Skeleton) -> tuple[int, ...]:
    """Return, for each joint (V,), the joint that takes its place in a mirror: left and right change, others stay.

    Raises:
        UsageError: A joint that is named left or right has no counterpart, or no joint is named so.
    """
    place = {name: joint for joint, name in enumerate(skeleton.joints)}
    swapped = [_other_side(name) for name in skeleton.joints]
    if swapped == list(skeleton.joints) or not set(swapped) <= place.keys():
        raise UsageError(
            f"skeleton {skeleton.name}: mirroring needs joint names in pairs, such as 'left hand' and 'right hand'"
        )
    return tuple(place[name] for name in swapped)


def _other_side(name: str) -> str:
    sides = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    for side, other in sides.items():
        if side in name:
            return name.replace(side, other)
    return name


def bones(parents: Sequence[int]) -> list[tuple[int, int]]:
    """Return (child, parent) of every joint that has one; a root is its own parent."""
    return [(child, parent) for child, parent in enumerate(parents) if child != parent]


def hops_from(joint: int, parents: Sequence[int]) -> np.ndarray:
    """Return the number of bones (V,) int64 between every joint and `joint`.

    Raises:
        UsageError: The bones do not connect all joints.
    """
    hops = np.full(len(parents), -1, np.int64)
    hops[joint] = 0
    for _ in parents:
        for a, b in bones(parents):
            for here, there in ((a, b), (b, a)):
                if hops[here] >= 0 and hops[there] < 0:
                    hops[there] = hops[here] + 1
    if (hops < 0).any():
        raise UsageError(f"skeleton: joint {int(np.argmin(hops))} is connected to joint {joint} by no bones (parents)")
    return hops


def root_of(skeleton: Skeleton) -> int:
    """Return the joint that is its own parent."""
    return next(joint for joint, parent in enumerate(skeleton.parents) if joint == parent)


def spatial_partitions(skeleton: Skeleton) -> np.ndarray:
    """Return ST-GCN's spatial partitions (3, V, V) float32 as its official program (github yysijie/st-gcn) makes them.

    Entry (k, j, i) weighs what joint i receives from joint j: k = 0 from itself, 1 from neighbours that are farther
    from the centre or as far, 2 from neighbours that are nearer. The program knows no distance beyond one bone, so all
    joints that do not touch the centre count as equally far. Published numbers follow the program, not the paper's text
    (arXiv:1801.07455, section 3.3). Weights into a joint sum to 1. The centre is the root of `parents`, which for
    Kinect v2 is the published one, the spine at the shoulders.
    """
    parents = skeleton.parents
    own = np.eye(len(parents), dtype=bool)
    neighbours = np.zeros_like(own)
    for a, b in bones(parents):
        neighbours[a, b] = neighbours[b, a] = True
    distance = np.minimum(hops_from(root_of(skeleton), parents), 2)
    nearer = distance[:, None] < distance[None, :]
    weight = 1 / (own | neighbours).sum(0)
    return np.stack([part * weight for part in (own, neighbours & ~nearer, neighbours & nearer)]).astype(np.float32)


def directed_partitions(skeleton: Skeleton) -> np.ndarray:
    """Return the graph of 2s-AGCN and CTR-GCN: itself, inward and outward, as (3, V, V) float32.

    Entry (k, u, v) weighs what joint u receives from joint v: k = 0 from itself, 1 from each of its children, 2 from
    its parent, divided by the number of the parent's children. Weights out of a joint sum to 1, but for the root inward
    and the ends outward, which sum to 0.
    """
    own = np.eye(len(skeleton.parents))
    inward = np.zeros_like(own)
    for child, parent in bones(skeleton.parents):
        inward[parent, child] = 1
    outward = inward.T / np.maximum(inward.sum(1), 1)
    return np.stack([own, inward, outward]).astype(np.float32)
