"""What is drawn: a clip as one or more takes (as recorded, as cleaned), each with bodies that may be out of sight.

Coordinates are those of the sensor: x grows to its left, y up, z away from it, metres. Pictures have x to the left, as
an eye at the sensor's place sees it. With x to the right they would be where the sensor's own colour picture has them
(`colorX` of an NTU file grows with x), which is a mirror image, as the Kinect v2 delivers it.
"""

from __future__ import annotations

import base64
import zlib
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
        title: Name of the state.
        bodies: (M, F, V, 3), metres; NaN where a body is not seen.
        numbers: Numbers of the frames in their file, from 1. Default: none.
    """

    title: str
    bodies: Bodies
    numbers: tuple[int, ...] = ()

    def number(self, frame: int) -> int:
        """Return a frame's number, from 1: its number in the file, if that is known."""
        return self.numbers[frame] if self.numbers else frame + 1


@dataclass(frozen=True)
class Label:
    """What a part of a clip was recognised as.

    Args:
        first: First frame, from 1.
        last: Last frame.
        text: The action.
        share: Its probability, from 0 to 1.
    """

    first: int
    last: int
    text: str
    share: float

    @property
    def hue(self) -> int:
        """A colour for the action, in degrees: the same in every page."""
        return zlib.crc32(self.text.encode()) % 360


@dataclass(frozen=True)
class Scene:
    """A clip to look at.

    Args:
        name: Name of the clip.
        facts: Lines that describe it, its class first.
        skeleton: Joint layout.
        takes: Takes to show side by side.
        licence: Licence of the dataset. Default: empty, unknown.
        rate: Frames a second.
        labels: What its parts were recognised as, one after another, for a timeline. Default: none.
    """

    name: str
    facts: tuple[str, ...]
    skeleton: Skeleton
    takes: tuple[Take, ...]
    licence: str = ""
    rate: float = FRAMES_A_SECOND
    labels: tuple[Label, ...] = ()

    def cut(self, frames: slice) -> Scene:
        """Return the scene with only these frames of every take.

        Raises:
            UsageError: A take has none of them.
        """
        takes = tuple(
            replace(take, bodies=take.bodies[:, frames], numbers=take.numbers[frames] if take.numbers else ())
            for take in self.takes
        )
        for take, whole in zip(takes, self.takes, strict=True):
            if not take.bodies.shape[1] or not np.isfinite(take.bodies).any():
                raise UsageError(
                    f"{self.name}, {whole.title}: no body is seen in those frames (there are {whole.bodies.shape[1]})"
                )
        first = frames.start or 0
        return replace(
            self, takes=tuple(t if t.numbers else replace(t, numbers=_from(first, t.bodies.shape[1])) for t in takes)
        )


def _from(first: int, count: int) -> tuple[int, ...]:
    return tuple(range(first + 1, first + count + 1))


def licence_of(spec: DatasetSpec) -> str:
    """Return the terms of a dataset's clips, for the foot of a page that holds some."""
    return f"{spec.title}: {spec.licence}"


def seen(bodies: NDArray[Any]) -> Bodies:
    """Return bodies (M, F, V, 3) with NaN where all coordinates of a body in a frame are zero: it is not seen there."""
    bodies = np.array(bodies, np.float32)
    bodies[~bodies.any(axis=(2, 3))] = np.nan
    return bodies


def upright(bodies: Bodies, skeleton: Skeleton, picture: tuple[int, int] | None = None) -> Bodies:
    """Return bodies (M, F, V, 3) to be drawn: a score is no depth, and pixels grow downwards.

    Args:
        bodies: As stored.
        skeleton: Joint layout.
        picture: Height and width of the picture, of bodies in pixels; it is drawn two metres high. Default: None.
    """
    if not skeleton.planar:
        return bodies
    scale = 1.0 if picture is None else 2 / picture[0]
    return np.asarray(bodies * np.array([scale, scale if picture is None else -scale, 0], np.float32), np.float32)


def bones(skeleton: Skeleton) -> list[tuple[int, int]]:
    """Return (child, parent) of every joint that has a parent, 0-based."""
    return [(joint, parent) for joint, parent in enumerate(skeleton.parents) if joint != parent]


def left_joints(skeleton: Skeleton) -> list[int]:
    """Return the joints of the actor's left side, by their names; they are drawn lighter."""
    return [joint for joint, name in enumerate(skeleton.joints) if name.lower().split()[0].startswith(LEFT)]


def head(skeleton: Skeleton) -> int | None:
    """Return the joint that is drawn as a head; None if there is none."""
    return next((joint for joint, name in enumerate(skeleton.joints) if name.lower() in HEADS), None)


def middle_and_half(takes: Sequence[Bodies]) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
    """Return the middle (3,) of each take, and half the size (3,) of the largest: all are drawn at one scale."""
    low = [np.nanmin(bodies, axis=(0, 1, 2)) for bodies in takes]
    high = [np.nanmax(bodies, axis=(0, 1, 2)) for bodies in takes]
    half = np.max([(top - bottom) / 2 for bottom, top in zip(low, high, strict=True)], axis=0)
    return [(bottom + top) / 2 for bottom, top in zip(low, high, strict=True)], np.asarray(half, np.float32)


# -------------------------------------------------------------------------------------------------- packed


def packed(
    bodies: Bodies, bits: int = 16, most_frames: int | None = None, rate: float = FRAMES_A_SECOND
) -> dict[str, Any]:
    """Return a take for a page: whole numbers in base64, which `parts/skeleton.js` unpacks.

    Coordinates are relative to the middle of all; `unit` metres a step (about a thousandth of a percent of the size
    with 16 bits, half a percent with 8); the lowest number means that the body is not seen.

    Args:
        bodies: (M, F, V, 3), metres; NaN where a body is not seen.
        bits: 16 or 8. Default: 16.
        most_frames: Largest number of frames; a longer clip gives evenly spaced ones. Default: None, all.
        rate: Frames a second of the clip.
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
    """Return a joint layout for a page."""
    return {
        "joints": len(skeleton.joints),
        "bones": bones(skeleton),
        "left": left_joints(skeleton),
        "head": head(skeleton),
    }
