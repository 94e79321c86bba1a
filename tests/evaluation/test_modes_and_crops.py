"""Evaluations read and crop as they say: in evaluation mode wherever nothing is learnt, all clips by one crop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from stars_bench import registry
from stars_bench.data.clip_store import ClipPart
from stars_bench.models.layers.encoder import Block
from tests.every_setting import changed_by, fitted, small_settings

EVALUATIONS = registry.names("evaluations")
FROZEN = [name for name in EVALUATIONS if name not in ("finetune", "semi")]


@pytest.fixture
def calls() -> Iterator[list[tuple[nn.Module, bool, bool]]]:
    """Every module that is called, whether it is in training mode, and whether gradients are kept."""
    found: list[tuple[nn.Module, bool, bool]] = []
    hook = register_module_forward_pre_hook(
        lambda module, _: found.append((module, module.training, torch.is_grad_enabled()))
    )
    yield found
    hook.remove()


@pytest.mark.parametrize("name", EVALUATIONS)
def test_what_runs_without_gradient_runs_in_evaluation_mode(name: str, calls, tmp_path: Path) -> None:
    fitted("evaluations", name, small_settings("evaluations", name), tmp_path)
    without = [(module, training) for module, training, gradient in calls if not gradient]
    assert without
    assert [type(module).__name__ for module, training in without if training] == []


@pytest.mark.parametrize("name", FROZEN)
def test_a_frozen_encoder_never_learns_and_is_never_in_training_mode(name: str, calls, tmp_path: Path) -> None:
    fitted("evaluations", name, small_settings("evaluations", name), tmp_path)
    blocks = [(training, gradient) for module, training, gradient in calls if isinstance(module, Block)]
    assert blocks
    assert set(blocks) == {(False, False)}


@pytest.mark.parametrize("name", EVALUATIONS)
def test_every_centre_crop_is_the_one_that_is_set(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, crops = ClipPart.whole, []

    def watched(part: ClipPart, rows: Tensor, frames: int, keep: float = 1.0) -> Any:
        crops.append(keep)
        return whole(part, rows, frames, keep)

    monkeypatch.setattr(ClipPart, "whole", watched)
    fitted("evaluations", name, changed_by(small_settings("evaluations", name), {"crop": 0.5}), tmp_path)
    assert set(crops) == {0.5}
