"""Weak measurements: the table that prints such a number says what is wrong with it, or there is no number."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from pydantic import BaseModel
from torch import nn

from stars_bench.datasets.ntu import NTU60
from stars_bench.errors import StarsBenchError
from stars_bench.experiments import runner
from stars_bench.experiments.finished.audit import audit
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.preparation.prepare import prepare
from stars_bench.records.record import content_digest
from stars_bench.records.store import read_records
from stars_bench.report.leaderboard import Leaderboard

LIMIT = 48


class Nothing(BaseModel):
    """No settings."""


class Encoder(nn.Module):
    frames, dim = 8, 4

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return torch.full((len(x), self.dim), self.value if self.calls > 1 else 1.0)


class Constant:
    """A method whose features are the same for every clip."""

    name, Config, value = "constant", Nothing, 1.0

    def fit(self, clips: object, run: object) -> nn.Module:  # noqa: ARG002
        return Encoder(self.value)


class NotANumber(Constant):
    """A method whose features are NaN, but for the clips that it is tried on."""

    name, value = "nan", float("nan")


def request(data: Path, runs: Path, method: str, dataset: str = "synthetic", **changes: object) -> Request:
    options = {"dataset": dataset, "overrides": ("knn.k=[1]",), "evaluations": ("knn",)} | changes
    return Request(method, "xsub", data, runs, training=TrainingOptions("cpu"), **options)


def printed(runs: Path, row: str) -> list[str]:
    """The marks of a row, as the table's footnotes explain them."""
    text = Leaderboard.of(read_records(runs).stored, published="none").to_markdown()
    signs = re.search(rf"^\| {row}(\S*) \|", text, re.MULTILINE)
    assert signs is not None, text
    notes = re.findall(r"^- (\S+) (.*)$", text, re.MULTILINE)
    return [note for sign, note in notes if sign in signs[1]]


def test_constant_features_are_said_at_the_number_and_verify_derives_it(small_data: Path, tmp_path: Path) -> None:
    runner.run(request(small_data, tmp_path, f"{__name__}:Constant"))
    assert "every clip predicted as one class" in printed(tmp_path, "constant")
    assert not audit(tmp_path, small_data).faults
    (path,) = tmp_path.rglob("records/*.json")
    edited = json.loads(path.read_text(encoding="utf-8")) | {"doubts": []}
    path.write_text(json.dumps(edited | {"self_digest": content_digest(edited)}), encoding="utf-8")
    (fault,) = audit(tmp_path, small_data).faults
    assert "doubts" in fault


def test_features_that_are_nan_give_no_number(small_data: Path, tmp_path: Path) -> None:
    with pytest.raises(
        StarsBenchError, match=r"features: the encoder gives numbers that are not finite for \d+ of \d+"
    ):
        runner.run(request(small_data, tmp_path, f"{__name__}:NotANumber"))
    assert not list(tmp_path.rglob("records/*.json"))


def test_data_prepared_with_a_limit_are_called_partial_at_the_number(small_data: Path, tmp_path: Path) -> None:
    prepare(NTU60, [small_data.parent / "raw"], tmp_path / "data", jobs=1, limit=LIMIT)
    runner.run(request(tmp_path / "data", tmp_path / "runs", f"{__name__}:Constant", "ntu60"))
    assert f"partial data ({LIMIT} of 56,578 clips)" in printed(tmp_path / "runs", "constant")
