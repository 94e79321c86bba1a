"""Saved results: metrics come out again without the model, sums of streams are sums, and tampering is seen."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments import runner
from stars_bench.experiments.finished import rescore
from stars_bench.experiments.finished.audit import audit
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.io.files import digest_file
from stars_bench.io.run_folder import RunFolder
from stars_bench.records import store
from stars_bench.records.predictions import save_predictions
from stars_bench.records.record import InitPart, PredictionsPart

TINY = ("frames=8", "dim=16", "depth=2", "heads=2", "linear.epochs=2", "linear.batch_size=16")


@pytest.fixture(scope="module")
def request_of(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Request:
    runs = tmp_path_factory.mktemp("saved") / "runs"
    return Request(
        "untrained",
        "xsub",
        small_data,
        runs,
        preset="quick",
        overrides=TINY,
        training=TrainingOptions("cpu"),
        seeds=(0, 1),
    )


@pytest.fixture(scope="module")
def streams(request_of: Request) -> list[Path]:
    """Run folders of the three streams."""
    folders: list[Path] = []
    for stream in ("joint", "bone", "motion"):
        runner.run(replace(request_of, stream=stream))
        there = sorted((request_of.runs_dir / "synthetic/xsub/untrained").iterdir())
        folders += [folder for folder in there if folder not in folders]
    return folders


def test_metrics_are_computed_again_from_predictions_alone(streams: list[Path]) -> None:
    found = rescore.read(streams[0])
    assert len(found) == 2 * 5
    for one in found:
        again = one.measured()
        assert again == one.record
        assert again.per_class is not None
        assert len(again.per_class) == 120


def test_a_fused_result_is_the_weighted_sum_of_scores_by_clip_id(streams: list[Path], tmp_path: Path) -> None:
    records = rescore.fuse(streams, [0.6, 0.6, 0.4], tmp_path / "fused")
    assert {record.seed for record in records} == {0, 1}
    assert {record.dataset.stream for record in records} == {"joint+bone+motion"}
    parts = [
        next(one for one in rescore.read(folder) if one.record.evaluation.name == "linear" and one.record.seed == 0)
        for folder in streams
    ]
    expected = sum(
        weight * np.asarray(part.outcome.scores, np.float64)
        for weight, part in zip((0.6, 0.6, 0.4), parts, strict=True)
    )
    (fused,) = [one for one in rescore.read(tmp_path / "fused") if one.record.seed == 0]
    assert (fused.outcome.predictions == np.asarray(expected).argmax(1)).all()
    assert fused.record.evaluation.config["weights"] == {"joint": 0.6, "bone": 0.6, "motion": 0.4}
    assert fused.record.fused == tuple(part.record.predictions.digest for part in parts)
    assert fused.measured() == fused.record


def test_a_sum_is_made_again_from_the_results_that_it_names(
    streams: list[Path], request_of: Request, tmp_path: Path
) -> None:
    runs = Path(shutil.copytree(request_of.runs_dir, tmp_path / "runs"))
    record = next(one for one in rescore.fuse(streams[:2], [1.0, 0.5], runs) if one.seed == 0)
    key = rescore.fused_key(record, {"joint": 1.0, "bone": 0.5})
    folder = RunFolder.of(runs, "synthetic", "xsub", "untrained", key, 0)
    audited = audit(folder.path, request_of.data_dir)
    assert (audited.faults, audited.looked_at["sums"]) == ([], 1)
    (one,) = rescore.read(folder.path)
    spoilt = replace(one.outcome, scores=one.outcome.scores + 1e-3)
    save_predictions(folder.path / record.predictions.file, spoilt, one.clips)
    part = PredictionsPart(file=record.predictions.file, digest=digest_file(folder.path / record.predictions.file))
    store.write_record(folder, record.model_copy(update={"predictions": part}))
    (fault,) = audit(folder.path, request_of.data_dir).faults
    assert fault.endswith(": its scores are not the weighted sum of the results that it names")
    shutil.rmtree(runs / streams[1].relative_to(request_of.runs_dir) / "seed0" / "records")
    audited = audit(folder.path, request_of.data_dir)
    assert audited.looked_at["sums"] == 0
    assert [line for line in audited.skipped if "1 of the 2 results that it sums are here" in line]


def changed(monkeypatch: pytest.MonkeyPatch, run: Path, **changes: object) -> None:
    """Let the records of one run say something else where they are read to be summed."""
    read = rescore.read_run

    def other(path: Path) -> list[rescore.Saved]:
        if path != run:
            return read(path)
        return [replace(one, record=one.record.model_copy(update=changes)) for one in read(path)]

    monkeypatch.setattr(rescore, "read_run", other)


def test_a_sum_is_marked_as_the_most_doubtful_of_its_results_is(
    streams: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = dict.fromkeys(("method", "dataset", "protocol", "run", "key", "path"), "x")
    numbers = {"seed": 0, "train_clips": 9, "novel_classes": 0, "novel_classes_seen": 0}
    for run, seen in zip(streams[1:], (7, None), strict=True):
        changed(monkeypatch, run, init=InitPart.model_validate(names | numbers | {"test_clips_seen": seen}))
    for record in rescore.fuse(streams, [1.0, 1.0, 1.0], tmp_path):
        assert any(mark.startswith("encoder saw 7 of the") for mark in record.marks)


@pytest.mark.parametrize("field", ["preset", "target"])
def test_streams_of_several_methods_or_presets_are_not_summed(
    streams: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    method = rescore.read(streams[1])[0].record.method
    changed(monkeypatch, streams[1], method=method.model_copy(update={field: "another"}))
    with pytest.raises(UsageError, match=rf"streams of one method: these are of different {field}s .*another"):
        rescore.fuse(streams[:2], [1.0, 1.0], tmp_path)


def test_weights_have_the_names_of_the_programs_that_sum_with_them(streams: list[Path]) -> None:
    names = [rescore.read(run)[0].record.dataset.stream for run in streams]
    assert sorted(names) == ["bone", "joint", "motion"]
    ctr_gcn = {"joint": 0.6, "bone": 0.6, "motion": 0.4}
    assert rescore.parse_weights("ctr-gcn", streams) == [ctr_gcn[name] for name in names]
    assert sum(rescore.WEIGHTS["pyskl"].values()) == 6
    with pytest.raises(UsageError, match="--weights 2s-agcn: sums joint, bone, and not motion"):
        rescore.parse_weights("2s-agcn", streams)


def test_only_results_with_equal_settings_are_summed(
    streams: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = rescore.read_run

    def longer(one: rescore.Saved) -> rescore.Saved:
        evaluation = one.record.evaluation.model_copy(update={"config": {"epochs": 9}})
        return replace(one, record=one.record.model_copy(update={"evaluation": evaluation}))

    def linear(run: Path) -> list[rescore.Saved]:
        return [one for one in read(run) if one.record.evaluation.name == "linear"]

    monkeypatch.setattr(rescore, "read_run", lambda run: [*linear(run), *map(longer, linear(run))])
    records = rescore.fuse(streams[:2], [1.0, 1.0], tmp_path)
    assert sorted((one.seed, one.evaluation.config["epochs"]) for one in records) == [(0, 2), (0, 9), (1, 2), (1, 9)]
    monkeypatch.setattr(
        rescore, "read_run", lambda run: [longer(one) if run == streams[0] else one for one in linear(run)]
    )
    with pytest.raises(UsageError, match=r"even their nearest results differ in settings of the evaluation$"):
        rescore.fuse(streams[:2], [1.0, 1.0], tmp_path)


def test_one_stream_is_not_summed_twice(streams: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="sums different streams; these are joint, joint"):
        rescore.fuse([streams[0], streams[0]], [1.0, 1.0], tmp_path)
    with pytest.raises(UsageError, match="holds 3 runs; give one of them"):
        rescore.fuse([streams[0].parent, streams[1]], [1.0, 1.0], tmp_path)


@pytest.mark.parametrize(
    ("part", "field", "value", "told"),
    [
        ("protocol", "test_digest", "x", r"test clips \(\d+ and \d+\)"),
        ("protocol", "train_digest", "x", r"training clips \(\d+ and \d+\)"),
        ("protocol", "name", "xview", r"protocol \(xsub and xview\)"),
        ("dataset", "digest", "x", "prepared data"),
        ("evaluation", "name", "other", r"evaluation \(linear and other\); settings of the evaluation"),
    ],
)
def test_runs_that_cannot_be_summed_are_told_what_differs(
    streams: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, field: str, value: str, told: str
) -> None:
    record = rescore.read(streams[1])[0].record
    changed(monkeypatch, streams[1], **{part: getattr(record, part).model_copy(update={field: value})})
    with pytest.raises(UsageError, match=rf"even their nearest results differ in {told}$"):
        rescore.fuse(streams[:2], [1.0, 1.0], tmp_path)


def test_a_run_without_scores_is_told_what_to_run(
    streams: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = rescore.read
    monkeypatch.setattr(
        rescore, "read_run", lambda run: [replace(one, outcome=replace(one.outcome, scores=None)) for one in read(run)]
    )
    with pytest.raises(UsageError, match="has no result with scores; run it again with --eval linear"):
        rescore.fuse(streams[:2], [1.0, 1.0], tmp_path)


def test_what_cannot_be_summed_is_refused(request_of: Request, streams: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two runs or more"):
        rescore.fuse(streams[:1], [1.0], tmp_path)
    with pytest.raises(UsageError, match=r"cannot be summed: even their nearest results differ in seed \(0 and 1\)$"):
        rescore.fuse([streams[0] / "seed0", streams[1] / "seed1"], [1.0, 1.0], tmp_path)
    # A result that was selected on the test part does not hide in a sum.
    chosen = replace(request_of, stream="bone", select="best-on-test", runs_dir=tmp_path / "chosen", seeds=(0,))
    runner.run(replace(chosen, overrides=tuple(item for item in TINY if not item.startswith("knn"))))
    with pytest.raises(UsageError, match=r"even their nearest results differ in .*epoch that was chosen"):
        rescore.fuse([streams[0], next(chosen.runs_dir.glob("synthetic/xsub/untrained/*"))], [1.0, 1.0], tmp_path)
    with pytest.raises(UsageError, match="2 weights for 3 runs"):
        rescore.parse_weights("1,2", streams)
    with pytest.raises(UsageError, match=r"could not convert .*; or one of 2s-agcn, ctr-gcn, pyskl"):
        rescore.parse_weights("ctrgcn", streams)
    with pytest.raises(UsageError, match="no records below it"):
        rescore.read(tmp_path)


def test_predictions_that_were_changed_are_not_believed(request_of: Request, tmp_path: Path) -> None:
    runner.run(replace(request_of, runs_dir=tmp_path, seeds=(0,), evaluations=("knn",), overrides=TINY[:4]))
    one = rescore.read(tmp_path)[0]
    file = one.path.parent.parent / one.record.predictions.file
    content = json.loads(one.path.read_text())
    content["metrics"][0]["value"] = 99.0
    content["metrics"][0]["interval"] = None
    one.path.write_text(json.dumps(content))
    again = rescore.read_one(one.path)
    assert again.measured().metrics[0].value != again.record.metrics[0].value == 99.0
    file.write_bytes(file.read_bytes()[:-7] + b"changed")
    with pytest.raises(StarsBenchError, match="its digest differs"):
        rescore.read(tmp_path)


def test_a_confusion_matrix_has_action_names(streams: list[Path], tmp_path: Path) -> None:
    path = rescore.write_confusion(rescore.read(streams[0])[0], tmp_path)
    assert path is not None
    lines = path.read_text().splitlines()
    assert lines[0].startswith("true,drink water")
    assert len(lines) == 121
