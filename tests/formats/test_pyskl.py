"""The pickle of pyskl and MMAction2: ragged clips in half precision out and in, and its lists held against ours."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stars_bench import registry
from stars_bench.datasets.ntu import NTU60, NTU120
from stars_bench.datasets.pku_mmd import PKU1
from stars_bench.errors import StarsBenchError
from stars_bench.formats import export, import_file
from stars_bench.storage.read_clips import bodies_of
from stars_bench.storage.shards import PreparedDataset, open_dataset
from tests.formats.clips import bodies, ntu_clips, ntu_names, prepared

NAMES = ntu_names()


def theirs(names: list[str] = NAMES, **changes: Any) -> dict[str, Any]:
    """What pyskl's own program would write of some clips: raw names, float16, lists by rule."""
    annotations = [
        {
            "frame_dir": name,
            "label": int(name[-3:]) - 1,
            "keypoint": clip.astype(np.float16),
            "total_frames": clip.shape[1],
        }
        for name, clip in ntu_clips(names).items()
    ]
    split = {
        "xsub_train": [name for name in names if int(name[9:12]) in (1, 8)],
        "xsub_val": [name for name in names if int(name[9:12]) == 7],
        "xview_train": [name for name in names if "C001" not in name],
        "xview_val": [name for name in names if "C001" in name],
    }
    return {"split": split, "annotations": annotations} | changes


def dump(tmp_path: Path, content: Any, protocol: int = 2) -> Path:
    path = tmp_path / "ntu60_3danno.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def every_clip(dataset: PreparedDataset) -> dict[str, np.ndarray]:
    return dict(zip(dataset.table["name"], bodies_of(dataset, np.arange(dataset.num_clips)), strict=True))


def test_all_clips_and_the_lists_of_all_protocols_are_written(ntu60: PreparedDataset, tmp_path: Path) -> None:
    report = export(ntu60, "pyskl", tmp_path / "x.pkl")
    found = pickle.loads((tmp_path / "x.pkl").read_bytes())
    expected = theirs()
    assert {name: set(clips) for name, clips in found["split"].items()} == {
        name: set(clips) for name, clips in expected["split"].items()
    }
    assert [item["frame_dir"] for item in found["annotations"]] == sorted(NAMES)
    wanted = {item["frame_dir"]: item for item in expected["annotations"]}
    for item in found["annotations"]:
        other = wanted[item["frame_dir"]]
        assert item.keys() == other.keys()
        assert (item["label"], item["total_frames"]) == (other["label"], other["total_frames"])
        assert item["keypoint"].dtype == np.float16
        np.testing.assert_array_equal(item["keypoint"], other["keypoint"])
    assert report.clips == {"xsub": (36, 18), "xview": (36, 18)}


def test_the_file_says_that_it_holds_our_clips(ntu60: PreparedDataset, tmp_path: Path) -> None:
    report = export(ntu60, "pyskl", tmp_path / "x.pkl")
    source = pickle.loads((tmp_path / "x.pkl").read_bytes())["source"]
    assert source["program"] == "stars-bench"
    assert (source["profile"], source["digest"]) == ("mamp", ntu60.digest)
    assert "centred" in source["clips"]
    assert any("centred" in note for note in report.notes)


def test_one_protocol_alone_can_be_written(ntu60: PreparedDataset, tmp_path: Path) -> None:
    export(ntu60, "pyskl", tmp_path / "x.pkl", "xview")
    assert list(pickle.loads((tmp_path / "x.pkl").read_bytes())["split"]) == ["xview_train", "xview_val"]


def test_a_coordinate_that_float16_cannot_hold_is_said(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, NTU60, {NAMES[0]: 1e6 * bodies(3)})
    with pytest.raises(StarsBenchError, match=f"{NAMES[0]}.*float16"):
        export(dataset, "pyskl", tmp_path / "x.pkl")
    assert not (tmp_path / "x.pkl").exists()


@pytest.mark.parametrize("protocol", [2, 4])
def test_their_pickle_becomes_a_dataset_on_which_all_protocols_work(protocol: int, tmp_path: Path) -> None:
    path = dump(tmp_path, theirs(), protocol)
    report = import_file(path, "ntu60", tmp_path)
    back = open_dataset(tmp_path, "ntu60")
    assert back.profile.name == "imported-pyskl"
    assert any("not centred" in note for note in report.notes)
    assert not report.warnings
    for name, clip in every_clip(back).items():
        np.testing.assert_array_equal(clip, ntu_clips(NAMES)[name].astype(np.float16).astype(np.float32))
    for name in ("xsub", "xview"):
        split = registry.load("protocols", name).split(back.table)
        assert set(back.table["name"][split.train]) == set(theirs()["split"][f"{name}_train"])


def test_out_in_and_out_again_is_the_same_but_for_its_source(ntu60: PreparedDataset, tmp_path: Path) -> None:
    export(ntu60, "pyskl", tmp_path / "a.pkl")
    report = import_file(tmp_path / "a.pkl", "ntu60", tmp_path)
    assert any("written by stars-bench: the clips of profile mamp" in note for note in report.notes)
    export(open_dataset(tmp_path, "ntu60"), "pyskl", tmp_path / "b.pkl")
    first, second = (pickle.loads((tmp_path / name).read_bytes()) for name in ("a.pkl", "b.pkl"))
    assert first["split"] == second["split"]
    for one, other in zip(first["annotations"], second["annotations"], strict=True):
        assert one.pop("keypoint").tobytes() == other.pop("keypoint").tobytes()
        assert one == other


def test_pku_mmd_keeps_its_lists(tmp_path: Path) -> None:
    clips = {
        f"000{video}-{camera}_{row}": bodies(4 + row, 2) for video in (2, 3) for camera in "LM" for row in range(11)
    }
    official = {
        "xsub": {"train": ["0002-L", "0002-M"], "test": ["0003-L", "0003-M"]},
        "xview": {"train": ["0002-L", "0003-L"], "test": ["0002-M", "0003-M"]},
    }
    dataset = prepared(tmp_path, PKU1, clips, official)
    export(dataset, "pyskl", tmp_path / "a.pkl")
    import_file(tmp_path / "a.pkl", "pku1", tmp_path)
    back = open_dataset(tmp_path, "pku1", "imported-pyskl")
    columns = ["name", "item", "subject", "camera", "replication", "official_xsub", "official_xview"]
    assert back.table[columns].equals(dataset.table[columns])


def test_lists_that_are_not_ours_are_counted_and_named(tmp_path: Path) -> None:
    content = theirs()
    moved = content["split"]["xsub_val"].pop(0)
    content["split"]["xsub_train"].append(moved)
    content["split"]["xsub_train"].append("S001C001P001R002A001")
    content["split"]["mine_train"] = [moved]
    report = import_file(dump(tmp_path, content), "ntu60", tmp_path)
    absent, differs = report.warnings
    assert absent == "xsub: the file's lists name 1 clips that it does not hold (the first is 'S001C001P001R002A001')"
    assert differs.startswith("xsub: the file puts 1 of 54 clips into another part")
    assert f"{moved}: train there, test here" in differs
    assert "its split 'mine' is unknown here: left out" in report.notes
    assert "xview: the file's parts are those of the published rule" in report.notes


def test_clips_of_another_dataset_and_of_the_missing_list_are_left_out_and_counted(tmp_path: Path) -> None:
    more = ["S018C001P041R001A061", "S001C002P005R002A008"]
    report = import_file(dump(tmp_path, theirs([*NAMES, *more])), "ntu60", tmp_path)
    assert report.quality.clips == len(NAMES)
    assert report.quality.ignored == {"clips whose names are none of ntu60 (the first: S018C001P041R001A061)": 1}
    assert report.quality.count("missing-list") == 1
    assert import_file(dump(tmp_path, theirs([*NAMES, *more])), NTU120, tmp_path).quality.clips == len(NAMES) + 1


def annotation(**changes: Any) -> dict[str, Any]:
    return {
        "frame_dir": NAMES[0],
        "label": 0,
        "keypoint": np.ones((1, 4, 25, 3), np.float16),
        "total_frames": 4,
    } | changes


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([1, 2], "expected frame_dir, label and keypoint"),
        ({"annotations": 3}, "found a dictionary of annotations"),
        (theirs(split={"xsub_train": "S001"}), "must hold lists of names; 'xsub_train' does not"),
        (theirs(annotations=[{"frame_dir": "a"}]), r"annotations\[0\]: expected frame_dir, label and keypoint"),
        (
            theirs(annotations=[annotation(keypoint=np.ones((1, 4, 17, 2)))]),
            "poses in pictures; give a dataset",
        ),
        (theirs(annotations=[annotation(keypoint=[1])]), "keypoint is a list, not an array"),
        (theirs(annotations=[annotation(label="x")]), "label a whole number"),
        (theirs(annotations=[annotation(label=3)]), "has label 3, its name says 0"),
        (theirs(annotations=[annotation(label=60)]), r"set aside; .*label 60 is not in 0\.\.59"),
        (theirs(annotations=[annotation(), annotation()]), "twice"),
        (theirs(annotations=[]), "holds no clip"),
        (theirs(annotations=[annotation(frame_dir="running")]), "no clip is of ntu60: .* the first is 'running'"),
        (theirs(annotations=[None]), "all 1 clips were set aside"),
    ],
)
def test_a_wrong_file_is_one_clear_line(content: Any, why: str, tmp_path: Path) -> None:
    with pytest.raises(StarsBenchError, match=why) as raised:
        import_file(dump(tmp_path, content), "ntu60", tmp_path)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "ntu60" / "imported-pyskl").exists()


@pytest.mark.parametrize(
    ("keypoint", "reason"),
    [
        (np.full((1, 4, 25, 3), np.nan, np.float16), "NaN or infinite"),
        (np.zeros((2, 4, 25, 3), np.float16), "all coordinates are zero"),
        (np.ones((3, 4, 25, 3), np.float16), "3 bodies in 4 frames"),
        (np.ones((1, 0, 25, 3), np.float16), "1 bodies in 0 frames"),
    ],
)
def test_a_broken_clip_is_set_aside_and_the_others_go_on(keypoint: np.ndarray, reason: str, tmp_path: Path) -> None:
    content = theirs()
    content["annotations"][5]["keypoint"] = keypoint
    report = import_file(dump(tmp_path, content), "ntu60", tmp_path)
    (aside,) = report.quality.set_aside
    assert aside.name == NAMES[5]
    assert reason in aside.reason
    assert report.quality.clips == len(NAMES) - 1


def test_an_attack_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.")
    with pytest.raises(StarsBenchError, match=r"posix\.system"):
        import_file(path, "ntu60", tmp_path)
