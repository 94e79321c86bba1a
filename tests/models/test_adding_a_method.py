"""A method of one's own: its file and its name are all that it takes to be listed, recorded, printed and cited."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from stars_bench import registry
from stars_bench.api import Citation
from stars_bench.cli import app
from stars_bench.experiments import runner
from stars_bench.experiments.plan import resolve
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.records.record import Record
from stars_bench.report import latex
from stars_bench.report.leaderboard import Leaderboard

PAPER = Citation(
    "doe2026extent",
    "Extent is All You Need",
    authors="Doé, Jane and Roe, Ann-Marie",
    venue="CVPR",
    year=2026,
    arxiv="2601.00001",
)
MODULE = '''
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import BaseModel
from stars_bench.api import Citation, Cost, TrainingTime

PAPER = Citation(
    "doe2026extent",
    "Extent is All You Need",
    authors="Doé, Jane and Roe, Ann-Marie",
    venue="CVPR",
    year=2026,
    arxiv="2601.00001",
)


class Encoder(torch.nn.Module):
    dim, frames = 3, 8

    def forward(self, x):
        return x.amax((2, 3, 4)) - x.amin((2, 3, 4))


class Config(BaseModel):
    pass


class Extent:
    """How far a body reaches along each axis."""

    name: ClassVar[str] = "extent"
    Config: ClassVar[type[BaseModel]] = Config
    citations: ClassVar[tuple[Citation, ...]] = (PAPER,)
    costs: ClassVar[Mapping[str, Cost]] = {
        "quick": Cost("One pass over the clips.", (TrainingTime(0.5, "a laptop", "measured"),)),
    }

    def fit(self, clips, run):
        return Encoder()
'''


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The method's one file and its entry point, as an installer leaves them."""
    site = tmp_path / "site"
    info = site / "extent_method-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "extent_method.py").write_text(MODULE, encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extent-method\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[stars_bench.methods]\nextent = extent_method:Extent\n")
    monkeypatch.syspath_prepend(site)


def listed(*arguments: str) -> str:
    return " ".join(CliRunner().invoke(app, ["list", *arguments]).stdout.split())


@pytest.mark.usefixtures("installed")
def test_one_file_and_one_name_are_all_that_a_method_needs(small_data: Path, tmp_path: Path) -> None:
    assert registry.fact("methods", "extent", "citations") == (PAPER,)
    assert "J. Doé, A.-M. Roe: Extent is All You Need. CVPR 2026. arXiv:2601.00001" in listed("methods")
    assert "One pass over the clips. 30 min on a laptop (measured)." in listed("methods", "extent")
    assert "quick: One pass" in listed("presets", "extent")

    request = Request(
        "extent",
        "xsub",
        small_data,
        tmp_path / "runs",
        preset="quick",
        evaluations=("knn",),
        training=TrainingOptions(device="cpu"),
    )
    assert resolve(request).method.name == "extent"
    records = runner.run(request)
    assert {record.method.citations for record in records} == {(PAPER,)}
    assert {record.dataset.citation.key for record in records} == {"stars-bench"}
    read = [Record.model_validate_json(record.model_dump_json()) for record in records]

    tables, bibliography = latex.render(Leaderboard.of(read, published="none").tables, "table")
    assert r"~\cite{doe2026extent}" in next(line for line in tables.splitlines() if line.startswith("extent"))
    assert r"~\cite{stars-bench}" in tables
    assert r"author = {Do{\'e}, Jane and Roe, Ann-Marie}" in bibliography
    assert "booktitle = {CVPR}" in bibliography
    assert "@misc{stars-bench," in bibliography
