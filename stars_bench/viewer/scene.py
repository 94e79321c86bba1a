"""What is drawn: a clip as one or more takes (as recorded, as cleaned), each with bodies that may be out of sight.

Coordinates are those of the sensor: x grows to its left, y up, z away from it, metres. Pictures have x to the left, as
an eye at the sensor's place sees it. With x to the right they would be where the sensor's own colour picture has them
(`colorX` of an NTU file grows with x), which is a mirror image, as the Kinect v2 delivers it.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import DatasetSpec, Skeleton
from stars_bench.errors import UsageError

FRAMES_A_SECOND = 30.0  # Kinect v2
LEFT = "left"
HEADS = ("head", "nose")

Bodies = NDArray[np.float32]


@dataclass(frozen=True)
class Take:
    """One state of a clip.

    Args:
        bodies: (M, F, V, 3), metres; NaN where a body is not seen.
        numbers: the frames' numbers in their file, from 1.
    """

    title: str
    bodies: Bodies
    numbers: tuple[int, ...] = ()

    def number(self, frame: int) -> int:
        """A frame's number, from 1: in its file where that is known."""
        return self.numbers[frame] if self.numbers else frame + 1


@dataclass(frozen=True)
class Scene:
    """A clip to look at.

    Args:
        facts: lines that say what it is, its class first.
        takes: to be seen side by side.
        licence: of its dataset, where that is known.
        rate: frames a second.
    """

    name: str
    facts: tuple[str, ...]
    skeleton: Skeleton
    takes: tuple[Take, ...]
    licence: str = ""
    rate: float = FRAMES_A_SECOND

    def cut(self, frames: slice) -> Scene:
        """Only these frames of every take.

        Raises:
            UsageError: a take has none of them.
        """
        takes = tuple(
            replace(take, bodies=take.bodies[:, frames], numbers=take.numbers[frames] if take.numbers else ())
            for take in self.takes
        )
        for take, whole in zip(takes, self.takes, strict=True):
            if not take.bodies.shape[1] or not np.isfinite(take.bodies).any():
                raise UsageError(
                    f"{self.name}, {whole.title}: nobody is seen in those frames (there are {whole.bodies.shape[1]})"
                )
        first = frames.start or 0
        return replace(
            self, takes=tuple(t if t.numbers else replace(t, numbers=_from(first, t.bodies.shape[1])) for t in takes)
        )


def _from(first: int, count: int) -> tuple[int, ...]:
    return tuple(range(first + 1, first + count + 1))


def licence_of(spec: DatasetSpec) -> str:
    """Under which terms the clips of a dataset are, for the foot of a page that holds some."""
    return f"{spec.title}: {spec.licence}"


def seen(bodies: NDArray[Any]) -> Bodies:
    """(M, F, V, 3) with NaN for a body in the frames where all its coordinates are zero: it is not there."""
    bodies = np.array(bodies, np.float32)
    bodies[~bodies.any(axis=(2, 3))] = np.nan
    return bodies


def bones(skeleton: Skeleton) -> list[tuple[int, int]]:
    """(child, parent) of every joint that has a parent, 0-based."""
    return [(joint, parent) for joint, parent in enumerate(skeleton.parents) if joint != parent]


def left_joints(skeleton: Skeleton) -> list[int]:
    """The joints of the actor's left side, by their names; drawn lighter, so that left and right can be told apart."""
    return [joint for joint, name in enumerate(skeleton.joints) if name.lower().split()[0].startswith(LEFT)]


def head(skeleton: Skeleton) -> int | None:
    """The joint that is drawn as a head, where there is one."""
    return next((joint for joint, name in enumerate(skeleton.joints) if name.lower() in HEADS), None)


def middle_and_half(takes: Sequence[Bodies]) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
    """The middle (3,) of each take, and half the size (3,) of the largest: all are drawn at one scale."""
    low = [np.nanmin(bodies, axis=(0, 1, 2)) for bodies in takes]
    high = [np.nanmax(bodies, axis=(0, 1, 2)) for bodies in takes]
    half = np.max([(top - bottom) / 2 for bottom, top in zip(low, high, strict=True)], axis=0)
    return [(bottom + top) / 2 for bottom, top in zip(low, high, strict=True)], np.asarray(half, np.float32)


# -------------------------------------------------------------------------------------------------- packed


def packed(
    bodies: Bodies, bits: int = 16, most_frames: int | None = None, rate: float = FRAMES_A_SECOND
) -> dict[str, Any]:
    """A take for a page: whole numbers in base64, `parts/skeleton.js` unpacks them.

    Coordinates are relative to the middle of all; `unit` metres a step (about a thousandth of a percent of the size
    with 16 bits, half a percent with 8); the lowest number means that the body is not seen.

    Args:
        bits: 16 or 8.
        most_frames: of a longer clip, evenly spaced ones.
        rate: frames a second of the clip.
    """
    frames = bodies.shape[1]
    if most_frames is not None and frames > most_frames:
        bodies = bodies[:, np.linspace(0, frames - 1, most_frames).round().astype(int)]
        rate *= (most_frames - 1) / (frames - 1)
    (middle,), half = middle_and_half([bodies])
    largest = 2 ** (bits - 1) - 1
    unit = max(float(half.max()) / largest, 1e-9)
    numbers = np.round((bodies - middle) / unit)
    kind = np.dtype(f"<i{bits // 8}")
    steps = np.where(np.isfinite(numbers), numbers, -largest - 1).astype(kind)
    return {
        "bodies": bodies.shape[0],
        "frames": bodies.shape[1],
        "bits": bits,
        "unit": unit,
        "half": [round(float(size), 4) for size in half],
        "rate": round(rate, 3),
        "data": base64.b64encode(steps.tobytes()).decode(),
    }


def layout(skeleton: Skeleton) -> dict[str, Any]:
    """A joint layout for a page."""
    return {
        "joints": len(skeleton.joints),
        "bones": bones(skeleton),
        "left": left_joints(skeleton),
        "head": head(skeleton),
    }
