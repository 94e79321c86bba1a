"""A queue of earlier feature vectors: the memory bank of contrastive learning.

MoCo (arXiv:1911.05722) takes its negatives from it, NNCLR (arXiv:2104.14548) its positives.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FeatureQueue(nn.Module):
    """The last K feature vectors, first in, first out, and the clips that they came from.

    Put it into `Stage.module`, so that checkpoints hold it. Every process keeps the same queue when it is filled in
    `SplitStep.loss`, which sees the whole batch.

    Args:
        dim: Length D of a vector.
        size: Number K of vectors. Before the first batches they are random unit vectors.

    Attributes:
        vectors: (D, K), a column for each vector, as in official checkpoints.
        ids: (K,) int64 clip numbers of the vectors; -1 where none was given.
        pointer: (1,) int64, the column of the oldest vector.
    """

    vectors: Tensor
    ids: Tensor
    pointer: Tensor

    def __init__(self, dim: int, size: int) -> None:
        super().__init__()
        self.register_buffer("vectors", F.normalize(torch.randn(dim, size), dim=0))
        self.register_buffer("ids", torch.full((size,), -1, dtype=torch.long))
        self.register_buffer("pointer", torch.zeros(1, dtype=torch.long))

    @torch.no_grad()
    def enqueue(self, vectors: Tensor, ids: Tensor | None = None) -> None:
        """Overwrite the oldest vectors; the batch need not divide the queue.

        Args:
            vectors: (B, D). If a batch is larger than the queue, its last K vectors stay.
            ids: (B,) int64 clip numbers. Default: None, if `nearest` need not leave out a clip's own vectors.
        """
        size = len(self.ids)
        vectors = vectors[-size:]
        where = (self.pointer + torch.arange(len(vectors), device=self.pointer.device)) % size
        self.vectors[:, where] = vectors.T
        self.ids[where] = -1 if ids is None else ids[-size:]
        self.pointer.copy_((self.pointer + len(vectors)) % size)

    @torch.no_grad()
    def nearest(self, vectors: Tensor, ids: Tensor | None = None) -> Tensor:
        """Find the vector of the queue with the largest cosine to each of some unit vectors.

        Args:
            vectors: (B, D), of length 1, as those in the queue.
            ids: (B,) int64 clip numbers, whose own vectors in the queue are left out. Default: None, none is left out.

        Returns:
            (B, D), the nearest vectors of the queue.
        """
        similarity = vectors @ self.vectors
        if ids is not None:
            similarity.masked_fill_(ids[:, None] == self.ids[None, :], -torch.inf)
        return self.vectors.T[similarity.argmax(1)]
