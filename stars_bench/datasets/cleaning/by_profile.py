"""Which cleaning a profile of NTU's datasets asks for: parsed bodies in, the joints of actors and a log out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import Profile
from stars_bench.datasets.cleaning.agcn import clean_agcn
from stars_bench.datasets.cleaning.mamp import clean
from stars_bench.datasets.cleaning.pyskl import clean_pyskl
from stars_bench.datasets.cleaning.raw import clean_raw
from stars_bench.datasets.parsing.ntu import RawClip
from stars_bench.datasets.parsing.ntu_frames import Seen
from stars_bench.errors import UsageError


def clean_by(
    profile: Profile, raw: RawClip, frames: Callable[[], Sequence[Sequence[Seen]]]
) -> tuple[NDArray[np.float32], Counter[str]]:
    """Clean one clip as a profile says.

    Args:
        profile: The profile.
        raw: The bodies of the file.
        frames: Returns what each frame lists, in order; called for the profiles `raw` and `agcn` only.

    Returns:
        Bodies (M, F, 25, 3) float32, metres, and the log of what was dropped.

    Raises:
        NothingLeft: No actor is left.
        UsageError: There is no cleaning of the name in the profile's parameter `cleaning`.
    """
    parameters = profile.parameters
    match parameters.get("cleaning"):
        case "mamp":
            return clean(raw, parameters)
        case "raw":
            return clean_raw(raw, frames(), parameters)
        case "agcn":
            return clean_agcn(raw, frames(), parameters)
        case "pyskl":
            return clean_pyskl(raw, parameters)
        case other:
            raise UsageError(
                f"profile {profile.name}: parameter cleaning is {other!r}; it must be mamp, raw, pyskl or agcn"
            )
