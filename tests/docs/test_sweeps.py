"""docs/sweeps.md: its file is a sweep, its commands do what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stars_bench import cli
from stars_bench.experiments.sweeps import schedule, sweep, sweep_file
from stars_bench.experiments.sweeps.sweep_file import Settings, SweepFile
from tests.experiments.sweeps.test_sweep import HereSlot
from tests.paths import ROOT

PAGE = (ROOT / "docs" / "sweeps.md").read_text()
(FILE,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
(COMMANDS,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)


def test_the_commands_work(small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep, "slots", lambda *_: [HereSlot()])
    monkeypatch.setattr(schedule, "LOOK_SECONDS", 0.01)
    smaller = [
        '"linear.batch_size" = 16',
        "dim = 16",
        "depth = 1",
        "heads = 2",
    ]  # to be quick; decoder_depth is mamp's own
    text = FILE.replace("[set] ", "[set]\n" + "\n".join(smaller) + "\n#").replace("frames = 16", "frames = 8")
    Path("sweep.toml").write_text(text.replace("epochs = 2", "epochs = 1\ndecoder_depth = 1"))
    places = ["--data-dir", str(small_data), "--runs-dir", "runs", "--devices", "cpu"]

    def said(line: str) -> str:
        done = CliRunner().invoke(cli.app, [*shlex.split(line)[1:], *places], catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    dry, run, chosen = COMMANDS.splitlines()
    assert said(dry).startswith("6 runs: 0 there already, 6 to do\n  untrained: seeds 0, 1 to do\n")
    assert "  mamp mask_ratio=0.9: seeds 0, 1 to do\nstage1: 4 trainings, about " in said(dry)
    assert "sweep: 6 of 6 done" in said(run)
    assert said(dry).startswith("6 runs: 6 there already, 0 to do\n  untrained: seeds 0, 1 there\n")
    assert "\n0 trainings in all" in said(dry)
    text = said(chosen)
    assert text.count("never by the test part") == 2
    assert "of 2 settings by k-NN k=1 top1 (mean of 2 runs) on the validation part" in text


def test_the_page_names_every_key() -> None:
    rows = "".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE))
    settings = {f"[{name}]" for name in Settings.model_fields} | {"[method"}
    for name in SweepFile.model_fields:
        assert f"`{name}`" in rows or f"[{name}" in rows, name
    assert all(name in rows for name in settings)


def test_lists_in_lists_are_as_the_page_says() -> None:
    content = {"methods": "stgcn", "protocols": "xsub", "grid": {"milestones": [[30], [30, 40]]}}
    assert len(sweep_file.parse(content, "x").settings("stgcn")) == 2
