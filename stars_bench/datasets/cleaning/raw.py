"""No cleaning of NTU clips, profile `raw`: the frames of a file as they are, for the methods that start from there.

As in the `ntu_gendata` of ST-GCN and CrosSCLR (github yysijie/st-gcn, LinguoLi/CrosSCLR): every frame is kept, also one
in which no body is seen (zeros); slot m of a frame holds the m-th body that the frame lists, regardless of other
frames; bodies beyond the second are left out; nothing is centred.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.datasets.cleaning.mamp import NothingLeft
from stars_bench.datasets.parsing.ntu import JOINTS, RawClip
from stars_bench.datasets.parsing.ntu_frames import Seen

RAW_PARAMETERS: Mapping[str, Any] = {
    "cleaning": "raw",
    "empty_frames": "kept",
    "body_slots": "as listed in each frame",
    "max_bodies": 2,
    "centre_joint": None,
    "max_frames": 300,
}


def clean_raw(
    raw: RawClip, frames: Sequence[Sequence[Seen]], parameters: Mapping[str, Any] = RAW_PARAMETERS
) -> tuple[NDArray[np.float32], Counter[str]]:
    """Keep the frames of a file as recorded.

    Args:
        raw: The bodies of the file.
        frames: What each frame of the same file lists, from `frames_of`.
        parameters: Parameters of the profile. Default: those of `raw`.

    Returns:
        Bodies (M, F, 25, 3), metres, with M = 1 if no frame lists two, and the log.

    Raises:
        NothingLeft: No coordinate of the kept frames differs from zero.
    """
    kept, slots = frames[: parameters["max_frames"]], parameters["max_bodies"]
    joints, left_out = as_listed(raw, kept, slots)
    if not joints.any():
        raise NothingLeft("no frame holds a body" if not raw.bodies else "all coordinates are zero")
    log = Counter(bodies_seen=len(raw.bodies), body_frames_beyond_the_second=left_out)
    log["empty_frames_kept"] = sum(not bodies for bodies in kept)
    log["frames_past_the_limit"] = len(frames) - len(kept)
    seen = max(map(len, kept))
    return joints[: min(seen, slots)], log


def as_listed(raw: RawClip, frames: Sequence[Sequence[Seen]], slots: int) -> tuple[NDArray[np.float32], int]:
    """Put the bodies of a file where its frames list them.

    Args:
        raw: The bodies of the file.
        frames: What its first frames list.
        slots: Bodies a frame that are kept.

    Returns:
        Joints (slots, F, 25, 3), zero where a frame lists fewer bodies, and how many bodies of frames were left out.
    """
    joints = np.zeros((slots, len(frames), JOINTS, 3), np.float32)
    rows = {body.id: iter(body.joints) for body in raw.bodies}
    left_out = 0
    for number, bodies in enumerate(frames):
        for slot, body in enumerate(bodies):
            row = next(rows[body.id])
            if slot < slots:
                joints[slot, number] = row
            else:
                left_out += 1
    return joints, left_out
