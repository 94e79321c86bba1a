"""Every parameter is fine-tuned at the official rate and weight decay."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from stars_bench.evaluation.finetune import FinetuneConfig, TunedEncoder
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.supervision import supervised_stage


def test_learning_rate_and_weight_decay_of_every_parameter(golden_dir: Path) -> None:
    expected = json.loads((golden_dir / "finetune_param_groups.json").read_text())
    settings = FinetuneConfig(lr=1.0)
    model = TunedEncoder(SkeletonEncoder(frames=24, joints=25, dim=32, depth=4, heads=4), settings, 25, 7, 0)
    stage = supervised_stage("finetune", model, model, torch.zeros(48), settings, {}, model.layers())
    names = {id(parameter): name.removeprefix("encoder.") for name, parameter in model.named_parameters()}
    ours = [
        [names[id(parameter)], group["lr"], group["weight_decay"]]
        for group in stage.optimizer.param_groups
        for parameter in group["params"]
    ]
    assert sorted(ours) == sorted(expected)
    assert len(ours) == len(names)
