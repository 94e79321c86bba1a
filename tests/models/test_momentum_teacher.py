"""A momentum teacher: an average of its student over the steps, without gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from stars_bench.models.layers.momentum_teacher import MomentumTeacher, cosine_momentum


def test_it_starts_equal_and_has_no_gradient() -> None:
    student = nn.Linear(3, 2)
    teacher, x = MomentumTeacher(student), torch.randn(4, 3)
    assert torch.equal(teacher(x), student(x))
    assert not teacher(x).requires_grad
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_it_moves_by_the_rest_of_its_momentum_and_keeps_its_buffers() -> None:
    student = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    teacher = MomentumTeacher(student, 0.75)
    before = [parameter.clone() for parameter in teacher.parameters()]
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(torch.randn_like(parameter))
    student[1].running_mean.fill_(9)
    teacher.update(student, step=1)
    for old, now, new in zip(before, teacher.parameters(), student.parameters(), strict=True):
        torch.testing.assert_close(now, 0.75 * old + 0.25 * new)
    assert teacher.module[1].running_mean.tolist() == [0, 0]


def test_its_momentum_may_follow_the_steps() -> None:
    student = nn.Linear(1, 1, bias=False)
    teacher = MomentumTeacher(student, lambda step: 1 if step < 3 else 0)
    with torch.no_grad():
        student.weight.fill_(5)
    teacher.update(student, 2)
    assert float(teacher.module.weight) != 5
    teacher.update(student, 3)
    assert float(teacher.module.weight) == 5


def test_half_a_cosine_rises_to_one_and_stays() -> None:
    momentum = cosine_momentum(0.996, steps=10)
    assert [momentum(step) for step in (0, 5, 10, 11)] == pytest.approx([0.996, 0.998, 1, 1])


def test_a_student_of_other_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        MomentumTeacher(nn.Linear(3, 2)).update(nn.Linear(3, 2, bias=False), 1)
