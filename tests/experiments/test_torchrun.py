"""`torchrun -m stars_bench run`: the results of one process, resumed after kills, ended with one line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from stars_bench.experiments import runner
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.io.files import alone_in
from stars_bench.records import store
from stars_bench.records.record import Record

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes through /proc")
SETTINGS = (
    *("frames=8", "dim=16", "depth=2", "heads=2", "batch_size=15", "epochs=2", "warmup_epochs=1"),
    *("tune_epochs=2", "tune_batch_size=15", "queue_size=40", "predictor_hidden=32"),
    *("linear.epochs=3", "linear.batch_size=16", "finetune.epochs=2", "finetune.batch_size=9"),
)
EVALUATIONS = ("knn", "linear", "finetune", "clusters")
LONG = ("frames=8", "dim=16", "depth=2", "heads=2", "batch_size=16", "epochs=100000")
"""A run that nobody waits for."""
SECONDS = 300


def arguments(data: Path, runs: Path, settings=SETTINGS, evaluations=EVALUATIONS, method="stars") -> list[str]:
    options = ["--protocol", "xsub", "--preset", "quick", "--device", "cpu", "--checkpoint-seconds", "0"]
    options += ["--data-dir", str(data), "--runs-dir", str(runs)]
    options += [part for item in settings for part in ("--set", item)]
    return ["-m", "stars_bench", "run", method, *options, *(part for name in evaluations for part in ("--eval", name))]


def torchrun(arguments: list[str], processes: int = 2, more: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.Popen(
        [*launcher, *more, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code and texts; nothing is left running, whatever happens."""
    try:
        out, err = process.communicate(timeout=SECONDS)
    finally:
        kill_all(process)
    return process.returncode, out, err


def kill_all(process: subprocess.Popen[str]) -> None:
    """kill -9 of torchrun and of all that it started."""
    for number in [*children(process.pid), process.pid]:
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            continue


def children(number: int) -> list[int]:
    path = Path(f"/proc/{number}/task/{number}/children")
    try:
        return [int(child) for child in path.read_text().split()]
    except OSError:
        return []


def wait_for(pattern: str, runs: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < end and not list(runs.rglob(pattern)):
        time.sleep(0.001)


def trained(runs: Path) -> dict[str, torch.Tensor]:
    """Every tensor of every finished stage."""
    return {
        f"{path.stem}/{name}": value
        for path in sorted(runs.rglob("stages/*.pt"))
        for name, value in torch.load(path, weights_only=True)["module"].items()
    }


def losses(runs: Path) -> dict[str, float]:
    """The loss of every stage and epoch, each logged once."""
    lines = [json.loads(line) for line in next(runs.rglob("log.jsonl")).read_text().splitlines()]
    found = {f"{line['stage']} {line['epoch']}": line["loss"] for line in lines}
    assert len(found) == len(lines)
    return found


def records(runs: Path) -> list[Record]:
    return store.read_records(runs).records


@pytest.fixture(scope="module")
def undisturbed(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The runs folder and the output of two processes that nothing has happened to."""
    runs = tmp_path_factory.mktemp("undisturbed")
    code, out, err = finish(torchrun(arguments(small_data, runs)))
    assert code == 0, err
    return runs, out


def test_two_processes_give_the_metrics_of_one(undisturbed: tuple[Path, str], small_data: Path, tmp_path: Path) -> None:
    runs, out = undisturbed
    alone = runner.run(
        Request("stars", "xsub", small_data, tmp_path, preset="quick", overrides=SETTINGS,
                evaluations=EVALUATIONS, training=TrainingOptions("cpu"))
    )  # fmt: skip
    both = {record.file_name: record for record in records(runs)}
    assert both.keys() == {record.file_name for record in alone}
    for record in alone:
        other = both[record.file_name]
        # float32: Adam makes whole steps of rounding errors, which may tip a clip or two of the trained classifiers.
        tolerance = 0 if record.evaluation.name == "knn" else 6
        pairs = zip(other.metrics, record.metrics, strict=True)
        assert all(got.value == pytest.approx(expected.value, abs=tolerance) for got, expected in pairs)
        # What later stages begin with differs by rounding, and so do their keys.
        assert other.stages[0].key == record.stages[0].key
        assert (other.environment.processes, record.environment.processes) == (2, 1)
        assert [(stage.processes, stage.micro_batches) for stage in other.stages] == [(2, 1)] * len(other.stages)
    expected = losses(tmp_path)
    assert losses(runs) == pytest.approx(expected, rel=2e-3)
    assert len(expected) == 2 + 2 + 3 + 2
    assert out.count("stage1: 60 samples in") == 1  # the first process alone talks
    assert out.count("7 records under") == 1
    names = [path.name for path in runs.rglob("*") if path.is_file()]
    assert not [name for name in names if name.endswith((".partial", ".resume.pt"))]
    assert len([name for name in names if name.startswith("crop")]) == 2


@pytest.mark.slow
def test_killed_in_every_stage_they_end_with_the_same_bits(
    undisturbed: tuple[Path, str], small_data: Path, tmp_path: Path
) -> None:
    said = ""
    for stage in ("stage1", "stage2", "linear", "finetune"):
        process = torchrun(arguments(small_data, tmp_path))
        wait_for(f"{stage}-*.resume.pt", tmp_path, process)
        kill_all(process)
        said += finish(process)[1]
        assert list(tmp_path.rglob(f"{stage}-*.resume.pt")), f"{stage} was over before it could be killed"
    code, out, err = finish(torchrun(arguments(small_data, tmp_path)))
    assert code == 0, err
    assert "finetune: resumes from its checkpoint after step " in said + out
    assert "stage1: was finished before" in out
    expected, got = trained(undisturbed[0]), trained(tmp_path)
    assert got.keys() == expected.keys()
    assert all(torch.equal(got[name], value) for name, value in expected.items())
    assert [r.metrics for r in records(tmp_path)] == [r.metrics for r in records(undisturbed[0])]


@pytest.mark.slow
def test_one_process_goes_on_where_two_were_killed(small_data: Path, tmp_path: Path, undisturbed) -> None:
    process = torchrun(arguments(small_data, tmp_path))
    wait_for("stage2-*.resume.pt", tmp_path, process)
    kill_all(process)
    finish(process)
    alone = subprocess.run(
        [sys.executable, *arguments(small_data, tmp_path)], capture_output=True, text=True, timeout=SECONDS, check=True
    )
    assert "stage1: was finished before" in alone.stdout
    assert [r.metrics for r in records(tmp_path)] == [r.metrics for r in records(undisturbed[0])]
    assert {(s.name, s.processes) for s in records(tmp_path)[-1].stages} >= {("stage1", 2), ("stage2", 1)}


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_process_ends_all_with_one_line(small_data: Path, tmp_path: Path, lost: int) -> None:
    process = torchrun(arguments(small_data, tmp_path, LONG, ("knn",), "mamp"))
    wait_for("stage1-*.resume.pt", tmp_path, process)
    ranks = {rank_of(number): number for number in children(process.pid)}
    os.kill(ranks[lost], signal.SIGKILL)
    code, _, err = finish(process)
    assert code != 0
    lines = [line for line in err.splitlines() if line.startswith(("error:", "stopped"))]
    assert len(lines) == 1, err
    assert "lost" in lines[0]
    assert "run the same command again: it resumes from" in lines[0]


@pytest.mark.slow
def test_no_process_begins_a_method_that_the_others_do_not(small_data: Path, tmp_path: Path) -> None:
    """The first alone finds the folder held; the others must not be met by it in the next method."""
    words = arguments(small_data, tmp_path, (*SETTINGS[:6], "epochs=2"), ("knn",), "mamp")
    words.insert(words.index("mamp") + 1, "mae")
    code, _, err = finish(torchrun(words))
    assert code == 0, err
    assert {record.method.name for record in records(tmp_path)} == {"mamp", "mae"}
    held = next(tmp_path.rglob("mamp/*/seed0"))
    for file in tmp_path.rglob("mae"):
        shutil.rmtree(file)
    with alone_in(held):
        code, _, err = finish(torchrun(words))
    assert code != 0
    lines = [line for line in err.splitlines() if line.startswith(("error:", "stopped"))]
    assert len(lines) == 1, err
    assert "is writing there" in lines[0]
    assert not list(tmp_path.rglob("mae"))


@pytest.mark.slow
def test_torchrun_may_start_all_anew(small_data: Path, tmp_path: Path) -> None:
    words = arguments(small_data, tmp_path, LONG, ("knn",), "mamp")
    process = torchrun(words, more=("--max-restarts", "1"))
    wait_for("stage1-*.resume.pt", tmp_path, process)
    before = children(process.pid)
    os.kill(before[1], signal.SIGKILL)
    file = next(tmp_path.rglob("stage1-*.resume.pt"))
    saved, end = file.stat().st_mtime_ns, time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < end:
        if not set(before) & set(children(process.pid)) and file.stat().st_mtime_ns != saved:
            break
        saved = file.stat().st_mtime_ns if set(before) & set(children(process.pid)) else saved
        time.sleep(0.01)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, out, _ = finish(process)
    assert "stage1: resumes from its checkpoint after step" in out


def rank_of(number: int) -> int | None:
    variables = Path(f"/proc/{number}/environ").read_bytes().split(b"\0")
    return next((int(item[5:]) for item in variables if item.startswith(b"RANK=")), None)


@pytest.mark.slow
def test_wrong_use_is_told_once(small_data: Path, tmp_path: Path) -> None:
    code, _, err = finish(torchrun(arguments(small_data, tmp_path, ("epoch=3",), ("knn",), "mamp")))
    assert code != 0
    assert err.count("error: --set epoch=3: did you mean 'epochs'?") == 1
    assert err.count("error:") - err.count("error: --set epoch=3") == 0
