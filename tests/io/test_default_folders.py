"""Folders of data and runs are looked for upwards, and only those that hold some are taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from stars_bench.errors import UsageError
from stars_bench.io.default_folders import data_folder, default_folder, runs_folder


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data" / "synthetic" / "mamp").mkdir(parents=True)
    (tmp_path / "data" / "synthetic" / "mamp" / "index.json").touch()
    folder = tmp_path / "my-idea" / "my_idea"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def test_the_nearest_folder_above_that_holds_data_is_found(inside: Path) -> None:
    assert default_folder("data") == Path("..", "..", "data")
    (inside.parent / "data").mkdir()  # somebody else's: nothing prepared is in it
    assert default_folder("data") == Path("..", "..", "data")


def test_the_folder_here_comes_first_even_if_it_is_empty(inside: Path) -> None:
    (inside / "data").mkdir()
    assert default_folder("data") == Path("data")


@pytest.mark.usefixtures("inside")
def test_where_there_is_none_it_is_the_one_here() -> None:
    assert default_folder("runs") == Path("runs")


def test_a_folder_may_be_made_and_no_file_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    assert runs_folder(tmp_path / "new" / "runs") == tmp_path / "new" / "runs"
    for path in (tmp_path / "file", tmp_path / "file" / "runs"):
        with pytest.raises(UsageError, match=f"^--runs-dir {path}: {tmp_path / 'file'} is no folder; name a folder$"):
            runs_folder(path)
    monkeypatch.setenv("STARS_BENCH_DATA", str(tmp_path / "file"))
    with pytest.raises(UsageError, match=r"^\$STARS_BENCH_DATA .*is no folder"):
        data_folder(None)
