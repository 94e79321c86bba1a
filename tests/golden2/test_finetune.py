"""Fine-tuning over a whole schedule, with drop path and dropout, gives the official losses, gradients and weights."""

from __future__ import annotations

import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor

from stars_bench.data import random
from stars_bench.evaluation.finetune import FinetuneConfig, TunedEncoder
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.supervision import supervised_stage
from stars_bench.training.stage import Stage
from tests.golden.conftest import below, tensor
from tests.golden2.conftest import TOLERANCE, OfficialBatches, check, facts

pytestmark = pytest.mark.usefixtures("float64")
SETTINGS = FinetuneConfig(epochs=3, warmup_epochs=1, batch_size=6, head_hidden=48)


def small_model() -> TunedEncoder:
    encoder = SkeletonEncoder(frames=24, joints=25, dim=16, depth=4, heads=4)
    return TunedEncoder(encoder, SETTINGS, num_joints=25, num_classes=8, test_clips=0)


def stage_of(model: TunedEncoder, x: Tensor, labels: Tensor) -> Stage:
    def pooled(rows: Tensor) -> Tensor:
        return model.pooled(x[rows])

    classify = model.head.classify
    return supervised_stage("finetune", model, pooled, labels, SETTINGS, {}, model.layers(), head=classify)


def official(named: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("encoder."): value for name, value in named.items() if name not in ("by_epoch", "scores")}


def test_twelve_steps_of_the_whole_schedule(golden2, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers, model = golden2("finetune.npz"), small_model()
    names = {name.removeprefix("encoder."): name for name in model.state_dict()}
    model.load_state_dict({names[name]: value for name, value in below(numbers, "init/").items()}, strict=False)
    batches = OfficialBatches(numbers["rows"], monkeypatch)
    uniform, kept = tensor(numbers["drop_path_uniform"]), tensor(numbers["dropout_keep"])
    x = tensor(numbers["x"])
    with random.replayed(uniform.flatten(0, 2), kept):
        batches.train(stage_of(model, x, tensor(numbers["labels"])))
    assert_allclose(batches.losses, numbers["loss"], **TOLERANCE)
    assert_allclose(batches.rates, numbers["lr"], rtol=1e-12)
    check(official(batches.gradients[5]), below(numbers, "grad5/"))
    check(official(model.state_dict()), below(numbers, "final/"))
    model.eval()
    with torch.no_grad():
        assert_allclose(model(x).numpy(), numbers["eval_logits"], **TOLERANCE)


def test_rate_and_weight_decay_of_every_parameter() -> None:
    model = small_model()
    stage = stage_of(model, torch.zeros(6, 3, 24, 25, 2), torch.zeros(6, dtype=torch.long))
    names = {id(parameter): name.removeprefix("encoder.") for name, parameter in model.named_parameters()}
    ours = {
        names[id(parameter)]: (group["lr"] / SETTINGS.lr, group["weight_decay"])
        for group in stage.optimizer.param_groups
        for parameter in group["params"]
    }
    expected = {name: (pytest.approx(scale, rel=1e-12), decay) for name, scale, decay in facts("finetune_groups.json")}
    assert ours == expected
    assert {(group["betas"], group["eps"]) for group in stage.optimizer.param_groups} == {((0.9, 0.999), 1e-8)}
