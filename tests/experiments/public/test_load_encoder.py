"""stars_bench.load_encoder: the encoder of a run or an official checkpoint as a module for work of one's own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import stars_bench
from stars_bench.experiments import runner
from stars_bench.experiments.request import Request, TrainingOptions
from tests.paths import GOLDEN, ROOT

SIZE = ("frames=8", "dim=16", "depth=2", "heads=2")


@pytest.fixture(scope="module")
def run(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """KEY folder of an untrained encoder, with seeds 0 and 3."""
    runs = tmp_path_factory.mktemp("runs")
    runner.run(
        Request(
            "untrained",
            "xsub",
            small_data,
            runs,
            preset="quick",
            overrides=SIZE,
            evaluations=("knn",),
            seeds=(0, 3),
            training=TrainingOptions("cpu"),
        )
    )
    (folder,) = runs.glob("synthetic/xsub/untrained/*")
    return folder


def test_every_way_to_name_a_run_gives_its_encoder(run: Path) -> None:
    encoder = stars_bench.load_encoder(str(run))
    assert isinstance(encoder, nn.Module)
    assert not encoder.training
    assert (encoder.dim, encoder.frames) == (16, 8)
    saved = torch.load(run / "seed0" / "encoder.pt")["encoder"]
    for path in (run, run.parent, run / "seed0", run / "seed0" / "encoder.pt"):
        found = stars_bench.load_encoder(path).state_dict()
        assert all(torch.equal(value, saved[name]) for name, value in found.items())
    other = stars_bench.load_encoder(run, seed=3).state_dict()
    assert not all(torch.equal(value, saved[name]) for name, value in other.items())


def test_features_are_those_of_evaluations(run: Path, small_data: Path) -> None:
    encoder = stars_bench.load_encoder(run)
    part = stars_bench.load("synthetic", "xsub", small_data, frames=8).test
    with torch.no_grad():
        features = encoder(torch.from_numpy(part.arrays()[0]))
    by_name: dict[str, np.ndarray] = {}
    for file in (run / "seed0" / "features").glob("*.npz"):
        with np.load(file) as kept:
            by_name |= zip(kept["names"].tolist(), kept["features"], strict=True)
    np.testing.assert_allclose(features, np.stack([by_name[name] for name in part.names]), rtol=1e-5, atol=1e-6)


def test_frames_are_interpolated(run: Path) -> None:
    encoder = stars_bench.load_encoder(run, frames=16)
    assert encoder.frames == 16
    assert encoder(torch.zeros(2, 3, 16, 25, 2)).shape == (2, 16)


def test_an_official_checkpoint_needs_its_heads(tmp_path: Path) -> None:
    with np.load(GOLDEN / "stage1_mamp.npz") as arrays:
        weights = {n.removeprefix("init/"): torch.from_numpy(arrays[n]) for n in arrays.files if n.startswith("init/")}
    torch.save({"model": weights}, tmp_path / "mamp.pth")
    with pytest.raises(stars_bench.UsageError, match="how many attention heads"):
        stars_bench.load_encoder(tmp_path / "mamp.pth")
    encoder = stars_bench.load_encoder(tmp_path / "mamp.pth", heads=4)
    assert encoder(torch.zeros(1, 3, int(encoder.frames), 25, 2)).shape == (1, encoder.dim)


def test_wrong_use_is_one_clear_line(run: Path, tmp_path: Path) -> None:
    for path, options, said in (
        (tmp_path / "nothing", {}, "there is no such folder"),
        (tmp_path, {}, "no run folder and no encoder.pt"),
        (run, {"seed": 7}, "seed 7 is not there (seed0, seed3)"),
        (run / "seed0", {"seed": 3}, "seed 3 is not there (seed0)"),
        (run, {"heads": 4}, "the heads of a trained untrained cannot be changed"),
        (run, {"device": "tpu"}, "not a device"),
    ):
        with pytest.raises(stars_bench.UsageError, match=re.escape(said)):
            stars_bench.load_encoder(path, **options)


def test_the_example_finds_a_clip_most_like_itself(run: Path, small_data: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "nearest_clips.py", run, "synthetic", "xsub"],
        env={"STARS_BENCH_DATA": str(small_data), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    first = stars_bench.load("synthetic", "xsub", small_data).test.names[0]
    assert re.match(rf"{first}  1\.000  \w+", done.stdout)
    assert len(done.stdout.splitlines()) == 6
