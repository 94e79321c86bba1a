"""Joint layouts by name: Kinect v2 (NTU RGB+D, PKU-MMD), Kinect v1 (20 joints) and COCO (17 keypoints).

Joints in the order of the Kinect for Windows SDK 1.x (JointType) and of COCO's keypoints (arXiv:1405.0312);
COCO has no joint in the middle, so its nose is the root, as in the graphs of this field.
"""

from __future__ import annotations

from stars_bench.api import Skeleton
from stars_bench.datasets.skeletons.kinect import KINECT_V2


def of_names(name: str, joints: tuple[str, ...], parents: tuple[str, ...], centre: str) -> Skeleton:
    """Return a layout whose parents and centre are given by name; each parent stands at its joint's position.

    Raises:
        ValueError: A name is not a joint.
    """
    return Skeleton(name, joints, tuple(joints.index(parent) for parent in parents), joints.index(centre))


KINECT_V1 = of_names(
    "kinect-v1",
    (
        *("hip centre", "spine", "shoulder centre", "head"),
        *("left shoulder", "left elbow", "left wrist", "left hand"),
        *("right shoulder", "right elbow", "right wrist", "right hand"),
        *("left hip", "left knee", "left ankle", "left foot"),
        *("right hip", "right knee", "right ankle", "right foot"),
    ),
    (
        *("hip centre", "hip centre", "spine", "shoulder centre"),
        *("shoulder centre", "left shoulder", "left elbow", "left wrist"),
        *("shoulder centre", "right shoulder", "right elbow", "right wrist"),
        *("hip centre", "left hip", "left knee", "left ankle"),
        *("hip centre", "right hip", "right knee", "right ankle"),
    ),
    "spine",
)
COCO_17 = of_names(
    "coco-17",
    (
        *("nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder"),
        *("left elbow", "right elbow", "left wrist", "right wrist", "left hip", "right hip"),
        *("left knee", "right knee", "left ankle", "right ankle"),
    ),
    (
        *("nose", "nose", "nose", "left eye", "right eye", "nose", "nose"),
        *("left shoulder", "right shoulder", "left elbow", "right elbow", "left shoulder", "right shoulder"),
        *("left hip", "right hip", "left knee", "right knee"),
    ),
    "nose",
)
LAYOUTS = {layout.name: layout for layout in (KINECT_V2, KINECT_V1, COCO_17)}
