"""The network of CTR-GCN (arXiv:2107.12213; github Uason-Chen/CTR-GCN): graphs that every channel refines for itself.

In: clips (B, 3, T, V, M). Out: features (B, D), the mean over bodies, time and joints. Ten blocks of widths C, C, C, C,
2C, 2C, 2C, 4C, 4C, 4C; D = 4C. The graph is a parameter, so that a checkpoint holds it. Each of the two bodies has
normalisation statistics of its own.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

BODIES = 2
COORDINATES = 3
BRANCHES = 4
KERNEL = 5
DILATIONS = (1, 2)
REDUCTION = 8
"""The relation between two joints has a channel for so many of the input's; so many channels for coordinates."""
ALMOST_NOTHING = 1e-6
"""Scale at the start of what a graph convolution adds to its input."""


class RefinedGraphConv(nn.Module):
    """Graph convolution whose graph is a shared one plus, for each channel, what pairs of joints make of it.

    Args:
        before: C, channels of the input.
        after: C', channels of the output.
        partitions: (K, V, V), the graph at the start.
    """

    def __init__(self, before: int, after: int, partitions: np.ndarray) -> None:
        super().__init__()
        self.parts = parts = len(partitions)
        relation = REDUCTION if before == COORDINATES else max(before // REDUCTION, 1)
        self.graph = nn.Parameter(torch.tensor(partitions))
        self.alpha = nn.Parameter(torch.zeros(1))
        self.receiver = nn.Conv1d(before, parts * relation, 1)
        self.sender = nn.Conv1d(before, parts * relation, 1)
        self.refine = nn.Conv2d(parts * relation, parts * after, 1, groups=parts)
        self.value = nn.Conv2d(before, parts * after, 1)
        self.norm = nn.BatchNorm2d(after)
        self.down = nn.Identity() if before == after else project(before, after)
        for conv, width in (
            (self.receiver, relation),
            (self.sender, relation),
            (self.refine, after),
            (self.value, after),
        ):
            nn.init.normal_(conv.weight, std=math.sqrt(2 / width))  # Kaiming's, of each part's own width
            nn.init.zeros_(cast(Tensor, conv.bias))
        nn.init.constant_(self.norm.weight, ALMOST_NOTHING)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x (N, C, T, V) to (N, C', T, V)."""
        n, _, t, v = x.shape
        pooled = x.mean(2)  # the mean of the projections is the projection of the mean
        pairs = (self.receiver(pooled)[..., None] - self.sender(pooled)[..., None, :]).tanh()  # (N, K R, V, V)
        refined = self.refine(pairs).view(n, self.parts, -1, v, v)
        graph = self.graph[:, None] + self.alpha * refined
        summed = torch.einsum("nkcuv,nkctv->nctu", graph, self.value(x).view(n, self.parts, -1, t, v))
        return F.relu(self.norm(summed) + self.down(x))


class TemporalBranches(nn.Module):
    """Four branches over time, a quarter of the channels each: two dilated convolutions, a maximum, a projection.

    Args:
        channels: C', a multiple of 4.
        stride: Step in time. Default: 1.
    """

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        width = channels // BRANCHES

        def narrowed() -> list[nn.Module]:
            return [nn.Conv2d(channels, width, 1), nn.BatchNorm2d(width), nn.ReLU()]

        def over_time(dilation: int) -> nn.Module:
            padding = (KERNEL - 1) * dilation // 2
            return nn.Conv2d(width, width, (KERNEL, 1), (stride, 1), (padding, 0), (dilation, 1))

        pool = nn.MaxPool2d((3, 1), (stride, 1), (1, 0))
        self.branches = nn.ModuleList(
            nn.Sequential(*narrowed(), middle, nn.BatchNorm2d(width)) for middle in (*map(over_time, DILATIONS), pool)
        )
        self.branches.append(nn.Sequential(nn.Conv2d(channels, width, 1, (stride, 1)), nn.BatchNorm2d(width)))
        initialise(self)
        for part in self.modules():
            if isinstance(part, nn.BatchNorm2d):
                nn.init.normal_(part.weight, mean=1.0, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', T / stride, V) of x (N, C', T, V)."""
        return torch.cat([branch(x) for branch in self.branches], 1)


class Block(nn.Module):
    """Graph convolution, then time, with a residual branch. (N, C, T, V) -> (N, C', T / stride, V)."""

    def __init__(self, before: int, after: int, partitions: np.ndarray, stride: int = 1, residual: bool = True) -> None:
        super().__init__()
        self.gcn = RefinedGraphConv(before, after, partitions)
        self.tcn = TemporalBranches(after, stride)
        self.residual: nn.Module | None = None
        if residual:
            self.residual = nn.Identity() if before == after and stride == 1 else project(before, after, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', T / stride, V) of x (N, C, T, V)."""
        out = self.tcn(self.gcn(x))
        return F.relu(out if self.residual is None else out + self.residual(x))


class CTRGCN(nn.Module):
    """The network without its last layer, an encoder.

    Args:
        frames: T, the number of frames of a clip.
        partitions: (3, V, V), `skeleton_graph.directed_partitions`.
        width: C, the width of the first blocks, a multiple of 4. Default: 64.
    """

    def __init__(self, frames: int, partitions: np.ndarray, width: int = 64) -> None:
        super().__init__()
        self.frames, self.dim = frames, 4 * width
        self.data_bn = nn.BatchNorm1d(BODIES * COORDINATES * partitions.shape[1])
        widths = [width] * 4 + [2 * width] * 3 + [4 * width] * 3
        halved = (4, 7)
        self.blocks = nn.Sequential(Block(COORDINATES, width, partitions, residual=False))
        self.blocks.extend(
            Block(widths[i - 1], widths[i], partitions, 2 if i in halved else 1) for i in range(1, len(widths))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, D) of clips (B, 3, T, V, 2). An absent body counts like any other."""
        b, c, t, v, m = x.shape
        rows = self.data_bn(x.permute(0, 4, 3, 1, 2).reshape(b, m * v * c, t))  # the official order: body, joint, x y z
        bodies = rows.view(b, m, v, c, t).permute(0, 1, 3, 4, 2).reshape(b * m, c, t, v)
        return cast(Tensor, self.blocks(bodies)).mean((2, 3)).view(b, m, -1).mean(1)


def project(before: int, after: int, stride: int = 1) -> nn.Sequential:
    """Return a 1 x 1 convolution and BatchNorm."""
    out = nn.Sequential(nn.Conv2d(before, after, 1, (stride, 1)), nn.BatchNorm2d(after))
    initialise(out)
    return out


def initialise(module: nn.Module) -> None:
    """Initialise convolutions as the official program: Kaiming by the width of the output, biases 0."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out")
            nn.init.zeros_(cast(Tensor, part.bias))
