"""Runs are tagged, noted, listed and shown; what a person says of them changes no result."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from stars_bench import cli
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.inspection.runs import listed
from stars_bench.io.run_folder import RunFolder
from stars_bench.records import notes, store


def command(*words: str) -> str:
    done = CliRunner().invoke(cli.app, words, catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


@pytest.fixture
def runs(small_data: Path, tmp_path: Path) -> Path:
    places = ["--data-dir", str(small_data), "--runs-dir", str(tmp_path), "--device", "cpu", "--set", "frames=8"]
    command("run", "raw", "--preset", "quick", "--eval", "knn", "--protocol", "xsub", "--tag", "first", *places)
    command("run", "raw", "--preset", "quick", "--eval", "knn", "--protocol", "xview", *places)
    return tmp_path


def test_runs_are_tagged_noted_listed_and_shown(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    before = [one.record for one in store.read_records(runs).stored]
    assert [one.record.protocol.name for one in listed(runs, tag="first")] == ["xsub"]
    folder = runs / "synthetic" / "xview" / "raw"  # the folder of a method with one run is a run, too
    (key,) = folder.iterdir()
    assert "tags: paper; 1 note" in command("note", str(folder), "the best one", "--tag", "paper")
    assert "tags: paper; 1 note" in command("note", str(key / "seed0"), "the best one")  # said before
    text = command("list", "runs", "--tag", "paper", "--runs-dir", str(runs))
    assert "the best" in text  # a narrow table may break the line
    assert "1 run under" in text
    shown = command("show", str(key))
    assert all(part in shown for part in ("the best one", "paper", "frames", "k-NN", "command"))
    assert [one.record for one in store.read_records(runs).stored] == before


def test_the_list_fits_80_columns_and_keeps_folders_whole(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(runs.parent)
    lines = command("list", "runs", "--runs-dir", runs.name).splitlines()
    folders = [str(one.folder.relative_to(runs.parent)) for one in listed(runs)]
    assert [line for line in lines if line.startswith(f"{runs.name}/")] == folders
    assert max(map(len, lines)) <= 80
    assert any("seed 0" in line and "tags: first" in line for line in lines)
    assert any("k-NN k=1 " in line for line in lines)


def test_runs_are_filtered(runs: Path) -> None:
    found = [one.record.protocol.name for one in listed(runs)]
    assert sorted(found) == ["xsub", "xview"]
    assert [one.record.finished for one in listed(runs)] == sorted(
        (o.record.finished for o in listed(runs)), reverse=True
    )
    for filters, count in (
        ({"method": "raw"}, 2),
        ({"method": "mamp"}, 0),
        ({"dataset": "synthetic", "protocol": "xview"}, 1),
        ({"since": "2000-01-01"}, 2),
        ({"since": "2999-01-01"}, 0),
        ({"tag": "none"}, 0),
    ):
        assert len(listed(runs, **filters)) == count, filters
    with pytest.raises(UsageError, match="--since yesterday: a day as"):
        listed(runs, since="yesterday")


def test_tags_are_words_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "seed0")
    for tag in ("", "two words", "a,b"):
        with pytest.raises(UsageError, match="a tag is one word"):
            notes.add(folder, [tag])
    assert not list(tmp_path.iterdir())
    (tmp_path / notes.FILE).write_text("[]")
    with pytest.raises(StarsBenchError, match=r"notes\.json: holds no tags and notes"):
        notes.read(folder)
