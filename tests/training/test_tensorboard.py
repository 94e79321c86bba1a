"""TensorBoard files hold what the log holds, whatever happened on the way; without the package that is said."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from stars_bench.errors import UsageError
from stars_bench.experiments.plan import resolve
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.io.run_folder import RunFolder
from stars_bench.training import tensorboard as board
from stars_bench.training.stages import StageRun
from tests.training.test_loop import Stopped, small_stage

NOT_HERE = importlib.util.find_spec("tensorboard") is None
needs_tensorboard = pytest.mark.skipif(NOT_HERE, reason="the extra tensorboard is not installed")


def stage_run(folder: Path, tensorboard: bool = True) -> StageRun:
    return StageRun({}, 0, torch.device("cpu"), folder, {}, checkpoint_seconds=0, tensorboard=tensorboard)


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def logged(folder: Path, name: str) -> list[tuple[int, float]]:
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [(line["epoch"], pytest.approx(line[name], rel=1e-6)) for line in lines]


@needs_tensorboard
def test_event_files_hold_loss_and_learning_rate_by_epoch(tmp_path: Path) -> None:
    stage_run(tmp_path).train(small_stage())
    for name in ("loss", "lr"):
        found = scalars(tmp_path / "tensorboard" / "s", f"s/{name}")
        assert len(found) == 3
        assert found == logged(tmp_path, name)


@needs_tensorboard
@pytest.mark.parametrize("stop_at", [3, 8, 14])
def test_a_killed_stage_leaves_every_epoch_once(tmp_path: Path, stop_at: int) -> None:
    with pytest.raises(Stopped):
        stage_run(tmp_path).train(small_stage(stop_at))
    for _ in range(2):  # goes on; then takes over what is finished
        stage_run(tmp_path).train(small_stage())
        assert scalars(tmp_path / "tensorboard" / "s", "s/loss") == logged(tmp_path, "loss")


def test_there_are_none_unless_asked_for(tmp_path: Path) -> None:
    stage_run(tmp_path, tensorboard=False).train(small_stage())
    assert not RunFolder(tmp_path).tensorboard.exists()


def test_asking_without_the_package_is_told_before_anything_runs(
    small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'stars-bench\[tensorboard\]'"):
        resolve(Request("untrained", "xsub", small_data, tmp_path, training=TrainingOptions(tensorboard=True)))
