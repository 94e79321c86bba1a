"""The tuning objectives beside STARS's own: losses and gradients are those of their definitions."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from stars_bench.models.ablations.dino_tuning import DinoSettings, SelfDistillation, koleo, sinkhorn
from stars_bench.models.ablations.mamp_nnclr import Joint, MampNnclrConfig
from stars_bench.models.ablations.moco_tuning import MocoSettings, MomentumTuning
from stars_bench.models.ablations.stars_flip import FlipTuning
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.nnclr import NeighbourTuning, TuningConfig
from stars_bench.models.layers.tuning import tuning_optimizer
from tests.models import plain

pytestmark = pytest.mark.usefixtures("float64")
T = 0.07
UPPER = ("encoder.blocks.1.", "encoder.norm.", "head.")


def encoder() -> SkeletonEncoder:
    return SkeletonEncoder(frames=8, joints=6, dim=8, depth=2, heads=2)


def clips(count: int = 5) -> Tensor:
    x = torch.randn(count, 3, 8, 6, 2)
    x[1, ..., 1] = 0
    return x


def trained(model: torch.nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_moco_tuning_is_info_nce_with_the_keys_of_a_copy_that_follows() -> None:
    model, x = MomentumTuning(encoder(), MocoSettings(queue_size=7, predictor_hidden=24, momentum=0.9)), clips()
    with torch.no_grad():  # as after some steps: student and teacher differ
        for name, parameter in model.named_parameters():
            if name.startswith(UPPER):
                parameter += 0.1 * torch.randn_like(parameter)
    queue = model.queue.vectors.clone()
    loss = model(x)
    student = plain.encode(x, model.encoder)
    query = plain.unit(model.head.predictor(model.head.projector(student)))
    with torch.no_grad():
        blocks = [model.encoder.blocks[0], *model.of_teacher("blocks")]
        teacher = plain.encode(x, model.encoder, blocks, model.of_teacher("norm"))
        head = model.of_teacher("head")
        key = plain.unit(head.predictor(head.projector(teacher)))
    expected = plain.info_nce(query, key, queue, T)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(model.queue.vectors[:, :5], key.T)
    torch.testing.assert_close(model.queue.vectors[:, 5:], queue[:, 5:])
    ours = plain.gradients(model, loss)
    plain.assert_same_gradients(ours, plain.gradients(model, expected), trained(model))
    assert all(name.startswith(UPPER) for name in ours)


def test_dino_tuning_is_self_distillation_of_balanced_assignments() -> None:
    settings = DinoSettings(out_dim=5, momentum=0.5)
    model, x = SelfDistillation(encoder(), settings), clips()
    model.begin("half", 1, 4)
    with torch.no_grad():
        model.head.weight += 0.3 * torch.randn_like(model.head.weight)
    loss = model(x)
    student = plain.unit(model.head(plain.encode(x, model.encoder)))
    with torch.no_grad():
        blocks = [model.encoder.blocks[0], *model.of_teacher("blocks")]
        out = plain.unit(model.of_teacher("head")(plain.encode(x, model.encoder, blocks, model.of_teacher("norm"))))
    q = (out / 0.04).exp().T  # the steps of the official program, prototypes in rows
    q = q / q.sum()
    for _ in range(3):
        q = q / q.sum(1, keepdim=True) / 5
        q = q / q.sum(0, keepdim=True) / 5
    target = (q * 5).T
    expected = torch.zeros(())
    for t, s in zip(target, student, strict=True):
        logits = s / 0.1
        expected = expected - (t * (logits - logits.exp().sum().log())).sum() / 5
    apart = torch.zeros(())
    for i, s in enumerate(student):
        others = [other for j, other in enumerate(student) if j != i]
        nearest = max(others, key=lambda other, s=s: float((s @ other).detach()))
        apart = apart - ((s - nearest + 1e-8).square().sum().sqrt() + 1e-8).log() / 5
    torch.testing.assert_close(koleo(student), apart)
    torch.testing.assert_close(loss, expected + 0.4 * apart)
    ours = plain.gradients(model, loss)
    plain.assert_same_gradients(ours, plain.gradients(model, expected + 0.4 * apart), trained(model))
    assert all(name.startswith(UPPER) for name in ours)


def test_before_every_step_of_a_stage_the_teacher_follows_all_that_learns() -> None:
    model = MomentumTuning(encoder(), MocoSettings(queue_size=7, predictor_hidden=24, momentum=0.9))
    optimizer = tuning_optimizer(model, lr=0.1, layer_decay=0.5, weight_decay=0.0)
    model(clips()).backward()
    optimizer.step()
    before = {name: p.clone() for name, p in model.named_parameters()}
    model.begin("half", 1, 2)
    check_moved(model, before)
    before = {name: p.clone() for name, p in model.named_parameters()}
    model.after_step(1)
    check_moved(model, before)
    before = {name: p.clone() for name, p in model.named_parameters()}
    model.after_step(2)  # no step is left that it could move for
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def check_moved(model: MomentumTuning, before: dict[str, Tensor]) -> None:
    after, teachers = dict(model.named_parameters()), {name for name in before if name.startswith("teacher.")}
    student_of = {"blocks.0": "encoder.blocks.1", "norm": "encoder.norm", "head": "head"}
    assert len(teachers) == len(trained(model))
    for name in teachers:
        prefix = next(prefix for prefix in student_of if name.startswith(f"teacher.module.{prefix}"))
        student = before[student_of[prefix] + name.removeprefix(f"teacher.module.{prefix}")]
        assert not torch.equal(student, before[name]) or not student.any()
        torch.testing.assert_close(after[name], 0.9 * before[name] + 0.1 * student)


@pytest.mark.parametrize("gpus", [0, 1])
def test_the_teachers_head_starts_as_a_copy_unless_the_released_program_is_repeated(gpus: int) -> None:
    settings = MocoSettings(queue_size=7, predictor_hidden=24, released_gpus=gpus)
    dino = DinoSettings(tune_batch_size=8, released_gpus=gpus)
    for model in (MomentumTuning(encoder(), settings), SelfDistillation(encoder(), dino)):
        own, taught = model.head.state_dict(), model.of_teacher("head").state_dict()
        assert all(torch.equal(own[name], taught[name]) for name in own) is not bool(gpus)
        assert not any(parameter.requires_grad for parameter in model.teacher.parameters())
        assert torch.equal(model.of_teacher("norm").weight, model.encoder.norm.weight)


def test_the_batch_must_be_shared_by_the_gpus_of_the_released_program() -> None:
    for settings in (MocoSettings, DinoSettings):
        with pytest.raises(ValidationError, match=r"released_gpus=3: tune_batch_size \(128\) must be a multiple of"):
            settings(released_gpus=3)
    with pytest.raises(ValidationError, match="must be a multiple of 8"):
        DinoSettings(tune_batch_size=4, released_gpus=2)


def test_sinkhorn_balances_the_batch() -> None:
    assigned = sinkhorn(torch.randn(12, 4), rounds=200)
    torch.testing.assert_close(assigned.sum(1), torch.ones(12))
    torch.testing.assert_close(assigned.sum(0), torch.full((4,), 3.0))
    assert sinkhorn(plain.unit(torch.randn(12, 4)) / 0.04).float().isfinite().all()


def test_the_teachers_momentum_rises_to_one_over_each_stage() -> None:
    model = SelfDistillation(encoder(), DinoSettings())
    for steps in (10, 4):
        model.begin("half", 2, steps // 2)
        assert [model.teacher.momentum(step) for step in (0, steps // 2, steps)] == pytest.approx([0.996, 0.998, 1.0])


def test_two_mirrored_views_predict_each_others_neighbours_and_the_first_learns() -> None:
    mirrored = [0, 2, 1, 3, 5, 4]
    model = FlipTuning(encoder(), mirrored, TuningConfig(queue_size=9, predictor_hidden=24))
    x, ids = clips(), torch.arange(5)
    model.queue.ids[:5] = ids.flip(0)
    queue, queue_id = model.queue.vectors.clone(), model.queue.ids.clone()
    second = x.clone()
    for clip in (0, 3):
        for joint, other in enumerate(mirrored):
            second[clip, 0, :, joint] = -x[clip, 0, :, other]
            second[clip, 1:, :, joint] = x[clip, 1:, :, other]
    features = torch.stack([model.encoder.features(x, 1), model.encoder.features(second, 1).detach()], 1)
    loss = model.loss(features, ids)

    def project(view: Tensor) -> tuple[Tensor, Tensor]:
        projected = model.head.projector(plain.encode(view, model.encoder))
        return plain.unit(projected), plain.unit(model.head.predictor(projected))

    z = [project(view)[0].detach() for view in (x, second)]
    p = [project(view)[1] for view in (x, second)]
    near = [torch.stack([plain.neighbour(v, i, queue, queue_id) for i, v in enumerate(view)]) for view in z]
    first_loss, second_loss = plain.nnclr(near[1], p[0], T), plain.nnclr(near[0], p[1].detach(), T)
    torch.testing.assert_close(loss, (first_loss + second_loss) / 2)
    ours = plain.gradients(model, 0.5 * loss)
    plain.assert_same_gradients(ours, plain.gradients(model, (first_loss + second_loss) / 2), trained(model))
    torch.testing.assert_close(model.queue.vectors[:, :5], z[0].T)


def test_each_view_is_mirrored_at_random() -> None:
    model = FlipTuning(encoder(), [0, 2, 1, 3, 5, 4], TuningConfig(queue_size=9, predictor_hidden=24))
    x = clips()[:1].expand(64, -1, -1, -1, -1)
    views = model.views(x)
    as_it_is = torch.isclose(views, model.encoder.features(x, 1)[:1, None]).all(2)
    assert {tuple(view) for view in as_it_is.tolist()} == {(a, b) for a in (True, False) for b in (True, False)}


def test_without_mirroring_two_views_are_stage_2() -> None:
    x, ids = clips(), torch.arange(5)
    model = FlipTuning(encoder(), [0, 2, 1, 3, 5, 4], TuningConfig(queue_size=9, predictor_hidden=24))
    same = NeighbourTuning(encoder(), queue_size=9, predictor_hidden=24)
    same.load_state_dict(model.state_dict())
    features = model.encoder.features(x, 1)
    torch.testing.assert_close(model.loss(torch.stack([features, features.detach()], 1), ids), same(x, ids))


def test_jointly_is_the_sum_of_both_losses_and_the_whole_encoder_learns() -> None:
    config = MampNnclrConfig(
        frames=8,
        dim=8,
        depth=2,
        heads=2,
        decoder_depth=1,
        mask_ratio=0.5,
        queue_size=9,
        predictor_hidden=24,
        contrast_weight=0.3,
    )
    model, crop, whole, ids = Joint(encoder(), config), clips(), clips(), torch.arange(5)
    queue, queue_id = model.contrast.queue.vectors.clone(), model.contrast.queue.ids.clone()
    torch.manual_seed(5)
    loss = model(crop, whole, ids)
    torch.manual_seed(5)
    masked = model.masked(crop)
    projected = model.contrast.head.projector(plain.encode(whole, model.contrast.encoder))
    p = plain.unit(model.contrast.head.predictor(projected))
    near = torch.stack([plain.neighbour(v, i, queue, queue_id) for i, v in enumerate(plain.unit(projected).detach())])
    expected = masked + 0.3 * plain.nnclr(near, p, T)
    torch.testing.assert_close(loss, expected)
    ours = plain.gradients(model, loss)
    plain.assert_same_gradients(ours, plain.gradients(model, expected), trained(model))
    assert {"masked.encoder.pos_embed", "masked.encoder.blocks.0.attn.qkv.weight"} <= set(ours)
    assert len(list(model.parameters())) == len({id(p) for p in model.parameters()})  # one encoder, not two


@pytest.mark.parametrize("part", ["heads", "half", "all"])
def test_what_learns_is_what_was_asked_for(part: str) -> None:
    model = NeighbourTuning(encoder(), queue_size=9, predictor_hidden=24, part=part)
    x, ids = clips(), torch.arange(5)
    torch.testing.assert_close(model.encoder.features(x, model.frozen), plain.encode(x, model.encoder))
    ours = plain.gradients(model, model(x, ids))
    of_encoder = {name for name in ours if name.startswith("encoder.")}
    everything = {name for name, _ in model.named_parameters() if name.startswith("encoder.")}
    expected = {"heads": set(), "half": {n for n in everything if n.startswith(UPPER)}, "all": everything}[part]
    assert of_encoder == expected
    assert {n for n in ours if n.startswith("head.")} == {n for n, _ in model.named_parameters() if "head." in n}


def test_rates_fall_towards_the_input_when_the_whole_encoder_learns() -> None:
    rates = NeighbourTuning(encoder(), queue_size=9, predictor_hidden=24, part="all").learning_rates(1.0, 0.5)
    names = ("norm.bias", "blocks.1.norm1.bias", "blocks.0.norm1.bias", "pos_embed")
    assert [rates[f"encoder.{name}"] for name in names] == [1.0, 0.5, 0.25, 0.125]
    assert rates["head.projector.0.weight"] == 1.0
