"""Augmentations of whole batches do to each clip what the published ones do to one; every draw is torch's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from stars_bench.data import random
from stars_bench.models.layers import augment
from stars_bench.models.layers.skeleton_graph import mirrored_joints
from tests.evaluation.small_subject import SIX

MIRRORED = torch.tensor(mirrored_joints(SIX))
SOME = torch.tensor([True, False, True, False])


@pytest.fixture
def x() -> Tensor:
    return torch.randn(4, 3, 13, 6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_temporal_crop_continues_a_clip_by_its_mirror_image(x: Tensor) -> None:
    start = torch.tensor([0, 1, 2, 4])
    got = augment.temporal_crop(x, start)
    for clip, first in enumerate(start.tolist()):
        one = x[clip].numpy()
        longer = np.concatenate([one[:, :2][:, ::-1], one, one[:, -2:][:, ::-1]], axis=1)  # 13 // 6 = 2
        np.testing.assert_array_equal(got[clip].numpy(), longer[:, first : first + 13])


def test_shear_has_ones_on_the_diagonal_and_bounded_entries(x: Tensor) -> None:
    u = torch.rand(4, 6, dtype=torch.float64)
    matrices = augment.shear_matrices(u, 0.5)
    s = (u - 0.5).tolist()
    for clip in range(4):
        a, b, c, d, e, f = s[clip]
        expected = torch.tensor([[1, a, b], [c, 1, d], [e, f, 1]], dtype=torch.float64)
        torch.testing.assert_close(matrices[clip], expected)
        moved = torch.einsum("ij,jtvm->itvm", expected, x[clip])
        torch.testing.assert_close(augment.linear_map(x, matrices)[clip], moved)


def test_rotation_turns_far_about_one_axis_and_a_little_about_the_others() -> None:
    main, u = torch.tensor([0, 1, 2]), torch.rand(3, 3, dtype=torch.float64)
    matrices = augment.rotation_matrices(main, u)
    for clip in range(3):
        a, b, c = (math.radians(float(u[clip, axis]) * (30 if axis == clip else 1)) for axis in range(3))
        rx = torch.tensor([[1, 0, 0], [0, math.cos(a), math.sin(a)], [0, -math.sin(a), math.cos(a)]])
        ry = torch.tensor([[math.cos(b), 0, -math.sin(b)], [0, 1, 0], [math.sin(b), 0, math.cos(b)]])
        rz = torch.tensor([[math.cos(c), math.sin(c), 0], [-math.sin(c), math.cos(c), 0], [0, 0, 1]])
        torch.testing.assert_close(matrices[clip], (rz @ ry @ rx).double(), rtol=0, atol=1e-6)
    identity = torch.eye(3, dtype=torch.float64).expand(3, 3, 3)
    torch.testing.assert_close(matrices @ matrices.transpose(1, 2), identity)


def test_flips_change_joints_mirrors_negate_x_too_and_only_some_clips(x: Tensor) -> None:
    swapped, mirrored = (
        augment.swap_sides(x, MIRRORED, SOME),
        augment.mirror(x, MIRRORED, SOME),
    )
    backwards = augment.flip_time(x, SOME)
    for clip in (1, 3):
        for got in (swapped, mirrored, backwards):
            assert torch.equal(got[clip], x[clip])
    for clip in (0, 2):
        assert torch.equal(swapped[clip][:, :, 1], x[clip][:, :, 2])
        assert torch.equal(mirrored[clip][0, :, 4], -x[clip][0, :, 5])
        assert torch.equal(mirrored[clip][1:, :, 4], x[clip][1:, :, 5])
        assert torch.equal(mirrored[clip][1:, :, 3], x[clip][1:, :, 3])
        assert torch.equal(backwards[clip], x[clip].flip(1))
    assert torch.equal(augment.mirror(mirrored, MIRRORED, SOME), x)


def test_blur_is_the_published_filter_which_is_not_normalised(x: Tensor) -> None:
    sigma = torch.tensor([0.5, 1.0, 2.0, 0.1])
    got = augment.blur(x, sigma, SOME)
    for clip in (0, 2):
        taps = [math.exp(-(k**2) / (2 * float(sigma[clip]) ** 2)) for k in range(-7, 8)]
        for frame in (0, 6, 12):
            expected = sum(
                tap * x[clip, :, frame + k] for k, tap in zip(range(-7, 8), taps, strict=True) if 0 <= frame + k < 13
            )
            torch.testing.assert_close(got[clip, :, frame], expected)
    assert torch.equal(got[[1, 3]], x[[1, 3]])


def test_an_axis_is_masked(x: Tensor) -> None:
    got = augment.mask_axis(x, torch.tensor([2, 0, 1, 0]), SOME)
    assert (got[0, 2] == 0).all()
    assert (got[2, 1] == 0).all()
    assert torch.equal(got[0, :2], x[0, :2])
    assert torch.equal(got[[1, 3]], x[[1, 3]])


def test_views_are_drawn_from_torchs_generators_and_clip_by_clip(x: Tensor) -> None:
    def views() -> Tensor:
        return torch.cat([augment.normal_view(x), augment.extreme_view(x, MIRRORED, time_flip=True)])

    torch.manual_seed(3)
    first = views()
    torch.manual_seed(3)
    assert torch.equal(views(), first)
    assert not torch.equal(views(), first)
    same = x[:1].expand(4, -1, -1, -1, -1)
    for view in (augment.normal_view(same), augment.extreme_view(same, MIRRORED)):
        assert len(torch.unique(view.flatten(1), dim=0)) == 4


def test_a_divided_batch_draws_what_the_whole_one_does(x: Tensor) -> None:
    torch.manual_seed(3)
    whole = augment.extreme_view(x, MIRRORED, time_flip=True)
    torch.manual_seed(3)
    with random.share(1, 2, 4):
        part = augment.extreme_view(x[1:3], MIRRORED, time_flip=True)
    torch.testing.assert_close(part, whole[1:3])
