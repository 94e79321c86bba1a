"""How the program answers a wrong command line, what its help shows, and what the shell offers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from stars_bench import cli
from stars_bench.cli import options, program
from stars_bench.records.record import Record

COMMANDS = sorted(typer.main.get_command(cli.app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "mamp", "--protocl", "xsub"], "No such option: --protocl"),
        (["run", "mamp", "--protocol", "xsub", "--seed", "x"], "Invalid value for '--seed'"),
        (["fuse"], "Missing argument 'RUN...'"),
        (["rnu"], "No such command 'rnu'"),
        (["rescore", "--confusion"], "Option '--confusion' requires an argument"),
        (["report", "--format", "word"], "'word' is not one of"),
        (
            ["run", "mamp", "--protocol", "xsub", "--set", "epochs"],
            "--set epochs: has no value: use --set epochs=VALUE",
        ),
    ],
)
def test_wrong_use_is_one_line_in_one_style(words, told, small_data: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("STARS_BENCH_DATA", str(small_data))
    monkeypatch.setattr(sys, "argv", ["stars-bench", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert (ended.value.code, said.err.count("\n")) == (2, 1)
    assert said.out in ("", "mamp xsub seed 0: starts (loads PyTorch and the data)\n")
    assert said.err.startswith("error: ")
    assert told in said.err
    assert "Value error" not in said.err


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_a_flag_shows_no_type(command: str, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        cli.app([*filter(None, [command]), "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert "--help" in said
    assert "bool" not in said.lower()


def test_without_a_command_the_help_is_printed(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["stars-bench"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "quickstart" in capsys.readouterr().out


def offered(line: str, **environment: str) -> list[str]:
    """What bash offers behind a line, asked as its completion does."""
    words = line.split(" ")
    asked = {
        "_STARS_BENCH_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    program = "import sys; sys.argv[0] = 'stars-bench'; from stars_bench.cli import app; app(prog_name='stars-bench')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | asked | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.split()


def test_bash_is_offered_names(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "ntu60" / "xsub" / "stars" / "0123456789" / "seed0"
    run.mkdir(parents=True)
    (run / "config.toml").touch()
    places = {"STARS_BENCH_RUNS": str(tmp_path / "runs"), "STARS_BENCH_DATA": str(tmp_path / "data")}
    assert {"mamp", "mae"} <= set(offered("stars-bench run ma", **places))
    assert "xset" in offered("stars-bench run mamp --protocol xs", **places)
    assert offered(f"stars-bench show {tmp_path}", **places) == [str(run.parent)]


def test_each_kind_of_name_is_offered(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("STARS_BENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("STARS_BENCH_RUNS", str(tmp_path / "runs"))
    assert {"ntu60", "ntu120"} <= set(program.offer_datasets("ntu"))
    assert "stars" in program.offer_methods("star")
    assert all(name.startswith("star") for name in program.offer_methods("star"))
    assert program.offer_protocols("xv") == ["xview"]
    assert program.offer_evaluations("kn") == ["knn"]
    assert "all" in program.offer_evaluations("a")
    assert program.offer_runs("") == []
    assert program.offer_kinds("prof") == ["profiles"]


def test_records_are_counted_as_what_they_are(make_record: Callable[..., Record]) -> None:
    old, new = (make_record(finished=f"2026-11-{day}T10:00:00+00:00") for day in (10, 20))
    where, began = Path("runs"), "2026-11-15T00:00:00+00:00"
    assert options.counted([], where, began) == "0 records under runs"
    assert options.counted([new], where, began) == "1 record under runs: all new"
    assert options.counted([old, old], where, began) == "2 records under runs: all there before"
    assert options.counted([old, new], where, began) == "2 records under runs: 1 new, the others were there before"
