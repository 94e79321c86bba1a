"""Which clip is meant: raw files, prepared datasets, shards and exports; draws that can be made again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stars_bench import formats
from stars_bench.datasets.synthetic import SYNTHETIC
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.storage.one_shard import open_shard
from stars_bench.storage.shards import PreparedDataset, open_dataset
from stars_bench.viewer.clips import Wanted, class_of, scenes

RAW = "raw"


@pytest.fixture(scope="module")
def dataset(small_data: Path) -> PreparedDataset:
    """72 clips of the actions 8, 9, 23, 58; the raw files lie beside the data folder."""
    return open_dataset(small_data, "synthetic")


def one_of(dataset: PreparedDataset, bodies: int) -> str:
    table = dataset.table
    return str(table["name"][table["num_bodies"] == bodies].iat[0])


@pytest.mark.parametrize("bodies", [1, 2])
def test_a_clip_of_a_dataset_has_its_coordinates_and_says_what_it_is(dataset: PreparedDataset, bodies: int) -> None:
    name = one_of(dataset, bodies)
    (scene,) = scenes("synthetic", Wanted(name), dataset.folder.parents[1])
    (take,) = scene.takes
    stored = dataset.clip(name)
    there = stored.any(axis=(2, 3))
    np.testing.assert_array_equal(take.bodies[there], stored[there])
    assert np.isnan(take.bodies[~there]).all()
    label = int(name[-3:])
    assert scene.facts[0] == f"{label} {SYNTHETIC.classes[label - 1]}"
    (by_number,) = scenes("synthetic", Wanted(str(dataset.row_of(name))), dataset.folder.parents[1])
    assert by_number.name == name


def test_with_raw_files_at_hand_a_clip_is_seen_as_recorded_too(dataset: PreparedDataset) -> None:
    name = one_of(dataset, 1)
    raw = dataset.folder.parents[2] / RAW
    (beside,) = scenes("synthetic", Wanted(name, raw=(raw,)), dataset.folder.parents[1])
    (alone,) = scenes(str(raw / f"{name}.skeleton"), Wanted(), Path("nowhere"))
    assert [take.title for take in beside.takes] == ["as recorded", "profile mamp"]
    for one, other in zip(beside.takes, alone.takes, strict=True):
        np.testing.assert_array_equal(one.bodies, other.bodies)
    recorded, cleaned = beside.takes
    first = np.isfinite(cleaned.bodies[0, 0, 0, 0])
    assert first
    np.testing.assert_allclose(  # the first actor keeps his place, and with it his colour
        recorded.bodies[0, 0] - recorded.bodies[0, 0, 1], cleaned.bodies[0, 0] - cleaned.bodies[0, 0, 1], atol=1e-5
    )


def test_a_shard_alone_gives_the_same_clips(dataset: PreparedDataset) -> None:
    shard = dataset.shards[-1]
    names = open_shard(shard).table["name"].tolist()
    assert 0 < len(names) < 72
    assert set(names) <= set(dataset.table["name"])
    name = names[-1]
    (scene,) = scenes(str(shard), Wanted(name), Path("nowhere"))
    np.testing.assert_array_equal(np.nan_to_num(scene.takes[0].bodies), dataset.clip(name))


@pytest.mark.parametrize(("form", "file", "near"), [("mamp", "all.npz", 0), ("pyskl", "all.pkl", 2e-3)])
def test_exports_give_the_clips_that_they_hold(
    dataset: PreparedDataset, tmp_path: Path, form: str, file: str, near: float
) -> None:
    path = tmp_path / file
    formats.export(dataset, form, path, protocol="xsub")
    with pytest.raises(UsageError, match="--dataset"):
        scenes(str(path), Wanted("0"), Path("nowhere"))
    wanted = Wanted(random=3, action="23", dataset="synthetic", protocol="xsub")
    found = scenes(str(path), wanted, Path("nowhere"))
    assert len(found) == 3
    assert {scene.facts[0] for scene in found} == {"23 hand waving"}
    own = [dataset.clip(row) for row in np.flatnonzero(dataset.table["label"] == 22)]
    for scene in found:
        bodies = np.nan_to_num(scene.takes[0].bodies[0])  # a second that is zero throughout is not exported
        assert any(one[0].shape == bodies.shape and np.abs(one[0] - bodies).max() <= near for one in own)


def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(b"cos\nsystem\n(S'touch here'\ntR.")
    with pytest.raises(StarsBenchError, match="refused, nothing was run"):
        scenes(str(path), Wanted("0", dataset="ntu60"), Path("nowhere"))


def test_the_same_seed_draws_the_same_clips_of_one_class(dataset: PreparedDataset) -> None:
    data_dir = dataset.folder.parents[1]

    def drawn(seed: int) -> list[str]:
        return [scene.name for scene in scenes("synthetic", Wanted(random=5, action="23", seed=seed), data_dir)]

    assert len(set(drawn(0))) == 5
    assert all(name.endswith("A023") for name in drawn(0))
    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)
    assert len(scenes("synthetic", Wanted(random=500), data_dir)) == 72


def test_a_class_goes_by_number_or_name() -> None:
    assert class_of(SYNTHETIC, "23") == class_of(SYNTHETIC, "A023") == class_of(SYNTHETIC, "Hand Waving") == 22
    for text in ("0", "121", "yodelling", "headphone"):
        with pytest.raises(UsageError, match=f"--class {text}"):
            class_of(SYNTHETIC, text)


@pytest.mark.parametrize(
    ("what", "wanted", "message"),
    [
        ("synthetic", Wanted(), "has 72 clips: name one"),
        ("synthetic", Wanted("S001C001P001R001A9"), "the nearest of 72 is S0"),
        ("synthetic", Wanted(random=2, action="1"), "no clip of class 1 drink water"),
        ("synthetic", Wanted("0", random=2), "not both"),
        ("synthetic", Wanted("0", action="2"), "--random"),
        ("nothing", Wanted(), "nothing"),
        ("nothing.skeleton", Wanted(), "there is no such file"),
        ("nothing.h5", Wanted("0"), "there is no such file"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(
    dataset: PreparedDataset, what: str, wanted: Wanted, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        scenes(what, wanted, dataset.folder.parents[1])


def test_frames_are_cut_and_keep_their_numbers(dataset: PreparedDataset) -> None:
    name = one_of(dataset, 1)
    (scene,) = scenes("synthetic", Wanted(name), dataset.folder.parents[1])
    (take,) = scene.cut(slice(10, 20)).takes
    assert take.numbers == tuple(range(11, 21))
    np.testing.assert_array_equal(take.bodies, scene.takes[0].bodies[:, 10:20])
    with pytest.raises(UsageError, match="no body is seen in those frames"):
        scene.cut(slice(1000, 1001))
