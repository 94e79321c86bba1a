"""Sweeps in processes of their own: joblib, submitit, kills, two at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stars_bench.errors import UsageError
from stars_bench.experiments.sweeps import slots, sweep_file
from stars_bench.experiments.sweeps.sweep import Sweep, run_sweep
from stars_bench.experiments.sweeps.worker import Result, Task
from stars_bench.records import store
from tests.paths import ROOT

SWEEP = """
methods = ["mamp", "stars"]
protocols = "xsub"
preset = "quick"
evaluations = "knn"
[set]
frames = 8
dim = 16
depth = 1
heads = 2
decoder_depth = 1
epochs = {epochs}
warmup_epochs = 0
batch_size = 16
[method.stars.set]
tune_epochs = 1
"""


def started(file: Path, runs: Path, data: Path, *options: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "stars_bench",
        "sweep",
        str(file),
        "--data-dir",
        str(data),
        "--runs-dir",
        str(runs),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*command, "--devices", "cpu", *options], env=environment, **pipes)


def stages(runs: Path) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in runs.rglob("stages/*.pt") if not path.name.startswith("."))


@pytest.mark.slow
def test_two_sweeps_at_once_train_a_shared_stage_once(small_data: Path, tmp_path: Path) -> None:
    file, runs = tmp_path / "s.toml", tmp_path / "runs"
    file.write_text(SWEEP.format(epochs=2))
    both = [started(file, runs, small_data, "--jobs", "2") for _ in range(2)]
    said = [one.communicate(timeout=200) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert stages(runs) == ["stage1", "stage2"]
    assert {one.method.name for one in store.read_records(runs).records} == {"mamp", "stars"}
    assert all("s: 2 of 2 done" in out for out, _ in said)


@pytest.mark.slow
def test_a_killed_sweep_leaves_no_process_and_goes_on(small_data: Path, tmp_path: Path) -> None:
    file, runs = tmp_path / "s.toml", tmp_path / "runs"
    file.write_text(SWEEP.format(epochs=100_000))
    killed = started(file, runs, small_data)
    log = runs / "sweeps" / "s"
    until(lambda: any("stage1" in path.read_text() for path in log.glob("*.json")))
    (child,) = workers(killed.pid)
    killed.kill()
    killed.communicate()
    until(lambda: not Path(f"/proc/{child}/cmdline").exists() or "Z" in Path(f"/proc/{child}/stat").read_text())
    file.write_text(SWEEP.format(epochs=2))
    out, err = started(file, runs, small_data).communicate(timeout=200)
    assert "s: 2 of 2 done" in out, err
    assert stages(runs) == ["stage1", "stage2"]


def until(what) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.1)


def workers(pid: int) -> list[int]:
    """The loky workers of a process."""
    import psutil

    children = psutil.Process(pid).children(recursive=True)
    return [one.pid for one in children if "popen_loky_posix" in " ".join(one.cmdline())]


def die(task: Task) -> Result:
    del task
    os.kill(os.getpid(), signal.SIGKILL)
    return Result()


def fine(task: Task) -> Result:
    return Result((str(task.files), str(task.request.training.device), str(task.threads)))


def finished(slot: slots.Slot) -> Result:
    end = time.monotonic() + 100
    while (result := slot.result()) is None:
        assert time.monotonic() < end
        time.sleep(0.02)
    return result


def a_task() -> Task:
    file = sweep_file.parse({"methods": "raw", "protocols": "xsub"}, "x")
    return Task(file.requests(Path("d"), Path("r"))[0], Path("files"))


def test_a_process_that_is_killed_fails_its_run_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    slot = slots.ProcessSlot("cpu", 3)
    monkeypatch.setattr(slots, "work", die)
    slot.start(a_task())
    assert str(finished(slot).failure).startswith("its process was killed (out of memory?)")
    monkeypatch.setattr(slots, "work", fine)
    slot.start(a_task())
    assert finished(slot).records == ("files", "cpu", "3")
    slot.stop()
    assert slot.result() is None


def test_places_are_devices_times_jobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(slots.allowance, "cpus", lambda: 8)

    def made(devices: tuple[str, ...], jobs: int | None, runs: int = 9) -> list[tuple[str | None, int | None]]:
        return [(one.device, one.threads) for one in slots.slots("processes", devices, jobs, runs, tmp_path, {})]

    assert made((), None) == [(None, None)]
    assert made((), 3) == [(None, 2)] * 3
    assert made(("cuda:0", "cuda:1"), None) == [("cuda:0", 4), ("cuda:1", 4)]
    assert made(("cuda:0", "cuda:1"), 2)[2:] == [("cuda:0", 2), ("cuda:1", 2)]
    assert len(made((), 5, runs=2)) == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert made((), 3) == [(None, None)] * 3
    with pytest.raises(UsageError, match="--executor dask: there are processes, slurm, local"):
        slots.slots("dask", (), None, 1, tmp_path, {})


@pytest.mark.slow
def test_jobs_of_submitit_run_a_sweep(small_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    content = {"methods": "raw", "protocols": "xsub", "preset": "quick", "evaluations": "knn"}
    file = sweep_file.parse(content | {"set": {"frames": 8}, "slurm": {"timeout_min": 5}}, "x")
    sweep = Sweep(file, "s", small_data, tmp_path, executor="local", devices=("cpu",), jobs=1)
    found = run_sweep(sweep, lambda _: None, lambda _: None)
    assert found.failures == ()
    assert {one.record.method.name for one in found.records} == {"raw"}
    assert list((tmp_path / "sweeps" / "s" / "submitit").glob("*_log.out"))


def test_what_submitit_refuses_is_said(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    with pytest.raises(UsageError, match=r"--executor local: .*gpus_pro_node"):
        slots.slots("local", (), None, 1, tmp_path, {"gpus_pro_node": 1})


def test_without_submitit_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UsageError, match=r"needs submitit: pip install 'stars-bench\[slurm\]'"):
        slots.slots("slurm", (), None, 1, tmp_path, {})
