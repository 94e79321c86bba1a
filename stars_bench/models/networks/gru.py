"""The recurrent network of CMD (arXiv:2208.12448; github maoyunyao/CMD, moco/GRU.py).

In: clips (B, 3, T, V, 2). Out: features (B, 2H), those of the last frame in the last layer. The program calls its
network bidirectional, but gives it one frame after the other and carries both states on, so that both directions run
forward in time. A layer is two independent forward GRUs on the same input, whose outputs go on together.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

BODIES = 2
COORDINATES = 3


class ForwardGRU(nn.Module):
    """The encoder.

    Args:
        frames: T, the frames of a clip; any number will do.
        joints: V.
        width: H, hidden units of a GRU. Default: 1,024.
        depth: Layers. Default: 3.
    """

    def __init__(self, frames: int, joints: int, width: int = 1024, depth: int = 3) -> None:
        super().__init__()
        self.frames, self.dim = frames, 2 * width
        inputs = BODIES * COORDINATES * joints
        self.norm = nn.BatchNorm1d(inputs)
        self.layers = nn.ModuleList(
            nn.ModuleList(nn.GRU(inputs if layer == 0 else self.dim, width) for _ in range(2)) for layer in range(depth)
        )
        for parameter in self.layers.parameters():
            if parameter.ndim == 2:
                nn.init.xavier_uniform_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, 2H) of clips (B, 3, T, V, 2). An absent body counts like any other."""
        return self.dense(x)[:, -1]

    def dense(self, x: Tensor) -> Tensor:
        """Return features of each frame (B, T, 2H), which know the frames before."""
        rows = x.permute(0, 2, 3, 1, 4).flatten(2)  # the official order: joint, x y z, body
        out: Tensor = self.norm(rows.transpose(1, 2)).permute(2, 0, 1)  # frames first, as a GRU takes them
        for pair in self.layers:
            assert isinstance(pair, nn.ModuleList)
            out = torch.cat([gru(out)[0] for gru in pair], 2)
        return out.transpose(0, 1)
