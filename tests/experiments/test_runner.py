"""From a method's name to records: the whole road on a small dataset, resumed, seeded, and honest about what it did."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from pydantic import BaseModel
from typer.testing import CliRunner

from stars_bench import cli, registry
from stars_bench.api import Split
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.evaluation.linear import LinearConfig
from stars_bench.experiments import runner
from stars_bench.experiments.plan import _fitting, resolve
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.io.files import digest_file
from stars_bench.models.untrained import Untrained
from stars_bench.protocols.standard import XSUB
from stars_bench.records import store
from stars_bench.storage.shards import open_dataset
from tests.killed import left_by_a_killed_process

TINY = (
    *("frames=8", "dim=16", "depth=2", "heads=2", "batch_size=16", "epochs=2", "warmup_epochs=1"),
    *("tune_epochs=2", "tune_batch_size=16", "queue_size=40", "predictor_hidden=32"),
    *("linear.epochs=3", "linear.batch_size=16"),
)


@pytest.fixture
def request_for(small_data: Path, tmp_path: Path):
    def make(method: str = "stars", **changes) -> Request:
        known = {"untrained": TINY[:4] + TINY[-2:], "mamp": TINY[:7] + TINY[-2:]}.get(method, TINY)
        if "linear" not in changes.get("evaluations", ("linear",)):
            known = tuple(item for item in known if not item.startswith("linear."))
        base = Request(
            method,
            "xsub",
            small_data,
            tmp_path / "runs",
            preset="quick",
            overrides=known,
            training=TrainingOptions("cpu"),
        )
        return replace(base, **changes)

    return make


def top1(records) -> dict[str, float]:
    return {record.file_name: record.metrics[0].value for record in records}


def test_a_run_gives_one_record_a_result_and_saves_what_it_rests_on(request_for, small_data: Path) -> None:
    request = request_for()
    records = runner.run(request)
    assert [r.evaluation.settings for r in records] == [{"k": 1}, {"k": 2}, {"k": 5}, {"k": 10}, {}]
    record = records[-1]
    assert [stage.name for stage in record.stages] == ["stage1", "stage2", "linear"]
    assert record.method.preset == "changed quick"
    names = ["top1", "top5", "macro_accuracy", "macro_f1", "top1_best_epoch_on_test"]
    assert [metric.name for metric in record.metrics] == names
    folder = next(request.runs_dir.glob("synthetic/xsub/stars/*/seed0"))
    with np.load(folder / record.predictions.file) as saved:
        assert (saved["predictions"] == saved["labels"]).mean() * 100 == pytest.approx(record.metrics[0].value)
        assert len(saved["names"]) == record.protocol.test_clips
    features = sorted((folder / "features").glob("*.npz"))
    assert len(features) == 2
    with np.load(features[0]) as saved:
        assert saved["features"].shape == (len(saved["names"]), 16)
    table = open_dataset(small_data, "synthetic").table
    test_names = set(table["name"][~table["subject"].isin([1, 2, 4, 5, 8, 9, 13, 14])])
    with np.load(folder / record.predictions.file) as saved:
        assert set(saved["names"]) == test_names
    assert (folder / "config.toml").exists()
    assert {json.loads(line)["stage"] for line in (folder / "log.jsonl").read_text().splitlines()} == {
        "stage1", "stage2", "linear"
    }  # fmt: skip
    assert store.read_records(request.runs_dir).records == sorted(records, key=store._order)


def test_the_same_command_again_changes_nothing(request_for) -> None:
    request = request_for()
    first = runner.run(request)
    files = {path: digest_file(path) for path in request.runs_dir.rglob("*") if path.is_file()}
    for folder in {path.parent for path in files}:  # as a kill in the middle of writing leaves it
        left_by_a_killed_process(folder / "half.npz")
    assert runner.run(request) == first
    assert {path: digest_file(path) for path in request.runs_dir.rglob("*") if path.is_file()} == files


@pytest.mark.parametrize("damage", [lambda text: text[:100], lambda text: text.replace('"seed": 0', '"seed": 1')])
def test_a_record_that_is_damaged_or_edited_is_set_aside_and_made_again(request_for, damage) -> None:
    request = request_for("untrained")
    first = runner.run(request)
    path = next(request.runs_dir.rglob("records/*.json"))
    path.write_text(damage(path.read_text()))
    lines: list[str] = []
    again = runner.run(request, tell=lines.append)
    said = f"untrained xsub seed 0: {path} is damaged: kept as {path.name}.damaged, and made again"
    assert said in lines
    assert [record.metrics for record in again] == [record.metrics for record in first]
    assert store.read_record(path).seed == 0


def test_stage_one_is_trained_once_for_mamp_and_stars(request_for) -> None:
    runner.run(request_for("mamp"))
    record = runner.run(request_for("stars"))[0]
    assert [(stage.name, stage.reused) for stage in record.stages] == [("stage1", True), ("stage2", False)]


def test_stars_is_the_same_whether_its_first_stage_was_taken_over_or_not(request_for, tmp_path: Path) -> None:
    runner.run(request_for("mamp"))
    taken_over = runner.run(request_for("stars"))
    alone = runner.run(request_for("stars", runs_dir=tmp_path / "other"))
    assert top1(taken_over) == top1(alone)
    encoders = [
        next(root.glob("synthetic/xsub/stars/*/seed0/encoder.pt")) for root in (tmp_path / "runs", tmp_path / "other")
    ]
    states = [torch.load(path, weights_only=True)["encoder"] for path in encoders]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_seeds_differ_and_stand_apart(request_for) -> None:
    records = runner.run(request_for("untrained", seeds=(0, 1), evaluations=("knn",)))
    assert {record.seed for record in records} == {0, 1}
    by_seed = [[r.predictions.digest for r in records if r.seed == seed] for seed in (0, 1)]
    assert by_seed[0] != by_seed[1]


def test_validation_measures_on_training_subjects_only(request_for, small_data: Path) -> None:
    request = request_for("untrained", validation="subjects", evaluations=("knn",))
    record = runner.run(request)[0]
    table = open_dataset(small_data, "synthetic").table.set_index("name")
    folder = next(request.runs_dir.glob("synthetic/xsub/untrained/*/seed0"))
    with np.load(folder / record.predictions.file) as saved:
        assert set(table.loc[saved["names"], "subject"]) < {1, 2, 4, 5, 8, 9, 13, 14}
    assert "validation part, not the test part" in record.marks


def half_tested(table) -> Split:
    """Cross-subject with every other test clip left out."""
    split = XSUB.split(table)
    return Split(split.train, split.test[::2])


HALF = replace(XSUB, name="half", split=half_tested, expected={})


def test_protocols_with_the_same_training_part_share_stages_but_no_predictions(request_for) -> None:
    first = runner.run(request_for("mamp", evaluations=("linear",)))[0]
    second = runner.run(request_for("mamp", evaluations=("linear",), protocol=f"{__name__}:HALF"))[0]
    assert [(stage.name, stage.reused) for stage in second.stages] == [("stage1", True), ("linear", False)]
    assert second.metrics[0].n == (first.metrics[0].n + 1) // 2


class Peeking:
    """A method that asks for labels without saying so."""

    name: ClassVar[str] = "peeking"

    class Config(BaseModel):
        pass

    def fit(self, clips, run):  # noqa: ARG002
        return clips.labels


class NoEncoder(Peeking):
    """A method that returns something else than an encoder."""

    def fit(self, clips, run):  # noqa: ARG002
        return torch.nn.Linear(2, 2)


class Supervised(Untrained):
    """A method that says it needs labels gets them, of the training part alone."""

    needs_labels = True

    def fit(self, clips, run):
        assert len(clips.labels) == len(clips)
        return super().fit(clips, run)


class Remembering(Untrained):
    """A method that remembers which clips it was given."""

    given: ClassVar[list[int]] = []

    def fit(self, clips, run):
        self.given[:] = clips.ids.tolist()
        return super().fit(clips, run)


def test_a_method_gets_the_clips_of_the_training_part_and_no_others(request_for, small_data: Path) -> None:
    runner.run(request_for(f"{__name__}:Remembering", overrides=TINY[:4], evaluations=("knn",)))
    assert Remembering.given == XSUB.split(open_dataset(small_data, "synthetic").table).train.tolist()


class PeekingEvaluation:
    """An evaluation that asks for the labels of the test part."""

    name: ClassVar[str] = "peeking-evaluation"

    class Config(BaseModel):
        pass

    def run(self, subject):
        assert len(subject.train.labels) == len(subject.train)
        return subject.test.labels


def test_no_evaluation_gets_the_labels_of_the_test_part(request_for) -> None:
    with pytest.raises(StarsBenchError, match="labels are not given"):
        runner.run(request_for("untrained", overrides=TINY[:4], evaluations=(f"{__name__}:PeekingEvaluation",)))


def test_labels_are_given_only_to_methods_that_say_so(request_for) -> None:
    with pytest.raises(StarsBenchError, match="needs_labels"):
        runner.run(request_for(f"{__name__}:Peeking", overrides=(), evaluations=("knn",)))
    assert runner.run(request_for(f"{__name__}:Supervised", overrides=TINY[:4], evaluations=("knn",)))


def test_what_fit_returns_is_checked(request_for) -> None:
    with pytest.raises(StarsBenchError, match=r"an nn\.Module with `dim` and `frames`"):
        runner.run(request_for(f"{__name__}:NoEncoder", overrides=(), evaluations=("knn",)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"overrides": ("epoch=3",)}, "did you mean 'epochs'"),
        ({"overrides": ("epochs=0",)}, "epochs: input should be greater than or equal to 1"),
        ({"overrides": ("linear.lrr=1",)}, "did you mean 'lr'"),
        ({"overrides": ("linear.lr=1",), "evaluations": ("knn",)}, "linear is not evaluated"),
        ({"preset": "quik"}, "no preset 'quik'"),
        ({"method": "starz"}, "did you mean 'stars'"),
        ({"protocol": "xsubject"}, "did you mean 'xsub'"),
        ({"dataset": "ntu60"}, "ntu60 is not prepared"),
        ({"evaluations": ("kn",)}, "did you mean 'knn'"),
        ({"training": TrainingOptions("cpu", "tf32")}, "needs a GPU"),
        ({"training": TrainingOptions("cpu", "fp8")}, "float32, tf32, bf16"),
        ({"training": TrainingOptions("tpu")}, "--device tpu"),
        ({"validation": "clips"}, "there is 'subjects'"),
        ({"overrides": ("heads=3",)}, "heads must divide dim"),
        ({"overrides": ("knn.k=[0]",)}, "knn: k.0: input should be greater than 0"),
    ],
)
def test_wrong_use_is_one_line_before_anything_runs(request_for, changes, message) -> None:
    request = (
        request_for(**{"overrides": ()} | changes) if "method" not in changes else replace(request_for(), **changes)
    )
    with pytest.raises(UsageError, match=message) as caught:
        resolve(request)
    assert "\n" not in str(caught.value)
    assert not request.runs_dir.exists()


def test_one_training_clip_is_too_few_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"^linear: too few training clips \(1\): batch_size: .* \(got 1\)$"):
        _fitting(LinearConfig(), 1, "linear")


def test_a_batch_that_is_larger_than_the_data_is_cut_with_a_line(request_for) -> None:
    request = request_for("stars", overrides=(*TINY, "linear.batch_size=999"))
    told: list[str] = []
    records = runner.run(request, tell=told.append)
    name = "stars xsub seed 0"
    assert f"{name}: batch_size of linear cut from 999 to 32: there are 36 clips" in told
    (linear,) = [record for record in records if record.evaluation.name == "linear"]
    assert linear.evaluation.config["batch_size"] == 32
    assert linear.method.preset == "changed quick"
    paper = resolve(replace(request_for("mamp", overrides=()), preset="paper"))
    assert (paper.config.batch_size, len(paper.cut)) == (32, 2)  # of the method and of linear
    assert runner.run(request) == records  # the same key


@pytest.mark.parametrize("method", sorted(registry.BUILT_IN["methods"]))
def test_the_papers_preset_of_every_method_fits_small_data(request_for, method: str) -> None:
    plan = resolve(replace(request_for(preset="paper", overrides=(), evaluations=("all",)), method=method))
    configs = [plan.config, *(config for _, config in plan.evaluations.values())]
    sizes = [
        size
        for config in configs
        for key, size in config
        if key.endswith("batch_size") and not getattr(config, "shrinks_batch", False)
    ]
    assert sizes
    assert max(sizes) <= 36  # the training clips


class Failing:
    """An evaluation that fails."""

    name = "failing"
    Config = Untrained.Config

    def run(self, _):
        raise RuntimeError("singular matrix")


def test_an_evaluation_that_fails_takes_no_other_along(request_for) -> None:
    evaluations = (f"{__name__}:Failing", "knn", "linear")
    request = request_for("untrained", evaluations=evaluations, seeds=(0, 1))
    line = r"^failing: RuntimeError: singular matrix \(the other evaluations are kept\)$"
    with pytest.raises(StarsBenchError, match=line) as caught:
        runner.run(request)
    there = store.read_records(request.runs_dir).records
    assert {(one.evaluation.name, one.seed) for one in there} == {(e, s) for e in ("knn", "linear") for s in (0, 1)}
    assert {one.self_digest for one in caught.value.records} == {one.self_digest for one in there}
    with pytest.raises(RuntimeError, match="singular matrix"):
        runner.run(replace(request, evaluations=evaluations[:1], overrides=TINY[:4]))


def test_the_table_is_printed_where_one_evaluation_failed(request_for, tmp_path: Path) -> None:
    request = request_for("untrained", evaluations=("knn",))
    words = ["run", "untrained", "--protocol", "xsub", "--preset", "quick", "--eval", f"{__name__}:Failing"]
    words += ["--eval", "knn", "--data-dir", str(request.data_dir), "--runs-dir", str(tmp_path), "--device", "cpu"]
    done = CliRunner().invoke(cli.app, [*words, "--set", "frames=8", "--set", "dim=16", "--set", "depth=1"])
    assert "4 records under" in done.stdout
    assert "k=10" in done.stdout
    assert str(done.exception).startswith("failing: RuntimeError: singular matrix")


def test_a_changed_plug_in_is_run_anew(request_for, tmp_path: Path, monkeypatch) -> None:
    source = """
import torch
class Mine:
    name = "mine"
    class Config(__import__("pydantic").BaseModel):
        pass
    def fit(self, clips, run):
        return Features()
class Features(torch.nn.Module):
    dim, frames = 3, 8
    def forward(self, x):
        return x.mean((2, 3, 4)) * FACTOR
"""
    results = []
    for factor in ("1", "0"):
        module = f"plug{factor}"  # another name, as another process would import the changed file
        (tmp_path / f"{module}.py").write_text(source.replace("FACTOR", factor))
        monkeypatch.chdir(tmp_path)
        records = runner.run(request_for(f"{module}:Mine", overrides=(), evaluations=("knn",)))
        results.append([record.metrics[0].value for record in records])
    assert results[0] != results[1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
def test_the_road_on_a_gpu(request_for, precision: str) -> None:
    records = runner.run(request_for(training=TrainingOptions("cuda", precision)))
    assert len(records) == 5
    assert records[0].environment.precision == precision
    assert all(stage.peak_bytes for stage in records[0].stages)


def test_a_run_that_another_process_is_at_is_left_to_it(request_for) -> None:
    request = request_for("untrained")
    (record, *_) = runner.run(request)
    folder = next(request.runs_dir.glob("synthetic/xsub/untrained/*/seed0"))
    hold = "import sys; from pathlib import Path; from stars_bench.io.files import alone_in\n"
    hold += "with alone_in(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(UsageError, match=rf"seed0: process {other.pid} .* is writing there"):
            runner.run(request)
    assert runner.run(request)[0] == record
