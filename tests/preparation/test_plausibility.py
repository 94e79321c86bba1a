"""What looks wrong is said: units, still joints, joint order, lengths of bones, jumps, numbers of frames."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stars_bench.api import PLANE, Skeleton
from stars_bench.datasets.ntu import NTU60
from stars_bench.datasets.pku_mmd import PKU1
from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.datasets.skeletons.layouts import COCO_17, KINECT_V1, MSR_ACTION3D
from stars_bench.preparation.plausibility import COLUMNS, MANY, RULES, judge, measure
from stars_bench.preparation.prepare import prepare
from stars_bench.storage.quality import DOUBTFUL, DOUBTS, QualityReport, doubtful
from stars_bench.storage.shards import open_dataset
from tests.datasets.raw_writers import BODY_ID, ntu_bytes
from tests.paths import ROOT

REAL = Path(os.environ.get("STARS_BENCH_REAL", "no such folder"))
FRAMES = 30
GROWTH = (1 + 0.9 * np.sin(np.linspace(0, 12, FRAMES))).astype(np.float32)
PLACES = {
    "spine base": (0, -0.1),
    "spine mid": (0, 0.2),
    "spine shoulder": (0, 0.45),
    "neck": (0, 0.55),
    "head": (0, 0.7),
    "shoulder": (0.18, 0.43),
    "elbow": (0.25, 0.17),
    "wrist": (0.3, -0.07),
    "hand": (0.31, -0.15),
    "hand tip": (0.32, -0.22),
    "thumb": (0.28, -0.16),
    "hip": (0.09, -0.13),
    "knee": (0.12, -0.53),
    "ankle": (0.12, -0.92),
    "foot": (0.13, -0.97),
}
KINECT_1_NAMES = {"hip centre": "spine base", "spine": "spine mid", "shoulder centre": "spine shoulder"}


def person(skeleton: Skeleton = KINECT_V2, seed: int = 0, frames: int = FRAMES) -> np.ndarray:
    """(1, frames, V, 3): someone of 1.7 m who walks by 3 m away, with a centimetre of noise."""
    rng = np.random.default_rng(seed)
    place = []
    for joint in skeleton.joints:
        side, _, part = joint.partition(" ") if joint.startswith(("left", "right")) else ("", "", joint)
        x, y = PLACES[KINECT_1_NAMES.get(part, part)]
        place.append((x * (-1 if side == "left" else 1), y, 3 + 0.2 * np.sin(5 * y)))
    walk = np.linspace(0, 0.5, frames)[:, None, None] * (1, 0, 1)
    return (place + walk + rng.normal(0, 0.005, (1, frames, len(place), 3))).astype(np.float32)


def rules_of(*clips: np.ndarray, skeleton: Skeleton = KINECT_V2) -> set[str]:
    """Names of the rules that some of the clips break."""
    names = [f"clip {number}" for number in range(len(clips))]
    return {finding.rule.name for finding in judge(skeleton, measure(skeleton, names, clips))}


def joint(name: str) -> int:
    return KINECT_V2.joints.index(name)


def with_longer(clip: np.ndarray, bone: str, times: np.ndarray | float) -> np.ndarray:
    """The clip with a left upper arm, say, of another length in each frame."""
    part, parent = joint(bone), KINECT_V2.parents[joint(bone)]
    moved = [v for v in range(25) if part in _ancestors(v)]
    clip = clip.copy()
    clip[:, :, moved] += ((clip[:, :, part] - clip[:, :, parent]) * (np.reshape(times, (-1, 1)) - 1))[:, :, None]
    return clip


def _ancestors(v: int) -> list[int]:
    return [v] if KINECT_V2.parents[v] == v else [v, *_ancestors(KINECT_V2.parents[v])]


def scaled(clip: np.ndarray, lowest: float, axes: tuple[int, ...] = (0, 1, 2)) -> np.ndarray:
    """Scaled so that each axis (or all together) spans [lowest, 1]."""
    low, high = clip.min(axes, keepdims=True), clip.max(axes, keepdims=True)
    return ((clip - low) / (high - low) * (1 - lowest) + lowest).astype(np.float32)


def order(skeleton: Skeleton) -> list[int]:
    return [joint(KINECT_1_NAMES.get(name, name)) for name in skeleton.joints]


CWBG = (
    *("spine base", "spine mid", "head", "left shoulder", "left elbow", "left wrist", "left hand"),
    *("right shoulder", "right elbow", "right wrist", "right hand", "left hip", "left knee", "left ankle"),
    *("left foot", "right hip", "right knee", "right ankle", "right foot", "neck"),
)
"""The order of joints in files of CWBG, which have NTU's form and five joints that are zero."""

WRONG: dict[str, tuple[Callable[[np.ndarray], np.ndarray], set[str]]] = {
    "millimetres": (lambda clip: clip * 1000, {"size"}),
    "centimetres": (lambda clip: clip * 100, {"size"}),
    "feet": (lambda clip: clip * np.float32(3.28), {"size"}),
    "a picture's share": (lambda clip: clip / 8, {"size"}),
    "each axis in [0, 1]": (lambda clip: scaled(clip, 0, (0, 1, 2)), {"scaled"}),
    "each axis in [-1, 1]": (lambda clip: scaled(clip, -1, (0, 1, 2)), {"scaled"}),
    "each axis in [-1, 1], centred": (lambda clip: (c := scaled(clip, -1)) - c[:1, :1, 1:2], {"scaled"}),
    "all axes in [0, 1]": (lambda clip: scaled(clip, 0, (0, 1, 2, 3)), {"scaled"}),
    "a joint that is zero": (lambda clip: np.where(np.arange(25)[:, None] == 10, np.float32(0), clip), {"still"}),
    "nothing moves": (lambda clip: np.repeat(clip[:, :1], FRAMES, axis=1), {"still"}),
    "backwards": (lambda clip: clip[:, :, ::-1], {"bone"}),
    "CWBG's order": (
        lambda clip: np.concatenate([clip[:, :, [joint(n) for n in CWBG]], np.zeros_like(clip[:, :, :5])], 2),
        {"still", "bone"},
    ),
    "a longer arm": (lambda clip: with_longer(clip, "left elbow", 2.2), {"sides"}),
    "an arm that grows": (lambda clip: with_longer(clip, "left elbow", GROWTH), {"variation"}),
    "a person that grows": (lambda clip: (m := clip[:, :, 1:2]) + (clip - m) * GROWTH[:, None, None], {"variation"}),
    "a frame of its own": (lambda clip: clip[:, :1], {"frames"}),
    "a jump": (lambda clip: clip + np.float32(1.0) * (np.arange(FRAMES) > 12)[:, None, None], {"jump"}),
}


@pytest.mark.parametrize("fault", WRONG)
def test_each_fault_is_recognised_by_its_rule(fault: str) -> None:
    change, expected = WRONG[fault]
    right = [person(seed=seed) for seed in range(3)]
    assert rules_of(*right) == set()
    found = rules_of(*(change(clip).astype(np.float32) for clip in right))
    assert expected <= found
    also = {"sides"} if "bone" in expected else {"size"} if "scaled" in expected else set()
    assert found <= expected | also


def test_what_is_right_is_not_reported() -> None:
    two = np.concatenate([person(seed=1), person(seed=2) + np.float32(1)])
    away = two.copy()
    away[1, 10:20] = 0  # the second one leaves for some frames
    alone = np.concatenate([person(seed=3), np.zeros((1, FRAMES, 25, 3), np.float32)])
    assert rules_of(np.zeros_like(two)) == set()  # nobody is seen
    assert measure(KINECT_V2, (), ()).names == ()
    pause = person(seed=6)
    pause[0, 10:20] = 0
    relative = person(seed=4) - person(seed=4)[:, :, :1]
    centred = away - away[:1, :1, 1:2] * away.any((2, 3), keepdims=True)
    child = person(seed=5) * np.float32(0.6)
    assert rules_of(two, away, alone, pause, relative, centred, child, person(frames=90), person(frames=10)) == set()
    assert rules_of(person(KINECT_V1), skeleton=KINECT_V1) == set()


def test_of_two_people_the_better_one_counts() -> None:
    ghost = with_longer(person(seed=2), "left elbow", 3)
    both = np.concatenate([person(seed=1), ghost])
    assert rules_of(both) == rules_of(both[::-1]) == set()
    assert rules_of(both[1:]) == {"sides"}


def test_lengths_are_compared_with_the_median() -> None:
    clips = [person(frames=40, seed=seed) for seed in range(4)]
    assert rules_of(*clips, person(frames=3)) == {"length"}
    assert rules_of(*clips, person(frames=401)) == {"length"}
    assert rules_of(*clips, person(frames=5)) == set()


def test_half_of_many_clips_say_what_a_single_one_does_not() -> None:
    names = ("head", "shoulder centre", "spine", "hip centre", *KINECT_V1.joints[4:])  # UTD-MHAD's order
    wrong = [KINECT_V1.joints.index(name) for name in names]
    many = [person(KINECT_V1, seed)[:, :, wrong] for seed in range(MANY)]
    assert rules_of(*many[:-1], skeleton=KINECT_V1) == set()
    assert rules_of(*many, skeleton=KINECT_V1) == {"bone"}
    right = [person(seed=seed) for seed in range(MANY)]
    assert rules_of(*right, with_longer(person(), "left elbow", 1.6)) == set()


def test_another_layout_has_bones_and_sides_of_its_own() -> None:
    clip = person()[:, :, order(KINECT_V1)]
    assert rules_of(clip, skeleton=KINECT_V1) == set()
    assert "bone" in rules_of(clip, skeleton=MSR_ACTION3D)


def test_a_pose_in_a_picture_has_no_metres() -> None:
    rng = np.random.default_rng(0)
    pose = np.concatenate([rng.uniform(0, 1000, (1, FRAMES, 17, 2)), rng.uniform(0.5, 1, (1, FRAMES, 17, 1))], 3)
    pose[:, :, 15:] = 0  # feet that are not in the picture
    clip = pose.astype(np.float32)
    plane = Skeleton("coco", COCO_17.joints, COCO_17.parents, COCO_17.centre, PLANE)
    assert rules_of(clip, skeleton=plane) == set()
    clip[:, :, 3] = (5, 5, 0.9)
    assert rules_of(clip, skeleton=plane) == {"still"}


def write(folder: Path, clips: dict[str, np.ndarray]) -> Path:
    folder.mkdir()
    for name, clip in clips.items():
        (folder / f"{name}.skeleton").write_bytes(ntu_bytes([[(BODY_ID, joints)] for joints in clip[0]]))
    return folder


def test_prepare_lists_reports_and_keeps_what_looks_wrong(tmp_path: Path) -> None:
    names = [f"S001C00{camera}P001R001A00{action}" for camera in (1, 2, 3) for action in (1, 2)]
    clips = {name: person(seed=seed) for seed, name in enumerate(names)}
    right = prepare(NTU60, [write(tmp_path / "right", clips)], tmp_path / "right data", jobs=1)
    assert right.quality.doubts == ()
    assert doubtful(right.quality) == []
    assert not (right.folder / DOUBTS).exists()
    clips[names[3]] *= 1000
    raw = write(tmp_path / "wrong", clips)
    report = prepare(NTU60, [raw], tmp_path / "data", jobs=1, shard_bytes=100_000)
    assert report.shards > 1
    (doubt,) = report.quality.doubts
    assert (report.quality.implausible, doubt.clips, doubt.worst) == (1, 1, (names[3],))
    assert "metres" in doubt.what
    assert "coordinates.unit" in doubt.remedy
    with (report.folder / DOUBTS).open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["clip"], row["rule"]) == (names[3], "size")
    assert 1000 < float(row["value"]) < 2000
    (line,) = doubtful(open_dataset(tmp_path / "data", "ntu60").quality)
    assert names[3] in line
    (report.folder / "index.json").unlink()
    (report.folder / "shard-00000.h5").unlink()
    again = prepare(NTU60, [raw], tmp_path / "data", jobs=1, shard_bytes=100_000)  # most shards are there already
    assert again.reused == report.shards - 1
    assert again.quality == report.quality
    assert prepare(NTU60, [raw], tmp_path / "data", jobs=1, shard_bytes=100_000).quality == report.quality


def test_a_few_odd_clips_do_not_make_a_dataset_doubtful() -> None:
    report = QualityReport("ntu60", "mamp", 1000, 1000, None, True, implausible=int(1000 * DOUBTFUL) - 1)
    assert doubtful(report) == []


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="STARS_BENCH_REAL names no folder")
@pytest.mark.parametrize("profile", list(NTU60.profiles))
def test_no_real_clip_of_ntu_looks_wrong(profile: str, tmp_path: Path) -> None:
    assert prepare(NTU60, [REAL / "ntu"], tmp_path, profile=profile, jobs=1).quality.doubts == ()


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="STARS_BENCH_REAL names no folder")
def test_no_real_clip_of_pku_mmd_looks_wrong(tmp_path: Path) -> None:
    assert prepare(PKU1, [REAL / "pku1_subset.zip"], tmp_path, jobs=1).quality.doubts == ()


def test_the_page_has_the_bounds() -> None:
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    for rule in RULES:
        half = "" if rule.typical is None else f"{rule.typical:g}"
        assert f"| `{rule.name}` | {rule.lowest:g} to {rule.highest:g} | {half} |" in page
    assert tuple(rule.name for rule in RULES) == COLUMNS
