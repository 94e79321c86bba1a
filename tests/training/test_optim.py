"""Parameter groups: rates fall towards the input, weight decay is for matrices."""

from __future__ import annotations

import pytest
from torch import nn

from stars_bench.training.optim import decay_matrices_only, layer_decay_groups


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
