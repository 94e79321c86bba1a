"""`run a b c`: one after another; what fails is told at once and at the end, and the others run."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from stars_bench import cli
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments.request import Request
from stars_bench.experiments.run_many import Failure, run_each, summary
from stars_bench.records import store


def test_what_fails_does_not_keep_the_others_from_running() -> None:
    ran, told = [], []

    def run(request: Request) -> list[str]:
        ran.append(request.method)
        if request.method == "b":
            raise UsageError("b: no such thing")
        if request.method == "c":
            raise ValueError("odd\nsecond line")
        return [request.method.upper()]

    requests = [Request(method, "xsub", Path("data"), Path("runs")) for method in "abcd"]
    records, failures = run_each(requests, run, told.append)
    assert ran == ["a", "b", "c", "d"]
    assert records == ["A", "D"]
    assert failures == told == [Failure("b", "b: no such thing"), Failure("c", "ValueError: odd")]
    assert summary(failures, 4) == "2 of 4 methods failed: b (b: no such thing); c (ValueError: odd)"


def test_a_request_to_stop_stops_all() -> None:
    def run(_: Request) -> list[str]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_each([Request("a", "xsub", Path("data"), Path("runs"))] * 2, run, lambda _: None)


def test_several_methods_from_the_command_line(small_data: Path, tmp_path: Path) -> None:
    arguments = ["run", "raw", "starz", "untrained", "--protocol", "xsub", "--preset", "quick", "--eval", "knn"]
    places = ["--data-dir", str(small_data), "--runs-dir", str(tmp_path), "--device", "cpu"]
    done = CliRunner().invoke(cli.app, [*arguments, "--set", "frames=8", *places])
    assert isinstance(done.exception, StarsBenchError)  # `main` says it in one line, with exit code 1
    assert not isinstance(done.exception, UsageError)
    assert str(done.exception).startswith("1 of 3 methods failed: starz (no method is called 'starz'")
    records = store.read_records(tmp_path).records
    assert {record.method.name for record in records} == {"raw", "untrained"}
    assert {record.method.name: record.method.multiply_adds for record in records}["raw"] == 0
    assert all(record.method.multiply_adds for record in records if record.method.name == "untrained")
    assert "raw" in done.stdout
    assert "untrained" in done.stdout
