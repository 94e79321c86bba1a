"""The network of ST-GCN (arXiv:1801.07455; github yysijie/st-gcn): graph convolution over joints, then over time.

In: clips (B, 3, T, V, M). Out: features (B, D), the mean over bodies, time and joints. Ten blocks of widths C, C, C, C,
2C, 2C, 2C, 4C, 4C, D: with C = 64 the published network, with C = 16 the encoder of CrosSCLR and AimCLR. The graph is a
buffer, so that a checkpoint holds that of its dataset.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stars_bench.data.channels import about_origin, origin_joint, origin_number
from stars_bench.models.layers.encoder import bodies_of, distinct_bodies

TEMPORAL_KERNEL = 9
PARTITIONS = 3


class GraphConv(nn.Module):
    """A 1 x 1 convolution for each partition, then each joint's weighted sum over its neighbours' values."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after * PARTITIONS, 1)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Convolve x (N, C, T, V) with weights (K, V, V) to (N, C', T, V)."""
        n, _, t, v = x.shape
        return torch.einsum("nkctv,kvw->nctw", self.conv(x).view(n, PARTITIONS, -1, t, v), weights)


class Block(nn.Module):
    """Graph convolution and temporal convolution, with a residual branch. (N, C, T, V) -> (N, C', T / stride, V)."""

    def __init__(self, before: int, after: int, stride: int = 1, dropout: float = 0.0, residual: bool = True) -> None:
        super().__init__()
        self.gcn = GraphConv(before, after)
        self.tcn = nn.Sequential(
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, (TEMPORAL_KERNEL, 1), (stride, 1), (TEMPORAL_KERNEL // 2, 0)),
            nn.BatchNorm2d(after),
            nn.Dropout(dropout),
        )
        self.residual: nn.Module | None = None
        if residual:
            same = before == after and stride == 1
            projection = (nn.Conv2d(before, after, 1, (stride, 1)), nn.BatchNorm2d(after))
            self.residual = nn.Identity() if same else nn.Sequential(*projection)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return (N, C', T / stride, V) of x (N, C, T, V) with weights (K, V, V)."""
        out = self.tcn(self.gcn(x, weights))
        return F.relu(out if self.residual is None else out + self.residual(x))


class STGCN(nn.Module):
    """The network without its last layer, an encoder.

    Args:
        frames: T, the number of frames of a clip.
        partitions: (3, V, V), `skeleton_graph.spatial_partitions`.
        channels: C, the width of the first blocks.
        dim: D, the width of the features.
        root: Joint that each body is moved to in every frame, as in the data of CrosSCLR. Default: None, coordinates
            stay.
        planar: Whether the last channel is a score, which stays. Default: False.
    """

    adjacency: Tensor
    root: Tensor

    def __init__(
        self,
        frames: int,
        partitions: np.ndarray,
        channels: int = 64,
        dim: int = 256,
        dropout: float = 0.5,
        root: int | None = None,
        planar: bool = False,
    ) -> None:
        super().__init__()
        self.frames, self.dim = frames, dim
        joints = partitions.shape[1]
        self.register_buffer("adjacency", torch.tensor(partitions))
        self.register_buffer("root", torch.tensor(origin_number(root, planar)))
        self.data_bn = nn.BatchNorm1d(3 * joints)
        widths = [channels] * 4 + [2 * channels] * 3 + [4 * channels] * 2 + [dim]
        halved = (4, 7)
        self.blocks = nn.ModuleList([Block(3, channels, residual=False)])
        self.blocks.extend(
            Block(widths[i - 1], widths[i], 2 if i in halved else 1, dropout) for i in range(1, len(widths))
        )
        self.edge_importance = nn.ParameterList(nn.Parameter(torch.ones(partitions.shape)) for _ in widths)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, D) of clips (B, 3, T, V, M). An absent body counts like any other."""
        return self.features(self.placed(x))

    def features(self, x: Tensor) -> Tensor:
        """Return features (B, D) of clips that `placed` has moved already."""
        if self.training:  # BatchNorm counts every body
            bodies, which = bodies_of(x), torch.arange(x.shape[0] * x.shape[4], device=x.device).view(x.shape[0], -1)
        else:
            bodies, which = distinct_bodies(x)
        return self.maps(bodies).mean((2, 3))[which].mean(1)

    def placed(self, x: Tensor) -> Tensor:
        """Return clips (B, 3, T, V, M) with every body's root at the origin in every frame, if there is a root."""
        return about_origin(x, x[:, :, :, origin_joint(self.root)], self.root)

    def maps(self, bodies: Tensor) -> Tensor:
        """Return the feature maps (N, D, T / 4, V) of the last block, of bodies (N, T, V, 3)."""
        n, t, v, _ = bodies.shape
        x = self.data_bn(bodies.reshape(n, t, v * 3).transpose(1, 2))  # the official order: joint, then x y z
        x = x.view(n, v, 3, t).permute(0, 2, 3, 1)
        for block, importance in zip(self.blocks, self.edge_importance, strict=True):
            x = block(x, self.adjacency * importance)
        return cast(Tensor, x)


def initialise(module: nn.Module) -> None:
    """Initialise as the official program: weights N(0, 0.02), biases 0; BatchNorm N(1, 0.02) and 0."""
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(part.weight, std=0.02)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(part.weight, mean=1.0, std=0.02)
            nn.init.zeros_(part.bias)


def blank(joints: int) -> np.ndarray:
    """Return empty partitions (3, V, V), for a network whose graph comes from a checkpoint."""
    return np.zeros((PARTITIONS, joints, joints), np.float32)
