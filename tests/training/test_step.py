"""A step in micro-batches is the undivided step; random numbers do not depend on the division."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from stars_bench.data import random
from stars_bench.errors import UsageError
from stars_bench.training.step import Division, SplitStep, back_propagate
from tests.training.small_steps import check_equal, outcome


@pytest.mark.parametrize("kind", ["stage1", "stage2", "finetune"])
@pytest.mark.parametrize(("batch", "micro_batches"), [(8, 2), (7, 3), (8, 8), (5, 9)])
def test_micro_batches_give_the_undivided_result(kind: str, batch: int, micro_batches: int) -> None:
    check_equal(outcome(kind, batch, micro_batches=micro_batches), outcome(kind, batch))


@pytest.mark.parametrize(("kind", "reason"), [("undivided", "is no SplitStep"), ("convolution", "BatchNorm inside")])
def test_what_cannot_be_divided_is_refused_in_one_line(kind: str, reason: str) -> None:
    with pytest.raises(UsageError, match=rf"^--grad-accum.*{reason}.*leave out --grad-accum") as caught:
        outcome(kind, 8, micro_batches=2)
    assert "\n" not in str(caught.value)


def test_layers_are_themselves_again_after_a_divided_step() -> None:
    with pytest.raises(UsageError):
        outcome("convolution", 8, micro_batches=2)
    check_equal(outcome("convolution", 8), outcome("convolution", 8))


class Held:
    """A tensor that a backward pass waits for; counts the bytes of all."""

    now = most = 0

    def __init__(self, x: Tensor) -> None:
        self.x, self.bytes = x.detach(), 0 if x.is_leaf else x.nbytes  # an output would hold itself
        Held.now += self.bytes
        Held.most = max(Held.most, Held.now)

    def __del__(self) -> None:
        Held.now -= self.bytes


@pytest.mark.parametrize("kind", ["stage1", "stage2", "finetune"])
def test_only_one_micro_batchs_activations_are_held(kind: str) -> None:
    def most(micro_batches: int) -> int:
        Held.now = Held.most = 0
        with torch.autograd.graph.saved_tensors_hooks(Held, lambda held: held.x):
            outcome(kind, 16, micro_batches=micro_batches)
        return Held.most

    assert most(8) < most(1) / 4


@pytest.mark.parametrize("micro_batches", [1, 2, 4])
def test_all_but_the_last_micro_batch_are_encoded_twice_and_only_for_a_loss_of_the_whole_batch(
    micro_batches: int,
) -> None:
    weight, calls = nn.Parameter(torch.ones(1)), 0

    def encode(rows: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return rows[:, None] * weight

    for loss, expected in ((None, micro_batches), (lambda features, _: features.std(), 2 * micro_batches - 1)):
        calls = 0
        how = Division(lambda: None, micro_batches=micro_batches)
        back_propagate(SplitStep(encode, loss), nn.ParameterList([weight]), torch.arange(8.0), 1.0, how)
        assert calls == expected


def test_draws_of_shares_make_up_the_draws_of_the_batch() -> None:
    def drawn(count: int) -> list[torch.Tensor]:
        torch.manual_seed(4)
        x = torch.ones(2 * count, 3)
        return [random.rand(count, 5), random.rand(2, count, dim=1), random.rand(2 * count), random.dropout(x, 0.4)]

    whole, parts = drawn(7), []
    for first, count in ((0, 3), (3, 3), (6, 1)):
        with random.share(first, count, 7):
            parts.append(drawn(count))
            after = torch.rand(1)
    for got, dim, expected in zip(zip(*parts, strict=True), (0, 1, 0, 0), whole, strict=True):
        assert torch.equal(torch.cat(got, dim), expected)
    drawn(7)
    assert torch.equal(torch.rand(1), after)  # what follows, as the loss, draws the same as well


def test_draws_that_are_not_of_clips_are_refused() -> None:
    with random.share(0, 2, 4), pytest.raises(ValueError, match="3 rows do not belong to 2 clips"):
        random.rand(3)
