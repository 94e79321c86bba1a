"""Stage 2 gives the losses, queue, gradients, rates and weights of the official STARS program: one forward a step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.nnclr import OFFICIAL_GRADIENT_SCALE, NeighbourTuning
from stars_bench.models.layers.tuning import tuning_optimizer
from stars_bench.training.optim import clip_each
from tests.golden.conftest import Arrays, below, tensor

pytestmark = pytest.mark.usefixtures("float64")
TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}


OFFICIAL_QUEUE = {"queue.vectors": "queue", "queue.ids": "queue_id", "queue.pointer": "queue_ptr"}


def official_name(name: str) -> str:
    if name in OFFICIAL_QUEUE:
        return OFFICIAL_QUEUE[name]
    return "encoder_student." + name.removeprefix("encoder.")


@pytest.fixture(scope="module")
def stage2(golden) -> Arrays:
    return golden("stage2_nnclr.npz")


def small_model(init: dict[str, torch.Tensor]) -> NeighbourTuning:
    encoder = SkeletonEncoder(frames=24, joints=25, dim=32, depth=4, heads=4)
    model = NeighbourTuning(encoder, queue_size=80, temperature=0.07, predictor_hidden=64)
    names = {official_name(name): name for name in model.state_dict()}
    assert names.keys() == init.keys()
    model.load_state_dict({names[name]: value for name, value in init.items()})
    return model


def test_six_steps_with_one_forward_a_step(stage2: Arrays) -> None:
    model = small_model(below(stage2, "init/"))
    optimizer = tuning_optimizer(model, lr=1e-3, layer_decay=0.45, weight_decay=0.01)
    forwards = 0

    def count(*_: object) -> None:
        nonlocal forwards
        forwards += 1

    model.encoder.blocks[0].register_forward_hook(count)
    for step in range(6):
        loss = model(tensor(stage2["x"][step]), tensor(stage2["ids"][step]))
        assert_allclose(loss.item(), stage2["loss"][step], **TOLERANCE)
        assert_allclose(model.queue.vectors.numpy(), stage2["queue"][step], **TOLERANCE)
        optimizer.zero_grad()
        (loss * OFFICIAL_GRADIENT_SCALE).backward()
        if step == 3:
            check_gradients(model, below(stage2, "grad3/"))
        for group in optimizer.param_groups:
            clip_each(group["params"], 3.0)
        optimizer.step()
    assert forwards == 6
    assert_array_equal(model.queue.ids.numpy(), stage2["queue_id_final"])
    final = below(stage2, "final/")
    for name, value in model.state_dict().items():
        if not name.startswith("queue") and "running_" not in name and "num_batches" not in name:
            assert_allclose(value.numpy(), final[official_name(name)].numpy(), **TOLERANCE, err_msg=name)


def check_gradients(model: NeighbourTuning, expected: dict[str, torch.Tensor]) -> None:
    ours = {name.removeprefix("encoder."): p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert ours.keys() == expected.keys()
    for name, gradient in expected.items():
        assert_allclose(ours[name].numpy(), gradient.numpy(), **TOLERANCE, err_msg=name)


def test_no_backward_below_the_tuned_half(stage2: Arrays) -> None:
    model = small_model(below(stage2, "init/"))
    model(tensor(stage2["x"][0]), tensor(stage2["ids"][0])).backward()
    with_gradient = {name for name, p in model.encoder.named_parameters() if p.grad is not None}
    assert {name.split(".")[1] for name in with_gradient if name.startswith("blocks.")} == {"2", "3"}
    assert {name for name in with_gradient if not name.startswith("blocks.")} == {"norm.weight", "norm.bias"}


def test_learning_rate_of_every_parameter(golden_dir: Path, stage2: Arrays) -> None:
    expected = dict(json.loads((golden_dir / "tuning_learning_rates.json").read_text()))
    rates = small_model(below(stage2, "init/")).learning_rates(1e-3, 0.45)
    assert {name.removeprefix("encoder."): rate for name, rate in rates.items()} == expected
