"""The encoder of UmURL (arXiv:2311.03106; github HuiGuanLab/UmURL, umurl.py): three embeddings, one transformer.

In: clips of joints (B, 3, T, V, 2). Out: features (B, 2W). Tokens of frames and tokens of joints go through a
transformer layer each; the largest value of each channel counts. Bones and motion are made here, and the embeddings of
the three are averaged. The bones are a buffer, so that a checkpoint holds those of its dataset.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stars_bench.models.layers.augment import as_stream
from stars_bench.models.networks.usdrl import BODIES, COORDINATES, embedding, frame_tokens, joint_tokens, sine_positions

MODALITIES = ("joint", "bone", "motion")


class FusedEncoder(nn.Module):
    """The encoder.

    Args:
        frames: T.
        joints: V.
        width: W, an even number. Default: 1,024.
        parents: (V,) parent of each joint. Default: none, a checkpoint brings them.
        planar: Whether the last channel is a score, which stays that of the joint. Default: False.
    """

    parents: Tensor
    places: Tensor
    positions: Tensor

    def __init__(
        self, frames: int, joints: int, width: int = 1024, parents: Sequence[int] = (), planar: bool = False
    ) -> None:
        super().__init__()
        self.frames, self.dim = frames, 2 * width
        own = torch.arange(joints) if not parents else torch.tensor(parents, dtype=torch.int64)
        self.register_buffer("parents", own)
        self.register_buffer("places", torch.tensor([True, True, not planar]))
        self.register_buffer("positions", sine_positions(frames, width), persistent=False)
        inputs = (BODIES * joints * COORDINATES, frames * COORDINATES)
        self.embed_frames = nn.ModuleDict({name: embedding(inputs[0], width) for name in MODALITIES})
        self.embed_joints = nn.ModuleDict({name: embedding(inputs[1], width) for name in MODALITIES})
        self.fuse_frames, self.fuse_joints = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.over_frames, self.over_joints = (
            nn.TransformerEncoderLayer(width, 1, width, dropout=0.0, batch_first=True) for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (B, 2W) of all three modalities of joints (B, 3, T, V, 2)."""
        embedded = [self._embedded(name, x) for name in MODALITIES]
        frames, joints = (torch.stack(tokens).mean(0) for tokens in zip(*embedded, strict=True))
        return self._pooled(self.fuse_frames(frames), self.fuse_joints(joints))

    def of(self, name: str, x: Tensor) -> Tensor:
        """Return the features (B, 2W) of one modality of joints (B, 3, T, V, 2)."""
        return self._pooled(*self._embedded(name, x))

    def _embedded(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        seen = torch.where(self.places[:, None, None, None], as_stream(x, name, self.parents), x)
        frames, joints = self.embed_frames[name](frame_tokens(seen)), self.embed_joints[name](joint_tokens(seen))
        return frames, joints

    def _pooled(self, frames: Tensor, joints: Tensor) -> Tensor:
        frames, joints = self.over_frames(frames + self.positions), self.over_joints(joints)
        return torch.cat([frames.amax(1), joints.amax(1)], 1)
