"""The benchmarks: the baseline does the same work as `prepare`, and they run."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks import baseline_prepare
from stars_bench.datasets import cleaning, ntu_raw

GOLDEN = Path(os.environ.get("STARS_BENCH_GOLDEN") or Path(__file__).parent / "golden")
FILES = sorted((GOLDEN / "raw").glob("*.skeleton"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_baseline_makes_the_same_clip_of_a_file(file: Path) -> None:
    clip = baseline_prepare.read_bodies(file)
    found = baseline_prepare.padded([baseline_prepare.actors(clip)])[0]
    bodies, _ = cleaning.clean(ntu_raw.parse(file.read_bytes()))
    expected = np.zeros_like(found)
    for number, body in enumerate(bodies):
        expected[: len(body), 75 * number : 75 * number + 75] = body.reshape(-1, 75)
    np.testing.assert_array_equal(found, expected)


def test_the_baseline_writes_both_splits_of_all_clips(tmp_path: Path) -> None:
    baseline_prepare.run(GOLDEN / "raw", tmp_path, limit=6)
    for protocol in ("xsub", "xview"):
        with np.load(tmp_path / f"{protocol}.npz") as parts:
            assert len(parts["x_train"]) + len(parts["x_test"]) == 6
            assert parts["x_train"].shape[1:] == (300, 150)
            assert parts["y_test"].sum() == len(parts["x_test"]) > 0
