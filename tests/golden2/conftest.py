"""The second set of golden numbers, and the training loop on the official batches, watched step by step."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor

from stars_bench.training import loop
from stars_bench.training.stage import Stage
from stars_bench.training.step import SplitStep
from tests.golden.conftest import Arrays
from tests.paths import GOLDEN2

TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}


def file(name: str) -> Path:
    """A golden file; the test is skipped where only the whole set has it."""
    if not (GOLDEN2 / name).exists():
        reason = f"{name} is too large for the repository: STARS_BENCH_GOLDEN2 names no folder that has it"
        pytest.skip(reason, allow_module_level=True)
    return GOLDEN2 / name


@pytest.fixture(scope="session")
def golden2() -> Callable[[str], Arrays]:
    def read(name: str) -> Arrays:
        with np.load(file(name)) as arrays:
            return dict(arrays)

    return read


def facts(name: str) -> Any:
    return json.loads(file(name).read_text())


@dataclass
class Pool:
    """Clips (N, 3, T, V, M) as a training part: whole, as they are."""

    x: Tensor

    @property
    def ids(self) -> Tensor:
        return torch.arange(len(self.x))

    def __len__(self) -> int:
        return len(self.x)

    def whole(self, rows: Tensor, frames: int) -> Tensor:
        assert frames == self.x.shape[2]
        return self.x[rows]


@dataclass
class OfficialBatches:
    """Runs stages, as a method's `run` does, on the official batches; keeps what each step saw.

    Args:
        rows: (steps, B), of all stages together.
        look: called after each loss; what it gives is kept by step.
    """

    rows: np.ndarray
    patch: pytest.MonkeyPatch
    look: Callable[[], dict[str, Any]] = dict
    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    gradients: list[dict[str, Tensor]] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)
    left: list[dict[str, Tensor]] = field(default_factory=list)
    """The module's state after each stage."""
    by_parameter: list[dict[str, float]] = field(default_factory=list)
    """The rate of each parameter, of each stage."""

    def train(self, stage: Stage) -> None:
        step, names = stage.step, {id(p): name for name, p in stage.module.named_parameters()}
        groups = stage.optimizer.param_groups
        self.by_parameter.append({names[id(p)]: group["lr"] for group in groups for p in group["params"]})
        assert isinstance(step, SplitStep)

        def loss_of(encoded: Tensor, rows: Tensor) -> Tensor:
            loss = encoded.mean() if step.loss is None else step.loss(encoded, rows)
            self.losses.append(loss.item())
            self.rates.append(max(group["lr"] for group in groups))
            self.gradients.append({})
            self.seen.append({key: value.clone() for key, value in self.look().items()})
            return loss

        hooks = [
            p.register_post_accumulate_grad_hook(lambda p: self.gradients[-1].__setitem__(names[id(p)], p.grad.clone()))
            for p in stage.module.parameters()
            if p.requires_grad
        ]
        rows = torch.from_numpy(self.rows[len(self.losses) :])
        size = stage.steps_per_epoch

        def order(_seed: int, _name: str, epoch: int, _samples: int) -> Tensor:
            return rows[epoch * size : (epoch + 1) * size].flatten()

        self.patch.setattr(loop, "epoch_order", order)
        stage.step = SplitStep(step.encode, loss_of)
        loop.train(stage, seed=0, device=torch.device("cpu"))
        for hook in hooks:
            hook.remove()
        self.left.append({name: value.clone() for name, value in stage.module.state_dict().items()})


def check(ours: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """The same names, and the same numbers to 1e-6."""
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        assert_allclose(ours[name].numpy(), value.numpy(), **TOLERANCE, err_msg=name)
