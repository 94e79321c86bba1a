"""The encoder of STARS and MAMP: a plain transformer over (4 frames x 1 joint) tokens, each body its own sequence.

In: clips (B, 3, T, V, M). Out: features (B, D), the mean over bodies, segments and joints. Parameter names are those of
the official programs (github maoyunyao/MAMP, TaatiTeam/STARS), so their checkpoints load tensor by tensor.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stars_bench.data import random, repetitions
from stars_bench.training.numerics.compile import compilable

SEGMENT = 4
"""Frames of one token (u in the paper)."""


class Attention(nn.Module):
    """Multi-head self-attention with a joint qkv projection (bias included): (B, L, D) -> (B, L, D).

    Args:
        dim: D.
        heads: Number of heads.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """Return the outputs of the tokens from `first` on, of all tokens x (B, L, D)."""
        if not first:
            return self.attend(*self.qkv(x).chunk(3, -1))
        dim = x.shape[-1]
        q = F.linear(x[:, first:], self.qkv.weight[:dim], self.qkv.bias[:dim])
        k, v = F.linear(x, self.qkv.weight[dim:], self.qkv.bias[dim:]).chunk(2, -1)
        return self.attend(q, k, v)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return outputs (B, Q, D) of queries (B, Q, D) over keys and values (B, L, D), heads side by side in each."""
        q, k, v = (x.view(*x.shape[:2], self.heads, -1).transpose(1, 2) for x in (q, k, v))
        return cast(Tensor, self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)))


class MLP(nn.Module):
    """Linear, exact GELU, Linear: (..., D) -> (..., D).

    Args:
        dim: D.
        hidden: Width between the two layers.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers."""
        return cast(Tensor, self.fc2(F.gelu(self.fc1(x))))


class Block(nn.Module):
    """Pre-norm transformer block: (B, L, D) -> (B, L, D).

    The attribute `drop_path` is the rate at which training leaves a branch out; 0 at first.

    Args:
        dim: D.
        heads: Number of attention heads.
        mlp_ratio: Hidden width of the MLP as a multiple of D.
    """

    def __init__(self, dim: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.drop_path = 0.0
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, int(dim * mlp_ratio))

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """Return the outputs of the tokens from `first` on, of all tokens x (B, L, D)."""
        return self.after_attention(x[:, first:], _attended(self, x, first))

    def after_attention(self, x: Tensor, attended: Tensor) -> Tensor:
        """Apply the rest of the block, which treats every token on its own."""
        rate = self.drop_path if self.training else 0.0
        return _after_attention(self, x, attended, stochastic_depth(attended, rate), stochastic_depth(attended, rate))


@compilable
def _attended(block: Block, x: Tensor, first: int) -> Tensor:
    return cast(Tensor, block.attn(block.norm1(x), first))


@compilable
def _after_attention(block: Block, x: Tensor, attended: Tensor, kept: Tensor | None, also: Tensor | None) -> Tensor:
    x = x + (attended if kept is None else attended * kept)
    branch = block.mlp(block.norm2(x))
    return cast(Tensor, x + (branch if also is None else branch * also))


def stochastic_depth(branch: Tensor, rate: float) -> Tensor | None:
    """Return factors (B, 1, 1) of a residual branch (B, L, D) by drop path; None stands for 1.

    A random share `rate` of B gets 0; the others get 1 / (1 - rate), so that the expectation stays. As in timm
    (arXiv:1603.09382).
    """
    if not rate:
        return None
    kept = random.rand(len(branch), 1, 1, device=branch.device) >= rate
    return kept.to(branch.dtype).div_(1 - rate)


class JointsEmbed(nn.Module):
    """Linear map of every (4 frames x 1 joint x 3) patch: (B, T, V, 3) -> (B, T/4 * V, D).

    The weight has the shape of the official convolution, (D, 3, 4, 1), but is multiplied with patches directly.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=(SEGMENT, 1), stride=(SEGMENT, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, T/4 * V, D) of bodies (B, T, V, 3)."""
        weight = self.proj.weight.permute(0, 2, 1, 3).flatten(1)  # frame-major, then x y z: the order of `patchify`
        with torch.autocast(x.device.type, enabled=False):  # bf16 would round coordinates by a millimetre
            return F.linear(patchify(x).flatten(1, 2), weight, self.proj.bias)


class SkeletonEncoder(nn.Module):
    """The encoder of both stages and of every evaluation.

    Args:
        frames: T, a multiple of 4.
        joints: V.
        dim: D.
        depth: Number of blocks. Default: 8.
        heads: Attention heads.
        mlp_ratio: Hidden width of the blocks' MLPs as a multiple of D.
    """

    def __init__(
        self,
        frames: int = 120,
        joints: int = 25,
        dim: int = 256,
        depth: int = 8,
        heads: int = 8,
        mlp_ratio: float = 4.0,
    ) -> None:
        super().__init__()
        if frames % SEGMENT:
            raise ValueError(f"frames must be a multiple of {SEGMENT}, got {frames}")
        self.frames, self.joints, self.dim = frames, joints, dim
        self.heads, self.mlp_ratio = heads, mlp_ratio
        self.joints_embed = JointsEmbed(dim)
        self.temp_embed = nn.Parameter(torch.zeros(1, frames // SEGMENT, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1, joints, dim))
        self.blocks = nn.ModuleList(Block(dim, heads, mlp_ratio) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        initialise(self)

    @property
    def size(self) -> dict[str, float]:
        """The encoder's part of `EncoderConfig`: frames, dim, depth, heads and mlp_ratio."""
        size = {"frames": self.frames, "dim": self.dim, "depth": len(self.blocks), "heads": self.heads}
        return size | {"mlp_ratio": self.mlp_ratio}

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, D) of clips (B, 3, T, V, M)."""
        return self.features(x)

    def features(self, x: Tensor, frozen: int = 0) -> Tensor:
        """Return features (B, D) of clips (B, 3, T, V, M): the mean over bodies, segments and joints.

        An empty body counts like any other, but is encoded once for the whole batch; a copied body is encoded once for
        its clip. Embeddings and the first `frozen` blocks are kept out of the gradient.
        """
        return self.features_from(*self.lower(x, frozen), frozen)

    def lower(self, x: Tensor, frozen: int) -> tuple[Tensor, Tensor]:
        """Return tokens (K, L, D) in front of block `frozen`, and each body's sequence (B, M).

        The tokens have no gradient unless `frozen` is 0. Where nothing above learns either, each body has one token:
        the mean after the last norm.
        """
        bodies, which = self.bodies_to_encode(x)
        return self.lower_of(bodies, frozen), which

    def lower_of(self, bodies: Tensor, frozen: int) -> Tensor:
        """Compute `lower` of bodies (K, T, V, 3)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            tokens = self.blocks_from(self.embed(bodies), last=frozen)
            return cast(Tensor, self.norm(tokens)).mean(1, keepdim=True) if self._nothing_learns(frozen) else tokens

    def features_from(self, tokens: Tensor, which: Tensor, first: int) -> Tensor:
        """Return features (B, D) from the `lower` tokens of block `first`; `which` (B, M): each body's sequence."""
        if not self._nothing_learns(first):
            tokens = self.blocks_from(tokens, first=first)
        return tokens.mean(1)[which].mean(1)

    def _nothing_learns(self, frozen: int) -> bool:
        return frozen == len(self.blocks) and not self.norm.weight.requires_grad

    def tokens(self, x: Tensor) -> Tensor:
        """Return encoded tokens (B, M, T/4, V, D) of clips (B, 3, T, V, M)."""
        bodies, which = self.bodies_to_encode(x)
        encoded = self.blocks_from(self.embed(bodies))[which]
        return encoded.view(*which.shape, self.frames // SEGMENT, self.joints, self.dim)

    def bodies_to_encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return bodies (K, T, V, 3) of clips (B, 3, T, V, M), and which of them each is, (B, M).

        Repetitions are left out, unless drop path draws for every body on its own, absent ones included (as published).
        """
        if not (self.training and any(cast(Block, block).drop_path for block in self.blocks)):
            return distinct_bodies(x)
        return bodies_of(x), torch.arange(x.shape[0] * x.shape[4], device=x.device).view(x.shape[0], x.shape[4])

    def set_drop_path(self, rate: float) -> None:
        """Set the rates of the blocks, which rise linearly from 0 in the first to `rate` in the last."""
        for block, own in zip(self.blocks, torch.linspace(0, rate, len(self.blocks)).tolist(), strict=True):
            cast(Block, block).drop_path = own

    def embed(self, bodies: Tensor) -> Tensor:
        """Return tokens with positions, (B, T/4 * V, D), of bodies (B, T, V, 3)."""
        return cast(Tensor, self.joints_embed(bodies) + (self.temp_embed + self.pos_embed).flatten(1, 2))

    def blocks_from(self, tokens: Tensor, first: int = 0, last: int | None = None) -> Tensor:
        """Run blocks first..last (excluded) on tokens (B, L, D); the final norm follows when last is None."""
        for block in self.blocks[first:last]:
            tokens = block(tokens)
        return cast(Tensor, self.norm(tokens)) if last is None else tokens

    def layer_of(self, parameter: str) -> int:
        """Return the layer number of a parameter, for layer-wise decay.

        The embeddings have number 0, block i has i + 1, and the last norm depth + 1.
        """
        if parameter.startswith("blocks."):
            return int(parameter.split(".")[1]) + 1
        return len(self.blocks) + 1 if parameter.startswith("norm.") else 0


def bodies_of(x: Tensor) -> Tensor:
    """Make each body its own sequence: clips (B, 3, T, V, M) -> (B * M, T, V, 3)."""
    return x.permute(0, 4, 2, 3, 1).flatten(0, 1)


def distinct_bodies(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the bodies of clips (B, 3, T, V, M) without repetitions, (K, T, V, 3), and which of them each is, (B, M).

    Absent bodies are repetitions: zeros (the same in every clip) and copies of the clip's first body. Where the table
    of clips tells them (`data.repetitions`), the device is not asked.
    """
    if (known := repetitions.known(x)) is not None:
        return bodies_of(x).index_select(0, known.kept), known.which
    batch, bodies = x.shape[0], x.shape[4]
    flat = bodies_of(x).reshape(batch, bodies, -1)
    own = torch.arange(batch * bodies, device=x.device).view(batch, bodies)
    empty = (flat == 0).all(2)
    first_empty = empty.flatten().long().argmax()
    which = torch.where((flat == flat[:, :1]).all(2), own[:, :1], own)
    kept, which = torch.unique(torch.where(empty, first_empty, which), return_inverse=True)
    return flat.reshape(batch * bodies, *x.shape[2:4], 3)[kept], which


def present_bodies(x: Tensor) -> Tensor:
    """Return which bodies of clips (B, 3, T, V, M) are present, (B, M) bool.

    A body is absent if it is zero or a copy of the first; the first body always counts as present.
    """
    flat = bodies_of(x).reshape(x.shape[0], x.shape[4], -1)
    present = (flat != 0).any(2) & (flat != flat[:, :1]).any(2)
    present[:, 0] = True
    return present


def patchify(x: Tensor) -> Tensor:
    """Cut (B, T, V, C) into tokens (B, T/4, V, 4 C); the values of a token are frame-major, then x y z."""
    batch, frames, joints, channels = x.shape
    patches = x.view(batch, frames // SEGMENT, SEGMENT, joints, channels).transpose(2, 3)
    return patches.reshape(batch, frames // SEGMENT, joints, SEGMENT * channels)


def initialise(module: nn.Module) -> None:
    """Initialise as the official program: Linear Xavier uniform, bias 0; position tables and mask token N(0, 0.02).

    The normal distribution is truncated. The joint embedding keeps Conv2d's default, LayerNorms theirs (1 and 0).
    """
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    for name, parameter in module.named_parameters():
        if name.endswith(("_embed", "mask_token")):
            nn.init.trunc_normal_(parameter, std=0.02)
