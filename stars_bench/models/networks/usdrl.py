"""The dense spatio-temporal encoder of USDRL (arXiv:2412.09220; github wengwanjiang/USDRL, model/DSTE.py).

In: clips (B, 3, T, V, 2). One stream of layers sees a token for each frame, another one for each joint of each body.
Out: features (B, 2W): the largest value of each channel over frames, and over joints. `dense` has features of frames.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stars_bench.models.layers.encoder import stochastic_depth

BODIES = 2
COORDINATES = 3
LAYERS = 2
GAP = 4
"""Every so many positions a dense shift leaves one as it is."""
STD = 0.02


def embedding(inputs: int, width: int) -> nn.Sequential:
    """Return the map from a frame's joints, or a joint's frames, to a token, as UmURL has it."""
    return nn.Sequential(nn.Linear(inputs, width), nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, width))


def frame_tokens(x: Tensor) -> Tensor:
    """Return clips (B, 3, T, V, M) as rows of frames (B, T, M * V * 3): body, joint, x y z."""
    return x.permute(0, 2, 4, 3, 1).flatten(2)


def joint_tokens(x: Tensor) -> Tensor:
    """Return clips (B, 3, T, V, M) as rows of joints (B, M * V, T * 3): body and joint; frame, x y z."""
    return x.permute(0, 4, 3, 2, 1).flatten(3).flatten(1, 2)


def sine_positions(length: int, width: int) -> Tensor:
    """Return the sine and cosine positions (length, width) of arXiv:1706.03762, alternating."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)


class _Half(nn.Module):
    """The norms and the MLP of one half of a layer; both halves share one attention."""

    def __init__(self, width: int, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.attention = attention
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def attend(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        return cast(Tensor, self.attention(normed, normed, normed, need_weights=False)[0])

    def refine(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.mlp(self.norm2(x)))


def dropped(branch: Tensor, rate: float) -> Tensor:
    """Return a branch (B, L, D) after drop path."""
    kept = stochastic_depth(branch, rate)
    return branch if kept is None else branch * kept


class DenseLayer(nn.Module):
    """Half convolutional attention, half dense-shift attention: (B, L, W) -> (B, L, W).

    Args:
        length: L, the number of positions.
        width: W.
        drop_path: Rate at which training leaves a branch out.
    """

    fixed: Tensor

    def __init__(self, length: int, width: int, drop_path: float) -> None:
        super().__init__()
        self.drop_path = drop_path
        attention = nn.MultiheadAttention(width, 1, batch_first=True)
        self.convolutional, self.dense = _Half(width, attention), _Half(width, attention)
        self.conv = nn.Conv1d(width, width, 1)
        self.shift = nn.Sequential(nn.Linear(length, length), nn.ReLU(), nn.Linear(length, length))
        self.register_buffer("fixed", (torch.arange(length) % GAP == 0)[:, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, L, W) of x (B, L, W)."""
        rate = self.drop_path if self.training else 0.0
        half, across = self.convolutional, x.transpose(1, 2)
        seen = x + F.relu(self.conv(across)).transpose(1, 2)
        convolved = dropped(half.refine(dropped(half.attend(seen), rate) + x), rate)
        shifted = torch.where(self.fixed, x, self.shift(across).transpose(1, 2) + x)
        return 0.5 * convolved + 0.25 * (self._branch(shifted, rate) + self._branch(x, rate))

    def _branch(self, x: Tensor, rate: float) -> Tensor:
        x = x + dropped(self.dense.attend(x), rate)
        return x + dropped(self.dense.refine(x), rate)


class DSTE(nn.Module):
    """The encoder.

    Args:
        frames: T.
        joints: V.
        width: W, an even number. Default: 1,024.
        drop_path: Rate at which training leaves a branch out. Default: 0.1.
    """

    positions: Tensor

    def __init__(self, frames: int, joints: int, width: int = 1024, drop_path: float = 0.1) -> None:
        super().__init__()
        self.frames, self.dim = frames, 2 * width
        places = BODIES * joints
        self.embed_frames = embedding(places * COORDINATES, width)
        self.embed_joints = embedding(frames * COORDINATES, width)
        self.register_buffer("positions", sine_positions(frames, width), persistent=False)
        self.places = nn.Parameter(torch.zeros(1, places, width))
        nn.init.trunc_normal_(self.places, std=STD)
        self.over_frames = nn.ModuleList(DenseLayer(frames, width, drop_path) for _ in range(LAYERS))
        self.over_joints = nn.ModuleList(DenseLayer(places, width, drop_path) for _ in range(LAYERS))
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, 2W) of clips (B, 3, T, V, 2). An absent body counts like any other."""
        return torch.cat([tokens.amax(1) for tokens in self.both(x)], 1)

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens of the frames (B, T, W), and of the joints of both bodies (B, 2V, W)."""
        frames, joints = self.embed_frames(frame_tokens(x)), self.embed_joints(joint_tokens(x))
        for layer in self.over_frames:
            frames = layer(frames + self.positions)
        for layer in self.over_joints:
            joints = layer(joints + self.places)
        return frames, joints

    def dense(self, x: Tensor) -> Tensor:
        """Return features of each frame (B, T, 2W): its token, and those of the joints averaged to T places."""
        frames, joints = self.both(x)
        spread = F.adaptive_avg_pool1d(joints.transpose(1, 2), frames.shape[1]).transpose(1, 2)
        return torch.cat([frames, spread], 2)


def initialise(module: nn.Module) -> None:
    """Initialise linear layers as the official program: weights N(0, 0.02), cut off at 2, biases 0."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.trunc_normal_(part.weight, std=STD)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
