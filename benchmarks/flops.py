"""Floating-point operations of the network, counted from its shapes: two for a multiplication with addition.

Matrix products alone, embedding and prediction included; normalisation, softmax and GELU are left out, as is usual for
model FLOP utilisation. A backward pass counts twice a forward one.
"""

from __future__ import annotations

from dataclasses import dataclass

FORWARD, TRAINED = 1, 3
"""Passes in units of one forward pass."""


@dataclass(frozen=True)
class Network:
    """Shapes of encoder and decoder; the defaults are the paper's for NTU-60."""

    frames: int = 120
    joints: int = 25
    dim: int = 256
    depth: int = 8
    decoder_depth: int = 3
    mlp_ratio: float = 4.0
    mask_ratio: float = 0.9
    segment: int = 4

    @property
    def tokens(self) -> int:
        """Tokens of a body."""
        return self.frames // self.segment * self.joints

    @property
    def visible(self) -> int:
        """Tokens of a body that stage 1 shows the encoder."""
        return int(self.tokens * (1 - self.mask_ratio))

    def block(self, tokens: int) -> float:
        """One block: qkv, projection and MLP, then the two products of attention."""
        return 2 * tokens * (4 + 2 * self.mlp_ratio) * self.dim**2 + 4 * tokens**2 * self.dim

    @property
    def embedding(self) -> float:
        """The map of all tokens of a body, (4 frames x 3) -> dim."""
        return 2 * self.tokens * self.segment * 3 * self.dim

    def stage1(self, bodies: float = 2) -> float:
        """A clip and step of stage 1."""
        encoder = self.embedding + self.depth * self.block(self.visible) + 2 * self.visible * self.dim**2
        decoder = self.decoder_depth * self.block(self.tokens) + 2 * self.tokens * self.dim * self.segment * 3
        return TRAINED * bodies * (encoder + decoder)

    def stage2(self, bodies: float = 2, kept: bool = False) -> float:
        """A clip and step of stage 2 as we run it: the upper half trained, the lower once forward, or `kept`."""
        tuned = self.depth // 2
        lower = 0 if kept else self.embedding + (self.depth - tuned) * self.block(self.tokens)
        return bodies * (FORWARD * lower + TRAINED * tuned * self.block(self.tokens))

    def features(self, bodies: float = 2) -> float:
        """A clip through the encoder."""
        return bodies * (self.embedding + self.depth * self.block(self.tokens))

    def finetune(self, bodies: float = 2) -> float:
        """A clip and step of fine-tuning (without its small head)."""
        return TRAINED * self.features(bodies)
