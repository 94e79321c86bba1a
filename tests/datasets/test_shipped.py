"""Datasets that ship as descriptions: tiny files in each one's form, written here, come out as they went in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from stars_bench import registry
from stars_bench.api import PLANE, DatasetSpec
from stars_bench.datasets.skeletons.layouts import LAYOUTS
from stars_bench.errors import UsageError
from stars_bench.preparation.prepare import prepare
from stars_bench.protocols.splits import make_split
from stars_bench.storage.shards import PreparedDataset, open_dataset

FRAMES = 4


def places(joints: int, seed: int = 0, numbers: int = 3) -> np.ndarray:
    """(FRAMES, joints, numbers) in [0.25, 0.75], exact as text of three digits."""
    return np.random.default_rng(seed).integers(64, 192, (FRAMES, joints, numbers)) / 256


def nwucla(folder: Path) -> dict[str, np.ndarray]:
    clips = {}
    for seed, name in enumerate(("a01_s01_e00_v01", "a12_s02_e01_v02", "a08_s10_e00_v03")):
        clips[name] = places(20, seed)
        content = {"file_name": name, "skeletons": clips[name].tolist(), "label": 1}
        (folder / f"{name}.json").write_text(json.dumps(content))
    return {name: clip[None] for name, clip in clips.items()}


def uav_human(folder: Path) -> dict[str, np.ndarray]:
    clips = {}
    for seed, person in enumerate((0, 1, 2)):
        name = f"P{person:03}S01G10B00H10UC102000LC092000A{154 * (seed % 2):03}R0_0913175{seed}"
        pixels = places(17, seed, 2) * 1024
        lines = [str(FRAMES)]
        for frame in pixels:
            lines += ["1", "0 0 0 0 0 0 0 0 0 0", "17", *(f"{x} {y} 0 0 0 0 0 0 0 0 0 2" for x, y in frame)]
        (folder / f"{name}.txt").write_text("\n".join(lines))
        clips[name] = np.concatenate([(pixels - [960, 540]) / 540, np.ones((FRAMES, 17, 1))], -1)[None]
    return clips


def utd_mhad(folder: Path) -> dict[str, np.ndarray]:
    order = [3, 2, 1, 0, *range(4, 20)]  # from hip centre, spine ... of the layout to head, shoulder centre ...
    clips = {}
    for subject in (1, 2):
        stored = places(20, subject)
        savemat(folder / f"a27_s{subject}_t4_skeleton.mat", {"d_skel": stored.transpose(1, 2, 0)})
        clips[f"a27_s{subject}_t4_skeleton"] = stored[None, :, order]
    return clips


def msr_action3d(folder: Path) -> dict[str, np.ndarray]:
    clips = {}
    for action, subject in ((2, 1), (1, 2), (2, 2), (1, 3), (6, 5), (6, 6)):
        name = f"a{action:02}_s{subject:02}_e01_skeleton3D"
        clips[name] = places(20, action * subject)[None]
        rows = clips[name].reshape(-1, 3)
        (folder / f"{name}.txt").write_text("".join(f"{x:.6f} {y:.6f} {z:.6f} 1.000000\n" for x, y, z in rows))
    zero = "0.000000 0.000000 0.000000 1.000000\n" * 20 * FRAMES
    (folder / "a13_s09_e02_skeleton3D.txt").write_text(zero)  # as in the data
    return clips


def sbu(folder: Path) -> dict[str, np.ndarray]:
    clips = {}
    for number, pair in enumerate(("s01s02", "s07s03", "s01s03", "s02s01", "s04s02", "s02s03")):
        stored = places(30, number)
        path = folder / pair / "08" / "001" / "skeleton_pos.txt"
        path.parent.mkdir(parents=True)
        rows = [",".join([str(t + 1), *map(str, frame.ravel())]) for t, frame in enumerate(stored)]
        path.write_text("\n".join(rows))
        turned = (stored - [0.5, 0.5, 0]) * [-1, -1, 1]
        clips[f"{pair}_08_001_skeleton_pos"] = turned.reshape(FRAMES, 2, 15, 3).swapaxes(0, 1)
    return clips


def kinetics_skeleton(folder: Path) -> dict[str, np.ndarray]:
    clips = {}
    for seed, part in enumerate(("train", "val")):
        poses = places(18, seed, 2)
        data = [{"frame_index": t, "skeleton": []} for t in range(FRAMES + 1)]
        for t, pose in enumerate(poses):
            one = {"pose": pose.ravel().tolist(), "score": [0.0, *[0.5] * 17]}
            data[t]["skeleton"] = [one | {"score": [0.125] * 18}, one][:: 1 - 2 * (t % 2)]
        (folder / f"kinetics_{part}").mkdir()
        content = {"data": data, "label": "zumba", "label_index": 399}
        (folder / f"kinetics_{part}" / f"abcdefghi-{seed}.json").write_text(json.dumps(content))
        sure, weak = np.full((FRAMES, 18, 1), 0.5), np.full((FRAMES, 18, 1), 0.125)
        first = np.concatenate([poses - 0.5, sure], -1)
        first[:, 0] = 0
        both = np.stack([first, np.concatenate([poses - 0.5, weak], -1)])
        clips[f"kinetics_{part}_abcdefghi-{seed}"] = np.concatenate([both, np.zeros((2, 1, 18, 3))], 1)
    return clips


WRITERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    name.replace("_", "-"): writer
    for name, writer in {
        "nwucla": nwucla,
        "uav_human": uav_human,
        "utd_mhad": utd_mhad,
        "msr_action3d": msr_action3d,
        "sbu": sbu,
        "kinetics_skeleton": kinetics_skeleton,
    }.items()
}
IN_PICTURES = {"uav-human", "kinetics-skeleton", "gym99", "ntu60-2d", "ntu120-2d"}
LABELS = {
    "nwucla": {0, 9, 6},
    "uav-human": {0, 154},
    "utd-mhad": {26},
    "msr-action3d": {0, 1, 5},
    "sbu": {7},
    "kinetics-skeleton": {399},
}
PARTS = {
    "nwucla": {"xview": (2, 1)},
    "uav-human": {"xsub-v1": (2, 1), "xsub-v2": (1, 2)},
    "utd-mhad": {"xsub": (1, 1)},
    "msr-action3d": {"xsub": (3, 3), "as1": (2, 2), "as2": (1, 1), "as3": (1, 1)},
    "sbu": {f"split{fold}": (5, 1) if fold != 3 else (4, 2) for fold in range(1, 6)},
    "kinetics-skeleton": {"official": (1, 1)},
}


def prepared(name: str, tmp_path: Path) -> tuple[PreparedDataset, dict[str, np.ndarray], int]:
    (tmp_path / "raw").mkdir()
    expected = WRITERS[name](tmp_path / "raw")
    report = prepare(registry.load("datasets", name), [tmp_path / "raw"], tmp_path / "data", jobs=1)
    assert not (tmp_path / "data" / name / registry.DESCRIPTION).exists()
    return open_dataset(tmp_path / "data", name), expected, report.set_aside


@pytest.mark.parametrize("name", registry.DESCRIBED)
def test_files_of_its_form_are_prepared_and_split(name: str, tmp_path: Path) -> None:
    dataset, expected, set_aside = prepared(name, tmp_path)
    assert set_aside == 0
    assert dataset.complete == (dataset.spec.expected_clips is None)
    assert set(dataset.table["name"]) == set(expected)
    for clip, bodies in expected.items():
        np.testing.assert_allclose(dataset.clip(clip), bodies, atol=1e-6)
    assert set(dataset.table["label"]) == LABELS[name]
    found = {}
    for protocol in dataset.spec.protocols:
        split = make_split(registry.load("protocols", protocol), name, dataset.table, dataset.complete)
        found[protocol] = (len(split.train), len(split.test))
    assert found == PARTS[name]


def test_the_zero_clip_of_msr_action3d_is_no_fault(tmp_path: Path) -> None:
    dataset, _, _ = prepared("msr-action3d", tmp_path)
    (aside,) = dataset.quality.set_aside
    assert (aside.name, aside.kind) == ("a13_s09_e02_skeleton3D", "empty")


@pytest.mark.parametrize("name", [*registry.DESCRIBED, "gym99", "ntu60-2d", "ntu120-2d"])
def test_it_says_whom_to_cite_and_how_to_get_it(name: str) -> None:
    spec: DatasetSpec = registry.load("datasets", name)
    assert spec.name == name
    assert spec.citation.authors
    assert spec.licence
    assert "http" in spec.where
    assert len(set(spec.classes)) == len(spec.classes) - (name == "gym99")  # whose labels 58 and 70 are called alike
    assert spec.skeleton.channels == (
        PLANE if name not in PARTS or (name[0] in "uk" and name != "utd-mhad") else ("x", "y", "z")
    )


def test_numbers_of_persons_folds_and_subsets() -> None:
    uav = registry.load("datasets", "uav-human").splits.keywords["description"].splits
    for rule in uav.values():
        assert (len(rule.train), len(rule.test)) == (89, 30)
        assert set(rule.train) | set(rule.test) == set(range(119))
    sbu_rules = registry.load("datasets", "sbu").splits.keywords["description"].splits.values()
    folds = [set(rule.test) for rule in sbu_rules]
    assert sorted(map(len, folds)) == [4, 4, 4, 4, 5]
    assert len(set().union(*folds)) == 21
    msr = registry.load("datasets", "msr-action3d").splits.keywords["description"].splits
    assert [len(msr[name].actions) for name in ("as1", "as2", "as3")] == [8, 8, 8]


def test_a_pickled_dataset_has_no_raw_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"`stars-bench import gym_hrnet\.pkl --dataset gym99` reads"):
        prepare(registry.load("datasets", "gym99"), [tmp_path], tmp_path / "data", jobs=1)


def test_a_description_of_ones_own_may_have_the_name(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    nwucla(tmp_path / "raw")
    shipped = Path(registry.BUILT_IN["datasets"]["nwucla"]).read_text().replace("clips = 1484", "")
    (tmp_path / "mine.toml").write_text(shipped.replace('Northwestern-UCLA"', 'Mine"'))
    mine = registry.load("datasets", str(tmp_path / "mine.toml"))
    prepare(mine, [tmp_path / "raw"], tmp_path / "data", jobs=1)
    assert open_dataset(tmp_path / "data", "nwucla").spec.title == "Mine"


LAYOUT_OF = {"coco-17": 17, "openpose-18": 18, "openpose-25": 25, "mediapipe-33": 33, "lcrnet-13": 13, "sbu-15": 15}


def test_layouts_are_trees_with_both_sides() -> None:
    assert {name: len(LAYOUTS[name].joints) for name in LAYOUT_OF} == LAYOUT_OF
    for layout in LAYOUTS.values():
        swapped = {name.replace("left", "*").replace("right", "left").replace("*", "right") for name in layout.joints}
        assert swapped == set(layout.joints)
        for joint in range(len(layout.joints)):
            for _ in layout.joints:
                joint = layout.parents[joint]
            assert layout.parents[joint] == joint
        assert sum(parent == joint for joint, parent in enumerate(layout.parents)) == 1
