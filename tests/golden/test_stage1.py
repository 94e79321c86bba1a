"""Stage 1 gives the masks, losses, gradients and weights of the official MAMP program."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from stars_bench.models.layers.encoder import SkeletonEncoder, bodies_of
from stars_bench.models.mamp import MaskedPrediction, choose, take
from stars_bench.training.optim import decay_matrices_only
from tests.golden.conftest import Arrays, below, tensor

pytestmark = pytest.mark.usefixtures("float64")
TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}


def official_name(name: str) -> str:
    return name.removeprefix("encoder.")


def small_model(init: dict[str, torch.Tensor], target: str = "motion") -> MaskedPrediction:
    encoder = SkeletonEncoder(frames=24, joints=25, dim=32, depth=4, heads=4)
    model = MaskedPrediction(encoder, decoder_depth=2, mask_ratio=0.9, mask_tau=0.8, target=target)
    names = {official_name(name): name for name in model.state_dict()}
    assert names.keys() == init.keys()
    model.load_state_dict({names[name]: value for name, value in init.items()})
    return model


@pytest.fixture(scope="module")
def mamp(golden) -> Arrays:
    return golden("stage1_mamp.npz")


def test_mask_and_prediction_of_the_first_step(mamp: Arrays) -> None:
    model = small_model(below(mamp, "init/"))
    for step in range(3):
        prediction, hidden = model.predict(bodies_of(tensor(mamp["x"][step])), tensor(mamp["uniform"][step]))
        assert_array_equal(mask_of(hidden, mamp["mask"][step]), mamp["mask"][step])
        if step == 0:
            expected = take(tensor(mamp["pred_step0"]), hidden)
            assert_allclose(prediction.detach().numpy(), expected.numpy(), **TOLERANCE)


def mask_of(hidden: torch.Tensor, like: np.ndarray) -> np.ndarray:
    """1 at hidden tokens, by their numbers."""
    return torch.zeros(like.shape).scatter_(1, hidden, 1.0).numpy()


def test_three_optimiser_steps(mamp: Arrays) -> None:
    model = small_model(below(mamp, "init/"))
    groups = decay_matrices_only(model.named_parameters(), 0.05)
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95))
    for step in range(3):
        loss = model(tensor(mamp["x"][step]), tensor(mamp["uniform"][step]))
        assert_allclose(loss.item(), mamp["loss"][step], **TOLERANCE)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            gradients = below(mamp, "grad0/")
            ours = {official_name(name): p.grad for name, p in model.named_parameters() if p.grad is not None}
            assert ours.keys() == gradients.keys()
            for name, gradient in gradients.items():
                assert_allclose(ours[name].numpy(), gradient.numpy(), **TOLERANCE, err_msg=name)
        optimizer.step()
    final = below(mamp, "final/")
    for name, value in model.state_dict().items():
        assert_allclose(value.numpy(), final[official_name(name)].numpy(), **TOLERANCE, err_msg=name)


def test_masked_autoencoder_variant(mamp: Arrays, golden) -> None:
    mae = golden("stage1_mae.npz")
    model = small_model(below(mamp, "init/"), target="joints")
    _, hidden = model.predict(bodies_of(tensor(mae["x"])), tensor(mae["uniform"]))
    assert_array_equal(mask_of(hidden, mae["mask"]), mae["mask"])
    assert_allclose(model(tensor(mae["x"]), tensor(mae["uniform"])).item(), mae["loss"], **TOLERANCE)


def test_74_of_750_tokens_stay_visible_as_published() -> None:
    visible, hidden = choose(torch.rand(2, 750), 0.9)
    assert (visible.shape, hidden.shape) == ((2, 74), (2, 676))
    assert np.array_equal(torch.cat([visible, hidden], 1).sort(1).values, [range(750)] * 2)
