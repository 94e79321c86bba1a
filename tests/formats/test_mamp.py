"""The npz of CTR-GCN and MAMP: the public arrays clip by clip and in the public order, and back without a loss."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stars_bench import registry
from stars_bench.api import DatasetSpec
from stars_bench.datasets.ntu import NTU60, NTU120
from stars_bench.datasets.pku_mmd import PKU1, PKU2
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.formats import export, import_file
from stars_bench.io.untrusted.npy import Rows
from stars_bench.preparation.prepare import prepare
from stars_bench.protocols.splits import make_split
from stars_bench.protocols.standard import XSUB, XVIEW
from stars_bench.storage.read_clips import bodies_of
from stars_bench.storage.shards import PreparedDataset, open_dataset, read_index
from tests.formats.clips import bodies, ntu_clips, ntu_names, prepared
from tests.formats.test_padding import official
from tests.paths import GOLDEN

KEYS = ["x_train", "y_train", "x_test", "y_test"]


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def one_hot(labels: list[int], classes: int) -> np.ndarray:
    vector = np.zeros((len(labels), classes))
    vector[np.arange(len(labels)), labels] = 1
    return vector


def expected(clips: dict[str, np.ndarray], ids: dict[str, list[int]], where: slice, absent: str, classes: int) -> dict:
    """What the public program would save of these clips."""
    found = {}
    for part, numbers in ids.items():
        names = [name for number in numbers for name in sorted(clips) if int(name[where]) == number]
        found[f"x_{part}"] = np.stack([official(clips[name], absent) for name in names])  # type: ignore[arg-type]
        found[f"y_{part}"] = one_hot([int(name[-3:]) - 1 for name in names], classes)
    return found


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert list(found) == KEYS
    for key in KEYS:
        assert found[key].dtype == expected[key].dtype
        np.testing.assert_array_equal(found[key], expected[key])


def test_the_arrays_are_the_public_ones_in_the_public_order(ntu60: PreparedDataset, out: Path) -> None:
    clips = ntu_clips(ntu_names())
    report = export(ntu60, "mamp", out, "xsub")
    assert_same(arrays(out), expected(clips, {"train": [1, 8], "test": [7]}, slice(9, 12), "zero", 60))
    assert report.clips == {"xsub": (36, 18)}
    export(ntu60, "mamp", out, "xview", overwrite=True)
    assert_same(arrays(out), expected(clips, {"train": [2, 3], "test": [1]}, slice(5, 8), "zero", 60))


def test_ntu_120_repeats_the_first_body_where_there_is_no_second(ntu120: PreparedDataset, out: Path) -> None:
    clips = ntu_clips(ntu_names(setups=(1, 2), performers=(3, 8)))
    export(ntu120, "mamp", out, "xset")
    assert_same(arrays(out), expected(clips, {"train": [2], "test": [1]}, slice(1, 4), "duplicate", 120))


def test_the_same_clips_give_the_same_bytes(ntu60: PreparedDataset, tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        export(ntu60, "mamp", tmp_path / name, "xsub")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(("spec", "protocol"), [(NTU60, "xsub"), (NTU60, "xview"), (NTU120, "xsub"), (NTU120, "xset")])
def test_the_golden_raw_files_become_the_public_arrays(spec: DatasetSpec, protocol: str, tmp_path: Path) -> None:
    prepare(spec, [GOLDEN / "raw"], tmp_path, jobs=1)
    dataset = open_dataset(tmp_path, spec.name)
    export(dataset, "mamp", tmp_path / "x.npz", protocol)
    found = arrays(tmp_path / "x.npz")
    where = {"xsub": slice(9, 12), "xview": slice(5, 8), "xset": slice(1, 4)}[protocol]
    names = sorted(dataset.table["name"])
    with np.load(GOLDEN / "clean.npz") as golden:
        split = registry.load("protocols", protocol).split(dataset.table)
        for part, rows in (("train", split.train), ("test", split.test)):
            ordered = sorted((names[row] for row in rows), key=lambda name: (int(name[where]), name))
            assert len(found[f"x_{part}"]) == len(ordered)
            for clip, label, name in zip(found[f"x_{part}"], found[f"y_{part}"], ordered, strict=True):
                joints = golden[f"{name}/centered"]
                clean = joints.reshape(len(joints), -1, 25, 3).swapaxes(0, 1)
                np.testing.assert_allclose(clip, official(clean, dataset.absent_body), rtol=1e-6, atol=1e-6)
                assert label.argmax() == int(name[-3:]) - 1


@pytest.mark.parametrize(("spec", "name"), [(PKU1, "pku_v1"), (PKU2, "pku_v2")])
@pytest.mark.parametrize(("protocol", "official_name"), [("xsub", "XSub"), ("xview", "XView")])
def test_the_golden_videos_become_the_official_arrays(
    spec: DatasetSpec, name: str, protocol: str, official_name: str, tmp_path: Path
) -> None:
    prepare(spec, [GOLDEN / name], tmp_path, jobs=1)
    dataset = open_dataset(tmp_path, spec.name)
    export(dataset, "mamp", tmp_path / "x.npz", protocol)
    found = arrays(tmp_path / "x.npz")
    with np.load(GOLDEN / f"{name}_official.npz") as golden:
        for part in ("train", "test"):
            videos = dataset.table.loc[dataset.table[f"official_{protocol}"] == part, "item"].unique()
            instances = [
                key.removesuffix("/x") for key in golden if key.endswith("/x") and key.split("_")[0] in set(videos)
            ]
            instances.sort(key=lambda key: (key.rsplit("_", 1)[0], int(key.rsplit("_", 1)[1])))
            assert len(found[f"x_{part}"]) == len(instances) == golden[f"count/{official_name}/{part}"]
            for clip, label, key in zip(found[f"x_{part}"], found[f"y_{part}"], instances, strict=True):
                padded = np.zeros((300, 150), np.float32)
                padded[: len(golden[f"{key}/x"])] = golden[f"{key}/x"]
                np.testing.assert_array_equal(clip, padded)
                np.testing.assert_array_equal(label, one_hot([int(golden[f"{key}/label"])], 51)[0])


# ------------------------------------------------------------------------------------------------------- in


@pytest.mark.parametrize("protocol", ["xsub", "xset"])
def test_ntu_120_out_in_and_out_again_is_equal_bit_for_bit(
    ntu120: PreparedDataset, protocol: str, tmp_path: Path
) -> None:
    whole = replace(NTU120, expected_names=lambda: sorted(ntu120.table["name"]))
    export(ntu120, "mamp", tmp_path / "a.npz", protocol)
    report = import_file(tmp_path / "a.npz", whole, tmp_path, protocol)
    assert "all 36 labels agree" in report.notes[0]
    back = PreparedDataset(report.folder, read_index(report.folder) or {}, whole)
    assert list(back.table["name"]) == list(ntu120.table["name"])
    export(back, "mamp", tmp_path / "b.npz", protocol)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert list(back.table["num_bodies"]) == list(ntu120.table["num_bodies"])


@pytest.mark.parametrize("protocol", ["xsub", "xview"])
def test_placeholder_names_out_in_and_out_again_are_equal_bit_for_bit(
    ntu60: PreparedDataset, protocol: str, tmp_path: Path
) -> None:
    export(ntu60, "mamp", tmp_path / "a.npz", protocol)
    (tmp_path / "a.names.json").unlink()
    report = import_file(tmp_path / "a.npz", "ntu60", tmp_path, protocol)
    assert "the names are placeholders" in report.notes[0]
    back = open_dataset(tmp_path, "ntu60", "imported-mamp")
    assert back.table["name"].iloc[-1].startswith("imported-train-")
    assert not back.complete
    export(back, "mamp", tmp_path / "b.npz", protocol)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_the_complete_file_gives_every_clip_its_true_name_and_all_protocols(
    ntu60: PreparedDataset, tmp_path: Path
) -> None:
    whole = replace(NTU60, expected_names=lambda: sorted(ntu60.table["name"]), expected_clips=54)
    export(ntu60, "mamp", tmp_path / "a.npz", "xview")
    (tmp_path / "a.names.json").unlink()
    with pytest.raises(UsageError, match=r"which protocol of ntu60 is it\? Say --protocol xsub|xview"):
        import_file(tmp_path / "a.npz", whole, tmp_path)  # as small as this, both orders have the same labels
    report = import_file(tmp_path / "a.npz", whole, tmp_path, "xview")
    back = PreparedDataset(report.folder, read_index(report.folder) or {}, whole)
    assert back.complete
    columns = ["name", "label", "subject", "camera", "setup", "replication"]
    assert back.table[columns].equals(ntu60.table[columns])
    export(back, "mamp", tmp_path / "b.npz", "xsub")
    export(ntu60, "mamp", tmp_path / "c.npz", "xsub")
    assert (tmp_path / "b.npz").read_bytes() == (tmp_path / "c.npz").read_bytes()


def test_labels_that_are_not_in_the_published_order_leave_placeholders_for_names(
    ntu60: PreparedDataset, tmp_path: Path
) -> None:
    whole = replace(NTU60, expected_names=lambda: sorted(ntu60.table["name"]))
    export(ntu60, "mamp", tmp_path / "a.npz", "xsub")
    found = arrays(tmp_path / "a.npz")
    found["y_test"] = np.roll(found["y_test"], 1, axis=1)
    np.savez(tmp_path / "b.npz", **found)
    with pytest.raises(UsageError, match="18 labels are not those of the published order"):
        import_file(tmp_path / "b.npz", whole, tmp_path)
    report = import_file(tmp_path / "b.npz", whole, tmp_path, "xsub")
    assert "18 labels" in report.notes[0]
    assert not report.quality.complete


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("labels", ["one-hot", "numbers", "bool"])
def test_files_of_other_programs_are_read_too(labels: str, compressed: bool, tmp_path: Path) -> None:
    clips = [bodies(frames, 1 + frames % 2, frames) for frames in (3, 20, 300)]
    x = np.stack([official(clip, "zero") for clip in clips]).astype(np.float64)
    y = one_hot([4, 59, 0], 60)
    y = {"one-hot": y.astype(np.int8), "bool": y.astype(bool), "numbers": y.argmax(1)}[labels]
    save = np.savez_compressed if compressed else np.savez
    save(tmp_path / "x.npz", x_train=x[:2], y_train=y[:2], x_test=x[2:], y_test=y[2:], more=np.zeros(3))
    import_file(tmp_path / "x.npz", "ntu60", tmp_path, "xview")
    back = open_dataset(tmp_path, "ntu60")
    assert list(back.table["label"]) == [0, 4, 59]
    split = make_split(XVIEW, "ntu60", back.table, back.complete)
    assert [len(split.train), len(split.test)] == [2, 1]
    for row, clip in zip((1, 2, 0), clips, strict=True):
        np.testing.assert_array_equal(next(bodies_of(back, np.array([row]))), clip)


def test_one_protocol_of_a_nameless_file_does_not_stand_for_another(ntu60: PreparedDataset, tmp_path: Path) -> None:
    export(ntu60, "mamp", tmp_path / "a.npz", "xview")
    (tmp_path / "a.names.json").unlink()
    import_file(tmp_path / "a.npz", "ntu60", tmp_path, "xview")
    back = open_dataset(tmp_path, "ntu60", "imported-mamp")
    with pytest.raises(StarsBenchError, match="xsub"):
        make_split(XSUB, "ntu60", back.table, back.complete)


GOOD = {
    "x_train": np.ones((2, 300, 150), np.float32),
    "y_train": one_hot([0, 1], 60),
    "x_test": np.ones((1, 300, 150), np.float32),
    "y_test": one_hot([2], 60),
}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"y_test": None}, "has no y_test; it holds x_test, x_train, y_train"),
        ({"x_train": np.ones((2, 3, 300, 25, 2), np.float32)}, r"x_train is float32 of shape \(2, 3, 300, 25, 2\)"),
        ({"x_train": np.ones((2, 300, 75), np.float32)}, r"not float \(clips, frames, 150\)"),
        ({"x_train": np.ones((2, 300, 150), np.int64)}, "int64"),
        ({"x_train": np.ones((3, 300, 150), np.float32)}, "x_train holds 3 clips, y_train 2"),
        ({"y_train": one_hot([0, 1], 120)}, "120 classes, the dataset has 60: is it another dataset"),
        ({"y_train": np.array([0, 60])}, "holds label 60, not in 0..59"),
        ({"y_train": np.array([0, -1])}, "holds label -1"),
        ({"y_train": np.ones((2, 60))}, "not one-hot"),
        ({"y_train": np.zeros((2, 60))}, "not one-hot"),
        ({"y_train": np.array(["a", "b"])}, "expected numbers"),
        ({"y_train": np.array([{}, {}], object)}, "expected numbers"),
        ({"y_train": np.zeros((2, 1, 1))}, r"y_train has shape \(2, 1, 1\)"),
    ],
)
def test_a_wrong_file_is_one_clear_line(change: dict, why: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, **{key: value for key, value in (GOOD | change).items() if value is not None})
    with pytest.raises(StarsBenchError, match=why) as raised:
        import_file(path, "ntu60", tmp_path, "xsub")
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "ntu60" / "imported-mamp").exists()


def test_clips_with_nan_are_counted_and_set_aside_and_the_others_go_on(tmp_path: Path) -> None:
    x = np.ones((2, 300, 150), np.float32)
    x[1, 7, 3] = np.nan
    np.savez(tmp_path / "x.npz", **(GOOD | {"x_train": x}))
    report = import_file(tmp_path / "x.npz", "ntu60", tmp_path, "xsub")
    assert (report.quality.faults, report.quality.clips) == (1, 2)
    assert report.quality.set_aside[0].where.endswith("x.npz, x_train[1]")


@pytest.mark.parametrize("where", [0.3, 0.9])
def test_a_damaged_file_is_noticed_and_leaves_nothing(where: float, ntu60: PreparedDataset, tmp_path: Path) -> None:
    export(ntu60, "mamp", tmp_path / "a.npz", "xsub")
    data = bytearray((tmp_path / "a.npz").read_bytes())
    place = int(where * len(data))
    data[place : place + 4] = b"\x01\x02\x03\x04"
    (tmp_path / "b.npz").write_bytes(data)
    with pytest.raises(StarsBenchError, match="Bad CRC-32"):
        import_file(tmp_path / "b.npz", "ntu60", tmp_path, "xsub")
    assert not (tmp_path / "ntu60").exists()


def test_members_are_streamed(ntu60: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    blocks = Rows.blocks

    def watched(self: Rows, rows: int):
        nonlocal largest
        for block in blocks(self, rows):
            largest = max(largest, block.nbytes)
            yield block

    monkeypatch.setattr(Rows, "blocks", watched)
    export(ntu60, "mamp", tmp_path / "a.npz", "xsub")
    import_file(tmp_path / "a.npz", "ntu60", tmp_path, "xsub")
    assert 0 < largest <= 32 * 300 * 150 * 4


def test_the_zip_is_what_numpy_would_write(ntu60: PreparedDataset, out: Path) -> None:
    export(ntu60, "mamp", out, "xsub")
    theirs = io.BytesIO()
    np.savez(theirs, **arrays(out))
    with zipfile.ZipFile(out) as ours, zipfile.ZipFile(theirs) as other:
        assert ours.namelist() == other.namelist()
        for name in ours.namelist():
            assert ours.read(name) == other.read(name)
            assert ours.getinfo(name).compress_type == zipfile.ZIP_STORED
            assert ours.getinfo(name).extract_version == other.getinfo(name).extract_version == 45  # zip64


def test_nothing_else_that_is_a_zip_is_taken_for_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("S001C001P001R001A001.skeleton", "1")
    with pytest.raises(StarsBenchError, match="has no x_train"):
        import_file(tmp_path / "x.zip", "ntu60", tmp_path, "xsub")


def test_a_prepared_default_profile_wins_over_an_imported_one(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, NTU60, ntu_clips(ntu_names()))
    export(dataset, "mamp", tmp_path / "a.npz", "xsub")
    import_file(tmp_path / "a.npz", "ntu60", tmp_path, "xsub")
    assert open_dataset(tmp_path, "ntu60").profile.name == "mamp"
    assert open_dataset(tmp_path, "ntu60", "imported-mamp").profile.name == "imported-mamp"
