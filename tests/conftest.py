"""A small synthetic dataset for the tests of the whole road, the licensed raw files where they are at hand, float64."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Tests run side by side, one thread each; set before torch is imported, and inherited by every command they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from stars_bench.datasets.synthetic import SYNTHETIC
from stars_bench.datasets.synthetic.stage import clip_names
from stars_bench.datasets.synthetic.writer import write_raw
from stars_bench.preparation.prepare import prepare
from tests.sample_records import make_record as make_record
from tests.sample_records import record_content as record_content


@pytest.fixture
def float64() -> Iterator[None]:
    """New tensors are float64, and the same random numbers come in every test."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with 72 prepared synthetic clips of four actions."""
    folder = tmp_path_factory.mktemp("small")
    write_raw(folder / "raw", clip_names((1, 2), actions=(8, 9, 23, 58), limit=72))
    prepare(SYNTHETIC, [folder / "raw"], folder / "data", jobs=1)
    return folder / "data"


@pytest.fixture(scope="session")
def real_dir() -> Path:
    """The licensed raw files; the test is skipped where STARS_BENCH_REAL does not name their folder."""
    folder = os.environ.get("STARS_BENCH_REAL")
    if not folder:
        pytest.skip("STARS_BENCH_REAL does not name the folder of the licensed raw files")
    return Path(folder)
