"""HiCLR: its loss is that of its definition in float64; two joints of each frame are replaced, and no score is."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.models.hiclr import GrowingContrast, HiClrConfig
from tests.evaluation.small_subject import SIX
from tests.models import plain
from tests.models.test_graph_methods import CONTRAST, clips, features, loud, placed, project

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize("mined", [False, True])
def test_the_loss_is_that_of_the_definition(mined: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loud(GrowingContrast(HiClrConfig(**CONTRAST, mask_share=0.4), SIX, mine_from=3))
    model.done.fill_(3 if mined else 2)
    basic, extreme, masked = iter([0.1, -0.2]), iter([1.5, 0.7]), []
    monkeypatch.setattr(model, "view", lambda given: given * (1 + next(basic)))
    monkeypatch.setattr("stars_bench.models.hiclr.extreme_view", lambda given, *_, **__: given * next(extreme))
    own = model.replaced
    monkeypatch.setattr(model, "replaced", lambda given: masked.append(own(given)) or masked[0])
    queue, x = model.queue.vectors.clone(), clips()
    loss = model.loss(model.encode(x))
    x = placed(x)
    chosen = masked[0].detach() != x * 0.7
    assert 0 < chosen.double().mean() < 0.5
    strong = torch.where(chosen, model.replacement, x * 0.7)
    views = [project(model.head, features(model.encoder, view)) for view in (x * 1.1, x * 1.5, strong)]
    with torch.no_grad():
        key = project(model.key_head.module, features(model.key_encoder.module, x * 0.8))
    logits = [torch.cat([(q * key).sum(1, keepdim=True), q @ queue], 1) / 0.07 for q in views]
    log = [one - one.exp().sum(1, keepdim=True).log() for one in logits]
    expected = torch.zeros(())
    for clip in range(4):
        positives = {0} | ({1 + int(one[clip, 1:].argmax()) for one in logits} if mined else set())
        expected = expected - sum(log[0][clip, column] for column in positives) / len(positives) / 4
        for weak, other in ((0, 1), (1, 2)):  # each follows the next weaker one
            expected = expected - (log[weak][clip].detach().exp() * log[other][clip]).sum() / 4 / 2
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(model.queue.vectors[:, :4], key.T)
    ours = plain.gradients(model, loss)
    learns = [name for name, _ in model.named_parameters() if not name.startswith("key_")]
    plain.assert_same_gradients(ours, plain.gradients(model, expected), learns)
    assert ours["replacement"].abs() > 0


def replaced(x: Tensor, planar: bool = False) -> Tensor:
    skeleton = replace(KINECT_V2, channels=("x", "y", "score")) if planar else KINECT_V2
    model = GrowingContrast(HiClrConfig(channels=2, dim=4, queue_size=8), skeleton, mine_from=1).double()
    torch.nn.init.constant_(model.replacement, 7.0)
    return model.replaced(x).detach()


def test_two_joints_of_every_frame_are_replaced_in_all_clips_and_bodies() -> None:
    x = torch.randn(3, 3, 50, 25, 2)
    out = replaced(x)
    changed = out == 7
    assert torch.equal(out[~changed], x[~changed])
    assert torch.equal(changed.any(4).any(1).any(0), changed.all(4).all(1).all(0))
    joints = changed[0, 0, :, :, 0]
    assert (joints.sum(1) == 2).all()
    assert joints.any(0).sum() > 15  # others in each frame


def test_scores_stay() -> None:
    x = torch.randn(2, 3, 6, 25, 2)
    out = replaced(x, planar=True)
    assert torch.equal(out[:, 2], x[:, 2])
    assert (out[:, :2] == 7).any()
