"""The real raw files, where there are some: STARS_BENCH_REAL names the folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from stars_bench.datasets.ntu import NTU60
from stars_bench.datasets.pku_mmd import PKU1
from stars_bench.preparation.prepare import prepare
from stars_bench.storage.shards import open_dataset
from stars_bench.testing import check_dataset

REAL = Path(os.environ.get("STARS_BENCH_REAL", "no such folder"))
pytestmark = [pytest.mark.real, pytest.mark.skipif(not REAL.is_dir(), reason="STARS_BENCH_REAL names no folder")]


def test_48_videos_of_phase_one_give_384_clips_of_two_people(tmp_path: Path) -> None:
    report = prepare(PKU1, [REAL / "pku1_subset.zip"], tmp_path)
    prepared = open_dataset(tmp_path, "pku1")
    assert report.set_aside == 0
    assert prepared.num_clips == 384
    assert set(prepared.table["num_bodies"]) == {2}
    assert prepared.table["official_xsub"].value_counts().to_dict() == {"train": 285, "test": 99}
    joints = prepared.load()
    assert np.isfinite(joints).all()
    assert 2 < np.median(joints[..., 2]) < 4  # people stand about three metres away


def test_three_clips_of_ntu_are_centred_and_upright(tmp_path: Path) -> None:
    report = prepare(NTU60, [REAL / "ntu"], tmp_path)
    prepared = open_dataset(tmp_path, "ntu60")
    assert report.set_aside == 0
    assert list(prepared.table["num_bodies"]) == [1, 1, 2]
    joints = prepared.load()
    for clip in prepared.table.itertuples():
        first = joints[clip.offset]
        np.testing.assert_array_equal(first[1], 0)
        assert first[3, 1] > 0.3 > -0.3 > first[15, 1]  # the head above, the foot below


@pytest.mark.slow
def test_phase_one_keeps_to_what_is_asked_of_a_dataset() -> None:
    check_dataset("pku1", REAL / "pku1_subset.zip")
