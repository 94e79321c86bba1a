"""Augmentations of contrastive skeleton learning, for whole batches of clips (B, C, T, V, M) on the device.

As in the official programs of CrosSCLR (arXiv:2104.14466, github LinguoLi/CrosSCLR) and AimCLR (arXiv:2112.03590,
github Levigty/AimCLR). The first functions apply given draws to a batch. `Draws` makes the draws from torch's
generators alone, so that a resumed run draws the same numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stars_bench.data import clip_store, repetitions
from stars_bench.data import random as draws
from stars_bench.data.channels import in_plane, scored
from stars_bench.storage.pictures import SCORE

AXES = 3
NOISE = 0.01
"""Standard deviation of AimCLR's noise, in metres."""
BLUR_SIGMA = (0.1, 2.0)
"""Range of the width of AimCLR's blur, in frames."""


def linear_map(x: Tensor, matrices: Tensor) -> Tensor:
    """Map every joint by x' = R x, each clip by its own matrix (B, 3, 3).

    This is not a matrix product, which TF32 would round.
    """
    return (matrices.to(x.dtype)[..., None, None, None] * x[:, None]).sum(2)


def shear_matrices(draws: Tensor, amplitude: float, planar: bool = False) -> Tensor:
    """Return shears (B, 3, 3): ones on the diagonal, elsewhere draws within +- amplitude.

    Args:
        draws: (B, 6) from [0, 1), by `data.random`.
        amplitude: Largest absolute entry off the diagonal.
        planar: Whether the last channel is a score, so that only x and y change. Default: False.
    """
    spread = (2 * draws - 1) * amplitude
    if planar:
        spread = spread * spread.new_tensor([1, 0, 1, 0, 0, 0])
    one = torch.ones_like(spread[:, 0])
    s = spread.unbind(1)
    return torch.stack([one, s[0], s[1], s[2], one, s[3], s[4], s[5], one], 1).view(-1, AXES, AXES)


def rotation_matrices(
    main: Tensor, draws: Tensor, large: float = 30.0, small: float = 1.0, planar: bool = False
) -> Tensor:
    """Return AimCLR's rotations (B, 3, 3): about x, then y, then z, left-handed as in its program.

    Args:
        main: (B,) int64 axis of the large angle.
        draws: (B, 3) from [0, 1).
        large: Largest angle about the main axis, in degrees. Default: 30.
        small: Largest angle about the other axes, in degrees. Default: 1.
        planar: Whether the last channel is a score, so that clips turn in the plane, by the large angle. Default:
            False.
    """
    main = torch.full_like(main, SCORE) if planar else main
    limit = torch.full_like(draws, small).scatter_(1, main[:, None], large)
    angles = in_plane(torch.deg2rad(draws * limit), planar)
    cos, sin = angles.cos(), angles.sin()
    out = torch.eye(AXES, dtype=draws.dtype, device=draws.device).expand(len(draws), -1, -1)
    for axis in range(AXES):
        turn = torch.eye(AXES, dtype=draws.dtype, device=draws.device).repeat(len(draws), 1, 1)
        a, b = [(1, 2), (2, 0), (0, 1)][axis]
        turn[:, a, a] = turn[:, b, b] = cos[:, axis]
        turn[:, a, b], turn[:, b, a] = sin[:, axis], -sin[:, axis]
        out = (turn[..., None] * out[:, None]).sum(2)
    return out


def temporal_crop(x: Tensor, start: Tensor, ratio: int = 6) -> Tensor:
    """Crop T frames from `start` of clips that are continued by T // ratio mirrored frames at each end.

    Args:
        x: (B, C, T, V, M) clips.
        start: (B,) int64, from 0 to 2 * (T // ratio), inclusive.
        ratio: The inverse of the share by which a clip is continued. Default: 6.
    """
    frames = x.shape[2]
    pad = frames // ratio
    place = start[:, None] + torch.arange(frames, device=x.device) - pad
    place = torch.where(place < 0, -1 - place, place)
    place = torch.where(place >= frames, 2 * frames - 1 - place, place)
    # The official program mirrors the first (last) `pad` frames as a block: the same frames in the same order.
    return x.gather(2, place[:, None, :, None, None].expand(x.shape))


def swap_sides(x: Tensor, mirrored: Tensor, which: Tensor) -> Tensor:
    """Swap the left and right joints of some clips: AimCLR's spatial flip.

    Args:
        x: (B, C, T, V, M) clips.
        mirrored: (V,) int64 joint that takes the place of each joint in a mirror.
        which: (B,) bool, the clips to change.
    """
    return torch.where(which.view(-1, 1, 1, 1, 1), x.index_select(3, mirrored), x)


def mirror(x: Tensor, mirrored: Tensor, which: Tensor) -> Tensor:
    """Mirror some clips: negate x, and swap the left and right joints (STARS's flip).

    Args:
        x: (B, C, T, V, M) clips.
        mirrored: (V,) int64 joint that takes the place of each joint in a mirror.
        which: (B,) bool, the clips to change.
    """
    negated = (torch.arange(AXES, device=x.device) == 0).view(1, AXES, 1, 1, 1)
    changed = x.index_select(3, mirrored)
    return repetitions.carried(x, torch.where(which.view(-1, 1, 1, 1, 1), torch.where(negated, -changed, changed), x))


def blur(x: Tensor, sigma: Tensor, which: Tensor, taps: int = 15) -> Tensor:
    """Filter the clips `which` (B,) bool over time with exp(-k^2 / 2 sigma^2), sigma (B,), and zeros beyond the ends.

    This is AimCLR's Gaussian blur. Its program does not divide by the sum of the taps, so the blur also enlarges; so
    does this function.
    """
    radius = taps // 2
    offsets = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
    weights = (-(offsets**2) / (2 * sigma.to(x.dtype)[:, None] ** 2)).exp()
    padded = torch.nn.functional.pad(x, (0, 0, 0, 0, radius, radius))
    windows = padded.unfold(2, taps, 1)  # (B, C, T, V, M, taps)
    blurred = (windows * weights[:, None, None, None, None]).sum(-1)
    return torch.where(which.view(-1, 1, 1, 1, 1), blurred, x)


def mask_axis(x: Tensor, axis: Tensor, which: Tensor) -> Tensor:
    """Set one coordinate, `axis` (B,) int64, to 0 in the clips `which` (B,) bool."""
    hidden = which[:, None] & (torch.arange(AXES, device=x.device) == axis[:, None])
    return x.masked_fill(hidden[:, :, None, None, None], 0.0)


def flip_time(x: Tensor, which: Tensor) -> Tensor:
    """Reverse the clips `which` (B,) bool in time: AimCLR's temporal flip of the paper, off in its settings."""
    return torch.where(which.view(-1, 1, 1, 1, 1), x.flip(2), x)


class Draws:
    """Random draws for a batch of B clips, on its device; made clip by clip, so that a divided batch draws the same."""

    def __init__(self, x: Tensor) -> None:
        self.count, self.device = len(x), x.device

    def uniform(self, *shape: int) -> Tensor:
        """Return uniform numbers (B, *shape) from [0, 1), float64."""
        return draws.rand(self.count, *shape, dtype=torch.float64, device=self.device)

    def whole(self, limit: int) -> Tensor:
        """Return whole numbers (B,) int64 from 0 to limit - 1."""
        return (self.uniform() * limit).long()

    def coin(self) -> Tensor:
        """Return booleans (B,), true with probability 1/2."""
        return self.uniform() < 0.5


def as_stream(x: Tensor, stream: str, parents: Tensor, planar: bool = False) -> Tensor:
    """Turn views of joints into another stream: what augments joints makes bones and motion afterwards.

    Args:
        x: (B, 3, T, V, M) views of joints.
        stream: Joint, bone (a joint minus its parent) or motion (the next frame minus this one, 0 in the last).
        parents: (V,) int64 on the same device, 0-based parent of each joint; a root is its own.
        planar: Whether the last channel is a score, which stays that of the joint. Default: False.
    """
    return clip_store.as_stream(x.permute(0, 4, 2, 3, 1), stream, parents, planar).permute(0, 4, 2, 3, 1)


def normal_view(x: Tensor, shear: float = 0.5, ratio: int = 6, planar: bool = False) -> Tensor:
    """Apply the augmentation of CrosSCLR, which is the normal one of AimCLR: temporal crop, then shear.

    Args:
        x: (B, C, T, V, M) clips.
        shear: Largest absolute entry of a shear off its diagonal. Default: 0.5.
        ratio: The inverse of the share by which a clip is continued. Default: 6.
        planar: Whether the last channel is a score, which only the crop moves. Default: False.
    """
    drawn = Draws(x)
    x = temporal_crop(x, drawn.whole(2 * (x.shape[2] // ratio) + 1), ratio)
    return linear_map(x, shear_matrices(drawn.uniform(6), shear, planar))


def extreme_view(
    x: Tensor,
    mirrored: Tensor,
    shear: float = 0.5,
    ratio: int = 6,
    time_flip: bool = False,
    planar: bool = False,
) -> Tensor:
    """Apply the extreme augmentation of AimCLR: the normal one, then flip, rotation, noise, blur, axis mask, time flip.

    Each but crop, shear and rotation has probability 1/2. The time flip is applied only if `time_flip` is set. Of
    joints in a picture (`planar`) the score has no noise, no blur and no mask.
    """
    x, drawn = normal_view(x, shear, ratio, planar), Draws(x)
    x = swap_sides(x, mirrored, drawn.coin())
    x = turned = linear_map(x, rotation_matrices(drawn.whole(AXES), drawn.uniform(AXES), planar=planar))
    noise = NOISE * draws.randn(*x.shape, dtype=x.dtype, device=x.device)
    x = torch.where(drawn.coin().view(-1, 1, 1, 1, 1), x + noise, x)
    low, high = BLUR_SIGMA
    x = blur(x, low + (high - low) * drawn.uniform(), drawn.coin())
    x = scored(mask_axis(x, drawn.whole(SCORE if planar else AXES), drawn.coin()), turned, 1, planar)
    return flip_time(x, drawn.coin()) if time_flip else x
