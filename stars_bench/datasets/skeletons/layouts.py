"""Joint layouts by name: Kinect, pose estimators in pictures, and datasets with an order of their own.

Joints in the order of the Kinect for Windows SDK 1.x (JointType), of COCO's keypoints (arXiv:1405.0312), of OpenPose
(github CMU-Perceptual-Computing-Lab/openpose, doc/output.md) and MediaPipe (ai.google.dev/mediapipe, pose landmarks).
COCO has no joint in the middle, so its nose is the root, as in the graphs of this field. Parents of `nw-ucla` are the
edges of CTR-GCN (graph/ucla.py), those of `openpose-18` ST-GCN's (net/utils/graph.py).
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
NW_UCLA = of_names(
    "nw-ucla",
    KINECT_V1.joints,
    (
        *("spine", "shoulder centre", "shoulder centre", "shoulder centre", "shoulder centre", "left shoulder"),
        *("left elbow", "left wrist", "shoulder centre", "right shoulder", "right elbow", "right wrist"),
        *("hip centre", "left hip", "left knee", "left ankle", "hip centre", "right hip"),
        *("right knee", "right ankle"),
    ),
    "spine",
)
MSR_ACTION3D = of_names(
    "msr-action3d",
    (
        *("left shoulder", "right shoulder", "shoulder centre", "spine", "left hip", "right hip"),
        *("hip centre", "left elbow", "right elbow", "left wrist", "right wrist", "left hand"),
        *("right hand", "left knee", "right knee", "left ankle", "right ankle", "left foot"),
        *("right foot", "head"),
    ),
    (
        *("shoulder centre", "shoulder centre", "spine", "hip centre", "hip centre", "hip centre"),
        *("hip centre", "left shoulder", "right shoulder", "left elbow", "right elbow", "left wrist"),
        *("right wrist", "left hip", "right hip", "left knee", "right knee", "left ankle"),
        *("right ankle", "shoulder centre"),
    ),
    "hip centre",
)
OPENPOSE_18 = of_names(
    "openpose-18",
    (
        *("nose", "neck", "right shoulder", "right elbow", "right wrist", "left shoulder"),
        *("left elbow", "left wrist", "right hip", "right knee", "right ankle", "left hip"),
        *("left knee", "left ankle", "right eye", "left eye", "right ear", "left ear"),
    ),
    (
        *("neck", "neck", "neck", "right shoulder", "right elbow", "neck"),
        *("left shoulder", "left elbow", "right shoulder", "right hip", "right knee", "left shoulder"),
        *("left hip", "left knee", "nose", "nose", "right eye", "left eye"),
    ),
    "neck",
)
LCRNET_13 = of_names(
    "lcrnet-13",
    (
        *("right ankle", "left ankle", "right knee", "left knee", "right hip", "left hip"),
        *("right wrist", "left wrist", "right elbow", "left elbow", "right shoulder", "left shoulder"),
        *("head",),
    ),
    (
        *("right knee", "left knee", "right hip", "left hip", "right shoulder", "left shoulder"),
        *("right elbow", "left elbow", "right shoulder", "left shoulder", "head", "head"),
        *("head",),
    ),
    "head",
)
SBU_15 = of_names(
    "sbu-15",
    (
        *("head", "neck", "torso", "left shoulder", "left elbow", "left hand"),
        *("right shoulder", "right elbow", "right hand", "left hip", "left knee", "left foot"),
        *("right hip", "right knee", "right foot"),
    ),
    (
        *("neck", "torso", "torso", "neck", "left shoulder", "left elbow"),
        *("neck", "right shoulder", "right elbow", "torso", "left hip", "left knee"),
        *("torso", "right hip", "right knee"),
    ),
    "torso",
)
OPENPOSE_25 = of_names(
    "openpose-25",
    (
        *("nose", "neck", "right shoulder", "right elbow", "right wrist", "left shoulder"),
        *("left elbow", "left wrist", "middle hip", "right hip", "right knee", "right ankle"),
        *("left hip", "left knee", "left ankle", "right eye", "left eye", "right ear"),
        *("left ear", "left big toe", "left small toe", "left heel", "right big toe", "right small toe"),
        *("right heel",),
    ),
    (
        *("neck", "middle hip", "neck", "right shoulder", "right elbow", "neck"),
        *("left shoulder", "left elbow", "middle hip", "middle hip", "right hip", "right knee"),
        *("middle hip", "left hip", "left knee", "nose", "nose", "right eye"),
        *("left eye", "left ankle", "left big toe", "left ankle", "right ankle", "right big toe"),
        *("right ankle",),
    ),
    "middle hip",
)
MEDIAPIPE_33 = of_names(
    "mediapipe-33",
    (
        *("nose", "left inner eye", "left eye", "left outer eye", "right inner eye", "right eye"),
        *("right outer eye", "left ear", "right ear", "left mouth", "right mouth", "left shoulder"),
        *("right shoulder", "left elbow", "right elbow", "left wrist", "right wrist", "left pinky"),
        *("right pinky", "left index", "right index", "left thumb", "right thumb", "left hip"),
        *("right hip", "left knee", "right knee", "left ankle", "right ankle", "left heel"),
        *("right heel", "left foot index", "right foot index"),
    ),
    (
        *("nose", "nose", "left inner eye", "left eye", "nose", "right inner eye"),
        *("right eye", "left outer eye", "right outer eye", "nose", "nose", "nose"),
        *("nose", "left shoulder", "right shoulder", "left elbow", "right elbow", "left wrist"),
        *("right wrist", "left wrist", "right wrist", "left wrist", "right wrist", "left shoulder"),
        *("right shoulder", "left hip", "right hip", "left knee", "right knee", "left ankle"),
        *("right ankle", "left ankle", "right ankle"),
    ),
    "nose",
)
LAYOUTS = {
    layout.name: layout
    for layout in (
        *(KINECT_V2, KINECT_V1, COCO_17, NW_UCLA, MSR_ACTION3D),
        *(OPENPOSE_18, OPENPOSE_25, MEDIAPIPE_33, LCRNET_13, SBU_15),
    )
}
