"""Published numbers: the right ones stand beside ours, and contradictions stay visible."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stars_bench import registry
from stars_bench.records.published import numbers
from stars_bench.records.published.numbers import published_for, published_numbers
from stars_bench.records.record import Scalar


def test_rows_of_one_number_were_merged_with_their_sources() -> None:
    (jepa,) = published_for("ntu60", "xview", "linear", {}, ["S-JEPA"])
    assert (jepa.value, jepa.kind) == (89.8, "authors")
    assert [source.split("/")[0] for source in jepa.sources] == ["sjepa.github.io (github:sjepa", "github:Yingfei-Wu"]


def test_numbers_of_other_tasks_and_datasets_stand_beside_nothing() -> None:
    measured = {*registry.BUILT_IN["datasets"]}, {*registry.BUILT_IN["protocols"]}
    others = [one for one in published_numbers() if one.task in ("segmentation", "detection")]
    others += [one for one in published_numbers() if one.dataset not in measured[0]]
    assert len(others) > 80
    for one in others:
        if one.dataset in measured[0] and one.protocol in measured[1]:
            assert one.evaluation not in registry.BUILT_IN["evaluations"]
    beside = [row for place in ("xsub", "xview") for row in published_for("ntu60", place, "supervised", {})]
    assert {row.metric for row in beside} == {"top1"}


def test_zero_shot_numbers_stand_beside_the_split_that_they_name() -> None:
    (tdsm,) = published_for("ntu60", "zeroshot-55-5", "zeroshot", {}, ["TDSM"])
    assert (tdsm.value, tdsm.kind) == (86.49, "authors")
    assert published_for("ntu60", "zeroshot-55-5", "zeroshot", {"classes": "all"}) == []
    assert published_for("ntu60", "zeroshot-smie-1", "zeroshot", {}) == []  # published is the mean of three


@pytest.mark.parametrize(
    ("method", "dataset", "protocol", "evaluation", "settings", "value", "kind"),
    [
        ("stars", "ntu60", "xsub", "linear", {}, 87.1, "authors"),
        ("stars", "ntu60", "xview", "linear", {}, 90.9, "authors"),
        ("stars", "ntu120", "xsub", "linear", {}, 79.9, "authors"),
        ("stars", "ntu120", "xset", "linear", {}, 80.8, "authors"),
        ("stars", "pku2", "xsub", "linear", {}, 52.7, "third-party"),
        ("stars", "ntu60", "xsub", "knn", {"k": 1}, 79.9, "authors"),
        ("stars", "ntu120", "xset", "knn", {"k": 1}, 67.7, "authors"),
        ("stars", "ntu60", "xsub", "finetune", {}, 93.0, "authors"),
        ("stars", "ntu120", "unseen", "knn", {"k": 5}, 65.7, "third-party"),
        ("stars-3stage", "ntu60", "xsub", "linear", {}, 86.3, "third-party"),
        ("mamp", "ntu60", "xsub", "linear", {}, 85.0, "authors"),
        ("mamp", "ntu120", "xset", "finetune", {}, 91.5, "authors"),
        ("mamp", "ntu60", "xsub", "semi", {"percent": 1}, 66.0, "third-party"),
        ("mamp", "pku2", "xsub", "transfer", {"from": "ntu60"}, 70.6, "third-party"),
    ],
)
def test_the_table_of_the_method_notes_is_found(
    method: str,
    dataset: str,
    protocol: str,
    evaluation: str,
    settings: dict[str, Scalar],
    value: float,
    kind: str,
) -> None:
    (number,) = published_for(dataset, protocol, evaluation, settings, [method])
    assert (number.value, number.kind) == (value, kind)


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


def test_another_metric_stands_beside_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(one for one in published_numbers() if one.method == "STARS" and one.evaluation == "linear")
    for metric, count in (("top1", 1), ("mean class", 0)):
        monkeypatch.setattr(numbers, "published_numbers", lambda metric=metric: (replace(row, metric=metric),))
        assert len(published_for(row.dataset, row.protocol, "linear", {})) == count


def test_an_unstated_k_matches_no_k() -> None:
    assert published_for("ntu60", "xsub", "knn", {"k": 1}, ["SLiM"]) == []


def test_unknown_measurements_have_nothing_beside_them() -> None:
    assert published_for("synthetic", "xsub", "linear", {}) == []
    assert published_for("ntu60", "xsub", "knn", {"k": 7}) == []
