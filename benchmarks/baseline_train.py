"""What `benchmarks/train.py` is compared with: training in the manner of the public programs, as plain PyTorch code.

Written anew, not copied, and never slowed down on purpose: float32, softmax attention spelled out, every body of every
clip encoded, two identical forwards in stage 2 of which one carries the gradient, back-propagation through the whole
encoder, features by the same encoder, clips cropped, resized and turned one by one in a DataLoader. Its losses,
gradients and features equal ours (`tests/benchmarks/test_train.py`). Parameter names are the official ones.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

SEGMENT, PADDED = 4, 300


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (dim // heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, dim = x.shape
        q, k, v = self.qkv(x).reshape(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * self.scale).softmax(dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, length, dim))


class MLP(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn, self.mlp = Attention(dim, heads), MLP(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class JointsEmbed(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=(SEGMENT, 1), stride=(SEGMENT, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Encoder(nn.Module):
    """(B, 3, T, V, M) -> (B, D)."""

    def __init__(self, frames: int, joints: int, dim: int, depth: int, heads: int) -> None:
        super().__init__()
        self.joints_embed = JointsEmbed(dim)
        self.temp_embed = nn.Parameter(torch.zeros(1, frames // SEGMENT, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1, joints, dim))
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)

    def embed(self, bodies: Tensor) -> Tensor:
        return (self.joints_embed(bodies) + self.temp_embed + self.pos_embed).flatten(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x.permute(0, 4, 2, 3, 1).flatten(0, 1))
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens).view(len(x), -1, tokens.shape[-1]).mean(1)


def patches(x: Tensor) -> Tensor:
    """(B, T, V, 3) -> (B, T/4, V, 12)."""
    batch, frames, joints, _ = x.shape
    return x.view(batch, frames // SEGMENT, SEGMENT, joints, 3).permute(0, 1, 3, 2, 4).flatten(3)


class MaskedPrediction(Encoder):
    """Stage 1: the loss of clips (B, 3, T, V, M)."""

    def __init__(self, frames: int, joints: int, dim: int, depth: int, heads: int, decoder_depth: int) -> None:
        super().__init__(frames, joints, dim, depth, heads)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.decoder_embed = nn.Linear(dim, dim)
        self.decoder_temp_embed = nn.Parameter(torch.zeros_like(self.temp_embed))
        self.decoder_pos_embed = nn.Parameter(torch.zeros_like(self.pos_embed))
        self.decoder_blocks = nn.ModuleList(Block(dim, heads) for _ in range(decoder_depth))
        self.decoder_norm = nn.LayerNorm(dim)
        self.decoder_pred = nn.Linear(dim, SEGMENT * 3)

    def mask(self, bodies: Tensor, uniform: Tensor, ratio: float, tau: float) -> tuple[Tensor, Tensor, Tensor]:
        """Numbers of visible tokens, where each token went, and 1 for every hidden token."""
        change = torch.zeros_like(parts := patches(bodies))
        change[:, 1:] = (parts[:, 1:] - parts[:, :-1]).abs()
        change[:, 0] = change[:, 1]
        intensity = change.mean(-1).flatten(1)
        intensity = intensity / (intensity.max(dim=1, keepdim=True).values * tau + 1e-10)
        noise = intensity.softmax(1).log() - (-(uniform + 1e-10).log() + 1e-10).log()
        order = noise.argsort(1)
        restore = order.argsort(1)
        visible = order[:, : int(order.shape[1] * (1 - ratio))]
        hidden = torch.ones_like(noise)
        hidden[:, : visible.shape[1]] = 0
        return visible, restore, hidden.gather(1, restore)

    def forward(self, x: Tensor, uniform: Tensor | None = None, ratio: float = 0.9, tau: float = 0.8) -> Tensor:
        bodies = x.permute(0, 4, 2, 3, 1).flatten(0, 1)
        tokens = self.embed(bodies)
        batch, length, dim = tokens.shape
        uniform = torch.rand(batch, length, device=x.device) if uniform is None else uniform
        visible, restore, hidden = self.mask(bodies, uniform, ratio, tau)
        tokens = tokens.gather(1, visible[..., None].expand(-1, -1, dim))
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.decoder_embed(self.norm(tokens))
        tokens = torch.cat([tokens, self.mask_token.expand(batch, length - tokens.shape[1], dim)], dim=1)
        tokens = tokens.gather(1, restore[..., None].expand(-1, -1, dim))
        tokens = tokens + (self.decoder_temp_embed + self.decoder_pos_embed).flatten(1, 2)
        for block in self.decoder_blocks:
            tokens = block(tokens)
        prediction = self.decoder_pred(self.decoder_norm(tokens))
        motion = torch.zeros_like(bodies)
        motion[:, :-1] = bodies[:, 1:] - bodies[:, :-1]
        target = patches(motion).flatten(1, 2)
        target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6) ** 0.5
        loss = ((prediction - target) ** 2).mean(-1)
        return (loss * hidden).sum() / hidden.sum()


class Tuning(nn.Module):
    """Stage 2: the loss of clips; its gradient is that of half of it, as the second forward's does not count."""

    queue: Tensor
    queue_id: Tensor

    def __init__(self, encoder: Encoder, dim: int, queue_size: int, hidden: int, temperature: float = 0.07) -> None:
        super().__init__()
        self.encoder, self.temperature, self.at = encoder, temperature, 0
        self.projector = nn.BatchNorm1d(dim)
        self.predictor = nn.Sequential(
            nn.Linear(dim, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, dim)
        )
        self.register_buffer("queue", F.normalize(torch.randn(dim, queue_size), dim=0))
        self.register_buffer("queue_id", torch.full((queue_size,), -1))

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.projector(self.encoder(x))
        return F.normalize(z, dim=1), F.normalize(self.predictor(z), dim=1)

    def forward(self, x: Tensor, ids: Tensor) -> Tensor:
        z1, p1 = self.heads(x)
        z2, p2 = self.heads(x)
        targets = torch.arange(len(x), device=x.device)
        loss = F.cross_entropy(self.neighbours(z2.detach(), ids) @ p1.T / self.temperature, targets)
        loss = loss + F.cross_entropy(self.neighbours(z1.detach(), ids) @ p2.detach().T / self.temperature, targets)
        with torch.no_grad():
            size = self.queue.shape[1]
            where = torch.arange(self.at, self.at + len(ids), device=x.device) % size
            self.queue[:, where], self.queue_id[where] = z1.T, ids
            self.at = (self.at + len(ids)) % size
        return loss / 2

    @torch.no_grad()
    def neighbours(self, z: Tensor, ids: Tensor) -> Tensor:
        similarity = z @ self.queue
        similarity[ids[:, None] == self.queue_id[None]] = -torch.inf
        return self.queue.T[similarity.argmax(1)]


class PaddedClips(Dataset[Tensor]):
    """Clips as the public npz files hold them, (N, 300, 150), cropped, resized and turned one by one.

    Args:
        keep: the range of fractions of a random crop and its rotation, or one fraction, for a centre crop.
    """

    def __init__(self, clips: np.ndarray, keep: tuple[float, ...], frames: int, max_angle: float = 0.3) -> None:
        self.clips = clips.reshape(len(clips), PADDED, 2, 25, 3).transpose(0, 4, 1, 3, 2)  # N C T V M
        self.keep, self.frames, self.max_angle = keep, frames, max_angle

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, row: int) -> Tensor:
        clip = self.clips[row]
        valid = int((clip.sum(0).sum(-1).sum(-1) != 0).sum())
        if len(self.keep) == 1:
            start = int((1 - self.keep[0]) * valid / 2)
            return self.resized(clip[:, start : valid - start])
        share = random.random() * (self.keep[1] - self.keep[0]) + self.keep[0]
        length = min(max(int(valid * share), 64), valid)
        start = random.randint(0, valid - length)
        angles = torch.empty(3).uniform_(-self.max_angle, self.max_angle)
        return turned(self.resized(clip[:, start : start + length]), angles)

    def resized(self, clip: np.ndarray) -> Tensor:
        """(3, F, V, M) -> (3, frames, V, M)."""
        channels, length, joints, bodies = clip.shape
        rows = torch.from_numpy(np.ascontiguousarray(clip)).permute(0, 2, 3, 1).reshape(1, -1, length)
        rows = F.interpolate(rows, size=self.frames, mode="linear", align_corners=False)
        return rows.view(channels, joints, bodies, self.frames).permute(0, 3, 1, 2).contiguous()


def turned(clip: Tensor, angles: Tensor) -> Tensor:
    """A clip (3, T, V, M) turned by angles about x, y and z."""
    (cx, cy, cz), (sx, sy, sz) = (-angles).cos().tolist(), (-angles).sin().tolist()
    about_x = torch.tensor([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = torch.tensor([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = torch.tensor([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return ((about_z @ about_y @ about_x) @ clip.flatten(1)).view_as(clip)


def feeder(clips: PaddedClips, batch_size: int, workers: int = 0) -> Iterator[Tensor]:
    """Batches (B, 3, T, V, M) for ever, in random order."""
    loader = DataLoader(clips, batch_size, shuffle=True, drop_last=True, num_workers=workers)
    while True:
        yield from loader
