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
(WITH_LOGGER,) = re.findall(r"```bash log=own\n(.*?)\n```", PAGE, re.DOTALL)
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
    assert "look wrong" not in told[1]
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


def test_byol_with_a_momentum_teacher_conforms_in_under_60_lines(follow, tmp_path: Path) -> None:
    for name in ("byol.py", "try_byol.py"):
        (tmp_path / name).write_text(FILES[name])
    assert sum(bool(line.strip()) for line in FILES["byol.py"].splitlines()) < 60
    follow("python try_byol.py", tmp_path)


def test_plug_ins_of_the_page_are_built_from_the_public_contract_alone() -> None:
    for text in (*FILES.values(), *re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)):
        modules = set(re.findall(r"from (stars_bench[\w.]*) import", text))
        assert modules <= {"stars_bench.api", "stars_bench.testing", "stars_bench.datasets.skeletons.layouts"}


def test_a_method_runs_from_its_folder_below_the_tutorials(small_data: Path, tmp_path: Path) -> None:
    """Without any option: its data and runs are those of the folder above."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("STARS_BENCH_")}
    (tmp_path / "data").symlink_to(small_data)
    (tmp_path / "runs").mkdir()

    def command(line: str, cwd: Path) -> str:
        words = [sys.executable, "-m", "stars_bench", *shlex.split(line)]
        options = {"env": environment | {"PYTHONPATH": str(ROOT)}, "capture_output": True, "text": True}
        done = subprocess.run(words, cwd=cwd, check=False, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stderr

    command("run untrained --protocol xsub --preset quick --eval knn", tmp_path)
    command("new-method my-idea", tmp_path)
    here = tmp_path / "my-idea"
    said = command("run my_idea.method:MyIdea --protocol xsub --preset quick --eval knn --set epochs=1", here)
    assert "data: ../data (from the folder above; --data-dir names another)" in said
    assert "runs: ../runs (from the folder above; --runs-dir names another)" in said
    assert not (here / "runs").exists()
    assert len(list((tmp_path / "runs").rglob("knn*.json"))) >= 2


def test_an_evaluation_of_the_page_conforms(follow, tmp_path: Path) -> None:
    for name in ("nearest_mean.py", "try_nearest_mean.py"):
        (tmp_path / name).write_text(FILES[name])
    follow("python try_nearest_mean.py", tmp_path)


def test_an_evaluation_of_the_page_gives_a_row(follow, tmp_path: Path) -> None:
    (tmp_path / "nearest_mean.py").write_text(FILES["nearest_mean.py"])
    (line,) = re.findall(r"`(stars-bench run untrained [^`]*nearest_mean:NearestMean)`", PAGE)
    follow(line, tmp_path)
    assert list((tmp_path / "runs").rglob("nearest-mean*.json"))


@pytest.mark.slow
def test_a_logger_is_told_epochs_and_results(follow, tmp_path: Path) -> None:
    (tmp_path / "my_logger.py").write_text(FILES["my_logger.py"])
    follow(WITH_LOGGER, tmp_path)
    (file,) = tmp_path.glob("runs/**/epochs.csv")
    stages = [line.split(",")[0] for line in file.read_text().splitlines()]
    assert stages[-1] == "linear"
    assert stages.count("linear") == 3, "two epochs and the result"
    assert any(stage.startswith("k-NN") for stage in stages)
