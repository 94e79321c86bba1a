"""docs/adding.md, the descriptions of other files: each reads files of its kind, which are written here."""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from stars_bench.datasets.custom.load import describe
from stars_bench.datasets.skeletons.layouts import LAYOUTS
from stars_bench.preparation.prepare import prepare
from stars_bench.storage.shards import open_dataset
from tests.paths import ROOT

PAGE = (ROOT / "docs" / "adding.md").read_text()
CASES = {name: textwrap.dedent(text) for name, text in re.findall(r" *```toml case=(\w+)\n(.*?)```", PAGE, re.DOTALL)}
HEAD = 'name = "mine"\ntitle = "Mine"\nclasses = ["wave", "sit down"]\nlicence = "-"\ncitation = "-"\n'
SPLIT = "[splits.xsub]\ntrain = [1]\n"
FRAMES = 6

Clips = dict[str, np.ndarray]
"""Name of each prepared clip, and its bodies (M, T, V, 3)."""


def moving(joints: int, bodies: int = 1, seed: int = 0) -> np.ndarray:
    """Bodies (M, T, V, 3) with no zero and no two numbers alike, exact in every format."""
    return (
        np.random.default_rng(seed)
        .permutation(np.arange(1, bodies * FRAMES * joints * 3 + 1))
        .reshape(bodies, FRAMES, joints, 3)
        / 8.0
    )


def ntu(folder: Path) -> Clips:
    bodies = moving(17, 2)
    lines = [str(FRAMES)]
    for frame in range(FRAMES):
        here = [0] if frame == 2 else [0, 1]
        lines.append(str(len(here)))
        for body in here:
            lines += [f"{70 + body} 0 1", "17", *(f"{x} {y} {z} 9 9" for x, y, z in bodies[body, frame])]
    (folder / "P000S01A001R3.txt").write_text("\n".join(lines) + "\n")
    bodies[1, 2] = 0
    return {"P000S01A001R3": bodies}


def frames(folder: Path) -> Clips:
    bodies = moving(25)
    (folder / "A02_P01").mkdir()
    for number, frame in enumerate(bodies[0]):  # 9 comes before 10
        people = [{"pose_keypoints_2d": [float(value) for value in frame.ravel()]}]
        (folder / "A02_P01" / f"x_{number + 8}_keypoints.json").write_text(json.dumps({"people": people}))
    return {"A02_P01": bodies * [0.001, -0.001, 1]}


def lines(folder: Path) -> Clips:
    bodies = moving(20)
    text = "".join(f"  {x} {y}\t{z}   1.0 \n" for x, y, z in bodies.reshape(-1, 3))
    (folder / "a02_s01_e01.txt").write_text("made by a camera\n" + text)
    return {"a02_s01_e01": bodies}


def time(folder: Path) -> Clips:
    bodies = moving(15, 2)
    rows = [[number / 30, *bodies[:, number].ravel()] for number in range(FRAMES)]
    (folder / "A02_P01.txt").write_text("".join(",".join(map(repr, map(float, row))) + ",\n" for row in rows))
    return {"A02_P01": bodies}


def tidy(folder: Path) -> Clips:
    bodies = moving(20)
    rows = [
        f"{frame},{joint},{x},{y},{z}"
        for frame in range(FRAMES)
        for joint, (x, y, z) in reversed([*zip(LAYOUTS["kinect-v1"].joints, bodies[0, frame], strict=True)])
    ]
    (folder / "A02_P01.csv").write_text("\n".join(["time,joint,x,y,z", *rows]))
    return {"A02_P01": bodies}


def mat(folder: Path) -> Clips:
    stored = moving(20)
    savemat(folder / "a2_s1_t1_skeleton.mat", {"d_skel": stored[0].transpose(1, 2, 0)})
    with h5py.File(folder / "a1_s1_t1_skeleton.mat", "w") as file:  # as MATLAB 7.3: axes the other way around
        file["d_skel"] = stored[0].transpose(0, 2, 1)
    order = [3, 2, 1, 0, *range(4, 20)]
    return {"a2_s1_t1_skeleton": stored[:, :, order], "a1_s1_t1_skeleton": stored[:, :, order]}


def npy(folder: Path) -> Clips:
    bodies = moving(25, 2)
    bodies[1, 3:] = 0
    content = {
        "file_name": "x",
        "nbodys": [2] * FRAMES,
        "njoints": 25,
        "skel_body0": bodies[0],
        "skel_body1": bodies[1],
    }
    np.save(folder / "S001C001P001R001A002.skeleton.npy", np.array(content), allow_pickle=True)
    return {"S001C001P001R001A002.skeleton": bodies}


def scores(folder: Path) -> Clips:
    rng = np.random.default_rng(0)
    places, sure = rng.uniform(0.1, 0.9, (3, FRAMES, 18, 2)), rng.uniform(0.1, 0.9, (3, FRAMES, 18))
    sure[0] *= 0.01  # the first person of each frame is in nobody's way
    sure[1] += 1
    sure[2, 0, 0] = 0
    data = [
        {"skeleton": [{"pose": places[m, t].ravel().tolist(), "score": sure[m, t].tolist()} for m in range(3)]}
        for t in range(FRAMES)
    ]
    (folder / "abc.json").write_text(json.dumps({"data": data}))
    (folder.parent / "labels.json").write_text(json.dumps({"abc": {"label_index": 1, "has_skeleton": True}}))
    xy = (places - 0.5) * [1, -1]
    xy[sure == 0] = 0
    return {"abc": np.concatenate([xy, sure[..., None]], -1)[[1, 2]]}


def segments(folder: Path) -> Clips:
    (rows,) = re.findall(r"```text\n(  file,start.*?)```", PAGE, re.DOTALL)
    (folder.parent / "segments.csv").write_text(textwrap.dedent(rows))
    day = np.random.default_rng(0).normal(size=(50, 20, 3)).astype(np.float32)
    np.save(folder / "day1.npy", day)
    return {"day1_001": day[None, 0:20], "day1_002": day[None, 24:40]}


WRITERS: dict[str, Callable[[Path], Clips]] = {
    one.__name__: one for one in (ntu, frames, lines, time, tidy, mat, npy, scores, segments)
}


def test_every_description_of_the_page_is_tried() -> None:
    assert set(CASES) == set(WRITERS)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_description_of_the_page_reads_files_of_its_kind(kind: str, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    expected = WRITERS[kind](tmp_path / "raw")
    (tmp_path / "mine.toml").write_text(HEAD + CASES[kind] + SPLIT)
    spec = describe(tmp_path / "mine.toml")
    report = prepare(spec, [tmp_path / "raw"], tmp_path / "data", jobs=1)
    assert report.set_aside == 0
    dataset = open_dataset(tmp_path / "data", "mine")
    assert set(dataset.table["name"]) == set(expected)
    for name, bodies in expected.items():
        np.testing.assert_allclose(dataset.clip(name), bodies, rtol=1e-6)
    labels = dict(zip(dataset.table["name"], dataset.table["label"], strict=True))
    assert set(labels.values()) <= {0, 1}
    assert 1 in labels.values()


def test_a_dictionary_in_a_npy_file_is_read_without_running_it(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path / 'ran'}",))

    (tmp_path / "raw").mkdir()
    npy(tmp_path / "raw")
    np.save(tmp_path / "raw" / "S001C001P002R001A002.skeleton.npy", np.array({"skel_body0": Attack()}))
    (tmp_path / "mine.toml").write_text(HEAD + CASES["npy"] + SPLIT)
    report = prepare(describe(tmp_path / "mine.toml"), [tmp_path / "raw"], tmp_path / "data", jobs=1)
    assert report.set_aside == 1
    assert "refused, nothing was run: it asks for" in report.quality.set_aside[0].reason
    assert not (tmp_path / "ran").exists()
