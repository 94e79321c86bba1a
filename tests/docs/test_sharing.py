"""docs/sharing.md: its commands do what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stars_bench import cli
from stars_bench.experiments.sharing.site import OWN
from stars_bench.training import exported_encoder
from tests.paths import ROOT

PAGE = (ROOT / "docs" / "sharing.md").read_text()
PACKS, ENCODERS = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
SMALL = "--set frames=8 --set dim=16 --set depth=1 --set heads=2"


@pytest.mark.slow
def test_the_commands_work(small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STARS_BENCH_DATA", str(small_data))
    monkeypatch.setenv("STARS_BENCH_RUNS", "runs")

    def said(line: str) -> str:
        done = CliRunner().invoke(cli.app, shlex.split(line)[1:], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    said(f"stars-bench run untrained --protocol xsub --preset quick --eval knn {SMALL}")
    pack, report, unpack, verify, site = PACKS.splitlines()
    assert "1 seed, 4 records, 1 encoder" in said(pack)
    assert "untrained" in said(report)
    assert "seed0" in said(unpack)
    assert "Everything is as it was recorded." in said(verify)
    assert "1 run, 0 entries left out" in " ".join(said(site).split())
    assert all(OWN.fullmatch(path.name) for path in Path("site").iterdir())
    for line in ENCODERS.splitlines():
        said(line)
    assert {path.name for path in Path("hub/synthetic-xsub").iterdir()} == set(exported_encoder.FILES)


def test_the_page_names_every_file() -> None:
    for name in (*exported_encoder.FILES, "index.html", "leaderboard.csv", "pack.json"):
        assert f"`{name}`" in PAGE, name
