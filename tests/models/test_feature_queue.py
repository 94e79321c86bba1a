"""A queue of features: the oldest go first, and a clip is not its own neighbour."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from stars_bench.models.layers.feature_queue import FeatureQueue


def test_it_starts_with_unit_vectors_of_no_clip() -> None:
    queue = FeatureQueue(dim=3, size=5)
    torch.testing.assert_close(queue.vectors.square().sum(0), torch.ones(5))
    assert queue.ids.tolist() == [-1] * 5


def test_the_oldest_are_overwritten_first_and_the_pointer_wraps() -> None:
    queue = FeatureQueue(dim=3, size=5)
    for value in (1, 2, 3):
        queue.enqueue(torch.full((3, 3), float(value)), torch.arange(3) + 10 * value)
    assert queue.vectors[0].tolist() == [2, 3, 3, 3, 2]
    assert queue.ids.tolist() == [22, 30, 31, 32, 21]
    assert queue.pointer.tolist() == [4]


def test_of_a_batch_larger_than_the_queue_the_last_vectors_stay() -> None:
    queue = FeatureQueue(dim=3, size=5)
    queue.enqueue(torch.arange(12.0)[:, None].expand(-1, 3), torch.arange(100, 112))
    assert sorted(queue.vectors[0].tolist()) == [7, 8, 9, 10, 11]
    assert sorted(queue.ids.tolist()) == list(range(107, 112))


def test_a_clip_is_not_its_own_neighbour() -> None:
    queue, z = FeatureQueue(dim=8, size=4), F.normalize(torch.randn(2, 8), dim=1)
    queue.enqueue(z, torch.tensor([5, 6]))
    assert not torch.isclose(queue.nearest(z, torch.tensor([5, 6])), z).all(1).any()
    assert torch.equal(queue.nearest(z, torch.tensor([7, 8])), z)
    assert torch.equal(queue.nearest(z), z)


def test_vectors_without_numbers_are_no_clips() -> None:
    queue = FeatureQueue(dim=2, size=2)
    queue.enqueue(torch.ones(2, 2), torch.tensor([3, 4]))
    queue.enqueue(torch.ones(1, 2))
    assert queue.ids.tolist() == [-1, 4]
