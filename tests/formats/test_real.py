"""The 48 real PKU-MMD videos, where they are at hand: out as the public program writes them, and in again."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from stars_bench.datasets.pku_mmd import PKU1
from stars_bench.formats import export, import_file
from stars_bench.preparation.prepare import prepare
from stars_bench.storage.shards import PreparedDataset, open_dataset

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def pku1(real_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    data_dir = tmp_path_factory.mktemp("real")
    prepare(PKU1, [real_dir / "pku1_subset.zip"], data_dir, jobs=1)
    return open_dataset(data_dir, "pku1")


def text_of(archive: zipfile.ZipFile, folder: str, video: str) -> io.BytesIO:
    (name,) = [name for name in archive.namelist() if name.lower().endswith(f"{folder}/{video.lower()}.txt")]
    return io.BytesIO(archive.read(name))


def test_the_test_part_is_what_the_public_program_makes_of_the_text(
    pku1: PreparedDataset, real_dir: Path, tmp_path: Path
) -> None:
    export(pku1, "mamp", tmp_path / "x.npz", "xsub")
    expected, labels = [], []
    videos = sorted(pku1.table.loc[pku1.table["official_xsub"] == "test", "item"].unique())
    with zipfile.ZipFile(real_dir / "pku1_subset.zip") as archive:
        for video in videos:
            frames = np.loadtxt(text_of(archive, "skeleton", video))
            for label in np.loadtxt(text_of(archive, "label", video), delimiter=","):
                rows = frames[int(label[1]) : int(label[2])]
                padded = np.zeros((300, 150), np.float32)
                padded[: min(len(rows), 300)] = rows[:300]
                expected.append(padded)
                labels.append(int(label[0] - 1))
    with np.load(tmp_path / "x.npz") as found:
        assert found["x_train"].shape == (285, 300, 150)
        np.testing.assert_array_equal(found["x_test"], np.stack(expected))
        np.testing.assert_array_equal(found["y_test"], np.eye(51)[labels])


@pytest.mark.parametrize("protocol", ["xsub", "xview"])
def test_npz_and_folder_come_back_bit_for_bit(pku1: PreparedDataset, protocol: str, tmp_path: Path) -> None:
    for name in ("mamp", "crossclr"):
        export(pku1, name, tmp_path / f"{name}-a", protocol)
        import_file(tmp_path / f"{name}-a", "pku1", tmp_path, protocol)
        export(open_dataset(tmp_path, "pku1", f"imported-{name}"), name, tmp_path / f"{name}-b", protocol)
    assert (tmp_path / "mamp-a").read_bytes() == (tmp_path / "mamp-b").read_bytes()
    for file in (tmp_path / "crossclr-a").iterdir():
        assert file.read_bytes() == (tmp_path / "crossclr-b" / file.name).read_bytes()


def test_the_pickle_comes_back_with_names_and_lists(pku1: PreparedDataset, tmp_path: Path) -> None:
    export(pku1, "pyskl", tmp_path / "a.pkl")
    import_file(tmp_path / "a.pkl", "pku1", tmp_path)
    back = open_dataset(tmp_path, "pku1")
    columns = [
        "name",
        "item",
        "label",
        "subject",
        "camera",
        "num_frames",
        "num_bodies",
        "official_xsub",
        "official_xview",
    ]
    assert back.table[columns].equals(pku1.table[columns])
    worst = np.abs(back.load() - pku1.load()).max()
    assert 0 < worst < 0.002
