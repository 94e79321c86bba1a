"""A folder that a TOML file describes, from files to a table: other joints than 25 through every kind of network."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from stars_bench import cli
from stars_bench.datasets.skeletons.layouts import COCO_17, KINECT_V1, LAYOUTS
from stars_bench.errors import UsageError
from stars_bench.records import store
from tests.datasets.custom import custom_files as files

TINY = ("frames=8", "batch_size=8", "epochs=1")
SETTINGS = {
    "untrained": TINY[:1],
    "mamp": (*TINY, "warmup_epochs=0", "dim=16", "depth=2", "heads=2"),
    "stgcn": (*TINY, "channels=4", "dim=16"),
}


@pytest.fixture
def command(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str):
        done = CliRunner().invoke(cli.app, list(arguments))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.stdout

    return run


@pytest.mark.parametrize(("kind", "layout"), [("csv", KINECT_V1), ("npz", COCO_17), ("json", COCO_17)])
def test_from_files_to_a_table_without_python(kind: str, layout, command, tmp_path: Path) -> None:
    files.write(tmp_path, kind, layout.joints)
    command("prepare", "gym.toml", "--raw", "raw")
    for method, settings in SETTINGS.items():
        changes = [word for setting in settings for word in ("--set", setting)]
        command("run", method, "--dataset", "gym", "--protocol", "xsub", "--preset", "quick", "--eval", "knn", *changes)
    records = store.read_records(tmp_path / "runs").records
    assert {record.method.name for record in records} == set(SETTINGS)
    assert {(record.protocol.train_clips, record.protocol.test_clips) for record in records} == {(12, 4)}
    if kind == "npz":
        assert "Gym exercises (prepared)" in " ".join(command("list", "datasets").split())
        assert "16 (complete)" in command("inspect", "gym")
        assert "xsub" in command("verify", "gym", "--raw", "raw")
        with pytest.raises(UsageError, match="gym has no protocol xview"):
            command("run", "untrained", "--dataset", "gym", "--protocol", "xview")
        Path("gym.toml").write_text(files.HEAD + files.CSV.replace("unit", "units"))
        with pytest.raises(UsageError, match=r"gym.toml: coordinates.units: there is no such key"):
            command("prepare", "gym.toml", "--raw", "raw")


def test_its_own_files_of_any_name_are_classified(command, tmp_path: Path) -> None:
    files.write(tmp_path, "csv", KINECT_V1.joints)
    command("prepare", "gym.toml", "--raw", "raw")
    settings = ("linear.epochs=1", "linear.batch_size=8", "frames=8")
    changes = [word for setting in settings for word in ("--set", setting)]
    command("run", "raw", "--dataset", "gym", "--protocol", "xsub", "--preset", "quick", "--eval", "linear", *changes)
    (run,) = (tmp_path / "runs/gym/xsub/raw").iterdir()
    named = command("predict", str(run), "A01P01C1").replace(" (it is)", "")
    Path("long.csv").write_text(Path("raw/A01P01C1.csv").read_text())
    alone = command("predict", str(run), "long.csv")
    assert [line.split()[-2] for line in alone.splitlines()] == [line.split()[-2] for line in named.splitlines()]
    told = command("predict", str(run), "raw", "--window", "16", "--stride", "8", "--csv", "x.csv", "--out", "x.html")
    assert "A01P01C1 1-16" in told
    assert len(Path("x.csv").read_text().splitlines()) == 1 + 16 * 2 * 2
    assert Path("x.html").read_text().count('class="timeline"') == 2 * 16


def test_twenty_joints_come_in_every_format(command, tmp_path: Path, monkeypatch) -> None:
    """The rest of the square of formats and layouts, without training."""
    for kind in ("csv", "npz", "json"):
        for layout in LAYOUTS.values():
            where = tmp_path / kind / layout.name
            where.mkdir(parents=True)
            path = files.write(where, kind, layout.joints, subjects=2, cameras=1)
            path.write_text(path.read_text().replace("kinect-v1", layout.name).replace("coco-17", layout.name))
            monkeypatch.chdir(where)
            assert "Complete: 4 clips" in command("prepare", "gym.toml", "--raw", "raw")
