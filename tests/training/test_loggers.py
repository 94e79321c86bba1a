"""Loggers are told what the log holds, every epoch once, whatever happened on the way; one that fails ends no run."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

from stars_bench.api import LoggedRun, Logger
from stars_bench.errors import UsageError
from stars_bench.experiments import runner
from stars_bench.experiments.plan import resolve
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.training.loggers import tensorboard, wandb
from stars_bench.training.loggers.tensorboard import TensorBoard
from stars_bench.training.loggers.together import Loggers
from stars_bench.training.loggers.wandb import WeightsAndBiases
from stars_bench.training.stages import StageRun
from tests.training.test_loop import Stopped, small_stage

needs_tensorboard = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="the extra tensorboard is not installed"
)
TINY = ("dim=8", "depth=1", "heads=2", "frames=40", "linear.epochs=2", "linear.batch_size=8")


class Memory:
    """Keeps what it is told."""

    name: ClassVar[str] = "memory"
    told: ClassVar[list[tuple[Any, ...]]] = []

    def __init__(self, run: LoggedRun) -> None:
        self.told.append(("begin", run.title))

    def epoch(self, stage: str, numbers: Mapping[str, float]) -> None:
        self.told.append((stage, dict(numbers)))

    def result(self, evaluation: str, metrics: Mapping[str, float]) -> None:
        self.told.append((evaluation, dict(metrics)))

    def close(self) -> None:
        self.told.append(("end",))


class Away(Memory):
    """A service that goes away after the first epoch."""

    name: ClassVar[str] = "away"
    calls: ClassVar[list[str]] = []

    def epoch(self, stage: str, numbers: Mapping[str, float]) -> None:
        self.calls.append(stage)
        if numbers["epoch"] > 1:
            raise ConnectionError("no route\nto host")


class Closed(Memory):
    """A service that was never there."""

    name: ClassVar[str] = "closed"

    def __init__(self, run: LoggedRun) -> None:
        raise TimeoutError(f"no answer for {run.title}")


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    yield
    Memory.told.clear()
    Away.calls.clear()


def logged_run(folder: Path) -> LoggedRun:
    return LoggedRun("small", "synthetic", "xsub", 0, "0123456789", {"lr": 0.1, "layers": [1, 2]}, folder)


def train(folder: Path, *kinds: type[Logger], stop_at: int | None = None, told: list[str] | None = None) -> None:
    loggers = Loggers(kinds, logged_run(folder), None if told is None else told.append)
    run = StageRun({}, 0, torch.device("cpu"), folder, {}, checkpoint_seconds=0, loggers=loggers)
    try:
        run.train(small_stage(stop_at))
    finally:
        loggers.close()


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def logged(folder: Path, name: str) -> list[tuple[int, float]]:
    return [(line["epoch"], pytest.approx(line[name], rel=1e-6)) for line in lines(folder)]


# ------------------------------------------------------------------------------------------------- any logger


@pytest.mark.parametrize("stop_at", [3, 8, 14])
def test_every_command_tells_every_epoch_once(tmp_path: Path, stop_at: int) -> None:
    with pytest.raises(Stopped):
        train(tmp_path, Memory, stop_at=stop_at)
    for _ in range(2):  # resumes; then takes over what is finished
        Memory.told.clear()
        train(tmp_path, Memory)
        begin, *epochs, end = Memory.told
        assert (begin, end) == (("begin", "small synthetic xsub seed 0"), ("end",))
        kept = [{name: line[name] for name in ("epoch", "step", "loss", "lr")} for line in lines(tmp_path)]
        assert epochs == [("s", line) for line in kept]
        assert len(kept) == 3


def test_a_logger_that_fails_is_left_out_with_one_line_and_the_others_go_on(tmp_path: Path) -> None:
    told: list[str] = []
    train(tmp_path, Away, Closed, Memory, told=told)
    assert told == [
        "--log closed: stopped logging (TimeoutError: no answer for small synthetic xsub seed 0); the run goes on, "
        "log.jsonl has all",
        "--log away: stopped logging (ConnectionError: no route); the run goes on, log.jsonl has all",
    ]
    assert Away.calls == ["s", "s"], "it is not asked again"
    assert [one for one in Memory.told if one[0] == "s"] == [("s", Memory.told[i][1]) for i in (2, 3, 4)]
    assert len(lines(tmp_path)) == 3


def request(data: Path, runs: Path, *log: str | type, **changes: Any) -> Request:
    training = TrainingOptions("cpu", log=log)
    return Request("untrained", "xsub", data, runs, preset="quick", overrides=TINY, training=training, **changes)


def test_a_run_tells_its_loggers_epochs_and_results_of_each_seed(small_data: Path, tmp_path: Path) -> None:
    records = runner.run(request(small_data, tmp_path, Memory, seeds=(0, 3)))
    begun = [one[1] for one in Memory.told if one[0] == "begin"]
    assert begun == ["untrained synthetic xsub seed 0", "untrained synthetic xsub seed 3"]
    assert [one[1]["epoch"] for one in Memory.told if one[0] == "linear" and "epoch" in one[1]] == [1, 2, 1, 2]
    results = [one for one in Memory.told if len(one) == 2 and "top1" in one[1]]
    expected = [(one.evaluation.title, {metric.name: metric.value for metric in one.metrics}) for one in records]
    assert results == expected
    assert Memory.told[-1] == ("end",)


def test_a_logger_changes_no_key_and_no_number(small_data: Path, tmp_path: Path) -> None:
    plain = runner.run(request(small_data, tmp_path / "a"))
    with_logger = runner.run(request(small_data, tmp_path / "b", Memory))
    assert [one.metrics for one in plain] == [one.metrics for one in with_logger]
    assert {path.name for path in tmp_path.glob("?/*/*/*/*")} == {resolve(request(small_data, tmp_path)).key}


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("tensorbord", "did you mean 'tensorboard'"),
        ("tests.training.test_loggers:Nothing", "there|has no"),
        ("tests.training.test_loop:Stopped", "has no `name`"),
        (Stopped, "Stopped: is no logger: it has no name and no epoch"),
    ],
)
def test_what_is_no_logger_is_told_before_anything_runs(
    small_data: Path, tmp_path: Path, log: str | type, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        resolve(request(small_data, tmp_path, log))


def test_several_may_stand_in_one_word_and_each_counts_once(small_data: Path, tmp_path: Path) -> None:
    own = f"{__name__}:Memory"
    assert resolve(request(small_data, tmp_path, f"{own},{own}", own)).loggers == (Memory,)


# ------------------------------------------------------------------------------------------------ TensorBoard


@needs_tensorboard
@pytest.mark.parametrize("stop_at", [3, 8, 14])
def test_tensorboards_files_hold_every_epoch_once(tmp_path: Path, stop_at: int) -> None:
    with pytest.raises(Stopped):
        train(tmp_path, TensorBoard, stop_at=stop_at)
    for _ in range(2):
        train(tmp_path, TensorBoard)
        for name in ("loss", "lr"):
            assert scalars(tmp_path / "tensorboard" / "s", f"s/{name}") == logged(tmp_path, name)


@needs_tensorboard
def test_tensorboard_has_the_results(tmp_path: Path) -> None:
    loggers = Loggers([TensorBoard], logged_run(tmp_path), None)
    loggers.result("k-NN k=1", {"top1": 61.5, "mean_class": 60.0})
    loggers.close()
    assert scalars(tmp_path / "tensorboard" / "results", "k-NN k=1/top1") == [(0, 61.5)]


def test_there_are_no_files_unless_asked_for(small_data: Path, tmp_path: Path) -> None:
    runner.run(request(small_data, tmp_path))
    assert not [*tmp_path.rglob("tensorboard"), *tmp_path.rglob("wandb")]


@pytest.mark.parametrize("module", [tensorboard, wandb])
def test_asking_without_the_package_is_told_before_anything_runs(
    module: Any, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    name = module.__name__.rpartition(".")[2]
    with pytest.raises(UsageError, match=rf"--log {name}: .* pip install 'stars-bench\[{name}\]'"):
        resolve(request(small_data, tmp_path, name))


def test_tensorboard_may_be_asked_for_by_its_own_option(small_data: Path, tmp_path: Path) -> None:
    asked = TrainingOptions(log=("tensorboard",) * 2, tensorboard=True)
    found = resolve(Request("untrained", "xsub", small_data, tmp_path, preset="quick", training=asked)).loggers
    assert found == (TensorBoard,)


# ------------------------------------------------------------------------------------------ Weights & Biases


class StandIn:
    """A stand-in for the package wandb."""

    def __init__(self, disabled: bool = False) -> None:
        self.disabled, self.begun, self.told, self.summary, self.ended = disabled, {}, [], {}, False
        self.metrics: dict[str, dict[str, Any]] = {}
        self.Settings = SimpleNamespace

    def init(self, **options: Any) -> StandIn:
        self.begun = options
        return self

    def define_metric(self, name: str, **options: Any) -> None:
        self.metrics[name] = options

    def log(self, numbers: Mapping[str, float]) -> None:
        self.told.append(dict(numbers))

    def finish(self) -> None:
        self.ended = True


def test_wandb_gets_curves_by_stage_settings_and_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = StandIn()
    monkeypatch.setitem(sys.modules, "wandb", service)  # type: ignore[arg-type]
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    train(tmp_path, WeightsAndBiases)
    assert (service.begun["project"], service.begun["id"]) == ("mine", "0123456789-seed0")
    assert service.begun["config"]["settings"] == {"lr": 0.1, "layers": [1, 2]}
    assert service.metrics["s/*"] == {"step_metric": "s/epoch"}
    assert [one["s/loss"] for one in service.told] == [line["loss"] for line in lines(tmp_path)]
    assert service.ended
    loggers = Loggers([WeightsAndBiases], logged_run(tmp_path), None)
    loggers.result("linear", {"top1": 70.0})
    assert service.summary == {"linear/top1": 70.0}


def test_wandb_without_a_login_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", StandIn(disabled=True))  # type: ignore[arg-type]
    monkeypatch.delenv("WANDB_MODE", raising=False)
    told: list[str] = []
    train(tmp_path, WeightsAndBiases, told=told)
    assert len(told) == 1
    assert "nobody is logged in: `wandb login`, or WANDB_MODE=offline" in told[0]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="the extra wandb is not installed")
def test_the_real_wandb_writes_a_run_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    told: list[str] = []
    train(tmp_path, WeightsAndBiases, told=told)
    assert told == []
    (file,) = tmp_path.glob("wandb/offline-run-*/run-0123456789-seed0.wandb")
    expected = (b"s/loss", b"small synthetic xsub seed 0")
    until = time.monotonic() + 20  # its own process writes the file
    while time.monotonic() < until and not all(text in file.read_bytes() for text in expected):
        time.sleep(0.2)
    assert all(text in file.read_bytes() for text in expected)
