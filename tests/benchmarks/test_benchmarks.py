"""The benchmarks: the baseline does the same work as `prepare`, and they run."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks import baseline_prepare, coverage, prepare_core, shard_packing, startup
from benchmarks import prepare as prepare_benchmark
from benchmarks import statistics as statistics_benchmark
from stars_bench.datasets.cleaning import mamp
from stars_bench.datasets.parsing import compiled_code, ntu
from stars_bench.datasets.synthetic.stage import clip_names
from stars_bench.datasets.synthetic.writer import write_raw
from tests.paths import GOLDEN

FILES = sorted((GOLDEN / "raw").glob("*.skeleton"))


def same_clip(file: Path) -> bool:
    """Whether the baseline and `prepare` make the same clip of a file, to the last bit."""
    found = baseline_prepare.padded([baseline_prepare.actors(baseline_prepare.read_bodies(file))])[0]
    bodies, _ = mamp.clean(ntu.parse(file.read_bytes()))
    expected = np.zeros_like(found)
    for number, body in enumerate(bodies):
        expected[: len(body), 75 * number : 75 * number + 75] = body.reshape(-1, 75)
    return np.array_equal(found, expected)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_baseline_makes_the_same_clip_of_a_golden_file(file: Path) -> None:
    assert same_clip(file)


def test_the_baseline_makes_the_same_clips_of_made_up_files(tmp_path: Path) -> None:
    files = write_raw(tmp_path, clip_names(setups=None, limit=90))
    assert all(map(same_clip, files))


def test_the_baseline_writes_both_splits_of_all_clips(tmp_path: Path) -> None:
    baseline_prepare.run(GOLDEN / "raw", tmp_path, limit=6)
    for protocol in ("xsub", "xview"):
        with np.load(tmp_path / f"{protocol}.npz") as parts:
            assert len(parts["x_train"]) + len(parts["x_test"]) == 6
            assert parts["x_train"].shape[1:] == (300, 150)
            assert parts["y_test"].sum() == len(parts["x_test"]) > 0


@pytest.mark.slow
def test_the_whole_benchmark_runs_on_a_few_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare_benchmark.console.file = sys.stdout
    prepare_benchmark.compare(tmp_path, files=9, baseline_files=3, rounds=1)
    printed = capsys.readouterr().out
    assert "9 made-up raw files" in printed
    assert "zip, 2 processes" in printed
    assert "KB a clip: 1/" in printed
    assert not (tmp_path / "prepared").exists()


def test_packings_are_measured_only_where_nothing_is_lost(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 25, 3)).astype(np.float32)
    for name, write in shard_packing.ways().items():
        read = shard_packing.through_prepare if shard_packing.OURS in name else shard_packing.through_hdf5
        size, *seconds = shard_packing.measured(write, read, rows, tmp_path / "packed.h5")
        assert size > 0
        assert min(seconds) > 0
    with pytest.raises(SystemExit, match="not what was written"):
        shard_packing.measured(write, lambda _, out: out.fill(0), rows, tmp_path / "packed.h5")


@pytest.mark.slow
def test_start_up_is_measured_for_every_kind_of_workers(tmp_path: Path) -> None:
    files = write_raw(tmp_path / "raw", clip_names(limit=8))
    for pool in startup.POOLS.values():
        assert startup.pool_seconds(pool, files[0].parent) > 0
    assert startup.command_seconds(files[0].parent, cold=True) > 0


def test_every_step_is_measured_on_the_same_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_code._State, "loaded", None)  # as it was, afterwards
    monkeypatch.delenv("STARS_BENCH_REAL", raising=False)
    write_raw(tmp_path, clip_names(limit=2))
    prepare_core.compare(tmp_path, Console(file=sys.stdout, width=100), count=2, rounds=1)
    printed = capsys.readouterr().out
    assert "made-up files: 2 of" in printed
    for step in ("scan, compiled", "exact reading", "clean", "inflate", "CRC-32"):
        assert step in printed


def test_the_headline_interval_holds_the_truth_and_independent_clips_do_not() -> None:
    small = coverage.Design("small", persons=8, classes=12, repetitions=2, cameras=3, between_persons=0.3)
    found = coverage.simulate(small, 150, np.random.default_rng(0))
    assert found["person, t (headline)"] >= 0.9
    assert found["independent clips"] < 0.8


def test_resampling_of_a_table_gives_an_interval_a_result() -> None:
    hits = np.random.default_rng(0).random((6, 200)) < 0.8
    low, high = statistics_benchmark.resample(2, 3, np.arange(200) % 20, hits)
    means = hits.reshape(2, 3, -1).mean((1, 2))
    assert ((low < means) & (means < high)).all()
