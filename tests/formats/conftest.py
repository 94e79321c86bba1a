"""A small prepared NTU dataset, with one and two bodies, and its clips."""

from __future__ import annotations

from pathlib import Path

import pytest

from stars_bench.datasets.ntu import NTU60, NTU120
from stars_bench.storage.shards import PreparedDataset
from tests.formats.clips import ntu_clips, ntu_names, prepared


@pytest.fixture(scope="session")
def ntu60(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return prepared(tmp_path_factory.mktemp("ntu60"), NTU60, ntu_clips(ntu_names()))


@pytest.fixture(scope="session")
def ntu120(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    names = ntu_names(setups=(1, 2), performers=(3, 8))
    return prepared(tmp_path_factory.mktemp("ntu120"), NTU120, ntu_clips(names))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.npz"
