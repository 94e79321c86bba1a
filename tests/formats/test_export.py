"""Export: whole or not at all, nothing overwritten unasked, and partial data with a warning instead of an error."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from stars_bench.datasets.ntu import NTU60
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.formats import FORMATS, export, padding
from stars_bench.storage.read_clips import bodies_of
from stars_bench.storage.shards import PreparedDataset
from tests.formats.clips import bodies, ntu_clips, ntu_names, prepared


@pytest.mark.parametrize("name", list(FORMATS))
def test_nothing_is_overwritten_unasked(name: str, ntu60: PreparedDataset, tmp_path: Path) -> None:
    export(ntu60, name, tmp_path / "out", "xsub")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(UsageError, match="is there already; --force replaces it"):
        export(ntu60, name, tmp_path / "out", "xsub")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    export(ntu60, name, tmp_path / "out", "xsub", overwrite=True)


@pytest.mark.parametrize("name", list(FORMATS))
def test_an_export_that_fails_leaves_nothing(name: str, ntu60: PreparedDataset, tmp_path: Path) -> None:
    def stop(done: int, _: int) -> None:
        if done > 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(ntu60, name, tmp_path / "out", "xsub", progress=stop)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", list(FORMATS))
def test_progress_ends_at_all_clips(name: str, ntu60: PreparedDataset, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    export(ntu60, name, tmp_path / "out", "xsub", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (54, 54)
    assert seen == sorted(seen)


@pytest.mark.parametrize("name", list(FORMATS))
def test_an_empty_part_is_a_warning_and_an_array_of_length_0(name: str, tmp_path: Path) -> None:
    dataset = prepared(tmp_path, NTU60, ntu_clips(ntu_names(performers=(1, 8))))
    report = export(dataset, name, tmp_path / "out", "xsub")
    assert report.clips == {"xsub": (36, 0)}
    assert report.warnings == ("xsub: no clip of the prepared data is in the test part: there it has length 0",)
    if name == "mamp":
        with np.load(tmp_path / "out") as file:
            assert (file["x_test"].shape, file["y_test"].shape) == ((0, 300, 150), (0, 60))


def test_long_clips_are_cut_and_counted(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, NTU60, {name: bodies(310) for name in ntu_names(actions=1)})
    report = export(dataset, "mamp", tmp_path / "x.npz", "xsub")
    assert "clips cut at 300 frames: 18" in report.notes


@pytest.mark.parametrize(
    ("name", "protocol", "why"),
    [
        ("mamp", None, r"holds one protocol: --protocol xsub\|xview"),
        ("crossclr", None, "holds one protocol"),
        ("mamp", "xset", "xset is not for ntu60; these can be exported: xsub, xview"),
        ("mamp", "fewshot", "fewshot has three parts"),
        ("mamp", "xsubb", "did you mean 'xsub'"),
        ("npz", "xsub", "there is no format 'npz': mamp, mat, pyskl, crossclr"),
    ],
)
def test_wrong_use_is_said(name: str, protocol: str | None, why: str, ntu60: PreparedDataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=why):
        export(ntu60, name, tmp_path / "out", protocol)


def test_a_folder_is_no_file_and_a_file_no_folder(ntu60: PreparedDataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        export(ntu60, "mamp", tmp_path, "xsub", overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        export(ntu60, "crossclr", tmp_path / "file", "xsub", overwrite=True)


def test_a_full_disk_is_said_before_anything_is_written(
    ntu60: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
    for name in ("mamp", "crossclr"):
        with pytest.raises(StarsBenchError, match=r"0\.0 MB are free"):
            export(ntu60, name, tmp_path / "out", "xsub")
    assert not list(tmp_path.iterdir())


def test_a_damaged_shard_is_said(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, NTU60, ntu_clips(ntu_names()))
    assert len(dataset.table) == 54
    dataset.shards[3].write_bytes(b"damaged")
    with pytest.raises(StarsBenchError, match=f"{dataset.shards[3].name}: missing or damaged"):
        export(dataset, "mamp", tmp_path / "x.npz", "xsub")
    assert not (tmp_path / "x.npz").exists()


@pytest.mark.parametrize("rows", [1, 40, 10_000])
def test_clips_are_read_in_any_order_and_in_runs(
    rows: int, ntu60: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stars_bench.storage.read_clips.RUN_ROWS", rows)
    clips, names = ntu_clips(ntu_names()), ntu60.table["name"]
    for order in (np.arange(54), np.random.default_rng(0).permutation(54), np.array([5, 5, 6, 7, 0])):
        found = list(bodies_of(ntu60, order))
        assert len(found) == len(order)
        for i, clip in zip(order, found, strict=True):
            np.testing.assert_array_equal(clip, clips[names[i]])


def test_blocks_are_small(ntu60: PreparedDataset) -> None:
    blocks = list(padding.blocks_of(ntu60, np.arange(54), lambda _: None))
    assert [len(block) for block in blocks] == [32, 22]
