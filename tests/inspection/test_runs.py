"""Runs are tagged, noted, listed and shown; what a person says of them changes no result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stars_bench import cli
from stars_bench.cli.inspect import _lines
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.inspection.run import inspect_run
from stars_bench.inspection.runs import listed
from stars_bench.io.run_folder import RunFolder
from stars_bench.records import notes, store
from stars_bench.records.record import Record


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


def test_settings_that_tell_runs_apart_are_listed_and_shown(
    make_record: Callable[..., Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [RunFolder.of(tmp_path, "ntu60", "xsub", "stars", key, 0) for key in "ab"]
    for folder, lr in zip(folders, (0.1, 0.2), strict=True):
        for epochs, top1 in ((5, 60.0), (9, 80.0)):
            record = make_record(
                top1,
                method__config={"dim": 256, "stage": {"lr": lr}},
                evaluation__name="linear",
                evaluation__settings={},
                evaluation__config={"crop": 0.95, "epochs": epochs},
            )
            folder.records.mkdir(parents=True, exist_ok=True)
            (folder.records / f"{epochs}.json").write_text(record.model_dump_json())
    assert {one.folder.name: one.settings for one in listed(tmp_path)} == {
        "a": ("stage.lr=0.1",),
        "b": ("stage.lr=0.2",),
    }
    (first, _) = listed(tmp_path)  # other settings are other numbers: no mean over them
    assert first.numbers == {"linear (epochs 5)": 60.0, "linear (epochs 9)": 80.0}
    assert first.settings[0] in command("list", "runs", "--runs-dir", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    assert "linear (epochs 9)" in command("show", str(first.folder))


def test_no_field_is_broken() -> None:
    assert list(_lines(["a b", "", "seeds 0, 1", "c"], 12)) == ["a b", "seeds 0, 1", "c"]
    assert list(_lines(["a b", "seeds 0, 1", "c"], 18)) == ["a b  seeds 0, 1  c"]


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


def test_a_list_without_a_run_says_what_would_fit(runs: Path) -> None:
    asked = ("--method", "mamp", "--protocol", "xsub", "--since", "2999-01-01", "--tag", "nope")
    told = command("list", "runs", "--runs-dir", str(runs), *asked)
    assert told.splitlines()[:2] == ["0 of 2 runs", "--method mamp: the runs have raw"]
    assert "--protocol" not in told
    assert "--since 2999-01-01: the runs have 20" in told
    assert "--tag nope: the runs have " in told
    assert "`stars-bench run` makes one" in command("list", "runs", "--runs-dir", str(runs / "empty"))


def test_a_folder_of_runs_is_no_run_and_says_how_they_are_listed(runs: Path) -> None:
    with pytest.raises(UsageError, match="holds runs and is none: `stars-bench list runs --runs-dir"):
        inspect_run(runs)


def test_tags_are_words_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "seed0")
    for tag in ("", "two words", "a,b"):
        with pytest.raises(UsageError, match="a tag is one word"):
            notes.add(folder, [tag])
    assert not list(tmp_path.iterdir())
    (tmp_path / notes.FILE).write_text("[]")
    with pytest.raises(StarsBenchError, match=r"notes\.json: holds no tags and notes"):
        notes.read(folder)
