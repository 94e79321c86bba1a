"""What a run on a paper's preset will cost is said before it trains, and changes nothing of it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from stars_bench.experiments import costs, runner
from stars_bench.experiments.request import Request, TrainingOptions
from tests.experiments.test_runner import Supervised
from tests.paths import ROOT

TINY = ("frames=8", "dim=16", "depth=1", "heads=2", "batch_size=16", "epochs=2", "warmup_epochs=1")
TUNED = ("tune_epochs=2", "tune_batch_size=16", "queue_size=40", "predictor_hidden=32")


@pytest.fixture
def request_for(small_data: Path, tmp_path: Path):
    def make(method: str = "stars", overrides: tuple[str, ...] = (*TINY, *TUNED), runs: str = "runs") -> Request:
        training = TrainingOptions("cpu")
        return Request(
            method, "xsub", small_data, tmp_path / runs, overrides=overrides, evaluations=("knn",), training=training
        )

    return make


def lines_of(request: Request) -> list[str]:
    told: list[str] = []
    runner.run(request, tell=told.append, cost=True)
    measuring = [number for number, line in enumerate(told) if "measuring a few steps of each stage" in line]
    found = [number for number, line in enumerate(told) if "training takes about" in line]
    assert [number - 1 for number in found] == measuring[: len(found)]  # said before it is done
    return [told[number] for number in found]


def test_the_cost_is_said_once_and_changes_no_result(request_for) -> None:
    request = request_for()
    (line,) = lines_of(replace(request, seeds=(0, 1)))
    assert line.startswith("stars xsub seed 0, 1: training takes about ")
    assert " s on cpu and " in line
    assert "GB of memory (stage1 " in line
    assert "stage2 " in line
    assert lines_of(request) == []  # all is there
    same = {one.file_name: one.weights for one in runner.run(request_for(runs="other"))}
    assert {one.file_name: one.weights for one in runner.run(request)} == same


def test_a_finished_first_stage_is_not_counted(request_for) -> None:
    runner.run(request_for("mamp", TINY))
    (line,) = lines_of(request_for())
    assert "stage1" not in line
    assert "stage2" in line


def test_days_on_a_cpu_are_called_days(request_for, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs.MeasuredRun, "_seconds_a_clip", lambda *_: 3600.0)
    (line,) = lines_of(request_for("mamp", TINY))
    assert "training takes about 2.7 days on cpu" in line
    assert line.endswith("; on a CPU that is 2.7 days: take a GPU, or --preset quick")


def test_a_step_that_finds_no_memory_is_told_and_the_run_goes_on(request_for, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> float:
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(costs.MeasuredRun, "_seconds_a_clip", refuse)
    told: list[str] = []
    assert runner.run(request_for("mamp", TINY), tell=told.append, cost=True)
    reason = "what training costs cannot be measured (RuntimeError: CUDA error: out of memory)"
    assert f"mamp xsub seed 0: {reason}" in told


def test_it_is_measured_only_where_the_method_ships_and_the_preset_is_the_papers(request_for) -> None:
    own = request_for(f"{Supervised.__module__}:Supervised", TINY[:4])
    assert lines_of(own) == []
    assert lines_of(replace(request_for("mamp", TINY), preset="quick")) == []


def test_a_real_run_says_something_within_5_seconds(small_data: Path, tmp_path: Path) -> None:
    """Seconds of its own work: the machine may do other things at the same time."""
    words = ["run", "mamp", "--protocol", "xsub", "--preset", "quick", "--seed", "3", "--data-dir", str(small_data)]
    command = [sys.executable, "-u", "-m", "stars_bench", *words, "--runs-dir", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        used = psutil.Process(process.pid).cpu_times()
        process.kill()
    assert first == "mamp xsub seed 3: starts (loads PyTorch and the data)\n"
    assert used.user + used.system < 5
