"""The published order of clips, checked against the loops of the public program written out."""

from __future__ import annotations

import numpy as np
import pytest

from stars_bench import registry
from stars_bench.datasets.ntu import NTU60, NTU120
from stars_bench.datasets.pku_mmd import PKU1
from stars_bench.datasets.synthetic import SYNTHETIC
from stars_bench.formats.clip_order import parts_of, published_names, table_of, two_part_protocols
from stars_bench.protocols.standard import NTU60_TRAIN_SUBJECTS, NTU120_TRAIN_SUBJECTS, XSET, XSUB, XVIEW
from tests.formats.clips import ntu_names

SLICES = {"xsub": slice(9, 12), "xview": slice(5, 8), "xset": slice(1, 4)}
TRAIN_IDS = {
    ("ntu60", "xsub"): sorted(NTU60_TRAIN_SUBJECTS),
    ("ntu60", "xview"): [2, 3],
    ("ntu120", "xsub"): sorted(NTU120_TRAIN_SUBJECTS),
    ("ntu120", "xset"): list(range(2, 33, 2)),
}


def in_order(names: list[str], protocol: str, ids: list[int]) -> list[str]:
    """`np.hstack` of `np.where(performer == id)` for id in ids, as get_indices of the public program."""
    numbers = np.array([int(name[SLICES[protocol]]) for name in names])
    return [names[i] for number in ids for i in np.where(numbers == number)[0]]


@pytest.mark.parametrize(("spec", "protocol"), [(NTU60, XSUB), (NTU60, XVIEW), (NTU120, XSUB), (NTU120, XSET)])
def test_the_order_of_the_complete_datasets_is_the_published_one(spec, protocol) -> None:
    names = sorted(spec.expected_names())
    train = TRAIN_IDS[spec.name, protocol.name]
    found = published_names(spec, protocol)
    assert found["train"] == in_order(names, protocol.name, train)
    assert found["test"] == in_order(names, protocol.name, [i for i in range(1, 107) if i not in train])
    assert (len(found["train"]), len(found["test"])) == protocol.expected[spec.name]


def test_a_partial_dataset_keeps_the_order_and_may_lack_a_part() -> None:
    names = sorted(ntu_names(setups=(1, 3), performers=(1, 8)))
    table = table_of({name: NTU60.read_name(name) for name in names})
    parts = parts_of(XSUB, table)
    assert [names[i] for i in parts["train"]] == in_order(names, "xsub", [1, 8])
    assert parts["test"].shape == (0,)
    assert parts["test"].dtype == np.int64


def test_clips_of_split_files_come_by_video_and_row() -> None:
    names = ["0002-L_10", "0002-L_2", "0010-M_0", "0003-R_1"]
    table = table_of({name: PKU1.read_name(name) for name in names}).assign(official_xsub="train")
    assert [names[i] for i in parts_of(XSUB, table)["train"]] == ["0002-L_2", "0002-L_10", "0003-R_1", "0010-M_0"]


def test_only_protocols_of_two_parts_are_for_other_programs() -> None:
    assert list(two_part_protocols(NTU60)) == ["xsub", "xview"]
    assert list(two_part_protocols(NTU120)) == ["xsub", "xset"]
    assert {"unseen", "oneshot", "fewshot"} <= set(registry.names("protocols"))


def test_datasets_without_a_published_list_have_no_published_names() -> None:
    assert published_names(SYNTHETIC, XSUB) is None
    assert published_names(PKU1, XSUB) is None


@pytest.mark.parametrize(
    ("dataset", "name", "numbers"),
    [
        ("ntu120", "S018C002P041R001A061", ("S018C002P041R001A061", 41, 2, 18, 1, 60)),
        ("pku1", "0043-L_7", ("0043-L", 43, 1, 0, 0, None)),
        ("pku2", "A01N02-R_12", ("A01N02-R", 1, 3, 0, 2, None)),
    ],
)
def test_names_say_who_and_from_where(dataset: str, name: str, numbers: tuple) -> None:
    assert registry.load("datasets", dataset).read_name(name) == numbers


@pytest.mark.parametrize(
    ("dataset", "name"),
    [("ntu60", "0043-L_7"), ("pku1", "S018C002P041R001A061"), ("pku1", "0043-L"), ("pku2", "0043-L_7")],
)
def test_names_of_another_dataset_are_none(dataset: str, name: str) -> None:
    with pytest.raises(ValueError, match="no"):
        registry.load("datasets", dataset).read_name(name)
