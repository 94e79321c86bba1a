"""Datasets that bring their own splits, in and out by every format; the folders of 2s-AGCN; names beside a npz."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import loadmat

from stars_bench import registry
from stars_bench.data.clip_store import ClipPart, ClipStore
from stars_bench.datasets.skeletons.layouts import KINECT_V1
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.formats import export, import_file
from stars_bench.preparation.prepare import prepare
from stars_bench.preparation.verify import verify
from stars_bench.protocols.splits import make_split
from stars_bench.storage.shards import PreparedDataset, open_dataset
from tests.datasets.custom import custom_files
from tests.formats.clips import ntu_clips, ntu_names, prepared

EXACT = {"mamp": "gym.npz", "crossclr": "folder", "agcn": "folder", "mat": "gym.mat"}


@pytest.fixture(scope="module")
def gym(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """16 clips of 20 joints: subjects 1 to 3 train in xsub."""
    folder = tmp_path_factory.mktemp("gym")
    path = custom_files.write(folder, "csv", KINECT_V1.joints)
    spec = registry.load("datasets", str(path))
    prepare(spec, [folder / "raw"], folder / "data", jobs=1)
    return open_dataset(folder / "data", "gym")


def described(gym: PreparedDataset) -> str:
    return str(gym.folder.parent / registry.DESCRIPTION)


@pytest.mark.parametrize("format", [*EXACT, "pyskl"])
def test_a_described_dataset_goes_out_and_comes_back(format: str, gym: PreparedDataset, tmp_path: Path) -> None:
    out = tmp_path / EXACT.get(format, "gym.pkl")
    export(gym, format, out, protocol=None if format in ("pyskl", "mat") else "xsub")
    import_file(out, described(gym), tmp_path / "data")
    back = open_dataset(tmp_path / "data", "gym")
    assert back.table["name"].tolist() == gym.table["name"].tolist()
    for column in ("label", "subject", "camera", "official_xsub"):
        assert back.table[column].tolist() == gym.table[column].tolist()
    for row in range(gym.num_clips):
        expected = gym.clip(row)
        expected = expected.astype(np.float16).astype(np.float32) if format == "pyskl" else expected
        np.testing.assert_array_equal(back.clip(row), expected)
    assert back.complete
    assert verify(back).ok


@pytest.mark.parametrize("protocol", ["unseen", "fewshot"])
def test_a_described_dataset_has_classes_that_training_never_sees(protocol: str, gym: PreparedDataset) -> None:
    spec = registry.load("protocols", protocol)
    assert gym.has_protocol(spec)
    split = make_split(spec, "gym", gym.table, gym.complete)
    labels, subjects = gym.table["label"].to_numpy(), gym.table["subject"].to_numpy()
    (novel,) = set(labels[split.test])
    assert set(labels[split.train]) == {1 - novel}
    assert set(labels[split.labelled]) == {novel}
    assert set(subjects[split.test]) == {4}
    assert set(subjects[split.labelled]) == {1, 2, 3}
    assert protocol == "fewshot" or novel == 1


def test_matlab_finds_cells_and_rows_from_1(gym: PreparedDataset, tmp_path: Path) -> None:
    export(gym, "mat", tmp_path / "gym.mat")
    found = loadmat(tmp_path / "gym.mat")
    assert found["skeleton"].shape == found["name"].shape == found["label"].shape == (16, 1)
    assert found["name"][0, 0].item() == gym.table["name"].iloc[0]
    np.testing.assert_array_equal(found["skeleton"][0, 0].reshape(24, 20, 3), gym.clip(0)[0])
    assert sorted(found["xsub_train"].ravel()) == (np.flatnonzero(gym.table["subject"] < 4) + 1).tolist()
    (tmp_path / "other.mat").write_bytes((tmp_path / "gym.mat").read_bytes()[:3000])
    with pytest.raises(StarsBenchError, match=r"other\.mat: cannot be read as a MATLAB file of clips"):
        import_file(tmp_path / "other.mat", described(gym), tmp_path / "data")


def test_names_lie_beside_a_npz_that_has_no_place_for_them(ntu60: PreparedDataset, tmp_path: Path) -> None:
    report = export(ntu60, "mamp", tmp_path / "part.npz", protocol="xsub")
    assert any("part.names.json" in note for note in report.notes)
    import_file(tmp_path / "part.npz", "ntu60", tmp_path / "data")
    back = open_dataset(tmp_path / "data", "ntu60")
    split = make_split(registry.load("protocols", "xsub"), "ntu60", ntu60.table, False)
    taken = sorted(ntu60.table["name"].iloc[np.concatenate([split.train, split.test])])
    assert back.table["name"].tolist() == [name for name in taken if ntu60.clip(name).any()]
    assert {"xsub", "xview"} <= {
        name for name in ("xsub", "xview") if back.has_protocol(registry.load("protocols", name))
    }
    (tmp_path / "copy.npz").write_bytes((tmp_path / "part.npz").read_bytes())
    (tmp_path / "copy.names.json").write_text(
        (tmp_path / "part.names.json").read_text().replace('"npz": "', '"npz": "x')
    )
    with pytest.raises(UsageError, match="which protocol of ntu60 is it"):  # the names of another file
        import_file(tmp_path / "copy.npz", "ntu60", tmp_path / "other")


def test_the_streams_of_agcn_are_those_of_its_programs(ntu60: PreparedDataset, tmp_path: Path) -> None:
    export(ntu60, "agcn", tmp_path / "xsub", protocol="xsub")
    for part in ("train", "val"):
        joint, bone, moved, bones_moved = (
            np.load(tmp_path / "xsub" / f"{part}_data_{stream}.npy")
            for stream in ("joint", "bone", "joint_motion", "bone_motion")
        )
        names, labels = pickle.loads((tmp_path / "xsub" / f"{part}_label.pkl").read_bytes())
        assert joint.shape == (len(names), 3, 300, 25, 2)
        expected = np.zeros_like(joint)
        for child, parent in enumerate(ntu60.spec.skeleton.parents):
            expected[:, :, :, child] = joint[:, :, :, child] - joint[:, :, :, parent]
        np.testing.assert_array_equal(bone, expected)
        for motion, of in ((moved, joint), (bones_moved, bone)):
            for t in range(299):
                np.testing.assert_array_equal(motion[:, :, t], of[:, :, t + 1] - of[:, :, t])
            assert not motion[:, :, 299].any()
        frames = np.load(tmp_path / "xsub" / f"{part}_num_frame.npy")
        for name, label, count in zip(names, labels, frames, strict=True):
            row = ntu60.row_of(name.removesuffix(".skeleton"))
            assert (label, count) == tuple(ntu60.table[["label", "num_frames"]].iloc[row])


def test_empty_frames_at_the_end_are_kept_where_a_folder_counts_frames(ntu60: PreparedDataset, tmp_path: Path) -> None:
    folder = tmp_path / "xsub"
    export(ntu60, "agcn", folder, protocol="xsub")
    names, _ = pickle.loads((folder / "train_label.pkl").read_bytes())
    counts = np.load(folder / "train_num_frame.npy")
    counts[0] += 5
    np.save(folder / "train_num_frame.npy", counts)
    import_file(folder, "ntu60", tmp_path / "data")
    clip = open_dataset(tmp_path / "data", "ntu60").clip(names[0].removesuffix(".skeleton"))
    assert clip.shape[1] == counts[0]
    assert not clip[:, -5:].any()
    assert clip[:, :-5].any(axis=(0, 2, 3))[-1]
    for wrong, told in ((counts[:-1], "not whole numbers of shape"), (counts * 0, "clip 0 has 0 frames")):
        np.save(folder / "train_num_frame.npy", wrong)
        with pytest.raises(StarsBenchError, match=told):
            import_file(folder, "ntu60", tmp_path / "other")


def test_a_folder_without_joints_is_told(ntu60: PreparedDataset, tmp_path: Path) -> None:
    export(ntu60, "agcn", tmp_path / "xsub", protocol="xsub")
    for part in ("train", "val"):
        (tmp_path / "xsub" / f"{part}_data_joint.npy").unlink()
    with pytest.raises(StarsBenchError, match=r"neither train_data\.npy nor .*, nor val: joints are needed"):
        import_file(tmp_path / "xsub", "ntu60", tmp_path / "data")


@pytest.mark.parametrize("frames", [50, 64])
def test_positions_are_the_clips_that_crossclr_sees(frames: int, tmp_path: Path) -> None:
    from stars_bench.datasets.ntu import NTU60

    raw = prepared(tmp_path, NTU60, ntu_clips(ntu_names(setups=(1,))), profile="raw")
    export(raw, f"position-{frames}", tmp_path / "xview", protocol="xview")
    store = ClipStore.of(raw, clip_input="crossclr")
    split = make_split(registry.load("protocols", "xview"), "ntu60", raw.table, False)
    for part, rows in (("train", split.train), ("val", split.test)):
        found = np.load(tmp_path / "xview" / f"{part}_position.npy")
        expected = ClipPart(store, rows).whole(torch.arange(len(rows)), frames).numpy()
        np.testing.assert_array_equal(found, expected)
        assert found.shape == (len(rows), 3, frames, 25, 2)
