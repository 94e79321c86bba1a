"""Multiply-adds are those of the encoder's matrix products, attention included; nothing else changes by counting."""

from __future__ import annotations

import torch

from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.evaluation.flops import multiply_adds
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.skeleton_graph import spatial_partitions
from stars_bench.models.networks.stgcn import STGCN
from stars_bench.models.raw import Coordinates

CPU = torch.device("cpu")


def test_a_transformer_is_counted_by_hand() -> None:
    encoder = SkeletonEncoder(frames=16, joints=5, dim=12, depth=3, heads=2)
    tokens, dim = 4 * 5, 12
    block = tokens * (3 + 1 + 4 + 4) * dim * dim + 2 * tokens * tokens * dim
    assert multiply_adds(encoder, 5, CPU) == 2 * (tokens * 12 * dim + 3 * block)


def test_a_graph_network_is_counted_by_hand() -> None:
    net = STGCN(16, spatial_partitions(KINECT_V2), channels=4, dim=8)
    widths, frames, total = [3, 4, 4, 4, 4, 8, 8, 8, 16, 16, 8], 16, 0
    for i in range(10):
        before, after, halved = widths[i], widths[i + 1], i in (4, 7)
        total += frames * 25 * (before * 3 * after + 3 * 25 * after)  # 1 x 1, then over the joints of each partition
        frames = frames // 2 if halved else frames
        total += frames * 25 * 9 * after * after
        total += frames * 25 * before * after if i and (halved or before != after) else 0
    assert multiply_adds(net, 25, CPU) == 2 * total


def test_counting_changes_neither_mode_nor_random_numbers() -> None:
    net = SkeletonEncoder(frames=8, joints=5, dim=8, depth=1, heads=2).train()
    torch.manual_seed(3)
    multiply_adds(net, 5, CPU)
    drawn = torch.rand(2)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(2), drawn)
    assert net.training


def test_coordinates_cost_nothing() -> None:
    assert multiply_adds(Coordinates(8, 5), 5, CPU) == 0
