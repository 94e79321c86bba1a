"""The folder of CrosSCLR and AimCLR: read as their feeder reads it, and back without a loss."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from stars_bench.datasets.ntu import NTU60, NTU120
from stars_bench.datasets.pku_mmd import PKU1
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.formats import export, import_file
from stars_bench.storage.quality import verdict
from stars_bench.storage.shards import PreparedDataset, open_dataset
from tests.formats.clips import bodies, ntu_clips, ntu_names, prepared

FILES = ["train_data.npy", "train_label.pkl", "val_data.npy", "val_label.pkl"]


def test_their_feeder_would_find_our_clips(ntu60: PreparedDataset, tmp_path: Path) -> None:
    export(ntu60, "crossclr", tmp_path / "xview", "xview")
    clips = ntu_clips(ntu_names())
    assert sorted(path.name for path in (tmp_path / "xview").iterdir()) == FILES
    for part, cameras in (("train", "23"), ("val", "1")):
        data = np.load(tmp_path / "xview" / f"{part}_data.npy", mmap_mode="r")
        names, labels = pickle.loads((tmp_path / "xview" / f"{part}_label.pkl").read_bytes())
        assert names == sorted(f"{name}.skeleton" for name in clips if name[7] in cameras)
        assert labels == [int(name[17:20]) - 1 for name in names]
        assert (data.dtype, data.shape) == (np.float32, (len(names), 3, 300, 25, 2))
        for found, name in zip(data, names, strict=True):
            clip = clips[name.removesuffix(".skeleton")]
            np.testing.assert_array_equal(found[:, : clip.shape[1], :, : len(clip)], clip.transpose(3, 1, 2, 0))
            assert not found[:, clip.shape[1] :].any()
            assert not found[..., len(clip) :].any()


def test_a_note_says_that_theirs_are_raw(ntu60: PreparedDataset, tmp_path: Path) -> None:
    report = export(ntu60, "crossclr", tmp_path / "x", "xsub")
    assert any("holds the clips of profile mamp" in note for note in report.notes)
    assert any("profile raw" in note for note in report.notes)


def test_clips_of_the_raw_profile_need_no_note(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, NTU120, ntu_clips(ntu_names()), profile="raw")
    report = export(dataset, "crossclr", tmp_path / "x", "xsub")
    assert not any("own files" in note for note in report.notes)


@pytest.mark.parametrize("protocol", [None, "xsub"])
def test_out_in_and_out_again_is_equal_bit_for_bit(
    ntu60: PreparedDataset, protocol: str | None, tmp_path: Path
) -> None:
    export(ntu60, "crossclr", tmp_path / "a", "xsub")
    report = import_file(tmp_path / "a", "ntu60", tmp_path, protocol)
    assert not report.warnings
    assert any("profile raw only" in note for note in report.notes)
    back = open_dataset(tmp_path, "ntu60", "imported-crossclr")
    columns = ["name", "label", "subject", "camera", "setup", "replication"]
    assert back.table[columns].equals(ntu60.table[columns])
    export(back, "crossclr", tmp_path / "b", "xsub")
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_wrong_protocol_is_noticed(ntu60: PreparedDataset, tmp_path: Path) -> None:
    export(ntu60, "crossclr", tmp_path / "a", "xsub")
    report = import_file(tmp_path / "a", "ntu60", tmp_path, "xview")
    assert report.warnings[0].startswith("xview: the file puts 24 of 54 clips into another part")


def test_pku_mmd_keeps_the_parts_of_its_file(tmp_path: Path) -> None:
    clips = {f"000{video}-L_{row}": bodies(4 + row, 2) for video in (2, 3) for row in range(3)}
    dataset = prepared(tmp_path, PKU1, clips, {"xsub": {"train": ["0002-L"], "test": ["0003-L"]}})
    export(dataset, "crossclr", tmp_path / "a", "xsub")
    import_file(tmp_path / "a", "pku1", tmp_path, "xsub")
    back = open_dataset(tmp_path, "pku1", "imported-crossclr")
    assert back.table[["name", "item", "official_xsub"]].equals(dataset.table[["name", "item", "official_xsub"]])


def test_one_part_is_enough(ntu60: PreparedDataset, tmp_path: Path) -> None:
    export(ntu60, "crossclr", tmp_path / "a", "xsub")
    (tmp_path / "a" / "val_data.npy").unlink()
    report = import_file(tmp_path / "a", "ntu60", tmp_path)
    assert report.quality.clips == 36
    assert "only the train part is there" in report.notes


def pickled(content: object) -> bytes:
    return pickle.dumps(content, 2)


NAMES = ["S001C001P001R001A001.skeleton", "S001C001P001R001A002.skeleton"]


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        ("train_label.pkl", None, "train_label.pkl: is missing"),
        ("train_label.pkl", pickled([1, 2, 3]), r"expected \(names, labels\), found list"),
        ("train_label.pkl", pickled((NAMES, ["a", "b"])), "a list of whole numbers"),
        ("train_label.pkl", pickled(([1, 2], [0, 1])), "a list of texts"),
        ("train_label.pkl", pickled((NAMES, [0])), "2 names and 1 labels"),
        ("train_label.pkl", pickled((NAMES * 2, [0, 1] * 2)), "holds 2 clips, train_label.pkl 4"),
        ("train_label.pkl", pickled((NAMES, [0, 5])), "has label 5, its name says 1"),
        ("train_label.pkl", b"\x80\x02cos\nsystem\nX\x01\x00\x00\x00a\x85R.", "os.system"),
        ("train_data.npy", np.ones((2, 300, 150), np.float32), r"not float \(clips, 3, frames, 25, 2\)"),
        ("train_data.npy", np.ones((2, 3, 300, 25, 2), np.int32), "is int32"),
        ("train_data.npy", b"no array", "magic"),
    ],
)
def test_a_wrong_folder_is_one_clear_line(file: str, content: object, why: str, tmp_path: Path) -> None:
    np.save(tmp_path / "train_data.npy", np.ones((2, 3, 300, 25, 2), np.float32))
    (tmp_path / "train_label.pkl").write_bytes(pickled((NAMES, [0, 1])))
    if content is None:
        (tmp_path / file).unlink()
    elif isinstance(content, bytes):
        (tmp_path / file).write_bytes(content)
    else:
        np.save(tmp_path / file, content)
    with pytest.raises(StarsBenchError, match=why) as raised:
        import_file(tmp_path, "ntu60", tmp_path / "data")
    assert "\n" not in str(raised.value)


def test_a_cut_off_array_is_noticed_and_leaves_nothing(ntu60: PreparedDataset, tmp_path: Path) -> None:
    export(ntu60, "crossclr", tmp_path / "a", "xsub")
    data = tmp_path / "a" / "train_data.npy"
    data.write_bytes(data.read_bytes()[:-1000])
    with pytest.raises(StarsBenchError, match=r"train_data\.npy: cut off: 36 rows"):
        import_file(tmp_path / "a", "ntu60", tmp_path)
    assert not (tmp_path / "ntu60").exists()


def test_a_folder_without_their_files_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no folder with train_data\.npy"):
        import_file(tmp_path, "ntu60", tmp_path / "data")
    with pytest.raises(StarsBenchError, match=r"has neither train_data\.npy nor train_data_joint\.npy"):
        import_file(tmp_path, "ntu60", tmp_path / "data", format="crossclr")


def test_names_are_taken_as_prepare_takes_them_and_strange_ones_are_told(tmp_path: Path) -> None:
    names = ["S001C001P001R001A001", "S001C001P030R001A001", "S018C001P041R001A061", "S001C001P001R001A061"]
    np.save(tmp_path / "val_data.npy", np.ones((4, 3, 20, 25, 2), np.float32))
    (tmp_path / "val_label.pkl").write_bytes(pickled((names, [0, 0, 60, 60])))
    quality = import_file(tmp_path, NTU60, tmp_path / "data").quality
    assert (quality.clips, quality.unlisted, quality.first_unlisted) == (2, 1, "S001C001P030R001A001")
    assert quality.ignored == {"clips whose names are none of ntu60 (the first: S018C001P041R001A061)": 1}
    assert [aside.reason for aside in quality.set_aside] == ["action 61 is not in 1..60"]
    assert verdict(quality).startswith("Partial: 1 of 56,578 clips (0.0 %).")
    assert "1 clip has a name that ntu60 does not have (S001C001P030R001A001), kept all the same." in verdict(quality)
