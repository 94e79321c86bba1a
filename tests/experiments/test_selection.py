"""`--select`: which epoch is evaluated, by which clips, and that every output says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.evaluation.finetune import Finetune
from stars_bench.experiments import runner
from stars_bench.experiments.finished.audit import audit
from stars_bench.experiments.plan import resolve
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.io.files import digest_lines
from stars_bench.models.untrained import Untrained
from stars_bench.protocols.standard import XSUB
from stars_bench.records.predictions import load_predictions
from stars_bench.records.record import Record
from stars_bench.report.leaderboard import Leaderboard
from stars_bench.storage.shards import open_dataset
from stars_bench.training import checkpoint

SIZE = ("frames=8", "dim=16", "depth=1", "heads=2")
SETTINGS = {
    "untrained": SIZE,
    "supervised": (*SIZE, "epochs=3", "batch_size=8", "warmup_epochs=0", "head_hidden=8"),
    "linear": ("linear.epochs=4", "linear.batch_size=8"),
    "finetune": ("finetune.epochs=3", "finetune.batch_size=8", "finetune.warmup_epochs=0", "finetune.head_hidden=8"),
    "semi": ("semi.epochs=3", "semi.batch_size=8", "semi.head_hidden=8", "semi.percents=[50]", "semi.lists=1"),
    "knn": ("knn.k=[1]",),
    "classifier": (),
}
MakeRequest = Callable[..., Request]


@pytest.fixture
def request_for(small_data: Path, tmp_path: Path) -> MakeRequest:
    def make(select: Any, *evaluations: str, method: str = "untrained", **changes: Any) -> Request:
        settings = tuple(item for name in (method, *evaluations) for item in SETTINGS[name])
        base = Request(method, "xsub", small_data, tmp_path / "runs", evaluations=evaluations, overrides=settings)
        return replace(base, preset="quick", training=TrainingOptions("cpu"), select=select, **changes)

    return make


def log_of(request: Request, stage: str) -> list[dict[str, Any]]:
    (file,) = request.runs_dir.rglob(f"stages/{stage}-*.pt")
    log: list[dict[str, Any]] = checkpoint.load(file)["log"]
    return log


def predictions_of(request: Request, record: Record) -> np.ndarray:
    (file,) = request.runs_dir.rglob(record.predictions.file)
    return load_predictions(file)[0].predictions


@pytest.mark.parametrize(
    ("evaluation", "stage"), [("linear", "linear"), ("finetune", "finetune"), ("semi", "semi-50-0")]
)
def test_the_published_rule_gives_the_best_epoch_of_the_test_part(request_for: MakeRequest, evaluation, stage) -> None:
    looks = () if evaluation == "linear" else (f"{evaluation}.test_every=1",)
    last, best = (request_for(select, evaluation) for select in ("last", "best-on-test"))
    (usual,) = runner.run(replace(last, runs_dir=last.runs_dir.with_name("last"), overrides=(*last.overrides, *looks)))
    (chosen,) = runner.run(best)
    known = {metric.name: metric.value for metric in usual.metrics}["top1_best_epoch_on_test"]
    accuracies = [line["accuracy"] for line in log_of(best, stage)]
    assert len(accuracies) == len(set(range(len(accuracies))))  # a look after every epoch
    assert chosen.metrics[0].value == pytest.approx(known) == pytest.approx(100 * max(accuracies))
    assert chosen.stages[-1].epoch == 1 + accuracies.index(max(accuracies))
    assert chosen.evaluation.checkpoint_rule == "best epoch, selected on the test part"
    assert chosen.marks[-1] == "checkpoint: best epoch, selected on the test part"
    assert "top1_best_epoch_on_test" not in {metric.name for metric in chosen.metrics}
    assert audit(best.runs_dir, best.data_dir).faults == []


@pytest.mark.parametrize("evaluation", ["linear", "finetune"])
def test_held_out_subjects_choose_and_do_not_train(request_for: MakeRequest, evaluation: str) -> None:
    request = request_for("validation", evaluation)
    (record,) = runner.run(request)
    table = open_dataset(request.data_dir, "synthetic").table
    part = record.selection
    assert part is not None
    assert (part.select, part.column) == ("validation", "subject")
    held_out = table[table["subject"].isin(part.held_out)]
    train = XSUB.split(table).train
    assert set(held_out.index) < set(train)
    assert (part.clips, part.train_clips) == (len(held_out), len(train) - len(held_out))
    assert part.digest == digest_lines(held_out["name"].tolist())
    labels = table["label"].to_numpy()
    assert set(labels[held_out.index]) == set(labels[sorted(set(train) - set(held_out.index))]) == set(labels[train])
    assert record.stages[-1].samples <= record.stages[-1].epoch * 99 * part.train_clips
    assert record.marks[-1] == "checkpoint: best epoch on held-out subjects, which do not train"
    assert record.advantages == []
    assert audit(request.runs_dir, request.data_dir).faults == []


def test_the_evaluation_is_given_neither_labels_nor_clips_of_the_other_parts(
    request_for: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    run = Finetune.run
    monkeypatch.setattr(Finetune, "run", lambda self, subject: seen.append(subject) or run(self, subject))
    for select in ("validation", "best-on-test"):
        runner.run(request_for(select, "finetune"))
    held_out, published = seen
    for subject in seen:
        with pytest.raises(StarsBenchError):
            _ = subject.part(subject.looked_at).labels
    train, validation = (set(held_out.names[part]) for part in ("train", "validation"))
    assert not train & validation
    assert train | validation == set(published.names["train"])
    assert (published.looked_at, published.validation) == ("test", None)


@pytest.mark.parametrize("select", ["validation", "best-on-test"])
def test_a_supervised_methods_encoder_is_that_of_the_best_epoch(request_for: MakeRequest, select: str) -> None:
    request = request_for(select, "classifier", "knn", method="supervised")
    records = runner.run(request)
    (stage,) = records[0].stages
    accuracies = [line["accuracy"] for line in log_of(request, "supervised")]
    assert stage.epoch == 1 + accuracies.index(max(accuracies))
    assert {record.evaluation.name: record.select for record in records} == {"classifier": select, "knn": select}
    if select == "best-on-test":
        assert records[0].metrics[0].value == pytest.approx(100 * max(accuracies))
    trained = stage.samples / 3
    assert trained <= records[0].selection.train_clips < trained + 8
    assert audit(request.runs_dir, request.data_dir).faults == []


def test_an_encoder_that_was_selected_on_the_test_part_stays_marked(request_for: MakeRequest) -> None:
    request = request_for("best-on-test", "classifier", method="supervised")
    runner.run(request)
    (folder,) = request.runs_dir.glob("synthetic/xsub/supervised/*")
    (record,) = runner.run(replace(request_for("last", "knn"), method="supervised", init=folder, overrides=()))[:1]
    assert "encoder selected on the test part of synthetic xsub" in record.advantages


def test_self_supervised_stages_are_shared_whatever_chooses_the_probes_epoch(request_for: MakeRequest) -> None:
    mamp = ("batch_size=16", "epochs=1", "warmup_epochs=0")
    requests = [request_for(select, "linear") for select in ("last", "validation", "best-on-test")]
    records = [runner.run(replace(one, method="mamp", overrides=(*one.overrides, *mamp)))[0] for one in requests]
    assert len({record.stages[0].key for record in records}) == 1
    assert [record.stages[0].epoch for record in records] == [None] * 3
    assert len({record.stages[1].key for record in records}) == 3
    assert [record.stages[1].epoch is None for record in records] == [True, False, False]


def test_tables_never_rank_what_was_selected_on_the_test_part(request_for: MakeRequest) -> None:
    records = [runner.run(request_for(select, "linear"))[0] for select in ("last", "validation", "best-on-test")]
    (table,) = Leaderboard.of(records).tables
    ranks = {row.cells[-1].value.records[0].select: row.cells[-1].rank for row in table.measured}
    assert ranks["best-on-test"] == 0
    board = Leaderboard.of(records)
    labels = [f"untrained ({words})" for words in ("last epoch", "epoch by validation", "epoch by test part")]
    assert sorted(row.label for row in table.measured) == sorted(labels)
    for text in (board.to_text(200), board.to_markdown(), board.to_latex(), board.to_csv(), board.to_html()):
        assert "selected on the test part" in text
        assert "best epoch on held-out subjects" in text


@pytest.mark.parametrize(
    ("select", "changes", "line"),
    [
        ("first", {}, "--select first: there are last, validation, best-on-test"),
        ("validation", {"evaluations": ("knn",)}, "--select validation: knn trains nothing here"),
        ("validation", {"evaluations": ("semi",)}, "semi is for last, best-on-test; leave it out, or take linear"),
        ("validation", {"method": "supervised", "evaluations": ("semi",)}, "semi is for last, best-on-test"),
        ("best-on-test", {"protocol": "fewshot", "evaluations": ("fewshot",)}, "tests classes that nothing learns"),
        ("best-on-test", {"validation": "subjects"}, "--validation subjects measures no test part"),
        ("best-on-test", {"evaluations": ("semi",), "overrides": ("semi.test_every=2",)}, "every epoch is looked at"),
        ("validation", {"protocol": "xset"}, "at least two training setups, and there is 1"),
    ],
)  # fmt: skip
def test_a_choice_that_means_nothing_is_refused_in_one_line(request_for: MakeRequest, select, changes, line) -> None:
    request = replace(request_for(select), **changes)
    with pytest.raises(StarsBenchError) as caught:
        resolve(request)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("asked", [(), ("all",)])
def test_without_names_what_can_be_chosen_is_evaluated(request_for: MakeRequest, asked: tuple[str, ...]) -> None:
    small = ("linear.batch_size=8", "finetune.batch_size=8", *SIZE) if asked else ("linear.batch_size=8", *SIZE)
    plan = resolve(replace(request_for("validation"), evaluations=asked, overrides=small))
    assert list(plan.evaluations) == (["linear", "finetune"] if asked else ["linear"])
    whole = resolve(replace(request_for("validation"), evaluations=asked, overrides=small, method="supervised"))
    assert list(whole.evaluations)[:3] == ["classifier", "knn", "linear"]
    assert "semi" not in whole.evaluations  # its own epoch would be the last


def test_the_rule_is_part_of_the_runs_key_and_the_last_epoch_is_not(request_for: MakeRequest) -> None:
    keys = [resolve(request_for(select, "linear")).key for select in ("last", "validation", "best-on-test")]
    assert len(set(keys)) == 3


@pytest.mark.parametrize(("protocol", "column"), [("xsub", "subject"), ("xview", "camera")])
def test_a_protocol_says_what_is_held_out(request_for: MakeRequest, protocol: str, column: str) -> None:
    plan = resolve(request_for("validation", "linear", protocol=protocol))
    whole = plan.split(0)
    part = plan.selection_part(whole, 0)
    values = plan.dataset.table[column].to_numpy()
    assert not set(values[part.train]) & set(values[part.test])
    assert sorted([*part.train, *part.test]) == whole.train.tolist()


class SaysSo(Untrained):
    """Claims to classify, but no stage of it does."""

    evaluations = ("classifier",)

    def fit(self, clips, run):
        encoder = super().fit(clips, run)
        encoder.classify = lambda x: torch.zeros(len(x), 60)
        return encoder


def test_a_method_that_shows_no_looks_is_refused(request_for: MakeRequest) -> None:
    request = replace(request_for("validation", "knn"), method=f"{__name__}:SaysSo", overrides=(*SIZE, "knn.k=[1]"))
    with pytest.raises(StarsBenchError, match="no stage of untrained has a module with classify"):
        runner.run(request)


def test_a_plug_ins_protocol_without_a_rule_is_refused(request_for: MakeRequest, monkeypatch) -> None:
    monkeypatch.setattr("stars_bench.protocols.standard.XSUB", replace(XSUB, held_out=None))
    with pytest.raises(UsageError, match="protocol xsub does not say what to hold out"):
        resolve(request_for("validation", "linear"))
