"""Learning rates at any fractional epoch, and the groups of every parameter at the paper's depth, are official."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from stars_bench.evaluation.finetune import FinetuneConfig, TunedEncoder
from stars_bench.evaluation.linear import LinearConfig, Probe, probe_stage
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.supervision import supervised_stage
from stars_bench.models.mamp import MampConfig, MaskedPrediction, masked_stage
from stars_bench.training.stage import Stage
from stars_bench.training.step import SplitStep
from tests.golden2.conftest import facts

LABELS = torch.zeros(256, dtype=torch.long)


def pretrain(dataset: str) -> Stage:
    config = MampConfig.preset("paper", dataset).model_copy(update={"frames": 8, "dim": 8, "heads": 2})
    model = MaskedPrediction(config.build(25), config.decoder_depth, config.mask_ratio)
    return masked_stage(model, SplitStep(nn.Identity()), 256, config, {})


def finetune() -> Stage:
    settings = FinetuneConfig.preset("paper", "ntu120")
    model = TunedEncoder(SkeletonEncoder(8, 25, dim=8, depth=8, heads=2), settings, 25, 3, 0)
    return supervised_stage("finetune", model, model, LABELS, settings, {}, model.layers())


def linprobe() -> Stage:
    probe = Probe(8, 3, test_clips=1, epochs=100)
    return probe_stage(probe, nn.Identity(), LABELS, LinearConfig.preset("paper", "ntu60"), "", torch.zeros(1, 8))


STAGES = {"pretrain": lambda: pretrain("ntu60"), "finetune": finetune, "linprobe": linprobe}


@pytest.mark.parametrize("name", STAGES)
def test_the_rate_at_any_epoch(name: str) -> None:
    expected, stage = facts("schedules.json")["schedules"][name], STAGES[name]()
    factors = [stage.lr_factor(epoch) for epoch in expected["epoch"]]
    base = max(group["lr"] for group in stage.optimizer.param_groups)
    assert stage.epochs == expected["settings"]["epochs"]
    assert factors == pytest.approx(expected["factor"], rel=1e-12, abs=1e-15)
    assert [base * factor for factor in factors] == pytest.approx(expected["lr"], rel=1e-12, abs=1e-15)


def by_parameter(stage: Stage) -> dict[str, tuple[float, float]]:
    """(rate, weight decay) of each parameter."""
    names = {id(parameter): name.removeprefix("encoder.") for name, parameter in stage.module.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in stage.optimizer.param_groups
        for parameter in group["params"]
    }


@pytest.mark.parametrize("dataset", ["ntu60", "ntu120"])
def test_weight_decay_of_every_parameter_of_stage_1(dataset: str) -> None:
    expected = dict(facts("schedules.json")["groups"][f"pretrain_weight_decay_{dataset}"])
    assert {name: decay for name, (_, decay) in by_parameter(pretrain(dataset)).items()} == expected


def test_rate_and_weight_decay_of_every_parameter_of_fine_tuning() -> None:
    expected = {name: (scale, decay) for name, scale, decay in facts("schedules.json")["groups"]["finetune_ntu120"]}
    stage = finetune()
    ours, base = by_parameter(stage), FinetuneConfig().lr
    assert ours.keys() == expected.keys()
    for name, (scale, decay) in expected.items():
        assert ours[name] == (pytest.approx(base * scale, rel=1e-12), decay)


def test_drop_path_of_every_block() -> None:
    encoder = SkeletonEncoder(8, 25, dim=8, depth=8, heads=2)
    encoder.set_drop_path(FinetuneConfig().drop_path)
    expected = facts("schedules.json")["groups"]["finetune_drop_path"]
    assert [block.drop_path for block in encoder.blocks] == pytest.approx(expected, abs=1e-7)
