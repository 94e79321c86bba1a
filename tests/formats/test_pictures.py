"""Poses in pictures: pickles in the layout of pyskl's 2D files in and out bit for bit, and what methods get of them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stars_bench import registry
from stars_bench.data.clip_store import ClipPart, ClipStore
from stars_bench.errors import StarsBenchError
from stars_bench.formats import export, import_file
from stars_bench.preparation.verify import verify
from stars_bench.protocols.splits import split_of
from stars_bench.storage.shards import PreparedDataset, open_dataset
from stars_bench.viewer.clips import _prepared

HEIGHT, WIDTH = 1080, 1920
NAMES = [f"S001C00{c}P00{p}R001A00{a}" for c in (1, 2) for p in (1, 3) for a in (1, 2)]


def annotation(
    name: str, label: int, bodies: int = 1, frames: int = 6, seed: int = 0, **changes: Any
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    keypoint = rng.uniform(-3, 1900, (bodies, frames, 17, 2)).astype(np.float16)
    keypoint[0, 0, 0] = 0.01  # so near the edge that normalising would lose it
    score = rng.uniform(0.1, 1, (bodies, frames, 17)).astype(np.float16)
    score[0, 1, 3] = 0.004
    shape = {"img_shape": (HEIGHT, WIDTH), "original_shape": (HEIGHT, WIDTH), "total_frames": frames}
    return {"frame_dir": name, "label": label, "keypoint": keypoint, "keypoint_score": score} | shape | changes


def ntu(**changes: Any) -> dict[str, Any]:
    annotations = [annotation(name, int(name[-3:]) - 1, 1 + i % 2, seed=i, **changes) for i, name in enumerate(NAMES)]
    split = {
        "xsub_train": [name for name in NAMES if "P001" in name],
        "xsub_val": [name for name in NAMES if "P003" in name],
    }
    return {"split": split, "annotations": annotations}


def gym(parts: tuple[str, str] = ("train", "val")) -> dict[str, Any]:
    sizes = [(480, 640), (1080, 1920), (720, 1280)]
    annotations = [
        annotation(f"0LtLS9wROrk_E_{i:03}", i % 5, seed=i, frames=4 + i, img_shape=size, original_shape=size)
        for i, size in enumerate(sizes * 3)
    ]
    names = [one["frame_dir"] for one in annotations]
    return {"split": {parts[0]: names[:6], parts[1]: names[6:]}, "annotations": annotations}


def imported(content: Any, dataset: str, tmp_path: Path, file: str = "poses.pkl", **options: Any) -> PreparedDataset:
    path = tmp_path / file
    path.write_bytes(pickle.dumps(content))
    import_file(path, dataset, tmp_path / "data", **options)
    return open_dataset(tmp_path / "data", registry.load("datasets", dataset).name)


@pytest.mark.parametrize(("content", "dataset"), [(ntu(), "ntu60-2d"), (gym(), "gym99")])
def test_a_pickle_comes_back_bit_for_bit(content: dict[str, Any], dataset: str, tmp_path: Path) -> None:
    prepared = imported(content, dataset, tmp_path)
    export(prepared, "pyskl", tmp_path / "back.pkl")
    back = pickle.loads((tmp_path / "back.pkl").read_bytes())
    for part, names in content["split"].items():
        assert sorted(back["split"][part]) == sorted(names)
    found = {one["frame_dir"]: one for one in back["annotations"]}
    for one in content["annotations"]:
        mine = found[one["frame_dir"]]
        assert set(mine) == set(one)
        for key, value in one.items():
            if isinstance(value, np.ndarray):
                assert mine[key].dtype == value.dtype
                assert mine[key].tobytes() == value.tobytes()
            else:
                assert mine[key] == value
    assert verify(prepared).ok


def test_numbers_that_half_precision_cannot_hold_come_back_too(tmp_path: Path) -> None:
    content = ntu()
    content["annotations"][0]["keypoint"] = content["annotations"][0]["keypoint"].astype(np.float32) + 1e-3
    export(imported(content, "ntu60-2d", tmp_path), "pyskl", tmp_path / "back.pkl")
    back = pickle.loads((tmp_path / "back.pkl").read_bytes())["annotations"][0]["keypoint"]
    np.testing.assert_array_equal(back, content["annotations"][0]["keypoint"])


def test_methods_get_normalised_places_and_scores(tmp_path: Path) -> None:
    content = gym()
    prepared = imported(content, "gym99", tmp_path)
    part = ClipPart(ClipStore.of(prepared), np.arange(prepared.num_clips))
    for row, one in enumerate(content["annotations"]):
        clip = part.whole(torch.tensor([row]), len(one["keypoint"][0]))[0, :, :, :, 0].numpy()
        height, width = one["img_shape"]
        x, y = one["keypoint"][0].astype(np.float32).transpose(2, 0, 1)
        sure = one["keypoint_score"][0] > 0.01
        np.testing.assert_allclose(clip[0], np.where(sure, (x - width / 2) / (width / 2), 0), atol=1e-6)
        np.testing.assert_allclose(clip[1], np.where(sure, (y - height / 2) / (height / 2), 0), atol=1e-6)
        np.testing.assert_allclose(clip[2], one["keypoint_score"][0].astype(np.float32), atol=1e-6)
        assert not sure.all()
    assert prepared.clip(0)[..., 0].max() > 10  # what is stored are pixels


@pytest.mark.parametrize("parts", [("train", "val"), ("train", "test"), ("train1", "test1")])
def test_the_split_is_the_files(parts: tuple[str, str], tmp_path: Path) -> None:
    prepared = imported(gym(parts), "gym99", tmp_path)
    name = "split1" if parts[0] == "train1" else "official"
    split = split_of(prepared, registry.load("protocols", name))
    assert (len(split.train), len(split.test)) == (6, 3)


def test_older_pickles_are_lists_a_part_a_file(tmp_path: Path) -> None:
    content = gym()
    test = content["annotations"][6:]
    (tmp_path / "gym_val.pkl").write_bytes(pickle.dumps(test))
    prepared = imported(content["annotations"][:6], "gym99", tmp_path, "gym_train.pkl")
    split = split_of(prepared, registry.load("protocols", "official"))
    assert (len(split.train), len(split.test)) == (6, 3)
    assert set(prepared.table["name"].iloc[split.test]) == {one["frame_dir"] for one in test}


def test_of_a_crowd_the_surest_two_stay(tmp_path: Path) -> None:
    content = ntu()
    crowd = annotation(NAMES[0], 0, bodies=4)
    crowd["keypoint_score"] = crowd["keypoint_score"] * np.array([0.1, 1, 0.2, 0.9], np.float16)[:, None, None]
    content["annotations"][0] = crowd
    clip = imported(content, "ntu60-2d", tmp_path).clip(NAMES[0])
    np.testing.assert_array_equal(clip[..., :2], crowd["keypoint"][[1, 3]])


def test_a_dataset_of_ones_own_takes_a_pickle(tmp_path: Path) -> None:
    head = 'name = "mine"\ntitle = "Mine"\nclasses = ["a", "b", "c", "d", "e"]\nlicence = "-"\ncitation = "-"\n'
    body = "[files]\npattern = '(?P<action>.*)\\.json'\n[coordinates]\nformat = 'json'\naxes = ['x', 'y', 'score']\n"
    (tmp_path / "mine.toml").write_text(f"{head}{body}[skeleton]\nlayout = 'coco-17'\n")
    prepared = imported(gym(), str(tmp_path / "mine.toml"), tmp_path)
    assert (prepared.num_clips, prepared.complete) == (9, False)
    assert prepared.has_protocol(registry.load("protocols", "official"))
    assert prepared.spec.title == "Mine"


WRONG = {
    "for ntu60": (ntu(), "ntu60", "keypoint has x and y alone: poses in pictures; give a dataset of such: ntu60-2d"),
    "shape": (ntu(keypoint=np.zeros((1, 6, 25, 3), np.float16)), "ntu60-2d", r"not \(bodies, frames, 17, 2\)"),
    "scores": (ntu(keypoint_score=np.ones((1, 5, 17))), "ntu60-2d", "keypoint_score is no array of"),
    "size": (ntu(img_shape=(0, 1)), "ntu60-2d", r"img_shape is not \(height, width\)"),
}


@pytest.mark.parametrize(("content", "dataset", "told"), WRONG.values(), ids=WRONG)
def test_a_wrong_pickle_is_told_in_one_line(content: Any, dataset: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(StarsBenchError, match=told):
        imported(content, dataset, tmp_path)


def test_the_poses_of_kinetics_lie_in_files_of_their_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    contents, files = [], {"a.pkl": {}, "b.pkl": {}}
    for number in range(4):
        frame_inds, box_score = np.array([0, 0, 0, 2, 3, 3]), np.array([0.6, 0.9, 0.7, 0.8, 0.4, 0.5], np.float32)
        poses = rng.uniform(1, 300, (6, 17, 3)).astype(np.float16)
        file = ("a.pkl", "b.pkl")[number % 2]
        files[file][f"clip{number}"] = {"keypoint": poses}
        one = {"frame_dir": f"clip{number}", "label": number % 2, "img_shape": (256, 340), "total_frames": 5}
        contents.append(one | {"raw_file": f"data/k400/{file}", "frame_inds": frame_inds, "box_score": box_score})
    (tmp_path / "kpfiles").mkdir()
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(files["a.pkl"]))
    content = {"split": {"train": ["clip0", "clip1"], "val": ["clip2", "clip3"]}, "annotations": contents}
    with pytest.raises(StarsBenchError, match=r"names b\.pkl, which is neither beside it nor in kpfiles/"):
        imported(content, "gym99", tmp_path)
    (tmp_path / "kpfiles" / "b.pkl").write_bytes(pickle.dumps(files["b.pkl"]))
    prepared = imported(content, "gym99", tmp_path)
    for number, one in enumerate(contents):
        clip, poses = prepared.clip(f"clip{number}"), files[Path(one["raw_file"]).name][f"clip{number}"]["keypoint"]
        assert clip.shape == (2, 3, 17, 3)  # frames 1 and 4 hold nobody
        np.testing.assert_array_equal(clip[0], poses[[1, 3, 5]])
        np.testing.assert_array_equal(clip[1, 0], poses[2])
        assert not clip[1, 1:].any()


def test_poses_are_drawn_upright_and_flat(tmp_path: Path) -> None:
    prepared = imported(ntu(), "ntu60-2d", tmp_path)
    scene = _prepared(prepared, 0)
    drawn, stored = scene.takes[0].bodies, prepared.clip(0)
    np.testing.assert_allclose(drawn, stored * [2 / HEIGHT, -2 / HEIGHT, 0], rtol=1e-6)
