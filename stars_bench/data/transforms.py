"""Transforms of clips: crops, resizing, rotation, bone and motion streams, and how they are put together.

Each takes one clip (C, T, V, M) or a batch (B, C, T, V, M), float32 in metres, and returns the same kind. The code is
that of the methods and evaluations of this package (`data/clip_store.py`), so the numbers are the same. Random
transforms draw from torch's global generator, or from the one that they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Literal

import torch
from torch import Tensor

from stars_bench.api import Skeleton
from stars_bench.data import random
from stars_bench.data.channels import in_plane
from stars_bench.data.clip_store import (
    MIN_CROP,
    MOST_FRAMES,
    STREAMS,
    as_stream,
    center_crop,
    interpolate,
    random_crop,
    rotate,
    valid_frames,
)
from stars_bench.errors import UsageError

__all__ = ["CenterCrop", "Compose", "RandomCrop", "RandomRotation", "Resize", "Stream"]

StreamName = Literal["joint", "bone", "motion", "bone-motion"]
Transform = Callable[[Tensor], Tensor]
"""What takes a clip (C, T, V, M) and returns one."""


@dataclass(frozen=True)
class CenterCrop:
    """Keep the middle of a clip and resize it.

    Only the frames that hold a body count: of F such frames, int((1 - keep) * F / 2) are dropped at each end.

    Args:
        frames: T of the result, by linear interpolation. Default: None, the crop's own length (single clips only).
        keep: Share of the frames that is kept, above 0 and at most 1. Default: 0.95, as in the evaluations.

    Raises:
        UsageError: A number is out of its range.
    """

    frames: int | None = None
    keep: float = 0.95

    def __post_init__(self) -> None:
        _check_frames(self.frames)
        if not 0 < self.keep <= 1:
            raise UsageError(f"keep={self.keep}: the share of a clip's frames, above 0 and at most 1")

    def window(self, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return start and length (B,) int64 of the crops of clips of `valid` (B,) frames."""
        return center_crop(valid, self.keep)

    def __call__(self, clip: Tensor) -> Tensor:
        """Return the crop of a clip (C, T, V, M), or of each clip of a batch."""
        return _take(self, clip)


@dataclass(frozen=True)
class RandomCrop:
    """Cut a random part out of a clip and resize it: temporal crop-resize, as in stage 1 of MAMP and STARS.

    Args:
        frames: T of the result, by linear interpolation. Default: None, the crop's own length (single clips only).
        min_share: Smallest share of the clip's frames. Default: 0.5.
        max_share: Largest share of the clip's frames. Default: 1.
        min_frames: No crop is shorter than this, if the clip is long enough. Default: 64.
        generator: Where random numbers come from. Default: None, torch's global generator, which a DataLoader seeds in
            each of its workers.

    Raises:
        UsageError: A number is out of its range.
    """

    frames: int | None = None
    min_share: float = 0.5
    max_share: float = 1.0
    min_frames: int = MIN_CROP
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        _check_frames(self.frames)
        if not 0 < self.min_share <= self.max_share <= 1:
            raise UsageError(
                f"min_share={self.min_share}, max_share={self.max_share}: shares of a clip's frames, above 0, at most "
                "1, the smaller one first"
            )
        if self.min_frames < 1:
            raise UsageError(f"min_frames={self.min_frames}: at least 1")

    def window(self, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return start and length (B,) int64 of the crops of clips of `valid` (B,) frames."""
        drawn = random.rand(2, len(valid), dim=1, dtype=torch.float64, device=valid.device, generator=self.generator)
        return random_crop(valid, drawn[0], drawn[1], (self.min_share, self.max_share), self.min_frames)

    def __call__(self, clip: Tensor) -> Tensor:
        """Return a random crop of a clip (C, T, V, M), or of each clip of a batch."""
        return _take(self, clip)


@dataclass(frozen=True)
class Resize:
    """Resize a clip over time by linear interpolation; all its frames count.

    Args:
        frames: T of the result.

    Raises:
        UsageError: `frames` is less than 1.
    """

    frames: int

    def __post_init__(self) -> None:
        _check_frames(self.frames)

    def __call__(self, clip: Tensor) -> Tensor:
        """Return a clip (C, T, V, M), or a batch, with `frames` frames."""
        clips = _as_batch(clip)
        whole = torch.full((len(clips),), clips.shape[2], device=clip.device)
        out = _resize(clips, torch.zeros_like(whole), whole, self.frames)
        return out if clip.ndim == 5 else out[0]


@dataclass(frozen=True)
class RandomRotation:
    """Rotate a clip about the origin: about x, then y, then z, each by a uniformly drawn angle.

    Args:
        max_angle: Largest angle about each axis, in radians. Default: 0.3, as in stage 1 of MAMP and STARS.
        generator: Where random numbers come from. Default: None, torch's global generator, which a DataLoader seeds in
            each of its workers.
        skeleton: The joint layout: poses in a picture turn in its plane. Default: None; `stars_bench.load` then uses
            the dataset's own.

    Raises:
        UsageError: The angle is negative.
    """

    max_angle: float = 0.3
    generator: torch.Generator | None = None
    skeleton: Skeleton | None = None

    def __post_init__(self) -> None:
        if not self.max_angle >= 0:
            raise UsageError(f"max_angle={self.max_angle}: radians, at least 0")

    def __call__(self, clip: Tensor) -> Tensor:
        """Return a clip (C, T, V, M), or each clip of a batch, rotated."""
        clips = _as_batch(clip)
        drawn = random.rand(len(clips), 3, device=clip.device, generator=self.generator)
        planar = self.skeleton is not None and self.skeleton.planar
        return rotate(clips, in_plane((2 * drawn - 1) * self.max_angle, planar)).reshape(clip.shape)


@dataclass(frozen=True)
class Stream:
    """Turn joints into another input stream (2s-AGCN, arXiv:1805.07694; CrosSCLR, arXiv:2104.14466).

    Methods make the stream after cropping and resizing, and before rotation.

    Args:
        name: "bone" (a joint minus its parent; 0 for the root), "motion" (the next frame minus this one; 0 for the last
            frame), "bone-motion" (both, in this order) or "joint" (no change).
        skeleton: The joint layout, which bones need. Default: None; `stars_bench.load` then uses the dataset's own.

    Raises:
        UsageError: There is no such stream; or bones are asked for without a layout, or with one of another number of
            joints.
    """

    name: StreamName
    skeleton: Skeleton | None = None

    def __post_init__(self) -> None:
        if self.name not in STREAMS:
            raise UsageError(f"stream={self.name!r}: there are {', '.join(STREAMS)}")

    def __call__(self, clip: Tensor) -> Tensor:
        """Return the stream of a clip (C, T, V, M), or of a batch, of the same shape."""
        clips = _as_batch(clip)
        parents = () if self.skeleton is None else self.skeleton.parents
        if self.name.startswith("bone") and len(parents) != clips.shape[3]:
            has = "no skeleton" if self.skeleton is None else f"{self.skeleton.name} has {len(parents)} joints"
            raise UsageError(
                f"Stream({self.name!r}): clips of {clips.shape[3]} joints, but {has}: give their skeleton="
            )
        bodies = clips.permute(0, 4, 2, 3, 1)
        planar = self.skeleton is not None and self.skeleton.planar
        out = as_stream(bodies, self.name, torch.tensor(parents, dtype=torch.int64, device=clip.device), planar)
        return out.permute(0, 4, 2, 3, 1).reshape(clip.shape).contiguous()


class Compose:
    """Apply transforms one after another.

    Args:
        transforms: Transforms of this module, sequences of them, and your own functions from a clip (C, T, V, M) to a
            clip. In a batch, your own functions are called clip by clip.
    """

    def __init__(self, transforms: Iterable[Transform | Sequence[Transform]]) -> None:
        self.transforms: tuple[Transform, ...] = tuple(_flat(transforms))

    def __call__(self, clip: Tensor) -> Tensor:
        """Apply all transforms to a clip (C, T, V, M) or to a batch."""
        for transform in self.transforms:
            if isinstance(transform, OWN):
                clip = transform(clip)
            elif clip.ndim == 5:
                clip = torch.stack([_called(transform, one) for one in clip])
            else:
                clip = _called(transform, clip)
        return clip

    def __len__(self) -> int:
        return len(self.transforms)

    def __repr__(self) -> str:
        return f"Compose([{', '.join(map(repr, self.transforms))}])"

    @property
    def frames(self) -> int | None:
        """T of the result; None where it depends on the clip."""
        lengths = [frames for each in self.transforms if (frames := getattr(each, "frames", None)) is not None]
        return lengths[-1] if lengths else None

    def with_skeleton(self, skeleton: Skeleton) -> Compose:
        """Return the same transforms, with this joint layout for streams and rotations that have none.

        Args:
            skeleton: The joint layout.
        """
        return Compose(
            replace(each, skeleton=skeleton)
            if isinstance(each, (Stream, RandomRotation)) and each.skeleton is None
            else each
            for each in self.transforms
        )

    def for_evaluation(self, keep: float) -> Compose:
        """Return the same transforms without randomness: centre crops replace random ones, and rotations are left out.

        Args:
            keep: Share of the frames that the centre crops keep.
        """
        return Compose(
            CenterCrop(each.frames, keep) if isinstance(each, RandomCrop) else each
            for each in self.transforms
            if not isinstance(each, RandomRotation)
        )


OWN = (CenterCrop, RandomCrop, Resize, RandomRotation, Stream, Compose)
"""Transforms that take batches as well as single clips."""


def _flat(transforms: Iterable[Transform | Sequence[Transform]]) -> Iterator[Transform]:
    for each in transforms:
        if isinstance(each, Compose):
            yield from each.transforms
        elif isinstance(each, Sequence):
            yield from _flat(each)
        elif callable(each):
            yield each
        else:
            raise UsageError(f"transform {each!r}: cannot be called; a transform takes a clip (C, T, V, M)")


def _called(transform: Transform, clip: Tensor) -> Tensor:
    """Call a function of the user, which may return anything."""
    found: object = transform(clip)
    if not isinstance(found, Tensor) or found.ndim != clip.ndim:
        got = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        name = getattr(transform, "__qualname__", type(transform).__qualname__)
        raise UsageError(f"transform {name}: must return a clip (C, T, V, M), not {got}")
    return found


def _check_frames(frames: int | None) -> None:
    whole = isinstance(frames, Integral) and not isinstance(frames, bool)
    if frames is not None and not (whole and 1 <= frames <= MOST_FRAMES):
        raise UsageError(
            f"frames={frames!r:.40}: a whole number from 1 to {MOST_FRAMES:,}, or None for clips of their own length"
        )


def _as_batch(clip: Tensor) -> Tensor:
    """Return a clip as a batch of one; a batch as it is."""
    if not isinstance(clip, Tensor):
        hint = ": torch.from_numpy(clip) makes one" if type(clip).__module__ == "numpy" else ""
        raise UsageError(f"a clip is a tensor (C, T, V, M), not a {type(clip).__name__}{hint}")
    if clip.ndim not in (4, 5):
        raise UsageError(f"a clip is (C, T, V, M), a batch (B, C, T, V, M): this has shape {tuple(clip.shape)}")
    return clip if clip.ndim == 5 else clip[None]


def _take(crop: CenterCrop | RandomCrop, clip: Tensor) -> Tensor:
    clips = _as_batch(clip)
    if crop.frames is None and len(clips) != 1:
        raise UsageError(f"{type(crop).__name__} of a batch: crops differ in length; give frames=N")
    start, length = crop.window(_valid(clips))
    out = _resize(clips, start, length, crop.frames or int(length))
    return out if clip.ndim == 5 else out[0]


def _valid(clips: Tensor) -> Tensor:
    """Return how many frames (B,) int64 of each clip hold a body."""
    count, _, frames, joints, bodies = clips.shape
    rows = clips.permute(0, 4, 2, 3, 1).reshape(-1, joints, clips.shape[1])
    if bodies > 2:
        raise UsageError(f"clips of {bodies} bodies: there are at most 2")
    every = torch.full((count,), frames)
    offset = torch.arange(count) * frames * bodies
    found = valid_frames(rows.cpu().numpy(), offset.numpy(), every.numpy(), torch.full((count,), bodies).numpy())
    return torch.from_numpy(found).to(clips.device)


def _resize(clips: Tensor, start: Tensor, length: Tensor, frames: int) -> Tensor:
    """Return frames start .. start + length (B,) of clips (B, C, T, V, M), resized: (B, C, frames, V, M)."""
    count, channels, before, joints, bodies = clips.shape
    rows = clips.permute(0, 4, 2, 3, 1).reshape(-1, joints, channels)
    first = torch.arange(count * bodies, device=clips.device).view(count, bodies) * before + start[:, None]
    return interpolate(rows, first, length, frames).permute(0, 4, 2, 3, 1).contiguous()
