"""Choosing an epoch: the best one is kept, the first of equals, also after a kill; other stages are not touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from stars_bench.errors import StarsBenchError
from stars_bench.training import checkpoint
from stars_bench.training.loop import train
from stars_bench.training.selection import Selection
from stars_bench.training.stages import StageRun
from tests.training.test_loop import CPU, Stopped, small_stage

LABELS = torch.tensor([0, 1, 1, 0])
ACCURACIES = [0.25, 0.75, 0.5, 0.75, 0.0]


def weights(stage) -> Tensor:
    return torch.cat([value.flatten() for value in stage.module.state_dict().values()])


def after(epochs: int) -> Tensor:
    """Weights after so many of five epochs."""
    stage, seen = small_stage(epochs=5), []
    stage.after_epoch = lambda _: seen.append(weights(stage).clone())
    train(stage, seed=7, device=CPU)
    return seen[epochs - 1]


def test_the_best_epoch_is_kept_and_of_equals_the_first() -> None:
    stage, told = small_stage(epochs=5), iter(ACCURACIES)
    at = train(stage, seed=7, device=CPU, look=lambda: next(told))
    assert torch.equal(weights(stage), after(2))
    assert [line["accuracy"] for line in at.log] == ACCURACIES
    assert at.best is not None
    assert at.best["epoch"] == 2


@pytest.mark.parametrize("stop_at", [6, 11, 16, 24])
def test_a_killed_stage_keeps_the_same_epoch(tmp_path: Path, stop_at: int) -> None:
    file, looks = tmp_path / "s.resume.pt", []

    def look() -> float:
        looks.append(0)
        return ACCURACIES[len(looks) - 1]

    with pytest.raises(Stopped):
        train(small_stage(stop_at, 5), seed=7, device=CPU, resume_file=file, checkpoint_seconds=0, look=look)
    stage = small_stage(epochs=5)
    train(stage, seed=7, device=CPU, resume_file=file, checkpoint_seconds=0, look=look)
    assert len(looks) == 5
    assert torch.equal(weights(stage), after(2))


def selection(logits: Tensor | None = None, **changes) -> Selection:
    def classify(_: nn.Module) -> Tensor:
        return nn.functional.one_hot(LABELS).float() if logits is None else logits

    return replace(Selection("best epoch on held-out subjects", "clips", LABELS, classify), **changes)


def stage_run(folder: Path, chosen_by: Selection | None) -> StageRun:
    return StageRun(None, 0, CPU, folder, {}, selection=chosen_by)


def test_looks_compare_logits_with_the_labels() -> None:
    logits = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    assert selection().accuracy(logits) == 0.5
    with pytest.raises(StarsBenchError, match=r"shape \(3, 2\) for 4 clips"):
        selection().accuracy(logits[:3])


def test_a_stage_that_classifies_keeps_its_best_epoch_and_nothing_else_on_disk(tmp_path: Path) -> None:
    stage, run = small_stage(epochs=3), stage_run(tmp_path / "seed0", selection())
    told = iter([2, 4, 3])
    stage.classify = lambda: nn.functional.one_hot(torch.where(torch.arange(4) < next(told), LABELS, 1 - LABELS))
    run.train(stage)
    assert run.stages[0].epoch == 2
    (file,) = (tmp_path / "seed0").rglob("*.pt")
    state = checkpoint.load(file)
    assert state["epoch"] == 2
    assert "best" not in state
    assert torch.equal(weights(stage), torch.cat([value.flatten() for value in state["module"].values()]))
    again = stage_run(tmp_path / "seed0", selection())
    again.train(replace(small_stage(epochs=3), classify=stage.classify))
    assert (again.stages[0].reused, again.stages[0].epoch) == (True, 2)


def test_a_module_that_has_classify_needs_no_more(tmp_path: Path) -> None:
    stage, run = small_stage(), stage_run(tmp_path / "seed0", selection())
    stage.module.classify = None
    run.train(stage)
    assert run.stages[0].epoch == 1


def test_a_stage_that_classifies_nothing_keeps_its_last_epoch_and_its_key(tmp_path: Path) -> None:
    runs = [stage_run(tmp_path / name, chosen_by) for name, chosen_by in (("a", selection()), ("b", None))]
    for run in runs:
        run.train(small_stage())
    assert [run.stages[0].epoch for run in runs] == [None, None]
    assert runs[0].key == runs[1].key


@pytest.mark.parametrize("change", [{"rule": "other"}, {"clips": "other"}, {"code": [checkpoint.save]}])
def test_the_key_of_a_chosen_stage_has_what_the_choice_depends_on(tmp_path: Path, change) -> None:
    def key(chosen_by: Selection | None) -> str:
        stage = small_stage()
        stage.classify = lambda: torch.zeros(4, 2)
        return stage_run(tmp_path, chosen_by)._stage_key(stage, "stars_bench.data.random")[0]

    assert key(selection()) == key(selection())
    assert len({key(selection(**change)), key(selection()), key(None)}) == 3
