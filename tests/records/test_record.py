"""Records: what they promise to the reader of a table and to whoever opens them in five years."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from stars_bench.errors import StarsBenchError
from stars_bench.records.record import SCHEMA_VERSION, Record, parse
from tests.paths import HISTORIC

MakeRecord = Callable[..., Record]
MakeContent = Callable[..., dict[str, Any]]


def test_a_record_survives_being_written_and_read(make_record: MakeRecord) -> None:
    record = make_record(best=81.5)
    assert parse(record.model_dump_json(), "x.json") == record


def test_every_past_version_has_a_file_that_is_still_read() -> None:
    files = sorted(HISTORIC.glob("record-v*.json"))
    assert [file.stem for file in files] == [f"record-v{version}" for version in range(1, SCHEMA_VERSION + 1)]
    for file in files:
        record = parse(file.read_text(encoding="utf-8"), str(file))
        assert (record.method.name, record.seed, record.metrics[0].n) == ("mamp", 3, 195)
        assert record.marks == ["quick preset", "partial data (1,024 of 21,545 clips)"]


def test_a_newer_schema_is_refused_in_one_line(record_content: MakeContent) -> None:
    with pytest.raises(StarsBenchError, match=r"^x\.json: record schema 99 is newer .* update it$"):
        parse(json.dumps(record_content() | {"schema_version": 99, "unheard_of": 1}), "x.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n "seed": 1,\n', r"^x\.json, line 3: not JSON \("),
        ("[]", r"^x\.json: not a record"),
        ('{"a": 1}', r"^x\.json: not a record"),
    ],
)
def test_a_bad_file_is_named_in_one_line(text: str, message: str) -> None:
    with pytest.raises(StarsBenchError, match=message) as caught:
        parse(text, "x.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("changes", "place"), [({"seed": "many"}, "seed"), ({"extra": 1}, "extra")])
def test_a_wrong_field_is_named_in_one_line(
    record_content: MakeContent, changes: dict[str, object], place: str
) -> None:
    with pytest.raises(StarsBenchError, match=rf"^x\.json: not a sound record: {place}: [^\n]+$"):
        parse(json.dumps(record_content(**changes)), "x.json")


@pytest.mark.parametrize(
    "metric",
    [
        {"name": "top1", "value": 101.0, "unit": "%", "n": 5},
        {"name": "top1", "value": float("nan"), "unit": "%", "n": 5},
        {"name": "top1", "value": 50.0, "unit": "%", "n": 5, "interval": [60.0, 70.0]},
    ],
)
def test_an_impossible_number_is_no_record(record_content: MakeContent, metric: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Record.model_validate(record_content(metrics=[metric]))


def test_a_metric_stands_once(make_record: MakeRecord) -> None:
    twice = [{"name": "top1", "value": 1.0, "unit": "%", "n": 5}] * 2
    with pytest.raises(ValidationError, match="appears twice"):
        make_record(metrics=twice)


def test_a_paper_run_on_complete_data_needs_no_mark(make_record: MakeRecord) -> None:
    assert make_record().marks == []
    assert make_record().complete


@pytest.mark.parametrize(
    ("changes", "mark"),
    [
        ({"method__preset": "quick"}, "quick preset"),
        ({"dataset__complete": False, "dataset__clips": 1024}, "partial data (1,024 of 56,578 clips)"),
        (
            {"dataset__complete": False, "dataset__clips": 9, "dataset__expected_clips": None},
            "partial data (9 clips)",
        ),
        ({"protocol__validation": "subjects 1 and 2"}, "validation part, not the test part"),
        ({"protocol__test_clips": 5}, "unexpected split (40,091 train, 5 test)"),
        ({"dataset__name": "synthetic"}, "synthetic data"),
        (
            {"evaluation__checkpoint_rule": "best-on-test (as published)"},
            "checkpoint: best-on-test (as published)",
        ),
        ({"method__config": {"released_gpus": 4}}, "slips of the released program repeated, as on 4 GPUs"),
        (
            {"evaluation__settings": {"drawing": "published-two-gpus"}},
            "training clips drawn as published (not class-balanced, two draws: nearly twice as many)",
        ),
    ],
)
def test_what_a_reader_must_know_is_a_mark(make_record: MakeRecord, changes: dict[str, object], mark: str) -> None:
    assert make_record(**changes).marks == [mark]


def test_a_validation_part_of_complete_data_is_not_partial(make_record: MakeRecord) -> None:
    assert make_record(protocol__validation="subjects 1 and 2", protocol__train_clips=30000).complete


def test_a_file_name_tells_variants_and_configs_apart(make_record: MakeRecord) -> None:
    name = make_record().file_name
    assert name.startswith("knn-k1-")
    assert name == make_record(top1=3.0, seed=4).file_name
    assert name != make_record(evaluation__config={"keep": 1.0}).file_name
    assert name != make_record(evaluation__settings={"k": 2}).file_name
    assert make_record(evaluation__name="pkg.mod:My Eval").file_name.startswith("pkg.mod_My_Eval-k1-")
