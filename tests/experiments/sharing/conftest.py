"""A small run whose command names places of this machine, and its pack."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from stars_bench.experiments import runner
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.experiments.sharing.pack import pack

SIZE = ("frames=8", "dim=16", "depth=1", "heads=2")
STAGE = ("batch_size=16", "epochs=2", "warmup_epochs=0", "linear.epochs=1", "linear.batch_size=16")


@pytest.fixture(scope="session")
def shared_runs(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MAMP with two seeds, and an untrained encoder."""
    runs = tmp_path_factory.mktemp("alice") / "runs"
    command = shlex.join(["stars-bench", "run", "mamp", "--runs-dir", str(runs), "--data-dir", "/home/alice b/data"])
    request = Request(
        "mamp",
        "xsub",
        small_data,
        runs,
        preset="quick",
        overrides=(*SIZE, *STAGE),
        seeds=(0, 1),
        training=TrainingOptions("cpu"),
        command=command,
    )
    runner.run(request)
    runner.run(replace(request, method="untrained", overrides=SIZE, seeds=(0,), evaluations=("knn",)))
    return runs


@pytest.fixture(scope="session")
def packed(shared_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("safetensors")
    out = tmp_path_factory.mktemp("packs") / "results.zip"
    pack([shared_runs], out)
    return out
