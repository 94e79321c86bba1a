"""What is averaged or stands in one row though it differs: which facts, and which seeds or evaluations have which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stars_bench.records.comparability.mixtures import of_cell, of_row
from stars_bench.records.record import Record

MakeRecord = Callable[..., Record]
INIT = {
    "method": "stars",
    "dataset": "ntu60",
    "protocol": "xsub",
    "seed": 0,
    "run": "r",
    "key": "first key",
    "path": "p",
    "train_clips": 1,
    "test_clips_seen": 0,
    "novel_classes": 0,
    "novel_classes_seen": 0,
}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"code__modules": {"mine": "1111", "helper": "3333"}},
            "code (seed 0: helper 2222; seeds 1, 2: helper 3333)",
        ),
        ({"code__modules": None}, "code (seed 0: source 1bf7ea0a; seeds 1, 2: 0.1.0)"),
        ({"code__distributions": {"torch": "2.6"}}, "packages (seed 0: torch 2.5; seeds 1, 2: torch 2.6)"),
        ({"environment__device": "NVIDIA H200"}, "devices (seed 0: cpu; seeds 1, 2: NVIDIA H200)"),
        ({"environment__deterministic": True}, "kernels (seed 0: default; seeds 1, 2: deterministic)"),
        ({"environment__compiled": True}, "kernels (seed 0: default; seeds 1, 2: compiled)"),
        ({"init": INIT | {"key": "other key"}}, "starting weights (seed 0: first ke; seeds 1, 2: other ke)"),
    ],
)
def test_seeds_that_differ_in_a_fact_are_told(make_record: MakeRecord, changes: dict[str, Any], told: str) -> None:
    alike = {
        "code__modules": {"mine": "1111", "helper": "2222"},
        "code__distributions": {"torch": "2.5"},
        "init": INIT,
    }
    records = [make_record(seed=seed, **alike | (changes if seed else {})) for seed in (2, 0, 1)]
    assert [str(one) for one in of_cell(records)] == [told]
    assert of_cell([make_record(seed=seed, **alike) for seed in range(3)]) == []


def test_records_without_their_modules_are_told_apart_by_version_and_commit(make_record: MakeRecord) -> None:
    versions: list[dict[str, Any]] = [
        {},
        {"code__commit": "1234567890"},
        {"code__version": "0.2.0"},
        {"code__dirty": True},
    ]
    records = [make_record(seed=seed, **changes) for seed, changes in enumerate(versions)]
    (mixture,) = of_cell(records)
    assert str(mixture) == (
        "code (seed 0: 0.1.0; seed 1: 0.1.0 12345678; seed 2: 0.2.0; seed 3: 0.1.0 with uncommitted changes)"
    )


def test_a_commit_that_changes_no_module_of_the_result_is_no_mixture(make_record: MakeRecord) -> None:
    records = [
        make_record(seed=seed, code__modules={"mine": "1"}, code__commit=commit, code__distributions={})
        for seed, commit in enumerate(("aaaa", "bbbb"))
    ]
    assert of_cell(records) == []


def test_seeds_that_start_each_from_its_own_encoder_are_no_mixture(make_record: MakeRecord) -> None:
    records = [make_record(seed=seed, init=INIT | {"seed": seed, "key": f"key {seed}"}) for seed in range(2)]
    assert of_cell(records) == []


def test_evaluations_of_one_seed_that_measured_different_encoders_are_told(make_record: MakeRecord) -> None:
    linear = {"evaluation__name": "linear", "evaluation__settings": {}}
    shared = {"code__modules": {"mine": "1111", "knn": "5"}, "weights": "aaaa"}
    other = {"code__modules": {"mine": "2222", "linear": "6"}, "weights": "bbbb"}
    own_seeds = [make_record(seed=1, weights="cccc"), make_record(seed=1, weights="cccc", **linear)]
    records = [make_record(**shared), make_record(**other, **linear), *own_seeds]
    assert [str(one) for one in of_row(records)] == [
        "code of seed 0 (knn: mine 1111; linear: mine 2222)",
        "weights of seed 0 (knn: aaaa; linear: bbbb)",
    ]
    assert of_row([make_record(**shared), make_record(**shared | {"code__modules": {"mine": "1111"}}, **linear)]) == []
