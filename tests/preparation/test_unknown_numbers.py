"""One rule for every dataset: a number that it does not have costs its clip and no other, and the remedy is told."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stars_bench import registry
from stars_bench.datasets.skeletons.layouts import COCO_17
from stars_bench.display.blocks import Notes
from stars_bench.errors import StarsBenchError
from stars_bench.formats import import_file
from stars_bench.preparation.prepare import prepare
from stars_bench.storage.quality import REMEDY, QualityReport, blocks, doubtful
from stars_bench.storage.shards import open_dataset
from tests.datasets.custom import custom_files
from tests.datasets.raw_writers import write_ntu, write_pku
from tests.datasets.test_shipped import WRITERS


def shipped(name: str, *others: str) -> Callable[[Path], list[str]]:
    """Write a shipped dataset's tiny files, and the first of them under other names."""

    def write(raw: Path) -> list[str]:
        raw.mkdir()
        WRITERS[name](raw)
        first = min(path for path in raw.rglob("*") if path.is_file() and "a13_s09" not in path.name)
        for other in others:
            (raw / other).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(first, raw / other)
        return [other.rpartition(".")[0].replace("/", "_") for other in others]

    return write


def ntu(raw: Path) -> list[str]:
    odd = ["S001C001P001R001A061", "S001C001P001R003A001", "S001C001P107R001A001", "S001C004P001R001A001"]
    write_ntu(raw, ["S001C001P001R001A001", *odd])
    return odd


def pku(raw: Path) -> list[str]:
    write_pku(raw, {"A01N01-L": "1,0,5,1\n52,0,5,1\n0,0,5,1\n"})
    return ["A01N01-L_1", "A01N01-L_2"]


def kinetics(raw: Path) -> list[str]:
    raw.mkdir()
    WRITERS["kinetics-skeleton"](raw)
    content = json.loads((raw / "kinetics_val" / "abcdefghi-1.json").read_text())
    (raw / "kinetics_val" / "abcdefghi-9.json").write_text(json.dumps(content | {"label_index": 400}))
    return ["kinetics_val_abcdefghi-9"]


CASES: dict[str, Callable[[Path], list[str]]] = {
    "ntu60": ntu,
    "pku2": pku,
    "nwucla": shipped("nwucla", "a13_s01_e00_v01.json", "a01_s11_e00_v01.json", "a01_s01_e00_v04.json"),
    "uav-human": shipped(
        "uav-human",
        "P001S01G10B00H10UC102000LC092000A155R0_1.txt",
        "P119S01G10B00H10UC102000LC092000A001R0_1.txt",
    ),
    "utd-mhad": shipped("utd-mhad", "a28_s1_t1_skeleton.mat", "a27_s9_t1_skeleton.mat", "a27_s1_t5_skeleton.mat"),
    "msr-action3d": shipped("msr-action3d", "a21_s01_e01_skeleton3D.txt", "a01_s11_e01_skeleton3D.txt"),
    "sbu": shipped("sbu", "s01s02/09/001/skeleton_pos.txt", "s01s08/08/001/skeleton_pos.txt"),
    "kinetics-skeleton": kinetics,
}


@pytest.mark.parametrize("name", CASES)
def test_its_clip_is_set_aside_and_all_others_are_ready(name: str, tmp_path: Path) -> None:
    odd = CASES[name](tmp_path / "raw")
    quality = prepare(registry.load("datasets", name), [tmp_path / "raw"], tmp_path / "data", jobs=1).quality
    unknown = [item for item in quality.set_aside if item.kind == "unknown"]
    assert sorted(item.name for item in unknown) == sorted(odd)
    assert quality.faults == len(odd)
    assert quality.clips == open_dataset(tmp_path / "data", name).num_clips > 0
    assert not quality.complete
    first = f"{unknown[0].name}: {unknown[0].reason}"
    count = "1 clip was" if len(odd) == 1 else f"{len(odd)} clips were"
    assert f"{count} set aside for numbers that {name} does not have (the first: {first}). {REMEDY}" in notes(quality)
    assert any(first in line for line in doubtful(quality))  # which `run` prints


def test_a_class_of_ones_own_description_too_and_what_its_ranges_leave_out(tmp_path: Path) -> None:
    path = custom_files.write(tmp_path, "npz", COCO_17.joints, subjects=5, cameras=2)
    for name in ("A01P05C1", "A01P05C2"):
        (tmp_path / "raw" / f"{name}.npz").rename(tmp_path / "raw" / f"{name.replace('A01', 'A07')}.npz")
    path.write_text(path.read_text() + "test = [4]\n[ranges]\ncamera = [1, 1]\n")
    quality = prepare(registry.load("datasets", str(path)), [tmp_path / "raw"], tmp_path / "data", jobs=1).quality
    reasons = {item.name: item.reason for item in quality.set_aside}
    assert reasons.pop("A07P05C1").startswith("action 7 is not in 1..2; if ids have gaps, ")
    assert reasons.pop("A07P05C2").startswith("action 7 is not in 1..2; if ids have gaps, ")
    assert reasons == {f"A0{a}P0{p}C2": "camera 2 is not in 1..1" for a in (1, 2) for p in range(1, 5 + (a == 2))}
    assert (quality.in_no_part, quality.first_in_no_part) == (1, "A02P05C1")  # neither trains nor tests
    assert "The splits of gym leave out 1 recording (the first: A02P05C1)." in notes(quality)


def test_videos_that_no_split_file_names_are_told(tmp_path: Path) -> None:
    write_pku(tmp_path / "raw", {"A01N01-L": "1,0,5,1\n", "A01N02-L": "1,0,5,1\n"})
    for name in ("cross-subject", "cross-view"):
        (tmp_path / "raw" / f"{name}.txt").write_text("Training videos:\nA01N01-L,\nValidataion videos:\nA01N03-M,\n")
    quality = prepare(registry.load("datasets", "pku2"), [tmp_path / "raw"], tmp_path / "data", jobs=1).quality
    assert "The splits of pku2 leave out 1 recording (the first: A01N02-L)." in notes(quality)


def test_classes_without_a_clip_are_named(tmp_path: Path) -> None:
    shipped("nwucla")(tmp_path / "raw")
    quality = prepare(registry.load("datasets", "nwucla"), [tmp_path / "raw"], tmp_path / "data", jobs=1).quality
    told = "7 classes have no clip: 2 pick up with two hands, 3 drop trash, 4 walk around, 5 sit down, 6 stand up and 2"
    assert f"{told} more." in notes(quality)
    assert open_dataset(tmp_path / "data", "nwucla").quality == quality


POSES = [
    ("gym99", [("a", 0), ("b", 98)], [("c", 99), ("d", -1)]),
    ("ntu60-2d", [("S001C001P001R001A001", 0)], [("S001C001P001R003A001", 0), ("S001C001P001R001A061", 60)]),
    ("ntu120-2d", [("S001C001P001R001A061", 60)], [("S001C001P001R001A121", 120)]),
]


@pytest.mark.parametrize(("name", "known", "odd"), POSES)
def test_import_has_the_same_rule(
    name: str, known: list[tuple[str, int]], odd: list[tuple[str, int]], tmp_path: Path
) -> None:
    poses = np.random.default_rng(0).uniform(0, 99, (1, 4, 17, 2)).astype(np.float16)
    clips = [
        {"frame_dir": clip, "label": label, "keypoint": poses, "keypoint_score": np.ones((1, 4, 17), np.float16)}
        for clip, label in known + odd
    ]
    splits = {"train": [clip for clip, _ in known], "val": [clip for clip, _ in odd]}
    (tmp_path / "poses.pkl").write_bytes(pickle.dumps({"split": splits, "annotations": clips}))
    quality = import_file(tmp_path / "poses.pkl", name, tmp_path / "data").quality
    assert {item.name for item in quality.set_aside if item.kind == "unknown"} == {clip for clip, _ in odd}
    assert open_dataset(tmp_path / "data", name).table["name"].tolist() == [clip for clip, _ in known]
    assert f"set aside for numbers that {name} does not have (the first: {odd[0][0]}: " in notes(quality)
    (tmp_path / "odd.pkl").write_bytes(pickle.dumps({"split": {}, "annotations": clips[len(known) :]}))
    with pytest.raises(StarsBenchError, match=r"clips were set aside; the first: .* is not in "):
        import_file(tmp_path / "odd.pkl", name, tmp_path / "other")


def notes(quality: QualityReport) -> str:
    """What `prepare` prints in sentences, as one line."""
    return " ".join(line for block in blocks(quality) if isinstance(block, Notes) for line in block.lines)
