"""A process that is lost, without a launcher that would end the others: the rest end in time, with one line."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.experiments.test_torchrun import LONG, arguments

pytestmark = pytest.mark.slow
PATIENCE, WITHIN = 40, 90
"""Seconds: how long these wait for one another, and how long after the loss all must have ended."""
PROGRAM = f"""
import sys
from datetime import timedelta
from stars_bench.training.parallel import distributed
distributed.PATIENCE = timedelta(seconds={PATIENCE})
from stars_bench.cli import main
sys.argv[0] = "stars-bench"
main()
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("number", "how"),
    [(signal.SIGKILL, "the connection broke"), (signal.SIGSTOP, f"heard nothing for {PATIENCE} seconds")],
)
def test_the_others_end_when_one_is_killed_or_hangs(small_data: Path, tmp_path: Path, number: int, how: str) -> None:
    words = arguments(small_data, tmp_path, LONG, ("knn",), "mamp")[2:]  # without -m stars_bench
    variables = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *words],
            env=os.environ | variables | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if rank else subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        end = time.monotonic() + 300
        while not list(tmp_path.rglob("stage1-*.resume.pt")) and time.monotonic() < end:
            assert ranks[0].poll() is None, ranks[0].communicate()
            time.sleep(0.01)
        ranks[1].send_signal(number)
        _, errors = ranks[0].communicate(timeout=WITHIN)
    finally:
        for process in ranks:
            process.kill()
            process.wait()
    assert ranks[0].returncode == 1
    lines = [line for line in errors.splitlines() if line.startswith(("error:", "stopped", "Traceback"))]
    assert len(lines) == 1, errors
    assert lines[0].startswith(
        f"error: process 0 of 2: another one was lost ({how}); run the same command again: it resumes from"
    )
