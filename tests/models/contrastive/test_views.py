"""The views of skeleton-contrast: what they change, what they leave, how often; crops are those of the programs."""

from __future__ import annotations

import torch

from stars_bench.data import clip_store
from stars_bench.models.contrastive.views import corrupted, views
from stars_bench.testing.clips import training_part
from tests.evaluation.small_subject import SIX


def test_half_of_the_views_are_sheared_and_in_the_others_15_of_25_joints_are_hidden_or_mapped() -> None:
    torch.manual_seed(0)
    x = torch.randn(400, 3, 4, 25, 2, dtype=torch.float64)
    view = corrupted(x)
    same = (view == x).all(4).all(2).all(1)  # (B, V): all frames, bodies, axes
    gone = (view == 0).all(4).all(2).all(1)
    sheared, hidden = ~same.any(1), gone.any(1)
    assert 160 < sheared.sum() < 240
    assert 70 < hidden.sum() < 130
    assert ((~same).sum(1)[~sheared] == 15).all()
    assert (gone.sum(1)[hidden] == 15).all()
    assert (same.sum(0) > 40).all()  # every joint is spared at times
    for clip in (int(sheared.int().argmax()), int((~sheared & ~hidden).int().argmax())):
        changed = ~same[clip]
        before, after = (one[clip][:, :, changed].flatten(1) for one in (x, view))
        matrix = torch.linalg.lstsq(before.T, after.T).solution.T
        torch.testing.assert_close(matrix @ before, after)  # one linear map for all frames, joints and bodies
        assert matrix.abs().max() <= 1 + 1e-9
        assert torch.allclose(matrix.diagonal(), torch.ones(3, dtype=torch.float64)) == bool(sheared[clip])


def test_scores_stay_and_no_place_comes_from_one() -> None:
    torch.manual_seed(0)
    x = torch.randn(60, 3, 4, 25, 2)
    others = torch.cat([x[:, :2], torch.randn(60, 1, 4, 25, 2)], 1)
    torch.manual_seed(1)
    view = corrupted(x, planar=True)
    assert torch.equal(view[:, 2], x[:, 2])
    torch.manual_seed(1)
    torch.testing.assert_close(corrupted(others, planar=True)[:, :2], view[:, :2])


def test_crops_have_a_tenth_to_all_of_the_frames_and_are_of_joints(monkeypatch) -> None:
    asked = []
    crop = clip_store.random_crop
    monkeypatch.setattr(clip_store, "random_crop", lambda *given: asked.append(given[3]) or crop(*given))
    part = training_part(SIX, labelled=False)
    part._store.stream = "motion"
    seen = views(part, torch.arange(5), 16, 3)
    assert seen.shape == (5, 3, 3, 16, 6, 2)
    assert asked == [(0.1, 1.0)] * 3
    assert not torch.equal(seen[:, 0], seen[:, 1])
    monkeypatch.setattr("stars_bench.models.contrastive.views.corrupted", lambda x, _planar: x)
    torch.manual_seed(0)
    joints = views(part, torch.arange(5), 16, 1)[:, 0]
    torch.manual_seed(0)
    expected = part.cropped(torch.arange(5), 16, 0.0, (0.1, 1.0), "joint")
    assert torch.equal(joints, expected)
    assert not torch.equal(part.cropped(torch.arange(5), 16, 0.0), expected)


def test_lengths_are_at_least_64_frames_where_a_clip_has_them() -> None:
    valid, place = torch.tensor([300, 300, 100, 40]), torch.zeros(4)
    _, length = clip_store.random_crop(valid, torch.tensor([0.0, 0.5, 0.1, 0.9]), place, (0.1, 1.0))
    assert length.tolist() == [64, 165, 64, 40]
