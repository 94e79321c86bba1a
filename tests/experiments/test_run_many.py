"""`run a b c`: one after another; what fails is told at once and at the end, and the others run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stars_bench import cli
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments.request import Request
from stars_bench.experiments.run_many import Failure, run_each, summary, title
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
    records, failures = run_each(requests, lambda _: None, run, told.append)
    assert ran == ["a", "b", "c", "d"]
    assert records == ["A", "D"]
    assert failures == told
    wrong = Failure(requests[1], "b", "b: no such thing", is_usage=True)
    assert failures == [wrong, Failure(requests[2], "c", "ValueError: odd")]
    assert summary(failures, 4) == "2 of 4 runs failed: b; c (ValueError: odd)"


def test_a_usage_error_that_runs_share_is_printed_once(small_data: Path, tmp_path: Path) -> None:
    arguments = ["run", "raw", "untrained", "--protocol", "xsub", "--set", "linear.epochs"]
    done = CliRunner().invoke(cli.app, [*arguments, "--data-dir", str(small_data), "--runs-dir", str(tmp_path)])
    said = done.stderr + str(done.exception)
    assert said.count("--set linear.epochs: has no value") == 1
    assert "2 of 2 runs failed: raw; untrained" in said


def test_a_request_to_stop_stops_all() -> None:
    def run(_: Request) -> list[str]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_each([Request("a", "xsub", Path("data"), Path("runs"))] * 2, lambda _: None, run, lambda _: None)


def test_a_wrong_request_is_told_before_the_first_is_run() -> None:
    order: list[str] = []

    def check(request: Request) -> None:
        if request.protocol == "xvew":
            raise UsageError("no protocol is called 'xvew'")

    def run(request: Request) -> list[str]:
        order.append(f"run {request.protocol}")
        return []

    requests = [Request("a", protocol, Path("data"), Path("runs")) for protocol in ("xsub", "xvew", "xview")]
    run_each(requests, check, run, lambda failure: order.append(failure.run))
    assert order == ["a xvew", "run xsub", "run xview"]


def test_several_methods_from_the_command_line(small_data: Path, tmp_path: Path) -> None:
    arguments = ["run", "raw", "starz", "untrained", "--protocol", "xsub", "--preset", "quick", "--eval", "knn"]
    places = ["--data-dir", str(small_data), "--runs-dir", str(tmp_path), "--device", "cpu"]
    done = CliRunner().invoke(cli.app, [*arguments, "--set", "frames=8", *places])
    assert isinstance(done.exception, StarsBenchError)  # `main` says it in one line, with exit code 1
    assert not isinstance(done.exception, UsageError)
    assert str(done.exception) == "1 of 3 runs failed: starz"
    assert "starz failed: no method is called 'starz'" in done.stderr
    records = store.read_records(tmp_path).records
    assert {record.method.name for record in records} == {"raw", "untrained"}
    assert {record.method.name: record.method.multiply_adds for record in records}["raw"] == 0
    assert all(record.method.multiply_adds for record in records if record.method.name == "untrained")
    assert "raw" in done.stdout
    assert "untrained" in done.stdout


def test_protocols_and_streams_are_repeated_and_streams_summed(small_data: Path, tmp_path: Path) -> None:
    arguments = ["run", "untrained", "--preset", "quick", "--eval", "linear", "--seed", "0", "--seed", "0"]
    settings = [part for one in ("frames=8", "dim=16", "depth=1", "linear.epochs=1") for part in ("--set", one)]
    asked = ["--protocol", "xsub", "--protocol", "xview", "--stream", "joint", "--stream", "bone"]
    places = ["--data-dir", str(small_data), "--runs-dir", str(tmp_path), "--device", "cpu"]
    done = CliRunner().invoke(cli.app, [*arguments, *settings, *asked, *places], catch_exceptions=False)
    found = {(one.protocol.name, one.dataset.stream) for one in store.read_records(tmp_path).records}
    assert found == {(protocol, stream) for protocol in ("xsub", "xview") for stream in ("joint", "bone", "joint+bone")}
    assert "6 records under" in done.stdout
    assert "untrained xview seed 0: synthetic, bones, " in done.stdout


def test_streams_without_scores_are_said_to_have_no_sum(small_data: Path, tmp_path: Path) -> None:
    arguments = ["run", "raw", "--preset", "quick", "--eval", "knn", "--protocol", "xsub", "--set", "frames=8"]
    streams = ["--stream", "joint", "--stream", "bone"]
    places = ["--data-dir", str(small_data), "--runs-dir", str(tmp_path), "--device", "cpu"]
    done = CliRunner().invoke(cli.app, [*arguments, *streams, *places], catch_exceptions=False)
    told = " ".join(done.stdout.split())
    assert "raw xsub: no sum of joint, bone: " in told
    assert "has no result with scores; run it again with --eval linear" in told
    assert done.exit_code == 0


def test_a_run_is_named_by_what_tells_it_from_the_others() -> None:
    one = Request("a", "xsub", Path("data"), Path("runs"))
    other = Request("a", "xview", Path("data"), Path("runs"), seeds=(3,))
    assert [title(each, [one, other]) for each in (one, other)] == ["a xsub seed 0", "a xview seed 3"]
    assert title(one, [one]) == "a"
    several = [replace(one, overrides=("epochs=2", f"lr={lr}")) for lr in (1, 2)]
    assert [title(each, [*several, replace(one, method="b")]) for each in several] == ["a lr=1", "a lr=2"]
