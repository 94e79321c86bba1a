"""S-JEPA: the loss of its text, token by token; the teacher and the centre follow; views leave absent bodies alone."""

from __future__ import annotations

import pytest
import torch

from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.sjepa import LatentPrediction, SJepaConfig, view_of
from tests.models import plain

CONFIG = SJepaConfig(frames=8, dim=8, depth=2, heads=2, decoder_depth=2, mask_ratio=0.6, momentum=0.9)


def model_of(config: SJepaConfig = CONFIG, steps: int = 10) -> LatentPrediction:
    torch.manual_seed(0)
    model = LatentPrediction(config.build(6), config, steps).double()
    with torch.no_grad():  # a teacher and a centre that have moved
        for weight in model.teacher.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
        model.centre.normal_()
    return model


def test_the_loss_is_that_of_the_text_token_by_token() -> None:
    model = model_of()
    clip = torch.randn(2, 3, 8, 6, 2, dtype=torch.float64)
    clip[1, ..., 1] = 0  # a body that is absent counts like any other
    view, uniform = clip.flip(2), torch.rand(4, 12, dtype=torch.float64)
    prediction, hidden = model.predict(view.permute(0, 4, 2, 3, 1).flatten(0, 1), uniform)
    expected = []
    for number in range(2):
        errors = []
        for body in range(2):
            joints = clip[number, :, :, :, body].permute(1, 2, 0)[None]
            tokens = model.teacher.module.embed(joints)
            for block in model.teacher.module.blocks:
                tokens = block(tokens)
            tokens = model.teacher.module.norm(tokens)[0]
            for place, token in enumerate(hidden[2 * number + body].tolist()):
                sharp = ((tokens[token] - model.centre) / 0.06).exp()
                soft = (prediction[2 * number + body, place] / 0.1).exp()
                errors.append(-(sharp / sharp.sum() * (soft / soft.sum()).log()).sum())
        expected.append(torch.stack(errors).mean())
    encoded = model.encode(view, clip, uniform)
    # encode computes the softmax in float32, whatever the weights are
    torch.testing.assert_close(encoded[:, 0], torch.stack(expected), rtol=1e-5, atol=1e-6, check_dtype=False)
    loss = model.loss(encoded, torch.arange(2))
    ours = plain.gradients(model, loss)
    learns = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert not any(name.startswith("teacher.") for name in learns)
    theirs = plain.gradients(model, torch.stack(expected).mean())
    for name in learns:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-6)


def test_a_prediction_equal_to_the_target_has_the_targets_entropy() -> None:
    model = model_of(CONFIG.model_copy(update={"predictor_temperature": 0.06}))
    target = torch.randn(3, 5, 8)
    wanted = ((target - model.centre) / 0.06).softmax(-1)
    entropy = -(wanted * wanted.log()).nan_to_num().sum(-1)
    torch.testing.assert_close(model.cross_entropy(target - model.centre, target), entropy)
    assert (model.cross_entropy(torch.randn(3, 5, 8), target) > entropy).all()


def test_the_centre_follows_the_targets_of_three_steps() -> None:
    model = model_of()
    centre = model.centre.clone()
    for step in range(3):
        targets = torch.randn(4, 8, dtype=torch.float64)
        model.loss(torch.cat([torch.zeros(4, 1), targets], 1), torch.arange(4))
        torch.testing.assert_close(model.centre, centre)  # it moves after the step, not in it
        model.after_step(step + 1)
        centre = 0.9 * centre + 0.1 * targets.mean(0)
        torch.testing.assert_close(model.centre, centre)


@pytest.mark.parametrize(("step", "momentum"), [(0, 0.9999), (1000, 1.0)])
def test_the_teachers_momentum_rises_from_the_papers_to_one(step: int, momentum: float) -> None:
    config = CONFIG.model_copy(update={"momentum": SJepaConfig().momentum})
    model = model_of(config, steps=1000)
    before, student = model.teacher.module.norm.weight.clone(), model.encoder.norm.weight
    model.after_step(step)
    torch.testing.assert_close(
        model.teacher.module.norm.weight, momentum * before + (1 - momentum) * student, rtol=0, atol=1e-15
    )


def test_views_turn_shift_and_mirror_what_is_present() -> None:
    torch.manual_seed(0)
    clip = torch.randn(4, 3, 8, 6, 2)
    clip[:2, ..., 1] = 0
    mirrored = torch.tensor([0, 1, 3, 2, 5, 4])
    still = view_of(clip, CONFIG.model_copy(update={"max_angle": 0.0}), None, planar=False)
    torch.testing.assert_close(still, clip)
    shifted = view_of(clip, CONFIG.model_copy(update={"max_angle": 0.0, "view_shift": 0.5}), None, planar=False)
    moved = (shifted - clip).flatten(2, 3)
    assert (moved[:2, ..., 1] == 0).all()
    torch.testing.assert_close(moved[..., 0], moved[..., :1, 0].expand_as(moved[..., 0]), rtol=0, atol=1e-5)
    assert 0.1 < moved[..., 0].abs().max() <= 0.5
    flipped = view_of(clip, CONFIG.model_copy(update={"max_angle": 0.0, "view_flip": 1.0}), mirrored, planar=False)
    torch.testing.assert_close(flipped[:, 0], -clip[:, 0, :, mirrored])
    turned = view_of(clip, CONFIG.model_copy(update={"view_shift": 0.5}), None, planar=True)
    torch.testing.assert_close(turned[:, 2], clip[:, 2])  # a score is no place
    assert not torch.allclose(turned[:, :2], clip[:, :2])


def test_the_papers_networks_have_the_counted_parameters() -> None:
    config = SJepaConfig.preset("paper", "ntu60")
    model = LatentPrediction(config.build(25), config)
    counts = {
        part: sum(weight.numel() for weight in getattr(model, part).parameters())
        for part in ("encoder", "decoder_blocks")
    }
    assert counts == {"encoder": 6_336_000, "decoder_blocks": 3_948_800}
    assert model.decoder_pred.out_features == 256


def test_the_teacher_is_an_encoder_whose_weights_are_the_average() -> None:
    model = model_of()
    torch.nn.init.zeros_(model.encoder.norm.weight)
    before = model.teacher.module.norm.weight.clone()
    model.after_step(0)
    torch.testing.assert_close(model.teacher.module.norm.weight, 0.9 * before)
    assert isinstance(model.teacher.module, SkeletonEncoder)
