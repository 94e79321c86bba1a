"""docs/adding.md, followed literally: its commands and its files in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

PAGE = (ROOT / "docs" / "adding.md").read_text()
COMMANDS = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
FILES = dict(re.findall(r"```(?:python|toml) file=(\S+)\n(.*?)```", PAGE, re.DOTALL))
(DESCRIBED,) = re.findall(r"```bash data=own\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def follow(small_data: Path, tmp_path: Path):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "STARS_BENCH_DATA": str(small_data)}
    environment["STARS_BENCH_RUNS"] = str(tmp_path / "runs")

    def one(line: str, cwd: Path, **changes: str) -> str:
        words = shlex.split(line)
        words = words[1:] if words[0] == "python" else ["-m", "stars_bench", *words[1:]]
        done = subprocess.run(
            [sys.executable, *words], cwd=cwd, env=environment | changes, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    return one


@pytest.mark.slow
@pytest.mark.parametrize("block", COMMANDS, ids=lambda block: block.split()[1])
def test_the_commands_work_in_an_empty_folder(block: str, follow, tmp_path: Path) -> None:
    where = tmp_path
    for line in block.splitlines():
        if line.startswith("cd "):
            where = where / line.removeprefix("cd ")
        else:
            follow(line, where)


@pytest.mark.slow
def test_a_folder_is_described_without_python(follow, tmp_path: Path) -> None:
    for name in ("write_gym.py", "gym.toml"):
        (tmp_path / name).write_text(FILES[name])
    *before, run = DESCRIBED.splitlines()
    told = [follow(line, tmp_path, STARS_BENCH_DATA=str(tmp_path / "data")) for line in before]
    assert "Complete: 48 clips" in told[1]
    assert "xview" in told[3]
    table = follow(run, tmp_path, STARS_BENCH_DATA=str(tmp_path / "data"))
    assert all(method in table for method in ("untrained", "mamp", "stgcn"))


def test_a_model_that_is_there_comes_into_the_table_in_under_30_lines(follow, tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    _, _, around = FILES["adapted.py"].partition("class Encoder")
    assert sum(bool(line.strip()) for line in around.splitlines()) < 30
    follow("python try_adapted.py", tmp_path)
    assert "adapted" in follow("stars-bench run adapted:Adapted --protocol xsub --eval knn", tmp_path)


def test_an_evaluation_of_the_page_gives_a_row(follow, tmp_path: Path) -> None:
    (tmp_path / "nearest_mean.py").write_text(FILES["nearest_mean.py"])
    (line,) = re.findall(r"`(stars-bench run untrained [^`]*nearest_mean:NearestMean)`", PAGE)
    follow(line, tmp_path)
    assert list((tmp_path / "runs").rglob("nearest-mean*.json"))
