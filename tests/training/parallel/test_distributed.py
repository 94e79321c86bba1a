"""Two and three processes give what one gives, in float64, to 1e-9: losses, weights, queues, statistics."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from stars_bench.training.parallel import distributed
from tests.training import rank_cases
from tests.training.ranks import together
from tests.training.small_steps import check_equal


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    return rank_cases.everything()


@pytest.fixture(scope="module", params=[2, pytest.param(3, marks=pytest.mark.slow)])
def ranks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("ranks") / "meeting"
    return together("tests.training.rank_cases:everything", request.param, folder)


def test_processes_train_as_one(ranks, alone) -> None:
    for rank in ranks:
        assert rank["steps"].keys() == alone["steps"].keys()
        for case, left in rank["steps"].items():
            try:
                check_equal(left, alone["steps"][case])
            except AssertionError as error:
                raise AssertionError(f"{case} of {len(ranks)} processes: {error}") from error


def test_every_process_ends_with_the_same_bits(ranks) -> None:
    for case, left in ranks[0]["steps"].items():
        for rank in ranks[1:]:
            assert all(torch.equal(value, rank["steps"][case][name]) for name, value in left.items()), case


@pytest.mark.parametrize("kind", ["moco", "skeletonclr"])
def test_the_queue_has_the_whole_batchs_keys_in_its_order_on_every_process(kind: str, ranks, alone) -> None:
    for batch in (8, 7):
        before = alone["steps"][kind, batch, 1]
        steps = 2 * (16 // batch)
        assert int(before["module.queue.pointer"]) == steps * batch % 17
        for rank in ranks:
            torch.testing.assert_close(
                rank["steps"][kind, batch, 1]["module.queue.vectors"], before["module.queue.vectors"]
            )


def test_a_step_that_is_not_divided_is_the_same_to_the_bit(ranks, alone) -> None:
    for batch in rank_cases.BATCHES:
        expected = alone["steps"]["undivided", batch, 1]
        assert all(
            torch.equal(value, expected[name]) for name, value in ranks[1]["steps"]["undivided", batch, 1].items()
        )


def test_batch_norm_over_processes_is_torchs_own_over_the_batch(ranks, alone) -> None:
    for rank in ranks:
        for got, expected in zip(rank["norms"], alone["norms"], strict=True):
            check_equal(got, expected)


def test_what_processes_tell_one_another(ranks) -> None:
    count = len(ranks)
    for number, rank in enumerate(ranks):
        assert rank["ranks"] == (number, count, number == 0)
        assert torch.equal(rank["rows"], torch.arange(10.0).view(5, 2).bfloat16())
        assert rank["told"] == [{"made by": 0}, "process 0 says no"]
        assert rank["largest"] == 9 + count
        assert rank["weights"] == 5
        assert rank["epoch"] == 3  # that of the first


@pytest.mark.parametrize(("count", "parts"), [(8, 3), (7, 2), (2, 3), (0, 2), (5, 5)])
def test_things_are_divided_without_gaps_and_the_first_has_most(count: int, parts: int) -> None:
    shares = [distributed.divide(count, parts, number) for number in range(parts)]
    covered = [thing for first, size in shares for thing in range(first, first + size)]
    sizes = [size for _, size in shares]
    assert covered == list(range(count))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1
