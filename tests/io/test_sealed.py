"""A byte that turned anywhere in a file that is used again is noticed; a disk that fails is not called damage."""

from __future__ import annotations

import errno
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from stars_bench.errors import StarsBenchError
from stars_bench.evaluation import feature_cache
from stars_bench.io import sealed
from stars_bench.io.run_folder import RunFolder
from stars_bench.io.untrusted import npy
from stars_bench.records.measured_clips import COLUMNS, MeasuredClips
from stars_bench.records.outcome import Outcome
from stars_bench.records.predictions import load_predictions, save_predictions
from stars_bench.records.store import read_record
from stars_bench.training import checkpoint

NAMES = np.array([f"clip{number}" for number in range(20)])


def checkpoint_file(folder: Path) -> Path:
    checkpoint.save(folder / "stage1.pt", {"module": {"w": torch.arange(60.0)}, "log": [{"loss": 1.5}]})
    return folder / "stage1.pt"


def features_file(folder: Path) -> Path:
    features = np.arange(40, dtype=np.float32).reshape(20, 2)
    return feature_cache.FeatureFiles(RunFolder(folder), "crop0.95-key").add(NAMES, features)


def predictions_file(folder: Path) -> Path:
    labels = np.arange(20) % 3
    numbers = {name: np.ones(20, np.int64) for name in COLUMNS}
    clips = MeasuredClips(NAMES, labels, numbers)
    save_predictions(folder / "linear.npz", Outcome({}, labels), clips)
    return folder / "linear.npz"


def log_file(folder: Path) -> Path:
    lines = [{"stage": "stage1", "epoch": epoch, "loss": 0.5, "key": "0123456789abcdef"} for epoch in range(3)]
    (folder / "log.jsonl").write_text(sealed.json_lines(lines))
    return folder / "log.jsonl"


KINDS = {
    "checkpoint": (checkpoint_file, checkpoint.load),
    "features": (features_file, feature_cache.read),
    "predictions": (predictions_file, load_predictions),
    "log": (log_file, sealed.read_json_lines),
}


@pytest.mark.parametrize(("write", "read"), KINDS.values(), ids=KINDS)
def test_a_byte_turned_anywhere_is_noticed(
    write: Callable[[Path], Path], read: Callable[[Path], object], tmp_path: Path
) -> None:
    file = write(tmp_path)
    content = file.read_bytes()
    read(file)
    unnoticed = []
    tail = range(len(content) - 80, len(content) - 1)
    for position in sorted({*range(0, len(content), 23), *range(40), *tail}):
        turned = bytearray(content)
        turned[position] ^= 0x11
        file.write_bytes(turned)
        try:
            read(file)
        except StarsBenchError:
            continue
        unnoticed.append(position)
    assert unnoticed == []


@pytest.mark.parametrize("cut", [1, 20, 60])
@pytest.mark.parametrize(("write", "read"), KINDS.values(), ids=KINDS)
def test_a_file_that_was_cut_is_noticed(
    write: Callable[[Path], Path], read: Callable[[Path], object], cut: int, tmp_path: Path
) -> None:
    file = write(tmp_path)
    kept = file.read_bytes().rstrip(b"\n")[:-cut]
    file.write_bytes(kept)
    with pytest.raises(StarsBenchError, match=r"damaged|cannot be read"):
        read(file)


def test_a_checkpoint_whose_digest_was_taken_away_is_damaged(tmp_path: Path) -> None:
    file = checkpoint_file(tmp_path)
    bare = file.read_bytes()[: -len(sealed.MARK) - sealed.HEX_DIGITS - 2] + b"\0\0"
    file.write_bytes(bare)
    assert torch.load(file, weights_only=True)["module"]["w"][3] == 3
    with pytest.raises(sealed.Damaged, match=r"stage1\.pt: damaged: the digest at its end is gone"):
        checkpoint.load(file)


def test_features_without_a_digest_are_not_used_again(tmp_path: Path) -> None:
    file = features_file(tmp_path)
    with file.open("wb") as stream:
        np.savez(stream, names=NAMES, features=np.zeros((20, 2), np.float32))
    lines: list[str] = []
    _, there = feature_cache.FeatureFiles(RunFolder(tmp_path), "crop0.95-key", tell=lines.append).find(NAMES)
    assert not there.any()
    assert lines == [f"features: {file} is damaged: kept as {file.name}.damaged, and made again"]
    assert not file.exists()


def test_damaged_features_of_another_run_are_passed_over_and_stay(tmp_path: Path) -> None:
    own, other = (tmp_path / f"ntu60/xsub/mamp/{key}/seed0" for key in ("a", "b"))
    file = features_file(other)
    file.write_bytes(file.read_bytes()[:-1] + b"-")
    lines: list[str] = []
    kept = feature_cache.FeatureFiles(RunFolder(own), "crop0.95-key", reuse=True, tell=lines.append)
    assert not kept.find(NAMES)[1].any()
    assert lines == [f"features: {file} is damaged and passed over: its own run makes it again"]
    assert file.exists()


def test_other_programs_read_sealed_files(tmp_path: Path) -> None:
    assert torch.load(checkpoint_file(tmp_path), weights_only=True)["module"]["w"][3] == 3
    assert np.load(features_file(tmp_path))["features"].shape == (20, 2)
    assert zipfile.ZipFile(predictions_file(tmp_path)).testzip() is None


def test_only_a_zip_archive_is_sealed(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"0" * 100)
    with pytest.raises(ValueError, match="only a zip"), (tmp_path / "text").open("r+b") as stream:
        sealed.seal(stream)


@pytest.mark.parametrize(("number", "name"), [(errno.EIO, "EIO"), (errno.ENOLCK, "ENOLCK"), (errno.EACCES, "EACCES")])
@pytest.mark.parametrize("kind", ["checkpoint", "features"])
def test_a_disk_that_fails_is_not_called_damage(
    kind: str, number: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, read = KINDS[kind]
    file = write(tmp_path)  # type: ignore[operator]

    def fails(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(file))

    monkeypatch.setattr(sealed, "_digest", fails)
    with pytest.raises(StarsBenchError, match=rf"cannot be read now \({os.strerror(number)}\)") as raised:
        read(file)  # type: ignore[operator]
    assert not isinstance(raised.value, sealed.Damaged)
    assert file.exists(), name


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no FIFOs")
@pytest.mark.parametrize(
    "read", [checkpoint.load, feature_cache.read, load_predictions, read_record, sealed.read_json_lines]
)
def test_a_fifo_is_refused_at_once(read: Callable[[Path], object], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "odd")
    with pytest.raises(StarsBenchError, match="odd: is no regular file; remove or rename it"):
        read(tmp_path / "odd")


def test_a_sparse_file_of_a_terabyte_is_refused_at_once(tmp_path: Path) -> None:
    with (tmp_path / "log.jsonl").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(StarsBenchError, match=r"log.jsonl: has 1,099,511,627,776 bytes"):
        sealed.read_json_lines(tmp_path / "log.jsonl")


def test_arrays_that_unpack_to_more_than_any_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npy, "SMALL", 1 << 20)
    np.savez_compressed(tmp_path / "bomb.npz", predictions=np.zeros(1 << 20, np.int64))
    with pytest.raises(StarsBenchError, match=r"bomb.npz: damaged \(it unpacks to 8,"):
        load_predictions(tmp_path / "bomb.npz")


def test_lines_of_older_logs_are_read(tmp_path: Path) -> None:
    lines = [{"stage": "stage1", "epoch": 1, "key": "0123456789abcdef"}]
    (tmp_path / "log.jsonl").write_text(json.dumps(lines[0]) + "\n")
    assert sealed.read_json_lines(tmp_path / "log.jsonl") == lines
