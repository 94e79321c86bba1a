"""Wherever a run is wanted, its folder, its method's, a seed's, a record and encoder.pt are taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from stars_bench import cli, load_encoder
from stars_bench.errors import UsageError
from stars_bench.io.run_folder import RunFolder, run_folders, seeds_of

WAYS = ("METHOD folder", "KEY folder", "seed folder", "record", "encoder.pt")
SETTINGS = ("frames=8", "dim=16", "depth=1", "epochs=1", "batch_size=8", "linear.epochs=1")


def command(*words: object) -> str:
    done = CliRunner().invoke(cli.app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def runs(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of mamp on joints, and one on bones in another folder, each with one seed."""
    folder = tmp_path_factory.mktemp("runs")
    for stream in ("joint", "bone"):
        places = ("--data-dir", small_data, "--runs-dir", folder / stream, "--device", "cpu", "--stream", stream)
        settings = [word for one in SETTINGS for word in ("--set", one)]
        evaluations = ("--eval", "linear", "--eval", "clusters")
        command("run", "mamp", "--protocol", "xsub", "--preset", "quick", *evaluations, *settings, *places)
    return folder


def path_of(runs: Path, stream: str, way: str) -> Path:
    (key,) = (runs / stream / "synthetic" / "xsub" / "mamp").iterdir()
    seed = key / "seed0"
    (record,) = (seed / "records").glob("linear*.json")
    places = {"METHOD folder": key.parent, "KEY folder": key, "seed folder": seed, "record": record}
    return places.get(way, seed / "encoder.pt")


@pytest.mark.parametrize(
    "way", ["record", *(pytest.param(way, marks=pytest.mark.slow) for way in WAYS if way != "record")]
)
def test_every_command_takes_it(way: str, runs: Path, small_data: Path, tmp_path: Path) -> None:
    run, other = path_of(runs, "joint", way), path_of(runs, "bone", way)
    data = ("--data-dir", small_data)
    out = ("--runs-dir", tmp_path / "runs")
    assert "mamp" in command("show", run)
    assert "mamp" in command("inspect", run, *data)
    assert "1 note" in command("note", run, "said once")
    assert "Everything is as it was recorded" in command("verify", run, *data)
    assert "top1" in command("rescore", run, *data)
    assert "comparable" in command("compare", run, run)
    assert "record" in command("fuse", run, other, *out)
    assert "written" in command("map", run, "--out", tmp_path / "map", "--no-skeletons", *data)
    assert "clip" in command("predict", run, "S001C001P002R001A009", *data)
    assert "tensors" in command("export-checkpoint", run, "--format", "mamp", "--out", tmp_path / "mamp.pth")
    evaluation = ("--protocol", "xview", "--preset", "quick", "--eval", "knn", "--device", "cpu")
    assert "4 records" in command("evaluate", run, *evaluation, *data, *out)
    assert load_encoder(run).dim == 16


def test_rescore_says_which_matrices_it_wrote(runs: Path, small_data: Path, tmp_path: Path) -> None:
    run, data = path_of(runs, "joint", "KEY folder"), ("--data-dir", small_data)
    told = command("rescore", run, "--confusion", tmp_path / "matrices", *data)
    said = f"written: {tmp_path / 'matrices'}: 1 confusion matrix as CSV; 1 of the results classify nothing"
    assert said in told
    (matrix,) = (tmp_path / "matrices").iterdir()
    assert command("rescore", run, "--confusion", tmp_path / "matrices", *data) == told  # the same content
    matrix.write_text("a thesis")
    for place, reason in (
        (tmp_path / "matrices", "is there already .* --force replaces it"),
        (matrix, "name a folder"),
    ):
        with pytest.raises(UsageError, match=reason):
            CliRunner().invoke(
                cli.app, ["rescore", str(run), "--confusion", str(place), *map(str, data)], catch_exceptions=False
            )
    assert matrix.read_text() == "a thesis"
    command("rescore", run, "--confusion", tmp_path / "matrices", "--force", *data)
    assert matrix.read_text().startswith("true,")


def test_a_file_of_something_else_is_no_run(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.json").write_text("{}")
    assert RunFolder.of_file(tmp_path / "thesis.json") is None
    assert seeds_of(tmp_path / "thesis.json") == run_folders(tmp_path / "thesis.json") == []
    inside = path_of(runs, "joint", "seed folder") / "stages"
    assert all(RunFolder.of_file(one) is None for one in inside.iterdir())


def test_a_folder_of_several_runs_is_not_one(runs: Path) -> None:
    with pytest.raises(UsageError, match="has no records; give runs/DATASET/PROTOCOL/METHOD/KEY"):
        CliRunner().invoke(cli.app, ["compare", str(runs), str(runs)], catch_exceptions=False)
