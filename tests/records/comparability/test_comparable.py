"""Which numbers may stand side by side: what makes them mean something else is told, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stars_bench.records.comparability.comparable import apart, settings, to_know, why_not
from stars_bench.records.record import Record
from stars_bench.report.leaderboard import Leaderboard

MakeRecord = Callable[..., Record]
INIT: dict[str, Any] = {
    "method": "stars",
    "dataset": "ntu60",
    "protocol": "xsub",
    "seed": 0,
    "run": "r",
    "key": "k",
    "path": "p",
    "train_clips": 9,
    "test_clips_seen": 0,
    "novel_classes": 0,
    "novel_classes_seen": 0,
}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dataset__name": "ntu120"}, "dataset ntu60 / ntu120"),
        ({"dataset__profile": "raw"}, "cleaning profile mamp / raw"),
        ({"dataset__digest": "ab" * 32}, "prepared data data / abababab"),
        ({"dataset__absent_body": "duplicate"}, "absent bodies zero / duplicate"),
        ({"protocol__name": "xview"}, "protocol xsub / xview"),
        ({"protocol__test_digest": "other"}, "test clips test / other"),
        ({"protocol__train_digest": "other"}, "training clips train / other"),
        ({"protocol__config": {"ways": 5}}, "protocol settings {} / {'ways': 5}"),
        ({"evaluation__settings": {"k": 5}}, "evaluation k-NN k=1 / k-NN k=5"),
        ({"evaluation__config": {"keep": 0.9}}, "knn keep 0.95 / 0.9"),
        ({"evaluation__checkpoint_rule": "best epoch on test"}, "checkpoint rule last epoch / best epoch on test"),
        ({"init": INIT | {"test_clips_seen": 3}}, "encoder saw 3 of the 16,487 test clips"),
        ({"init": INIT | {"test_clips_seen": None}}, "unknown which test clips the encoder saw"),
    ],
)
def test_what_makes_two_numbers_mean_different_things_is_told(
    make_record: MakeRecord, changes: dict[str, Any], reason: str
) -> None:
    assert why_not(make_record(), make_record(**changes)) == [reason]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"environment__precision": "bf16"}, "precision float32 / bf16"),
        ({"environment__deterministic": True}, "deterministic kernels False / True"),
        ({"environment__compiled": True}, "compiled blocks False / True"),
        ({"environment__threads": 2}, "threads none / 2"),
        ({"environment__packages": {"torch": "2.13.0"}}, "torch none / 2.13.0"),
        ({"environment__device": "NVIDIA H100"}, "device cpu / NVIDIA H100"),
        ({"code__version": "0.2.0"}, "stars-bench 0.1.0 / 0.2.0"),
        ({"code__commit": "1234567890" * 4}, "commit none / 12345678"),
        ({"method__preset": "quick"}, "preset paper / quick"),
        ({"dataset__stream": "bone"}, "stream joint / bone"),
        ({"init": INIT}, "encoder from none / r"),
    ],
)
def test_what_may_account_for_a_part_of_the_difference_is_told_apart(
    make_record: MakeRecord, changes: dict[str, Any], line: str
) -> None:
    assert why_not(make_record(), make_record(**changes)) == []
    assert to_know(make_record(), make_record(**changes)) == [line]


def test_streams_that_are_summed_are_compared_with_one(make_record: MakeRecord) -> None:
    config = make_record().evaluation.config
    weights = {"weights": {"joint": 1.0, "bone": 0.6}}
    summed = make_record(evaluation__config=config | weights, fused=["a", "b"], dataset__stream="joint+bone")
    assert why_not(make_record(), summed) == []
    assert to_know(make_record(), summed) == [
        "stream joint / joint+bone",
        "weights of streams none / joint 1, bone 0.6",
    ]
    assert why_not(make_record(), make_record(evaluation__config=config | {"weights": 3})) == ["knn weights none / 3"]


def test_methods_seeds_and_results_are_what_is_compared(make_record: MakeRecord) -> None:
    other = make_record(70.0, method__name="mamp", method__config={}, seed=4, started="2026-02-01T00:00:00+00:00")
    assert why_not(make_record(), other) == []
    assert to_know(make_record(), other) == []


def test_every_setting_of_the_methods_that_differs_is_named(make_record: MakeRecord) -> None:
    other = make_record(method__name="mamp", method__config={"dim": 64, "stage": {"lr": 0.1}})
    assert settings(make_record(), other) == [
        "method stars / mamp",
        "method.dim 256 / 64",
        "method.stage.lr none / 0.1",
    ]
    assert settings(make_record(), make_record()) == []
    assert settings(make_record(), make_record(method__target="mine:Stars")) == ["class pkg:Stars / mine:Stars"]


def test_a_validation_part_is_drawn_by_the_seed(make_record: MakeRecord) -> None:
    first = make_record(protocol__validation="subjects")
    assert why_not(first, make_record(protocol__validation="subjects", protocol__test_digest="other", seed=1)) == []
    assert why_not(first, make_record())[0] == "validation part subjects / none"


def test_the_few_stand_apart_from_the_many(make_record: MakeRecord) -> None:
    odd, usual = make_record(dataset__digest="odd"), make_record()
    assert apart([odd, usual, usual]) == [([1, 2], []), ([0], ["prepared data data / odd"])]
    assert apart([]) == []


def test_a_report_notes_what_is_not_comparable(make_record: MakeRecord) -> None:
    records = [make_record(method__name=name) for name in ("stars", "mamp")]
    (table,) = Leaderboard.of(records).tables
    assert not any("not comparable" in note for note in table.notes)
    records.append(make_record(method__name="mine", dataset__digest="odd", evaluation__config={"keep": 1.0}))
    (table,) = Leaderboard.of(records).tables
    assert "k-NN k=1: not comparable: stars, mamp / mine: prepared data data / odd; knn keep 0.95 / 1.0." in table.notes
