"""Published numbers: all rows are there, the right ones stand beside ours, and contradictions stay visible."""

from __future__ import annotations

import pytest

from stars_bench.records.published import published_for, published_numbers
from stars_bench.records.record import Scalar


def test_every_row_is_read() -> None:
    numbers = published_numbers()
    assert len(numbers) == 921
    assert all(0 < number.value <= 100 and number.source for number in numbers)
    assert {number.dataset for number in numbers} == {"ntu60", "ntu120", "pku1", "pku2"}


@pytest.mark.parametrize(
    ("method", "dataset", "protocol", "evaluation", "settings", "value", "confidence"),
    [
        ("stars", "ntu60", "xsub", "linear", {}, 87.1, "direct"),
        ("stars", "ntu60", "xview", "linear", {}, 90.9, "direct"),
        ("stars", "ntu120", "xsub", "linear", {}, 79.9, "direct"),
        ("stars", "ntu120", "xset", "linear", {}, 80.8, "direct"),
        ("stars", "pku2", "xsub", "linear", {}, 52.7, "secondary"),
        ("stars", "ntu60", "xsub", "knn", {"k": 1}, 79.9, "direct"),
        ("stars", "ntu120", "xset", "knn", {"k": 1}, 67.7, "direct"),
        ("stars", "ntu60", "xsub", "finetune", {}, 93.0, "direct"),
        ("stars", "ntu120", "unseen", "knn", {"k": 5}, 65.7, "secondary"),
        ("stars-3stage", "ntu60", "xsub", "linear", {}, 86.3, "secondary"),
        ("mamp", "ntu60", "xsub", "linear", {}, 85.0, "direct"),
        ("mamp", "ntu120", "xset", "finetune", {}, 91.5, "direct"),
        ("mamp", "ntu60", "xsub", "semi", {"percent": 1}, 66.0, "secondary"),
        ("mamp", "pku2", "xsub", "transfer", {"from": "ntu60"}, 70.6, "secondary"),
    ],
)
def test_the_table_of_the_method_notes_is_found(
    method: str,
    dataset: str,
    protocol: str,
    evaluation: str,
    settings: dict[str, Scalar],
    value: float,
    confidence: str,
) -> None:
    (number,) = published_for(dataset, protocol, evaluation, settings, [method])
    assert (number.value, number.confidence) == (value, confidence)


def test_the_authors_number_is_taken_and_contradictions_stay_visible() -> None:
    (mamp,) = published_for("ntu60", "xsub", "linear", {}, ["mamp"])
    assert mamp.stated_as == "MAMP (released checkpoints)"
    assert [other.value for other in mamp.others] == [84.9, 84.95]
    assert [other.value for other in mamp.conflicts] == [84.9]


def test_the_plain_name_comes_before_a_run_by_others() -> None:
    (mamp,) = published_for("pku2", "xsub", "linear", {}, ["MAMP"])
    assert (mamp.value, mamp.stated_as) == (53.8, "MAMP")
    assert [other.value for other in mamp.conflicts] == [52.0]


def test_only_joint_streams_compete() -> None:
    found = published_for("ntu60", "xsub", "linear", {})
    assert len(found) > 50
    assert {number.streams for number in found} == {"J"}
    assert not any(number.method.startswith(("2s-", "3s-")) for number in found)


def test_one_number_per_method_oldest_first() -> None:
    found = published_for("ntu60", "xsub", "linear", {})
    assert len({number.method for number in found}) == len(found)
    years = [number.year for number in found if number.year]
    assert years == sorted(years)


def test_an_encoder_from_other_data_matches_no_plain_measurement() -> None:
    elsewhere = [
        number for number in published_numbers() if "from" in number.settings and number.evaluation == "linear"
    ]
    assert len(elsewhere) == 8
    for number in elsewhere:
        found = published_for(number.dataset, number.protocol, "linear", {})
        assert number not in [row for best in found for row in (best, *best.others)]


def test_an_unstated_k_matches_no_k() -> None:
    assert published_for("ntu60", "xsub", "knn", {"k": 1}, ["SLiM"]) == []


def test_unknown_measurements_have_nothing_beside_them() -> None:
    assert published_for("synthetic", "xsub", "linear", {}) == []
    assert published_for("ntu60", "xsub", "knn", {"k": 7}) == []
