"""NTU RGB+D 60 and 120: names, counts, the missing list, and what is set aside."""

from __future__ import annotations

from pathlib import Path

import pytest

from stars_bench.api import Clip, SetAside
from stars_bench.datasets.ntu import NTU60, NTU120, expected_names, missing_names, published_names
from stars_bench.datasets.parsing.ntu import parse_name
from stars_bench.datasets.skeletons.kinect import JOINTS, KINECT_V2
from stars_bench.datasets.synthetic import SYNTHETIC
from tests.datasets.raw_writers import write_ntu


def test_the_recorded_names_less_the_missing_list_are_the_published_counts() -> None:
    assert len(published_names("ntu60")) == 56_880
    assert len(published_names("ntu120")) == 114_480
    assert len(expected_names("ntu60")) == NTU60.expected_clips == 56_578
    assert len(expected_names("ntu120")) == NTU120.expected_clips == 113_945
    assert len(set(expected_names("ntu120"))) == 113_945


def test_every_missing_name_was_recorded() -> None:
    assert len(missing_names()) == 535
    assert missing_names() <= set(published_names("ntu120"))
    assert len(missing_names() & set(published_names("ntu60"))) == 302


def test_classes_and_skeleton_are_complete() -> None:
    assert len(NTU60.classes) == 60
    assert len(NTU120.classes) == 120
    assert NTU120.classes[:60] == NTU60.classes
    assert NTU60.classes[0] == "drink water"
    assert SYNTHETIC.classes == NTU120.classes  # synthetic actors can do everything
    assert len(JOINTS) == len(KINECT_V2.parents) == 25
    assert [joint for joint, parent in enumerate(KINECT_V2.parents) if joint == parent] == [20]


def test_names_on_the_missing_list_are_left_out_and_said_so(tmp_path: Path) -> None:
    write_ntu(tmp_path, ["S001C002P005R002A008", "S001C001P001R001A001"])
    found = NTU60.find([tmp_path])
    assert [item.name for item in found.items] == ["S001C001P001R001A001"]
    assert [(item.name, item.kind) for item in found.set_aside] == [("S001C002P005R002A008", "missing-list")]
    assert len(SYNTHETIC.find([tmp_path]).items) == 2  # synthetic clips are not missing


def test_60_takes_its_own_setups_from_a_mixed_folder_and_counts_the_others(tmp_path: Path) -> None:
    write_ntu(tmp_path / "deep" / "er", ["S017C001P007R001A060", "S018C001P041R001A061", "S032C003P106R002A120"])
    (tmp_path / "readme.txt").write_text("hello")
    found = NTU60.find([tmp_path])
    assert [item.name for item in found.items] == ["S017C001P007R001A060"]
    assert not found.set_aside
    assert sorted(found.ignored.values()) == [1, 2]
    assert len(NTU120.find([tmp_path]).items) == 3


def test_a_name_that_is_no_ntu_name_is_set_aside_with_its_path(tmp_path: Path) -> None:
    write_ntu(tmp_path, ["S001C001P001R001A001", "holiday", "S001C009P001R001A001"])
    found = NTU60.find([tmp_path])
    assert [item.name for item in found.items] == ["S001C001P001R001A001"]
    assert [item.where for item in found.set_aside] == [
        str(tmp_path / f"{name}.skeleton") for name in ("S001C009P001R001A001", "holiday")
    ]
    camera, name = (item.reason for item in found.set_aside)
    assert camera == "camera 9 is not in 1..3"
    assert "is no NTU name" in name


def test_a_clip_carries_the_numbers_of_its_name(tmp_path: Path) -> None:
    write_ntu(tmp_path, ["S012C003P025R002A049"])
    (item,) = NTU60.find([tmp_path]).items
    data = {"skeleton": item.sources["skeleton"].path.read_bytes()}
    (clip,) = NTU60.convert(item, data, NTU60.profiles["mamp"])
    assert isinstance(clip, Clip)
    assert (clip.setup, clip.camera, clip.subject, clip.replication, clip.label) == (12, 3, 25, 2, 48)
    assert clip.bodies.shape == (1, 5, 25, 3)


@pytest.mark.parametrize("data", [b"", b"5\n0\n0\n0\n0\n0\n", b"1\n1\nx\n"])
def test_a_file_that_gives_no_clip_is_set_aside_with_a_reason(tmp_path: Path, data: bytes) -> None:
    write_ntu(tmp_path, ["S012C003P025R002A049"])
    (item,) = NTU60.find([tmp_path]).items
    (result,) = NTU60.convert(item, {"skeleton": data}, NTU60.profiles["mamp"])
    assert isinstance(result, SetAside)
    assert result.kind == "fault"
    assert result.where.startswith(str(item.sources["skeleton"]))
    assert result.reason


def test_all_complete_names_can_be_parsed() -> None:
    assert all(parse_name(name) for name in expected_names("ntu120")[::97])
