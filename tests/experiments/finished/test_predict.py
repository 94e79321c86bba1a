"""predict: a finished run classifies clips by name and raw files, as its own evaluation did."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from stars_bench.api import DatasetSpec
from stars_bench.datasets.synthetic.camera import make_clip
from stars_bench.datasets.synthetic.writer import to_text
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments import runner
from stars_bench.experiments.finished import rescore, timeline
from stars_bench.experiments.finished.predict import Prediction, Recording, predict, windows
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.io.run_folder import RunFolder
from stars_bench.storage.shards import open_dataset
from stars_bench.training import checkpoint

TINY = ("frames=8", "dim=16", "depth=2", "heads=2")


@pytest.fixture(scope="module")
def request_of(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Request:
    runs = tmp_path_factory.mktemp("predict") / "runs"
    overrides = (*TINY, "linear.epochs=2", "linear.batch_size=16")
    return Request(
        "untrained", "xsub", small_data, runs, preset="quick", overrides=overrides, evaluations=("linear",),
        training=TrainingOptions("cpu"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(request_of: Request) -> Path:
    runner.run(request_of)
    (folder,) = (request_of.runs_dir / "synthetic/xsub/untrained").iterdir()
    return folder


def best(predictions: list[Prediction]) -> list[str]:
    return [one.actions[0][0] for one in predictions]


@pytest.mark.parametrize("stream", ["joint", "motion"])
def test_the_test_clips_get_the_classes_of_the_evaluation(
    stream: str, request_of: Request, run: Path, small_data: Path
) -> None:
    if stream != "joint":
        runner.run(replace(request_of, stream=stream))
        (run,) = [path for path in run.parent.iterdir() if path != run]
    (one,) = rescore.read(run)
    classes = open_dataset(small_data, "synthetic").spec.classes
    predictions = predict(run, one.names.tolist(), small_data)
    assert best(predictions) == [classes[label] for label in one.outcome.predictions]
    assert [prediction.truth for prediction in predictions] == [classes[label] for label in one.labels]
    assert len(set(best(predictions))) > 1


def test_a_raw_file_is_cleaned_like_the_prepared_clip_whatever_it_is_called(
    run: Path, small_data: Path, tmp_path: Path
) -> None:
    name = open_dataset(small_data, "synthetic").table["name"].iat[5]
    path = tmp_path / "from my lab.SKELETON"
    path.write_bytes(to_text(make_clip(name)))
    raw, prepared = predict(run, [str(path), name], small_data, top=3)
    assert [action for action, _ in raw.actions] == [action for action, _ in prepared.actions]
    assert [share for _, share in raw.actions] == pytest.approx([share for _, share in prepared.actions])
    assert raw.truth is None
    assert len(raw.actions) == 3
    assert sum(share for _, share in predict(run, [name], small_data, top=999)[0].actions) == pytest.approx(1)


def test_a_head_of_another_encoder_is_not_used(run: Path, small_data: Path, tmp_path: Path) -> None:
    folder = RunFolder(shutil.copytree(run, tmp_path / "run") / "seed0")
    names = open_dataset(small_data, "synthetic").table["name"].tolist()[:1]
    folder.log.unlink()  # says nothing of heads
    assert best(predict(folder.path, names, small_data)) == best(predict(run, names, small_data))
    state = checkpoint.load(folder.encoder)
    next(iter(state["encoder"].values())).mul_(2)
    checkpoint.save(folder.encoder, state)
    with pytest.raises(UsageError, match="no head that classifies"):
        predict(folder.path, names, small_data)


def test_folders_archives_and_members_are_taken(run: Path, small_data: Path, tmp_path: Path) -> None:
    names = open_dataset(small_data, "synthetic").table["name"].tolist()[:3]
    (tmp_path / "raw" / "deep").mkdir(parents=True)
    for name in names:
        (tmp_path / "raw" / "deep" / f"{name}.skeleton").write_bytes(to_text(make_clip(name)))
    archive = shutil.make_archive(str(tmp_path / "clips"), "zip", tmp_path / "raw")
    expected = [one.actions for one in predict(run, names, small_data)]
    folder = predict(run, [str(tmp_path / "raw")], small_data)
    assert [one.clip for one in folder] == [str(tmp_path / "raw" / "deep" / f"{name}.skeleton") for name in names]
    member = f"{archive}:deep/{names[1]}.skeleton"
    for given in (folder, predict(run, [archive], small_data)):
        assert [one.actions for one in given] == expected
    (one,) = predict(run, [member], small_data)
    assert one.clip == member
    assert one.actions[0][0] == expected[1][0][0]
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "x_rgb.avi").touch()
    with pytest.raises(UsageError, match=r"no \.skeleton file is there: it holds 1 RGB video"):
        predict(run, [str(tmp_path / "videos")], small_data)
    with pytest.raises(UsageError, match="the archive has no such file"):
        predict(run, [f"{archive}:nothing.skeleton"], small_data)


def test_a_method_that_classifies_says_it_itself(request_of: Request, small_data: Path) -> None:
    runner.run(replace(request_of, method="supervised", evaluations=("classifier",), overrides=(*TINY, "epochs=1")))
    (run,) = (request_of.runs_dir / "synthetic/xsub/supervised").iterdir()
    (one,) = rescore.read(run)
    classes = open_dataset(small_data, "synthetic").spec.classes
    assert best(predict(run, one.names.tolist(), small_data)) == [classes[i] for i in one.outcome.predictions]


def test_what_cannot_be_classified_is_told(request_of: Request, run: Path, small_data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no clip 'S009"):
        predict(run, ["S009C001P001R001A001"], small_data)
    with pytest.raises(UsageError, match="there is no such file"):
        predict(run, [str(tmp_path / "x.skeleton")], small_data)
    (tmp_path / "bad.skeleton").write_text("2\n1\nx\n")
    with pytest.raises(StarsBenchError, match=r"bad\.skeleton:\d+: "):
        predict(run, [str(tmp_path / "bad.skeleton")], small_data)
    (tmp_path / "empty.skeleton").write_text("1\n0\n")
    with pytest.raises(StarsBenchError, match="no frame holds a body"):
        predict(run, [str(tmp_path / "empty.skeleton")], small_data)
    runner.run(replace(request_of, runs_dir=tmp_path / "runs", evaluations=("knn",), overrides=TINY))
    (without,) = (tmp_path / "runs/synthetic/xsub/untrained").iterdir()
    with pytest.raises(UsageError, match=r"no head that classifies; .*--eval linear"):
        predict(without, ["S001C001P001R001A001"], small_data)


@pytest.mark.parametrize(
    ("frames", "window", "stride", "expected"),
    [
        (10, None, None, [(0, 10)]),
        (10, 12, 3, [(0, 10)]),
        (10, 4, 3, [(0, 4), (3, 7), (6, 10)]),
        (11, 4, 3, [(0, 4), (3, 7), (6, 10), (7, 11)]),
        (10, 8, None, [(0, 8), (2, 10)]),
    ],
)
def test_windows_cover_a_recording_to_its_end(frames: int, window: int | None, stride: int | None, expected) -> None:
    assert windows(frames, window, stride) == expected


def test_a_long_recording_has_a_label_a_window(run: Path, small_data: Path, tmp_path: Path) -> None:
    table = open_dataset(small_data, "synthetic").table
    name, frames = table["name"].iat[5], int(table["num_frames"].iat[5])
    kept: list[tuple[DatasetSpec, Recording]] = []
    found = predict(run, [name], small_data, top=2, window=16, stride=8, keep=lambda *one: kept.append(one))
    assert [one.frames for one in found] == [(first + 1, last) for first, last in windows(frames, 16, 8)]
    whole = predict(run, [name], small_data, top=2, window=frames)
    assert whole[0].frames == (1, frames)
    assert whole[0].actions == predict(run, [name], small_data, top=2)[0].actions
    assert len({one.actions[0][1] for one in found}) > 1  # windows are seen one by one
    with pytest.raises(UsageError, match="a stride needs a window"):
        predict(run, [name], small_data, stride=8)

    timeline.write_csv(tmp_path / "x.csv", found)
    lines = (tmp_path / "x.csv").read_text().splitlines()
    assert lines[0] == "clip,first_frame,last_frame,rank,action,probability"
    assert lines[1] == f"{name},1,16,1,{found[0].actions[0][0]},{found[0].actions[0][1]:.6f}"
    assert len(lines) == 1 + 2 * len(found)
    labels = timeline.labels_of(found, frames)
    covered = [frame for label in labels for frame in range(label.first, label.last + 1)]
    assert covered == list(range(1, frames + 1))
    assert [label.text for label in labels] == best(found)
    (spec, recording), *_ = kept
    text = timeline.page(spec, [recording], found)
    assert text.count("<rect ") == len(found)
    assert all(f"frames {label.first} to {label.last}" in text for label in labels)
