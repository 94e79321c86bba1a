"""`verify RUN`, `--rerun`, `compare`, `--deterministic`: a run is what its records say, and comes out again."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stars_bench.errors import UsageError
from stars_bench.experiments import runner
from stars_bench.experiments.finished.audit import audit
from stars_bench.experiments.finished.reproduce import rerun
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.io.files import digest_file
from stars_bench.records import store
from stars_bench.records.predictions import load_predictions, save_predictions
from stars_bench.records.record import content_digest
from stars_bench.training import checkpoint
from stars_bench.training.numerics.deterministic import ATTENTION, SIZES, WORKSPACE, deterministic

TINY = (
    *("frames=8", "dim=16", "depth=2", "heads=2", "batch_size=16", "epochs=2", "warmup_epochs=1"),
    *("tune_epochs=1", "tune_batch_size=16", "queue_size=40", "predictor_hidden=32"),
    *("linear.epochs=2", "linear.batch_size=16"),
)
WHEN = ("train_seconds", "started", "finished", "command")
"""Columns of a report that tell when and how long, not what."""


@pytest.fixture(scope="module")
def finished(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs folder of one small run of stars."""
    runs = tmp_path_factory.mktemp("twice") / "runs"
    runner.run(
        Request("stars", "xsub", small_data, runs, preset="quick", overrides=TINY, training=TrainingOptions("cpu"))
    )
    return runs


@pytest.fixture
def runs(finished: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(finished, tmp_path / "runs"))


def seed_folder(runs: Path) -> Path:
    return next(runs.glob("synthetic/xsub/stars/*/seed0"))


def cli(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stars_bench", *map(str, arguments)]
    environment = os.environ | {"COLUMNS": "80"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


# ------------------------------------------------------------------------------------------------- verify


def test_an_untouched_run_is_as_it_was_recorded(runs: Path, small_data: Path) -> None:
    result = audit(runs, small_data)
    assert (result.faults, result.skipped) == ([], [])
    assert result.looked_at == {
        "records": 5,
        "stage checkpoints": 4 * 2 + 3,
        "encoders": 5,
        "lists of clips": 5,
        "predictions": 5,
        "metrics": 4 * 3 + 5,
        "feature files": 2,
    }


def first(folder: Path, pattern: str) -> Path:
    return sorted(folder.glob(pattern))[0]


def change_byte(file: Path, place: float) -> None:
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1
    file.write_bytes(bytes(content))


def edit(file: Path, change: Callable[[dict], None]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content | {"self_digest": content_digest(content)}))


def other_metric(content: dict) -> None:
    content["metrics"][0] |= {"value": content["metrics"][0]["value"] + 0.5, "interval": None}


def other_interval(content: dict) -> None:
    content["metrics"][0]["interval"][0] -= 0.5


def other_class(content: dict) -> None:
    content["per_class"][0] = 12.5


def other_lists(content: dict) -> None:
    content["protocol"]["train_digest"] = "0" * 64


def other_data(content: dict) -> None:
    content["dataset"]["digest"] = "0" * 64


def other_clips(content: dict) -> None:
    content["protocol"]["test_digest"] = "0" * 64


def other_weights(folder: Path) -> None:
    state = checkpoint.load(folder / "encoder.pt")
    next(iter(state["encoder"].values())).view(-1)[0] += 1e-6
    checkpoint.save(folder / "encoder.pt", state)


def other_features(folder: Path, names: bool = False) -> None:
    file = first(folder, "features/*.npz")
    with np.load(file) as stored:
        arrays = dict(stored)
    if names:
        arrays["names"][0] = "S001C001P001R001A999"
    else:
        arrays["features"][0, 0] = np.nan
    np.savez(file, **arrays)


RECORD = "records/knn-k1-*.json"
SPOILED: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "predictions": (
        lambda f: change_byte(first(f, "predictions/knn-k1-*.npz"), 0.5),
        ["is not what knn-k1-{}.json was measured on (its digest differs)"],
    ),
    "predictions gone": (
        lambda f: first(f, "predictions/knn-k1-*.npz").unlink(),
        ["the predictions of knn-k1-{}.json are gone"],
    ),
    "stage": (
        lambda f: change_byte(first(f, "stages/linear-*.pt"), 0.5),
        ["is not the checkpoint that linear-{}.json names (its digest differs)"],
    ),
    "stage gone": (lambda f: first(f, "stages/linear-*.pt").unlink(), ["the checkpoint of linear is gone (linear-"]),
    "encoder": (other_weights, ["encoder.pt: is not the encoder that the records are of (its weights differ)"]),
    "encoder gone": (lambda f: (f / "encoder.pt").unlink(), ["encoder.pt: is gone"]),
    "encoder cut": (
        lambda f: (f / "encoder.pt").write_bytes((f / "encoder.pt").read_bytes()[:1000]),
        ["encoder.pt: cannot be read as a checkpoint ("],
    ),
    "features": (lambda f: change_byte(first(f, "features/*.npz"), 0.7), ["damaged: its bytes are not those"]),
    "features nan": (other_features, ["holds numbers that are not finite; delete it"]),
    "features of others": (lambda f: other_features(f, names=True), ["holds other clips than its name says"]),
    "metric": (lambda f: edit(first(f, RECORD), other_metric), ["top1 is ", " % over 36, recorded "]),
    "interval": (lambda f: edit(first(f, RECORD), other_interval), ["the interval of top1 is not the recorded one"]),
    "class": (lambda f: edit(first(f, RECORD), other_class), ["the accuracies by class are not the recorded ones"]),
    "lists": (
        lambda f: edit(first(f, RECORD), other_lists),
        ["xsub now gives another training part than"],
    ),
    "data": (lambda f: edit(first(f, RECORD), other_data), ["was measured on other data than the prepared synthetic"]),
    "clips": (
        lambda f: edit(first(f, RECORD), other_clips),
        ["now gives another test part", "are of other clips"],
    ),
    "record": (lambda f: first(f, RECORD).write_text("{"), ["line 1: not JSON ("]),
}


@pytest.mark.parametrize("what", SPOILED)
def test_each_thing_that_does_not_match_is_one_line(runs: Path, small_data: Path, what: str) -> None:
    spoil, told = SPOILED[what]
    spoil(seed_folder(runs))
    result = audit(runs, small_data)
    said = "\n".join(result.faults)
    assert all("\n" not in fault for fault in result.faults)
    assert len(result.faults) == (2 if what in ("clips", "data") else 1), said
    for line in told:
        assert all(part in said for part in line.split("{}")), said


def test_labels_of_predictions_are_compared_with_the_data(runs: Path, small_data: Path) -> None:
    folder = seed_folder(runs)
    file = first(folder, "predictions/knn-k1-*.npz")
    outcome, clips = load_predictions(file)
    labels = clips.labels.copy()
    labels[0] = (labels[0] + 1) % 3
    save_predictions(file, outcome, replace(clips, labels=labels))
    edit(first(folder, RECORD), lambda content: content["predictions"].update(digest=digest_file(file)))
    told = [fault for fault in audit(runs, small_data).faults if "labels are not those of" in fault]
    assert len(told) == 1
    assert f": 1 of {len(labels)} labels are not those of" in told[0]


def test_without_the_data_the_rest_is_looked_at(runs: Path, tmp_path: Path) -> None:
    result = audit(runs, tmp_path / "nowhere")
    assert result.faults == []
    assert len(result.skipped) == 1
    assert result.skipped[0].startswith("data and lists of clips: synthetic is not prepared in")
    assert "lists of clips" not in result.looked_at


def test_damaged_data_are_a_fault_of_the_run(runs: Path, small_data: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(small_data, tmp_path / "data"))
    change_byte(first(data, "synthetic/*/shard-*.h5"), 0.5)
    assert any("shard-00000.h5" in fault for fault in audit(runs, data).faults)


def test_the_command_line_says_what_it_looked_at_and_ends_with_1_on_a_fault(runs: Path, small_data: Path) -> None:
    folder = seed_folder(runs).parent
    good = cli("verify", folder, "--data-dir", small_data)
    assert good.returncode == 0, good.stderr
    assert "looked at 5 records, 11 stage checkpoints, 5 encoders, 5 lists of clips" in good.stdout
    assert good.stdout.endswith("Everything is as it was recorded.\n")
    edit(first(seed_folder(runs), RECORD), other_metric)
    bad = cli("verify", folder, "--data-dir", small_data)
    assert bad.returncode == 1
    assert bad.stdout.count("fault: ") == 1
    assert bad.stderr.startswith("error: 1 thing does not match (listed above)")
    assert cli("verify", folder, "--names", "x").returncode == 2
    assert cli("verify", "synthetic", "--rerun").returncode == 2


# -------------------------------------------------------------------------------------------------- rerun


def test_repeated_a_run_gives_the_same_bits(runs: Path, small_data: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    result = rerun(runs, small_data, scratch)
    assert result.ok
    assert (result.differing, result.circumstances, result.outside) == ([], [], [])
    weights = [f"{stage} seed 0: weights, bit for bit" for stage in ("stage1", "stage2", "linear")]
    results = [f"{title} seed 0: predictions and metrics, bit for bit" for title in ("k-NN k=1", "k-NN k=2", "linear")]
    assert {*weights, *results} < {*result.same}
    assert not any(stage.reused for record in store.read_records(scratch).records for stage in record.stages[:1])
    with pytest.raises(UsageError, match=r"--scratch .*: is not empty"):
        rerun(seed_folder(runs), small_data, scratch)
    assert rerun(runs, small_data, scratch).ok  # goes on where it is: all is there


def test_a_run_that_did_not_come_out_so_is_found_out(runs: Path, small_data: Path, tmp_path: Path) -> None:
    folder = seed_folder(runs)
    file = first(folder, "stages/linear-*.pt")
    state = checkpoint.load(file)
    next(value for value in state["module"].values() if value.is_floating_point()).add_(0.5)
    checkpoint.save(file, state)
    request = Request(
        "stars", "xsub", small_data, runs, preset="quick", overrides=TINY, training=TrainingOptions("cpu")
    )
    spoiled = runner.run(replace(request, evaluations=("linear",)))
    assert spoiled[0].stages[-1].reused
    result = rerun(runs, small_data, tmp_path / "scratch")
    assert not result.ok
    assert any(line.startswith("linear seed 0: weights within 0.5 (the farthest in ") for line in result.differing)


def test_under_other_circumstances_numbers_must_lie_within_their_intervals(
    runs: Path, small_data: Path, tmp_path: Path
) -> None:
    def another_machine(content: dict) -> None:
        content["environment"]["packages"]["torch"] = "2.5.0"

    def and_another_result(content: dict) -> None:
        content["metrics"][0] |= {"value": 99.0, "interval": [98.0, 100.0]}

    for file in seed_folder(runs).glob("records/*.json"):
        edit(file, another_machine)
    result = rerun(runs, small_data, tmp_path / "scratch")
    assert result.ok
    assert result.circumstances == [f"torch 2.5.0 / {torch.__version__}"]
    edit(first(seed_folder(runs), RECORD), and_another_result)
    result = rerun(runs, small_data, tmp_path / "scratch")
    assert not result.ok
    assert result.outside[0].startswith("k-NN k=1 seed 0: top1 ")
    assert result.outside[0].endswith("recorded 98.00 to 100.00")


# ------------------------------------------------------------------------------------ compare, deterministic


def test_compare_says_whether_two_runs_are_comparable(runs: Path, small_data: Path) -> None:
    request = Request(
        "untrained", "xsub", small_data, runs, preset="quick", overrides=TINY[:4], training=TrainingOptions("cpu")
    )
    runner.run(replace(request, evaluations=("knn",)))
    ours, other = seed_folder(runs).parent, next(runs.glob("synthetic/xsub/untrained/*"))
    done = cli("compare", ours, other)
    assert done.returncode == 0, done.stderr
    assert "k-NN k=1 seed 0 / 0: comparable" in done.stdout
    assert "%, difference " in done.stdout
    assert "these trained models: p = " in done.stdout
    assert "the methods: training noise unknown" in done.stdout
    assert "method.weight_decay 0.05 / none" in done.stdout
    edit(first(other / "seed0", RECORD), other_clips)
    done = cli("compare", ours, other)
    assert done.returncode == 1
    assert "k-NN k=1 seed 0 / 0: not comparable: test clips " in done.stdout
    assert "no paired difference: the two were measured on other test clips" in done.stdout
    assert "error: 1 of 4 pairs is not comparable" in done.stderr


def test_deterministic_kernels_are_asked_for_recorded_and_left_again(small_data: Path, tmp_path: Path) -> None:
    seen: list[bool] = []
    request = Request(
        "untrained", "xsub", small_data, tmp_path, preset="quick", overrides=TINY[:4], training=TrainingOptions("cpu")
    )
    request = replace(request, evaluations=("knn",))
    (plain, *_) = runner.run(request)
    (strict, *_) = runner.run(
        replace(request, training=TrainingOptions("cpu", deterministic=True)),
        progress=lambda *_: seen.append(torch.are_deterministic_algorithms_enabled()),
    )
    assert (plain.environment.deterministic, strict.environment.deterministic) == (False, True)
    assert seen
    assert all(seen)
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.deterministic
    assert strict.metrics == plain.metrics  # on a CPU they are the same numbers
    assert strict.weights == plain.weights
    assert len(list(tmp_path.glob("synthetic/xsub/untrained/*"))) == 2  # but never taken for one another


def test_cuda_must_not_have_been_started_without_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE, ":0:0")
    with pytest.raises(UsageError, match=f"set {WORKSPACE}=:4096:8 in the environment before"), deterministic():
        pass
    monkeypatch.delenv(WORKSPACE)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with pytest.raises(UsageError, match="before the program starts"), deterministic():
        pass
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    with deterministic():
        assert os.environ[WORKSPACE] in SIZES
        assert torch.backends.cudnn.deterministic
    assert torch.nn.attention.SDPBackend.CUDNN_ATTENTION not in ATTENTION


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_on_a_gpu_a_deterministic_run_gives_the_same_bits(small_data: Path, tmp_path: Path, precision: str) -> None:
    command = ["run", "stars", "--protocol", "xsub", "--preset", "quick", "--deterministic", "--precision", precision]
    command += ["--data-dir", str(small_data), *(part for item in TINY for part in ("--set", item))]
    for number in (1, 2):
        done = cli(*command, "--runs-dir", tmp_path / str(number))
        assert done.returncode == 0, done.stderr
    once, again = (store.read_records(tmp_path / str(number)).records for number in (1, 2))
    assert once[0].environment.deterministic
    assert [(r.weights, r.metrics) for r in once] == [(r.weights, r.metrics) for r in again]


@pytest.mark.slow
def test_the_whole_road_gives_the_same_weights_and_tables_whatever_the_jobs_and_kills(tmp_path: Path) -> None:
    told, weights = [], []
    for jobs, killed in ((1, False), (2, True)):
        data, runs = tmp_path / f"data{jobs}", tmp_path / f"runs{jobs}"
        command = ["run", "mamp", "--protocol", "xsub", "--preset", "quick", "--data-dir", data, "--runs-dir", runs]
        command += [part for item in (*TINY[:7], *TINY[-2:]) for part in ("--set", item)]
        assert cli("prepare", "synthetic", "--clips", 90, "--jobs", jobs, "--data-dir", data).returncode == 0
        if killed:
            words = [sys.executable, "-m", "stars_bench", *map(str, command), "--checkpoint-seconds", "0"]
            process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while process.poll() is None and not list(runs.rglob("stage1-*.resume.pt")):
                time.sleep(0.001)
            process.kill()
            assert process.wait() == -signal.SIGKILL
        done = cli(*command)
        assert done.returncode == 0, done.stderr
        assert ("resumes from its checkpoint" in done.stdout) == killed
        assert cli("verify", runs, "--data-dir", data).returncode == 0
        table = cli("report", "--runs-dir", runs, "--format", "csv").stdout
        rows = list(csv.DictReader(io.StringIO(table)))
        told.append([{key: value for key, value in row.items() if key not in WHEN} for row in rows])
        weights.append({record.weights for record in store.read_records(runs).records})
    assert len(told[0]) > 10
    assert told[0] == told[1]
    assert len(weights[0]) == 1
    assert weights[0] == weights[1]
