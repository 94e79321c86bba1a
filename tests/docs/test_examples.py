"""examples/ablations.sh: which runs it starts, and that one that fails costs neither the others nor the report."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.paths import ROOT

SCRIPT = ROOT / "examples" / "ablations.sh"
STAND_IN = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in *"$FAILS"*) exit "$CODE" ;; esac
"""

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")


def ablations(folder: Path, *arguments: str, **variables: str) -> tuple[int, list[str], str]:
    """The exit status, the calls of stars-bench, of which those with FAILS end with CODE, and what was printed."""
    program = folder / "stars-bench"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    calls = folder / "calls"
    calls.touch()
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(calls), "FAILS": "nothing", "CODE": "1"}
    done = subprocess.run(
        ["bash", str(SCRIPT), *arguments], env=environment | variables, capture_output=True, text=True, check=False
    )
    return done.returncode, calls.read_text().splitlines(), done.stdout


def test_every_factor_varies_alone_and_one_report_gathers_them(tmp_path: Path) -> None:
    code, calls, _ = ablations(tmp_path, "xsub", "--preset", "quick", RUNS="there")
    *runs, report = calls
    assert code == 0
    assert report == "report --runs-dir there"
    assert all(run.endswith("--protocol xsub --runs-dir there --eval knn") and "--preset quick" in run for run in runs)
    assert [run.split()[1] for run in runs] == ["mamp", "stars", "stars-3stage", *["stars"] * 13]
    varied = [run.partition("--set ")[2].partition("=")[0] for run in runs[3:]]
    assert varied == [
        *["tune_layer_decay"] * 3,
        *["queue_size"] * 3,
        *["tune_epochs"] * 3,
        *["tune_share"] * 3,
        "epochs",
    ]


def test_a_factor_without_values_is_left_out(tmp_path: Path) -> None:
    none = dict.fromkeys(("DECAYS", "TUNE_EPOCHS", "SHARES", "EPOCHS"), "")
    _, calls, _ = ablations(tmp_path, "xsub", QUEUES="7", **none)
    assert [call.partition("--set ")[2].split(" ")[0] for call in calls] == ["", "", "", "queue_size=7", ""]


def test_a_run_that_fails_costs_neither_the_others_nor_the_report(tmp_path: Path) -> None:
    code, calls, _ = ablations(tmp_path, "xsub", FAILS="queue_size=1024", CODE="2")
    assert code == 2
    assert len(calls) == 17
    assert calls[-1].startswith("report")


def test_what_is_stopped_stops_all(tmp_path: Path) -> None:
    code, calls, _ = ablations(tmp_path, "xsub", FAILS="stars-3stage", CODE="130")
    assert code == 130
    assert len(calls) == 3


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_without_a_protocol_it_says_how_it_is_used(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, calls, told = ablations(tmp_path, *arguments)
    assert (code, calls) == (2, [])
    assert told.startswith("The ablations of STARS (arXiv:2407.10935)")
    assert told.endswith("where results lie: RUNS=FOLDER.\n")
