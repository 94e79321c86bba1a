"""Stage 1 with NTU-120's five decoder blocks over a whole schedule: official masks, losses, gradients and weights."""

from __future__ import annotations

import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import Tensor

from stars_bench.data import random
from stars_bench.models.mamp import MampConfig, MaskedPrediction, masked_stage, stage1_preset
from stars_bench.training.step import SplitStep
from tests.golden.conftest import below, tensor
from tests.golden2.conftest import TOLERANCE, OfficialBatches, check

pytestmark = pytest.mark.usefixtures("float64")
SMALL = {"frames": 24, "dim": 16, "depth": 5, "heads": 4, "epochs": 4, "warmup_epochs": 1, "batch_size": 6}


def official(named: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("encoder."): value for name, value in named.items()}


def test_twelve_steps_of_the_whole_schedule(golden2, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = golden2("stage1_ntu120.npz")
    config = MampConfig(**stage1_preset("paper", "ntu120") | SMALL)
    model = MaskedPrediction(config.build(25), config.decoder_depth, config.mask_ratio, config.mask_tau)
    names = {name.removeprefix("encoder."): name for name in model.state_dict()}
    model.load_state_dict({names[name]: value for name, value in below(numbers, "init/").items()})
    x, masks = tensor(numbers["x"]), []

    def choose(bodies: Tensor, uniform: Tensor | None = None) -> tuple[Tensor, Tensor]:
        visible, hidden = MaskedPrediction.choose(model, bodies, uniform)
        masks.append(torch.zeros(len(hidden), 150).scatter_(1, hidden, 1.0))
        return visible, hidden

    def losses(rows: Tensor) -> Tensor:
        return model.clip_losses(x[rows])

    monkeypatch.setattr(model, "choose", choose)
    batches = OfficialBatches(numbers["rows"], monkeypatch)
    with random.replayed(tensor(numbers["uniform"])):
        batches.train(masked_stage(model, SplitStep(losses), 18, config, {}))
    assert_array_equal(torch.stack(masks).numpy(), numbers["mask"])
    assert_allclose(batches.losses, numbers["loss"], **TOLERANCE)
    assert_allclose(batches.rates, numbers["lr"], rtol=1e-12)
    check(official(batches.gradients[4]), below(numbers, "grad4/"))
    check(official(model.state_dict()), below(numbers, "final/"))
