"""`map`: what it keeps beside a record for the report's page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stars_bench import cli
from stars_bench.errors import UsageError
from stars_bench.evaluation.feature_cache import FeatureFiles
from stars_bench.experiments.finished import tsne
from stars_bench.experiments.finished.rescore import Saved
from stars_bench.io.run_folder import RunFolder
from stars_bench.records.measured_clips import MeasuredClips
from stars_bench.records.outcome import Outcome
from stars_bench.records.record import Record
from stars_bench.report.html_data import MapPoints
from stars_bench.storage.shards import PreparedDataset, open_dataset
from stars_bench.viewer.thumbnails import FRAMES, KeptSkeletons, small_skeletons

Draw = Callable[..., Path]


@pytest.fixture
def dataset(small_data: Path) -> PreparedDataset:
    """72 made-up clips."""
    return open_dataset(small_data, "synthetic")


@pytest.fixture
def draw(
    dataset: PreparedDataset, make_record: Callable[..., Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Draw:
    """Runs `map` on a record of the dataset, or of other data; the record's path. Places are made up."""

    def run(*words: str, digest: str = dataset.digest) -> Path:
        data = {"dataset__name": "synthetic", "dataset__digest": digest, "evaluation__name": "clusters"}
        record, path = make_record(**data), tmp_path / "key" / "seed0" / "records" / "clusters.json"
        names = dataset.table["name"].to_numpy()[:20]
        labels = dataset.table["label"].to_numpy()[:20]
        one = Saved(path, record, Outcome({}, labels, kind="clusters"), MeasuredClips(names, labels, {}))
        monkeypatch.setattr(tsne, "_clusters", lambda *_: one)
        monkeypatch.setattr(tsne, "_features", lambda _: np.zeros((20, 2), np.float32))
        monkeypatch.setattr(tsne, "tsne_map", lambda *_: (np.zeros((10, 2)), np.arange(10)))
        monkeypatch.setattr(tsne, "draw_maps", lambda *_: [])
        cli.app(["map", str(tmp_path / "key"), *words], standalone_mode=False)
        points = RunFolder.of_record(path).map_file(path).read_text(encoding="utf-8")
        assert MapPoints.model_validate_json(points).names == names[:10].tolist()
        return path

    return run


def test_damaged_features_are_set_aside_with_a_line(
    make_record: Callable[..., Record], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, names = RunFolder(tmp_path / "seed0"), np.array(["a", "b"])
    file = FeatureFiles(folder, "crop0.95-0123").add(names, np.ones((2, 3), np.float32))
    record = make_record(evaluation__name="clusters", evaluation__config={"crop": 0.95})
    path = folder.records / "clusters.json"
    one = Saved(path, record, Outcome({}, np.zeros(2, int), kind="clusters"), MeasuredClips(names, np.zeros(2), {}))
    assert tsne._features(one).shape == (2, 3)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UsageError, match="the features of the test clips are gone: run --eval clusters again"):
        tsne._features(one)
    assert [line for line in caplog.messages if f"{file} is damaged: kept as {file.name}.damaged" in line]


def skeletons_of(record: Path) -> Path:
    return RunFolder.of_record(record).skeleton_file(record)


def test_map_keeps_small_skeletons_of_the_clips_that_it_places(
    draw: Draw, dataset: PreparedDataset, small_data: Path
) -> None:
    file = skeletons_of(draw("--data-dir", str(small_data)))
    kept = KeptSkeletons.model_validate_json(file.read_text(encoding="utf-8"))
    assert list(kept.clips) == dataset.table["name"].tolist()[:10]
    assert kept.digest == dataset.digest
    for name, clip in kept.clips.items():
        bodies, frames = dataset.clip(name).shape[:2]
        assert (clip["bodies"], clip["frames"]) == (bodies, min(frames, FRAMES))
    assert file.stat().st_size < 3500 * sum(clip["bodies"] for clip in kept.clips.values()) + 1000


def test_it_keeps_none_when_told_so_or_without_the_same_data(
    draw: Draw, small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not skeletons_of(draw("--no-skeletons", "--data-dir", str(small_data))).exists()
    assert "kept without skeletons" not in capsys.readouterr().out
    assert not skeletons_of(draw("--data-dir", str(tmp_path))).exists()
    assert "kept without skeletons: synthetic is not prepared" in capsys.readouterr().out
    assert not skeletons_of(draw("--data-dir", str(small_data), digest="0" * 64)).exists()
    assert "its digest differs" in capsys.readouterr().out


def test_small_skeletons_have_the_size_of_their_clips(dataset: PreparedDataset) -> None:
    name = str(dataset.table["name"].iat[5])
    clip = small_skeletons(dataset, [name]).clips[name]
    whole = dataset.clip(name)
    assert clip["half"][1] == pytest.approx(np.ptp(whole[..., 1]) / 2, rel=0.05)
