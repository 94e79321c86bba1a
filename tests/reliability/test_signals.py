"""Ctrl-C and a request to end: one line on how to go on, no traceback, no process left, and it does go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stars_bench.io import process_pool
from tests.reliability.command import all_gone, members, prepare_arguments, run_arguments
from tests.reliability.source import ended, finish, start, wait_until

pytestmark = pytest.mark.skipif(not process_pool.CAN_FORK, reason="looks at processes as Linux shows them")
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
LINE = "stopped; run the same command again: it resumes from what it last saved\n"


@pytest.mark.parametrize(  # kill PID and a scheduler tell the command, a terminal tells its group
    ("number", "to"),
    [
        (signal.SIGTERM, "command"),
        (signal.SIGINT, "group"),
        pytest.param(signal.SIGINT, "command", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, "group", marks=pytest.mark.slow),
    ],
)
def test_prepare_with_two_jobs_stops_in_one_line_and_leaves_no_worker(
    raw_files: Path, tmp_path: Path, number: signal.Signals, to: str
) -> None:
    process = start(prepare_arguments(raw_files), tmp_path)
    folder = tmp_path / "data" / "synthetic" / "mamp"
    wait_until(process, lambda: list(folder.glob("shard-*")) and members(process.pid))
    os.kill(process.pid, signal.SIGSTOP)  # so that it is not over before the signal comes
    (os.killpg if to == "group" else os.kill)(process.pid, number)
    os.kill(process.pid, signal.SIGCONT)
    assert all_gone(process.pid)
    assert ended(process) == (CODES[number], LINE)
    assert not list(tmp_path.rglob(".*"))  # locks, and what workers were writing
    assert not (folder / "index.json").exists()
    done = {file.name: file.stat().st_mtime_ns for file in folder.glob("shard-*")}
    assert finish(prepare_arguments(raw_files), tmp_path) == (0, "")
    assert done.items() <= {file.name: file.stat().st_mtime_ns for file in folder.glob("shard-*")}.items()


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_run_stops_in_one_line_wherever_it_is(small_data: Path, tmp_path: Path, number: signal.Signals) -> None:
    arguments = (*run_arguments(small_data), "--set", "epochs=2000")
    process = start(arguments, tmp_path)
    wait_until(process, lambda: list(tmp_path.rglob("stage1-*.resume.pt")))
    process.send_signal(number)
    process.send_signal(number)  # twice, as the impatient do
    assert ended(process) == (CODES[number], LINE)
    assert not [path for path in tmp_path.rglob(".*") if path.suffix == ".partial"]
    assert list(tmp_path.rglob("stage1-*.resume.pt"))


def test_ctrl_c_while_modules_are_imported_shows_no_traceback(tmp_path: Path) -> None:
    """The import of typer is where the signal comes."""
    (tmp_path / "typer.py").write_text("import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(60)")
    process = subprocess.run(
        [sys.executable, "-m", "stars_bench", "list"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert (process.returncode, process.stderr) == (-signal.SIGINT, b"")
