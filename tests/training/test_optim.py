"""Parameter groups: rates fall towards the input, weight decay is for matrices."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from stars_bench.training.optim import clip_each, decay_matrices_only, layer_decay_groups


@pytest.fixture
def model() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Linear(3, 4))


def settings_of(groups, model: nn.Module) -> dict[str, tuple[float | None, float]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(p)]: (group.get("lr"), group["weight_decay"]) for group in groups for p in group["params"]}


def test_rates_fall_by_a_factor_per_layer_from_the_highest_one(model: nn.Module) -> None:
    groups = layer_decay_groups(model.named_parameters(), lambda name: int(name[0]) + 5, 0.1, 0.5, 0.05)
    assert settings_of(groups, model) == {
        "0.weight": (0.025, 0.05), "0.bias": (0.025, 0), "1.weight": (0.05, 0), "1.bias": (0.05, 0),
        "2.weight": (0.1, 0.05), "2.bias": (0.1, 0),
    }  # fmt: skip
    assert len(groups) == 5


def test_without_decay_over_layers_all_rates_are_one(model: nn.Module) -> None:
    groups = layer_decay_groups(model.named_parameters(), lambda name: int(name[0]), 0.1, 1.0, 0.05)
    assert {group["lr"] for group in groups} == {0.1}


def test_weight_decay_is_for_matrices(model: nn.Module) -> None:
    found = settings_of(decay_matrices_only(model.named_parameters(), 0.05), model)
    assert {name for name, (_, decay) in found.items() if decay} == {"0.weight", "2.weight"}
    assert len(found) == 6


class Called(TorchDispatchMode):
    """Counts the operations that compute something: views do not."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view:
            self.names[func.name()] += 1
        return func(*args, **(kwargs or {}))


def with_gradients(count: int, dtype: torch.dtype) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    found = []
    for number in range(count):
        shape = [(3, 4), (5,), (2, 3, 2)][number % 3]
        parameter = nn.Parameter(torch.zeros(shape, dtype=dtype))
        drawn = torch.randn(shape, generator=generator, dtype=dtype) * 10.0 ** (number % 5 - 2)
        parameter.grad = drawn if number % 4 else drawn.transpose(0, -1).contiguous().transpose(0, -1)
        found.append(parameter)
    found.append(nn.Parameter(torch.zeros(2)))  # without a gradient
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_gradient_is_clipped_as_torch_clips_one_to_the_bit(dtype: torch.dtype) -> None:
    ours, expected = with_gradients(20, dtype), with_gradients(20, dtype)
    clip_each(ours, 3.0)
    for parameter in expected:
        nn.utils.clip_grad_norm_([parameter], 3.0)
    norms = [float(p.grad.norm()) for p in ours if p.grad is not None]
    assert 3 < sum(norm == pytest.approx(3, rel=1e-5) for norm in norms) < len(norms)
    for one, other in zip(ours, expected, strict=True):
        assert (one.grad is None) == (other.grad is None)
        assert one.grad is None or torch.equal(one.grad, other.grad)


def test_as_many_kernels_clip_ten_gradients_as_a_hundred() -> None:
    counts = []
    for count in (10, 100):
        parameters = with_gradients(count, torch.float32)
        parameters = [p for p in parameters if p.grad is None or p.grad.is_contiguous()]
        with Called() as seen:
            clip_each(parameters, 3.0)
        counts.append(seen.names)
    assert counts[0] == counts[1]
    assert sum(counts[0].values()) < 12
    assert not [name for name in counts[0] if "_foreach_mul" in name]  # a list of factors: a kernel a parameter
