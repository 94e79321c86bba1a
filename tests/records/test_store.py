"""The store: records come back as they were written, and one bad file hides no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from stars_bench.io.run_folder import RunFolder
from stars_bench.records.record import Record
from stars_bench.records.store import StoredRecord, located, read_record, read_records, to_frame, write_record

MakeRecord = Callable[..., Record]


def test_records_come_back_sorted_as_people_count(tmp_path: Path, make_record: MakeRecord) -> None:
    for seed in (1, 0):
        folder = RunFolder.of(tmp_path, "ntu60", "xsub", "stars", "0a1b2c", seed)
        for k in (10, 2, 1):
            write_record(folder, make_record(seed=seed, evaluation__settings={"k": k}))
    stored, warnings, edited = read_records(tmp_path)
    records = [one.record for one in stored]
    assert [read_record(one.path) for one in stored] == records
    found = [(record.evaluation.settings["k"], record.seed) for record in records]
    assert found == [(1, 0), (1, 1), (2, 0), (2, 1), (10, 0), (10, 1)]
    assert (warnings, edited) == ([], [])


def test_a_second_writing_replaces_the_same_result(tmp_path: Path, make_record: MakeRecord) -> None:
    first, second = (write_record(RunFolder(tmp_path), make_record(value)) for value in (1.0, 2.0))
    assert first == second
    assert [file.name for file in (tmp_path / "records").iterdir()] == [first.name]


def test_a_bad_file_is_a_warning_and_the_others_are_read(tmp_path: Path, make_record: MakeRecord) -> None:
    folder = RunFolder.of(tmp_path, "ntu60", "xsub", "stars", "0a1b2c", 0)
    good = write_record(folder, make_record())
    broken = good.with_name("broken.json")
    broken.write_text(good.read_text(encoding="utf-8")[:100], encoding="utf-8")
    good.with_name("latin.json").write_bytes(b"\xff\xfe")
    stored, warnings, _ = read_records(tmp_path)
    assert [one.path for one in stored] == [good]
    assert len(warnings) == 2
    assert str(broken) in warnings[0]


def test_a_record_carries_a_checksum_of_itself_and_an_edit_is_one_line(tmp_path: Path, make_record: MakeRecord) -> None:
    path = write_record(RunFolder.of(tmp_path, "ntu60", "xsub", "stars", "0a1b2c", 0), make_record())
    content = json.loads(path.read_text(encoding="utf-8"))
    assert read_records(tmp_path).edited == []
    for change in ({"seed": 1}, {"self_digest": "0" * 64}, {"self_digest": None}, {"schema_version": 5}):
        path.write_text(json.dumps(content | change), encoding="utf-8")
        found = read_records(tmp_path)
        assert len(found.stored) == 1
        assert [line.partition(" (")[0] for line in found.edited] == [f"{path}: was edited after it was written"]
    path.write_text(json.dumps(content, indent=4), encoding="utf-8")  # another layout of the same content
    assert read_records(tmp_path).edited == []


def test_an_older_record_has_no_checksum_and_gets_none(tmp_path: Path, make_record: MakeRecord) -> None:
    older = make_record(schema_version=5)
    path = write_record(RunFolder.of(tmp_path, "ntu60", "xsub", "stars", "0a1b2c", 0), older)
    assert read_record(path).self_digest is None
    assert read_records(tmp_path).edited == []


def test_no_runs_folder_means_no_records(tmp_path: Path) -> None:
    assert read_records(tmp_path / "nowhere") == ([], [], [])


def test_the_frame_has_one_row_per_record_and_metric(make_record: MakeRecord) -> None:
    frame = to_frame([make_record(best=82.0), make_record(70.0, seed=1, method__preset="quick")])
    assert list(frame["metric"]) == ["top1", "top1_best_epoch_on_test", "top1"]
    assert list(frame["value"]) == [80.0, 82.0, 70.0]
    assert list(frame["marks"]) == ["", "", "quick preset"]
    assert json.loads(frame["settings"][0]) == {"k": 1}


def test_an_empty_frame_has_the_same_columns_and_types(make_record: MakeRecord) -> None:
    nothing_set = make_record(method__config={}, evaluation__config={}, evaluation__settings={})
    empty, full = to_frame([]), to_frame([nothing_set])
    assert list(empty.columns) == list(full.columns)
    assert list(empty.dtypes) == list(full.dtypes)


def test_every_setting_has_a_column_after_those_of_every_record(make_record: MakeRecord) -> None:
    nested = {"lr": 1e-3, "epochs": 400, "queue": {"size": 128, "kind": "fifo"}, "amp": True, "steps": [1, 2]}
    few = make_record(protocol__config={"novel_classes": [3]}, method__config={"lr": 2.0, "warmup": None})
    frame = to_frame([few, make_record(best=82.0, method__config=nested)])
    assert list(frame.columns[len(to_frame([]).columns) :]) == [
        "method.lr",
        "method.warmup",
        "method.epochs",
        "method.queue.size",
        "method.queue.kind",
        "method.amp",
        "method.steps",
        "evaluation.keep",
        "evaluation.k",
        "protocol.novel_classes",
    ]
    assert frame["method.lr"].tolist() == [2.0, 1e-3, 1e-3]  # one row a metric
    assert frame["method.steps"].tolist()[1:] == ["[1, 2]", "[1, 2]"]
    assert frame.loc[frame["method.epochs"].isna(), "method.lr"].tolist() == [2.0]
    kinds = {"lr": "Float64", "epochs": "Int64", "queue.size": "Int64", "queue.kind": "string", "amp": "boolean"}
    assert {name: str(frame[f"method.{name}"].dtype) for name in kinds} == kinds


def test_a_row_has_its_own_variant_of_an_evaluation(make_record: MakeRecord) -> None:
    records = [make_record(evaluation__config={"k": [1, 2]}, evaluation__settings={"k": k}) for k in (1, 2)]
    frame = to_frame(records)
    assert frame["evaluation.k"].tolist() == [1, 2]
    assert str(frame["evaluation.k"].dtype) == "Int64"


def test_what_fits_no_type_is_text(make_record: MakeRecord) -> None:
    configs = ({"a": 1, "b": 2**80, "c": None}, {"a": "x", "b": 0.5, "c": None})
    frame = to_frame([make_record(method__config=config) for config in configs])
    assert frame["method.a"].tolist() == ["1", "x"]
    assert frame["method.b"].tolist() == [str(2**80), "0.5"]
    assert frame["method.c"].isna().all()


def test_records_are_found_again_among_runs_with_other_settings(tmp_path: Path, make_record: MakeRecord) -> None:
    records = [make_record(value, seed=seed) for value, seed in ((1.0, 0), (2.0, 0), (1.0, 1))]
    folders = [
        RunFolder.of(tmp_path, "ntu60", "xsub", "stars", key, seed) for key, seed in (("a", 0), ("b", 0), ("a", 1))
    ]
    paths = [write_record(folder, record) for folder, record in zip(folders, records, strict=True)]
    found = located(map(read_record, paths), tmp_path)
    assert [one.path for one in found] == paths
    assert located([make_record(3.0)], tmp_path) == [StoredRecord(make_record(3.0))]
