"""The skeleton of Kinect v2, which NTU RGB+D and PKU-MMD share: 25 joints, their parents, the joint at the centre."""

from __future__ import annotations

from stars_bench.api import Skeleton

JOINTS = (
    "spine base",
    "spine mid",
    "neck",
    "head",
    "left shoulder",
    "left elbow",
    "left wrist",
    "left hand",
    "right shoulder",
    "right elbow",
    "right wrist",
    "right hand",
    "left hip",
    "left knee",
    "left ankle",
    "left foot",
    "right hip",
    "right knee",
    "right ankle",
    "right foot",
    "spine shoulder",
    "left hand tip",
    "left thumb",
    "right hand tip",
    "right thumb",
)

# (child, parent), 1-based, as published with the skeleton graphs of this field; joint 21 is the root.
BONES = (
    *((1, 2), (2, 21), (3, 21), (4, 3), (5, 21), (6, 5), (7, 6), (8, 7), (9, 21), (10, 9), (11, 10), (12, 11), (13, 1)),
    *((14, 13), (15, 14), (16, 15), (17, 1), (18, 17), (19, 18), (20, 19), (21, 21)),
    *((22, 23), (23, 8), (24, 25), (25, 12)),
)

KINECT_V2 = Skeleton(name="kinect-v2", joints=JOINTS, parents=tuple(parent - 1 for _, parent in BONES), centre=1)
