"""Described and shipped datasets go through every door: export, import, protocols of classes, predict, view, verify."""

from __future__ import annotations

import pickle
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from stars_bench import cli, registry
from stars_bench.data.clip_store import ClipPart, ClipStore
from stars_bench.datasets.skeletons.layouts import KINECT_V1
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.formats import export, import_file
from stars_bench.formats.catalog import FORMATS
from stars_bench.formats.clip_order import two_part_protocols
from stars_bench.preparation.prepare import prepare
from stars_bench.preparation.verify import verify
from stars_bench.protocols.splits import split_of
from stars_bench.storage.shards import PreparedDataset, open_dataset
from tests.datasets.custom import custom_files
from tests.datasets.test_shipped import WRITERS
from tests.formats.test_pictures import gym, ntu

PICKLES = {"ntu60-2d": ntu, "gym99": gym}
DATASETS = ["gym", *registry.DESCRIBED, *PICKLES]
THERE_AND_BACK = [name for name in FORMATS if not name.startswith("position")]
SUFFIXES = {"mamp": ".npz", "mat": ".mat", "pyskl": ".pkl"}
SIZED = ("mamp", "crossclr", "agcn")
"""Formats of clips of fixed size: the frames at a clip's end that hold nobody are lost."""
FRAMES = 8
TOO_SMALL = {
    "unseen": ("nwucla", "uav-human", "utd-mhad", "sbu", "kinetics-skeleton", "ntu60-2d"),
    "fewshot": ("uav-human", "utd-mhad", "sbu", "kinetics-skeleton", "gym99"),
}
"""Of a few clips, none may be left for a part."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory):
    """A dataset as prepared or imported, the word that names it, and its raw files."""

    @cache
    def of(name: str) -> tuple[PreparedDataset, str, Path | None]:
        folder = tmp_path_factory.mktemp(name)
        data, raw, word = folder / "data", folder / "raw", name
        if name in PICKLES:
            (folder / "poses.pkl").write_bytes(pickle.dumps(PICKLES[name]()))
            import_file(folder / "poses.pkl", name, data)
            return open_dataset(data, name), name, None
        if name == "gym":
            word = str(custom_files.write(folder, "csv", KINECT_V1.joints))
        else:
            raw.mkdir()
            WRITERS[name](raw)
        prepare(registry.load("datasets", word), [raw], data, jobs=1)
        return open_dataset(data, name), word, raw

    return of


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli.app, list(arguments))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0
        return done.output

    return run


def as_methods_get(dataset: PreparedDataset, row: int) -> np.ndarray:
    """A clip (3, 8, V, 2) as methods get it: frames at the end that hold nobody do not count."""
    return ClipPart(ClipStore.of(dataset), np.arange(dataset.num_clips)).whole(torch.tensor([row]), FRAMES)[0].numpy()


@pytest.mark.parametrize("format", THERE_AND_BACK)
@pytest.mark.parametrize("name", DATASETS)
def test_out_and_in_again_it_is_the_same_dataset(name: str, format: str, made, command, tmp_path: Path) -> None:
    dataset, word, _ = made(name)
    protocols = two_part_protocols(dataset)
    one = next(iter(protocols)) if FORMATS[format].one_protocol else None
    out = tmp_path / f"out{SUFFIXES.get(format, '')}"
    report = export(dataset, format, out, protocol=one)
    in_pixels = "height" in dataset.table and format != "pyskl"
    assert any("poses in pixels are normalised" in note for note in report.notes) == in_pixels
    if FORMATS[format].theirs == "raw" and name == "sbu":  # five folds, and names that do not say whose
        with pytest.raises(UsageError, match=r"which protocol of sbu is it\? Say --protocol split1\|split2"):
            import_file(out, word, tmp_path / "data")
        import_file(out, word, tmp_path / "data", protocol=one)
    else:
        import_file(out, word, tmp_path / "data")
    back = open_dataset(tmp_path / "data", name)
    assert set(two_part_protocols(back)) == set(protocols)
    taken = dataset.table
    if one is not None:
        split = split_of(dataset, protocols[one])
        taken = taken.iloc[np.sort(np.concatenate([split.train, split.test]))]
    assert back.table["name"].tolist() == taken["name"].tolist()
    for column in ("label", "subject", "camera"):
        assert back.table[column].tolist() == taken[column].tolist()
    rounding = 5e-4 if format == "pyskl" and not dataset.spec.skeleton.planar else 0
    for row, here in enumerate(taken.index):
        np.testing.assert_allclose(as_methods_get(back, row), as_methods_get(dataset, here), rtol=rounding)
        if format not in SIZED and not in_pixels and not rounding:
            np.testing.assert_array_equal(back.clip(row), dataset.clip(here))
    for protocol in protocols.values() if one is None else [protocols[one]]:
        ours, theirs = split_of(dataset, protocol), split_of(back, protocol)
        for part in ("train", "test"):
            names = {str(dataset.table["name"].iloc[row]) for row in getattr(ours, part)}
            assert {str(back.table["name"].iloc[row]) for row in getattr(theirs, part)} == names
    assert verify(back).ok
    clip = back.table["name"].iloc[0]
    command("view", str(out), clip, "--dataset", word, "--out", "clip.html", *(["--protocol", one] if one else []))
    assert clip in Path("clip.html").read_text()


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("protocol", ["unseen", "fewshot"])
def test_classes_can_be_left_out_of_training(name: str, protocol: str, made) -> None:
    dataset, _, _ = made(name)
    spec = registry.load("protocols", protocol)
    assert dataset.has_protocol(spec) == ((name, protocol) != ("ntu60-2d", "unseen"))  # as ntu60: classes 61 to 120
    if name in TOO_SMALL[protocol]:
        with pytest.raises(StarsBenchError, match=r"prepare more of the dataset|would be novel"):
            split_of(dataset, spec)
        return
    split = split_of(dataset, spec)
    labels = dataset.table["label"].to_numpy()
    assert not set(labels[split.test]) & set(labels[split.train])
    assert not set(labels[split.labelled]) & set(labels[split.train])


@pytest.mark.parametrize("name", DATASETS)
def test_it_is_verified_and_drawn_in_every_form(name: str, made, command) -> None:
    dataset, word, raw = made(name)
    data = ("--data-dir", str(dataset.folder.parents[1]))
    clip = dataset.table["name"].iloc[0]
    command("verify", name, *data, *(() if raw is None else ("--raw", str(raw))))
    for form in ("html", "gif", "png"):
        command("view", name, clip, "--out", f"clip.{form}", *data)
        assert 0 < Path(f"clip.{form}").stat().st_size < 2e6
    command("view", name, "--random", "2", "--out", "sheet.png", *data)
    if raw is not None:
        files = sorted(path for path in raw.rglob("*") if path.is_file() and "a13_s09" not in path.name)
        command("view", str(files[0]), "--dataset", word, "--out", "raw.html")
        assert dataset.spec.title in Path("raw.html").read_text()


@pytest.mark.parametrize("name", ["gym", "nwucla", "uav-human", "sbu", "ntu60-2d", "gym99"])
def test_a_run_on_it_classifies_its_clips_and_its_files(name: str, made, command) -> None:
    dataset, _, raw = made(name)
    protocol = next(iter(two_part_protocols(dataset)))
    settings = ("frames=8", "linear.epochs=1", "linear.batch_size=2")
    changes = [word for setting in settings for word in ("--set", setting)]
    how = ("--preset", "quick", "--eval", "linear", *changes)
    data = ("--data-dir", str(dataset.folder.parents[1]))
    command("run", "raw", "--dataset", name, "--protocol", protocol, *how, *data)
    (run,) = Path(f"runs/{name}/{protocol}/raw").iterdir()
    clip = dataset.table["name"].iloc[0]
    truth = dataset.spec.classes[int(dataset.table["label"].iloc[0])]
    told = " ".join(command("predict", str(run), clip, *data).split())
    assert truth[:20] in told
    if raw is not None:
        told = command("predict", str(run), str(raw), *data)
        assert told.count(" %") >= dataset.num_clips
