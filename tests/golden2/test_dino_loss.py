"""The loss of self-distillation: of the whole batch as documented, and as released on four GPUs and on one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose
from torch import Tensor

from stars_bench.models.ablations.dino_tuning import DinoSettings, SelfDistillation, sinkhorn
from stars_bench.models.layers.encoder import SkeletonEncoder
from tests.golden.conftest import Arrays, below, tensor
from tests.golden2.conftest import TOLERANCE

pytestmark = pytest.mark.usefixtures("float64")


def model_of(numbers: Arrays, gpus: int) -> SelfDistillation:
    encoder = SkeletonEncoder(frames=8, joints=3, dim=32, depth=2, heads=2)
    model = SelfDistillation(encoder, DinoSettings(out_dim=24, released_gpus=gpus))
    model.head.load_state_dict(below(numbers, "student_"))
    model.of_teacher("head").load_state_dict(below(numbers, "teacher_"))
    return model


@pytest.mark.parametrize(("prefix", "gpus"), [("documented", 0), ("four_gpus_mean", 4), ("one_gpu_four_parts", 1)])
def test_loss_and_gradients(golden2, prefix: str, gpus: int) -> None:
    numbers = golden2("dino_loss.npz")
    model, h = model_of(numbers, gpus), tensor(numbers["h"]).requires_grad_()
    loss = model.loss(torch.stack([h, h.detach()], 1))
    loss.backward()
    assert_allclose(loss.item(), numbers[f"{prefix}/total"], **TOLERANCE)
    for gradient, name in ((model.head.weight.grad, "weight"), (model.head.bias.grad, "bias"), (h.grad, "h")):
        assert_allclose(gradient.numpy(), numbers[f"{prefix}/grad_{name}"], rtol=1e-6, atol=1e-9)


def parts(model: SelfDistillation, h: Tensor) -> dict[str, float]:
    """The parts of one GPU's loss."""
    own, taught = F.normalize(model.head(h), dim=1), F.normalize(model.of_teacher("head")(h), dim=1)
    target = sinkhorn(taught / model.settings.teacher_temperature)
    crossed, spread = model.distillation(own, taught), model.spread(own)
    entropy = -(target * target.log()).sum(1).mean()
    named = {"cross_entropy": crossed, "kl": crossed - entropy, "entropy": entropy, "koleo": spread}
    return {name: value.item() for name, value in named.items()} | {"total": (crossed + spread).item()}


@torch.no_grad()
@pytest.mark.parametrize(("prefix", "gpus"), [("documented", 0), ("one_gpu_four_parts", 1), ("four_gpus", 4)])
def test_the_parts_of_the_loss(golden2, prefix: str, gpus: int) -> None:
    numbers = golden2("dino_loss.npz")
    model = model_of(numbers, gpus)
    of_gpus = [parts(model, h) for h in tensor(numbers["h"]).chunk(gpus or 1)]
    for name in ("cross_entropy", "kl", "entropy", "koleo", "total"):
        found = [one[name] for one in of_gpus]
        assert_allclose(found, numbers[f"{prefix}/{name}"].reshape(-1), **TOLERANCE, err_msg=name)
        if gpus == 4:
            assert_allclose(sum(found) / gpus, numbers[f"four_gpus_mean/{name}"], **TOLERANCE, err_msg=name)
