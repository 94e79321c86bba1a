"""The commands export and import: what a user types, sees, and is told when it goes wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from stars_bench import cli
from stars_bench.datasets.ntu import NTU60, NTU120
from stars_bench.preparation.prepare import prepare
from stars_bench.storage.shards import open_dataset
from tests.datasets.raw_writers import write_ntu
from tests.formats.clips import ntu_clips, ntu_names, prepared


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments], env={"COLUMNS": "80"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


@pytest.mark.parametrize("command", ["export", "import"])
def test_help_fits_80_columns(command: str) -> None:
    lines = run(command, "--help").splitlines()
    assert len(lines) > 10
    assert max(map(len, lines)) <= 80


def test_unseen_raw_files_to_the_npz_of_ntu_120_in_two_commands(tmp_path: Path) -> None:
    names = ["S001C001P001R001A001", "S018C002P041R001A061", "S020C003P045R002A115"]
    write_ntu(tmp_path / "raw", names)
    run("prepare", "ntu120", "--raw", tmp_path / "raw", "--data-dir", tmp_path / "d")
    options = ("--protocol", "xsub", "--format", "mamp", "--out", tmp_path / "x.npz")
    text = run("export", "ntu120", "--data-dir", tmp_path / "d", *options)
    assert "xsub: 2 training and 1 test clips" in text
    with np.load(tmp_path / "x.npz", allow_pickle=False) as found:
        assert found["x_train"].shape == (2, 300, 150)
        assert found["y_train"].argmax(1).tolist() == [0, 114]
        np.testing.assert_array_equal(found["x_train"][..., :75], found["x_train"][..., 75:])


def test_an_empty_part_is_a_warning_line(tmp_path: Path) -> None:
    write_ntu(tmp_path / "raw", ["S001C001P001R001A001"])
    prepare(NTU120, [tmp_path / "raw"], tmp_path, jobs=1)
    options = ("--protocol", "xsub", "--format", "mamp", "--out", tmp_path / "x.npz")
    assert "warning: xsub: no clip of the prepared data is in the test part" in run(
        "export", "ntu120", "--data-dir", tmp_path, *options
    )


def test_import_says_what_it_is_and_the_clips_are_used_without_more(tmp_path: Path) -> None:
    prepared(tmp_path / "a", NTU60, ntu_clips(ntu_names()))
    run("export", "ntu60", "--data-dir", tmp_path / "a", "--format", "pyskl", "--out", tmp_path / "x.pkl")
    text = run("import", tmp_path / "x.pkl", "--dataset", "ntu60", "--data-dir", tmp_path / "b")
    assert "written by stars-bench" in text
    assert "xsub: the file's parts are those of the published rule" in text
    assert open_dataset(tmp_path / "b", "ntu60").num_clips == 54
    again = run("import", tmp_path / "x.pkl", "--dataset", "ntu60", "--data-dir", tmp_path / "b")
    assert "was ready, nothing to do" in again
