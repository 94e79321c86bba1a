"""Terms of a loss that keep features (B, D) from collapsing, and the projector that they are computed behind.

VICReg (arXiv:2105.04906) and Barlow Twins (arXiv:2103.03230), as the programs of UmURL and USDRL compute them.
"""

from __future__ import annotations

from torch import Tensor, nn

FLOOR = 1e-4
"""Added to a variance before its square root."""


def variance(z: Tensor) -> Tensor:
    """Return by how much the standard deviations of the channels of z (B, D) fall short of 1, on average."""
    return (1 - (z.var(0) + FLOOR).sqrt()).relu().mean()


def covariance(z: Tensor) -> Tensor:
    """Return the squared covariances between different channels of z (B, D), summed, over D."""
    centred = z - z.mean(0)
    return _off_diagonal(centred.T @ centred / (len(z) - 1)).square().sum() / z.shape[1]


def cross_correlation(one: Tensor, other: Tensor, weight: float) -> Tensor:
    """Return how far the correlations of two views' channels are from the identity: Barlow Twins' loss.

    Args:
        one: (B, D) features of one view.
        other: (B, D) features of the other.
        weight: Weight of the correlations between different channels.
    """
    one, other = ((z - z.mean(0)) / z.std(0) for z in (one, other))
    correlations = one.T @ other / len(one)
    return (correlations.diagonal() - 1).square().sum() + weight * _off_diagonal(correlations).square().sum()


def projector(before: int, after: int, hidden: int) -> nn.Sequential:
    """Return three linear layers with BatchNorm and ReLU between them."""
    return nn.Sequential(
        *(nn.Linear(before, hidden), nn.BatchNorm1d(hidden), nn.ReLU()),
        *(nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden), nn.ReLU()),
        nn.Linear(hidden, after),
    )


def _off_diagonal(matrix: Tensor) -> Tensor:
    return matrix - matrix.diagonal().diag()
